"""Models and adapters that are not what they claim are refused before vLLM reads a weight."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from augment.engines.vllm import model_checks
from augment.engines.vllm.model_checks import NOISE, check_answers, check_files
from augment.engines.vllm.options import VllmOptions
from augrec.artefacts.errors import AugrecError, DataError, UsageError
from augrec.artefacts.parameters import read_parameters
from tests.kit.chat_folders import VOCABULARY
from tests.kit.tiny_llama import RANK, WIDTH, tensors, write_adapter, write_llama, write_weights

pytest.importorskip("transformers")


def checked(model: Path, tmp_path: Path, **options: Any) -> bool:
    return check_files(VllmOptions(model="m", **options), model, tmp_path / "engine.log")


@pytest.mark.parametrize("tied", [True, False])
def test_a_whole_model_passes_with_tied_weights_too(tmp_path: Path, tied: bool) -> None:
    assert checked(write_llama(tmp_path / "model", tied=tied), tmp_path)


def without(*names: str) -> Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]:
    return lambda content: {name: value for name, value in content.items() if not any(part in name for part in names)}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (without("layers.1."), r"9 of the model's parameters .*layers\.1"),
        (without("layers.0.self_attn.k_proj"), r"1 of the model's parameters .*k_proj"),
        (without("up_proj"), "2 of the model's parameters"),
        (without("embed_tokens"), "embed_tokens"),
        (without("model.norm"), r"model\.norm"),
        (lambda content: {f"other.{name}": value for name, value in content.items()}, "parameters are not in it"),
        (lambda content: content | {"model.norm.weight": np.ones(3, np.float32)}, "another shape"),
    ],
    ids=["a layer", "part of a fused matrix", "a kind", "embedding", "norm", "another prefix", "another shape"],
)
def test_weights_that_lack_parameters_are_refused(tmp_path: Path, change: Callable, said: str) -> None:
    model = write_llama(tmp_path / "model")
    write_weights(model, change(tensors()))
    with pytest.raises(DataError, match=said) as error:
        checked(model, tmp_path)
    assert error.value.where == str(model)


def test_an_output_matrix_that_is_not_tied_may_not_be_missing(tmp_path: Path) -> None:
    model = write_llama(tmp_path / "model", tied=False)
    write_weights(model, tensors(tied=True))
    with pytest.raises(DataError, match="lm_head"):
        checked(model, tmp_path)


def test_a_file_that_is_cut_or_no_safetensors_is_refused(tmp_path: Path) -> None:
    model = write_llama(tmp_path / "model")
    content = (model / "model.safetensors").read_bytes()
    for damaged in (content[:-1], content[:100], b"weights"):
        (model / "model.safetensors").write_bytes(damaged)
        with pytest.raises(DataError, match="cannot be read"):
            checked(model, tmp_path)


@pytest.mark.parametrize(
    "config", [{"model_type": "never_heard_of"}, {"quantization_config": {"quant_method": "awq"}}], ids=["new", "awq"]
)
def test_what_transformers_cannot_compare_is_left_to_the_engine(tmp_path: Path, config: dict[str, Any]) -> None:
    model = write_llama(tmp_path / "model")
    (model / "config.json").write_text(json.dumps(json.loads((model / "config.json").read_text()) | config))
    write_weights(model, {"packed": np.ones(3, np.float32)})
    assert not checked(model, tmp_path)
    assert read_parameters(model) is None


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"num_hidden_layers": 1}, r"the files hold 2 layers, and config\.json says 1"),
        ({"num_attention_heads": 0}, r"no model can be made of config\.json"),
        ({"hidden_size": "64"}, r"no model can be made of config\.json"),
        ({"num_hidden_layers": 1, "num_nextn_predict_layers": 1}, ""),  # a layer that drafts
    ],
)
def test_a_config_that_is_not_the_files_is_refused(tmp_path: Path, config: dict[str, Any], said: str) -> None:
    model = write_llama(tmp_path / "model")
    (model / "config.json").write_text(json.dumps(json.loads((model / "config.json").read_text()) | config))
    if not said:
        assert checked(model, tmp_path)
        return
    with pytest.raises(DataError, match=said):
        checked(model, tmp_path)


def test_an_adapter_of_another_rank_than_it_says_is_refused(tmp_path: Path) -> None:
    model, adapter = write_llama(tmp_path / "model"), write_adapter(tmp_path / "adapter")
    config = json.loads((adapter / "adapter_config.json").read_text())
    (adapter / "adapter_config.json").write_text(json.dumps(config | {"r": 4 * RANK}))
    with pytest.raises(UsageError, match=rf"q_proj has rank {RANK}, and adapter_config\.json says {4 * RANK}"):
        checked(model, tmp_path, lora=adapter)
    pattern = {"rank_pattern": {"q_proj": RANK}, "r": 4 * RANK}
    (adapter / "adapter_config.json").write_text(json.dumps(config | pattern))
    assert checked(model, tmp_path, lora=adapter)


def test_an_adapter_of_the_model_passes(tmp_path: Path) -> None:
    assert checked(write_llama(tmp_path / "model"), tmp_path, lora=write_adapter(tmp_path / "adapter"))


@pytest.mark.parametrize(
    ("made", "said"),
    [
        ({"prefix": "base_model.model.transformer.h"}, r"2 of its 2 modules .*transformer\.h\.0"),
        ({"prefix": "base_model.model.layers"}, "2 of its 2 modules"),
        ({"prefix": "model.model.layers"}, "2 of its 2 modules"),
        ({"layers": 5}, r"3 of its 5 modules .*layers\.2"),
        ({"module": "self_attn.qkv_proj"}, "qkv_proj"),
        ({"width": WIDTH * 2}, f"q_proj is {WIDTH} x {WIDTH * 2}, and the model's {WIDTH} x {WIDTH}"),
        ({"out": WIDTH // 2}, f"q_proj is {WIDTH // 2} x {WIDTH}"),
    ],
)
def test_an_adapter_for_another_model_is_refused(tmp_path: Path, made: dict[str, Any], said: str) -> None:
    adapter = write_adapter(tmp_path / "adapter", **made)
    with pytest.raises(UsageError, match=f"for another model: .*{said}") as error:
        checked(write_llama(tmp_path / "model"), tmp_path, lora=adapter)
    assert error.value.where == str(adapter / "adapter_model.safetensors")


def test_damaged_weights_of_an_adapter_are_named(tmp_path: Path) -> None:
    adapter = write_adapter(tmp_path / "adapter")
    (adapter / "adapter_model.safetensors").write_bytes(b"matrices")
    with pytest.raises(UsageError, match="cannot be read"):
        checked(write_llama(tmp_path / "model"), tmp_path, lora=adapter)


class Scored:
    """Stands for vLLM: gives every token of a prompt one probability, and another with an adapter."""

    def __init__(self, plain: float, adapted: float = 0.0, *, trouble: Exception | None = None) -> None:
        self.scores, self.trouble = {False: plain, True: adapted}, trouble
        config = SimpleNamespace(get_vocab_size=lambda: VOCABULARY)
        self.llm_engine = SimpleNamespace(vllm_config=SimpleNamespace(model_config=config))

    def generate(self, prompts: list, parameters: list, *, use_tqdm: bool, lora_request: Any) -> list[Any]:
        if self.trouble:
            raise self.trouble
        score = SimpleNamespace(logprob=self.scores[lora_request is not None])
        ids = prompts[0]["prompt_token_ids"]
        return [SimpleNamespace(prompt_logprobs=[None, *({token: score} for token in ids[1:])])]


CHAT: Any = SimpleNamespace(plain_tokens=lambda text: range(len(text)))
CHANCE = float(np.log(VOCABULARY))


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """asked(engine, lora, check_text) scores the sentence without vLLM."""
    import sys

    monkeypatch.setitem(sys.modules, "vllm", SimpleNamespace(SamplingParams=lambda **_: None))

    def call(engine: Scored, lora: Any = None, check_text: bool = True) -> None:
        options = VllmOptions(model="m", check_text=check_text, lora=None if lora is None else tmp_path)
        check_answers(engine, CHAT, lora, options, tmp_path / "engine.log")

    return call


@pytest.mark.parametrize("nats", [0.1, NOISE * CHANCE - 0.01])
def test_a_model_that_knows_the_sentence_passes(asked: Callable, tmp_path: Path, nats: float) -> None:
    asked(Scored(-nats))
    assert f"{nats:.3f} nats per token" in (tmp_path / "engine.log").read_text()


@pytest.mark.parametrize("nats", [NOISE * CHANCE + 0.01, CHANCE, 3 * CHANCE, float("nan"), float("inf")])
def test_noise_is_refused_unless_it_is_wanted(asked: Callable, nats: float) -> None:
    with pytest.raises(AugrecError, match="writes noise") as error:
        asked(Scored(-nats))
    assert "check_text: false" in str(error.value.remedy)
    asked(Scored(-nats), check_text=False)


@pytest.mark.parametrize("check_text", [True, False])
def test_an_adapter_that_changes_nothing_is_refused(asked: Callable, tmp_path: Path, check_text: bool) -> None:
    with pytest.raises(AugrecError, match="the adapter changes nothing") as error:
        asked(Scored(-0.5, -0.5), lora="adapter", check_text=check_text)
    assert error.value.where == str(tmp_path)
    asked(Scored(-0.5, -0.5001), lora="adapter", check_text=check_text)
    with pytest.raises(AugrecError, match="makes numbers that are none"):
        asked(Scored(-0.5, float("nan")), lora="adapter", check_text=check_text)


@pytest.mark.parametrize("lora", [None, "adapter"])
def test_an_engine_that_fails_at_once_says_why(asked: Callable, lora: str | None) -> None:
    trouble = RuntimeError("The size of tensor a (64)\nmust match the size of tensor b (128)")
    with pytest.raises(AugrecError, match=r"first request.*: The size of tensor a \(64\) must match"):
        asked(Scored(-0.5, trouble=trouble), lora=lora)


def test_the_sentence_fits_the_shortest_context_byte_by_byte() -> None:
    shortest = next(one.ge for one in VllmOptions.model_fields["max_model_len"].metadata if hasattr(one, "ge"))
    assert len(model_checks.SENTENCE.encode()) + 2 <= shortest
