"""What a run would lack is found before it begins: everything at once, each with its key and its remedy."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from augrec.artefacts.errors import UsageError
from augrec.pipeline.config.run_config import read_config
from augrec.pipeline.doctor.rows import Row
from augrec.pipeline.executors.profile import Profile, read_profile
from augrec.pipeline.preflight import engines
from augrec.pipeline.preflight.checks import begin, look_at_run
from augrec.pipeline.preflight.findings import Finding
from augrec.pipeline.stages.base import Run
from tests.kit.fake_server import FakeServer
from tests.kit.tiny_llama import write_adapter, write_llama
from tests.kit.toy_config import RULES, Patch, toy_config, write_config

TABLE = """
dataset:
  source: {format: table, table: {interactions: clicks.csv, items: items.csv, rating: rating, timestamp: when}}
"""
LLM = "generation: {sources: {llm: {engine: {kind: vllm, model: MODEL}}}}"
ASKED = {"kind": "openai", "model": "m", "base_url": "http://127.0.0.1:9/v1"}
TUNED = """
base: {model: popular}
tune: {model: Nobody/NoModel-7B, python: no/python, accelerate: no.yaml, instructions: {tasks: [ranking]}}
"""


@pytest.fixture(autouse=True)
def bare_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No GPU, and vLLM as if it were installed and fit."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AUGREC_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(engines, "query_gpus", lambda *asked: None)
    monkeypatch.setattr(engines, "built_for_cpu", lambda: False)
    monkeypatch.setattr(engines, "vllm_row", lambda *asked: Row("vllm", "ok", "as if"))


def found(folder: Path, *patches: Patch, profile: Profile | None = None) -> list[Finding]:
    data = folder / "data"
    path = write_config(folder / "toy.yaml", toy_config(data, {"embedding": {"model": "tfidf"}}, *patches))
    return look_at_run(Run(read_config(path, [f"output={folder / 'run'}"])), profile=profile)


def problems(findings: list[Finding]) -> dict[str, str]:
    return {finding.where: finding.what for finding in findings if finding.level == "problem"}


def test_a_run_that_lacks_nothing(tmp_path: Path, toy_data: Path) -> None:
    assert found(tmp_path, RULES) == []
    begin([], tmp_path)


def write_tables(folder: Path, interactions: str = "user_id,item_id,rating,when\n1,2,5,10\n") -> None:
    folder.mkdir()
    (folder / "clicks.csv").write_text(interactions)
    (folder / "items.csv").write_text("item_id,title,plot\n2,Alien,A crew meets a stranger\n")


@pytest.mark.parametrize(
    ("patch", "interactions", "where", "what"),
    [
        (
            {},
            "user_id;item_id;stars;when\n1;2;5;1\n",
            "dataset.source.table.rating",
            "clicks.csv has no column 'rating'",
        ),
        ({"dataset": {"source": {"table": {"items": "films.csv"}}}}, "", "dataset.source.table.items", "films.csv"),
        ({"dataset": {"source": {"table": {"rating": None}}}}, "", "dataset.min_rating", "no ratings"),
        (
            {"dataset": {"split": {"kind": "temporal"}, "source": {"table": {"timestamp": None}}}},
            "",
            "dataset.split",
            "no column holds them",
        ),
        ({"embedding": {"columns": ["title", "plat"]}}, "", "embedding.columns", "'plat'"),
        ({"features": {"image": {"path": "image.npy"}}}, "", "features.image", "does not exist"),
    ],
)
def test_tables_and_what_is_asked_of_them(
    tmp_path: Path, patch: dict[str, Any], interactions: str, where: str, what: str
) -> None:
    write_tables(tmp_path / "data", *filter(None, [interactions]))
    assert problems(found(tmp_path, TABLE)) == {} or interactions
    refused = problems(found(tmp_path, TABLE, patch))
    assert list(refused) == [where]
    assert what in refused[where]


def test_matrices_by_their_headers(tmp_path: Path, toy_data: Path) -> None:
    np.save("image.npy", np.zeros((3, 2)))
    Path("ids.txt").write_text("0\n1\n")
    feature = {"features": {"image": {"path": "image.npy", "ids": "ids.txt"}}}
    assert "3 rows and its ids are 2" in problems(found(tmp_path, feature))["features.image"]
    Path("ids.txt").write_text("0\n1\n2\n")
    assert problems(found(tmp_path, feature)) == {}
    np.savez("archive.npz", np.zeros((3, 2)))
    archive = {"features": {"image": {"path": "archive.npz"}}}
    assert "archive of several" in problems(found(tmp_path, archive))["features.image"]


@pytest.mark.parametrize(
    ("model", "engine", "told"),
    [
        ({"family": "llmrec"}, ASKED, "takes the vectors of several attributes"),
        ({"family": "llmrec", "share_item_projection": False}, ASKED, ""),
        ({"family": "llmrec"}, {"kind": "heuristic"}, ""),
        ({"family": "lightgcn", "side": {"attribute": 0.1}}, ASKED, "models.m.side.attribute"),
        ({"family": "lightgcn", "aligner": {"kind": "con"}}, {"kind": "heuristic"}, "vectors of users and of items"),
        ({"family": "lightgcn", "aligner": {"kind": "con"}}, None, "nobody writes them"),
        ({"family": "text_cosine"}, {"kind": "heuristic"}, "vectors of users and of items"),
        ({"family": "text_cosine", "user": "history"}, None, ""),
    ],
)  # fmt: skip
def test_vectors_that_a_model_compares_are_of_one_space(
    tmp_path: Path, toy_data: Path, model: dict[str, Any], engine: dict[str, Any] | None, told: str
) -> None:
    variant = {"model": "m"} | ({"source": "s"} if engine else {})
    patch: dict[str, Any] = {"models": {"m": model}, "variants": {"v": variant}}
    if engine:
        patch["generation"] = {"sources": {"s": {"engine": engine}}}
    refused = problems(found(tmp_path, patch)).get("variants.v", "")
    assert told in refused
    assert bool(told) == bool(refused)
    with_a_model = problems(found(tmp_path, patch, {"embedding": {"model": "anywhere"}}))
    assert ("variants.v" in with_a_model) == ("nobody" in told)


def test_models_adapters_servers_and_the_tuning(
    tmp_path: Path, toy_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = write_llama(tmp_path / "model")
    sources = {
        "whole": {"engine": {"kind": "vllm", "model": str(model), "max_model_len": 512}},
        "long": {"engine": {"kind": "vllm", "model": str(model), "max_model_len": 1024}},
        "adapted": {"engine": {"kind": "vllm", "model": str(model), "max_model_len": 512, "lora": "adapter"}},
        "server": {"engine": {"kind": "openai", "model": "m", "base_url": "http://127.0.0.1:9/v1"}},
        "keyed": {"engine": {"kind": "openai", "model": "m", "base_url": "http://127.0.0.1:9/v1", "api_key_env": "K"}},
        "replayed": {"engine": {"kind": "replay", "records": "earlier/augment/llm"}, "tasks": ["user_profile"]},
    }
    monkeypatch.delenv("K", raising=False)
    looked = found(tmp_path, {"generation": {"sources": sources, "templates": "no-prompts"}}, TUNED)
    refused = problems(looked)
    assert refused.keys() == {
        "generation.sources.long.engine.max_model_len",
        "generation.sources.adapted.engine",
        "generation.sources.keyed.engine.api_key_env",
        "generation.sources.replayed.engine",
        "generation.templates",
        "tune.model",
        "tune.python",
        "tune.accelerate",
    }
    assert "1,024 tokens, and the model takes 512" in refused["generation.sources.long.engine.max_model_len"]
    cautions = [finding for finding in looked if finding.level == "caution"]
    assert [finding.where for finding in cautions] == ["generation.sources.server.engine.base_url"]
    write_adapter(tmp_path / "adapter")
    assert "generation.sources.adapted.engine" not in problems(found(tmp_path, {"generation": {"sources": sources}}))


@pytest.mark.parametrize(
    ("engine", "tune", "where"),
    [
        ({"lora": "adapter"}, {}, "lora"),
        ({"tuned": True}, {}, "tuned"),
        ({"tuned": True}, {"merge": True}, None),
        ({"tuned": True}, {"method": "full"}, None),
        ({}, {}, None),
    ],
)
def test_an_adapter_on_a_processor_is_cautioned_of(
    tmp_path: Path,
    toy_data: Path,
    monkeypatch: pytest.MonkeyPatch,
    engine: dict[str, Any],
    tune: dict[str, Any],
    where: str | None,
) -> None:
    write_adapter(tmp_path / "adapter")
    model = str(write_llama(tmp_path / "model"))
    llm = {"engine": {"kind": "vllm", "model": model, "max_model_len": 512, **engine}}
    config = {"generation": {"sources": {"llm": llm}}}

    def cautions() -> list[str]:
        looked = found(tmp_path, config, TUNED, {"tune": {"model": model, **tune}})
        return [finding.where for finding in looked if "ten times slower" in finding.what]

    assert cautions() == []
    monkeypatch.setattr(engines, "built_for_cpu", lambda: True)
    assert cautions() == ([] if where is None else [f"generation.sources.llm.engine.{where}"])


def test_an_adapter_of_another_base_is_cautioned_of_and_one_whose_base_is_gone_is_not(
    tmp_path: Path, toy_data: Path
) -> None:
    model, about = write_llama(tmp_path / "model"), write_adapter(tmp_path / "adapter") / "adapter_config.json"
    plain = json.loads(about.read_text())
    llm = {"engine": {"kind": "vllm", "model": str(model), "max_model_len": 512, "lora": "adapter"}}

    def levels(base: object) -> list[str]:
        about.write_text(json.dumps(plain | {"base_model_name_or_path": base}))
        looked = found(tmp_path, {"generation": {"sources": {"llm": llm}}})
        assert problems(looked) == {}
        return [finding.level for finding in looked if finding.where.endswith(".lora")]

    assert levels("Org/Llama-7B") == ["caution"]
    assert levels(str(write_llama(tmp_path / "twin", layers=1))) == ["caution"]
    assert levels("/gone/Llama-7B") == ["fact"]
    matrices = tmp_path / "adapter" / "adapter_model.safetensors"
    for content in (matrices.read_bytes()[:-1], b"version https://git-lfs.github.com/spec/v1\n", b"{}"):
        kept = matrices.read_bytes()
        matrices.write_bytes(content)
        looked = found(tmp_path, {"generation": {"sources": {"llm": llm}}})
        assert "weights lack" in problems(looked)["generation.sources.llm.engine.lora"]
        matrices.write_bytes(kept)
    assert levels("Org/model") == levels(str(model)) == levels(None) == []
    llm["engine"]["lora_base"] = "Org/Llama-7B"  # what was seen to be right is silent, for this adapter alone
    assert levels("Org/Llama-7B") == []
    about.write_text(json.dumps(plain | {"base_model_name_or_path": "Org/Llama-13B"}))
    refused = problems(found(tmp_path, {"generation": {"sources": {"llm": llm}}}))
    assert "lora_base is 'Org/Llama-7B', and the adapter names 'Org/Llama-13B'" in str(refused)
    twin = str(write_llama(tmp_path / "twin", layers=1))
    llm["engine"]["lora_base"] = twin
    assert levels(twin) == ["caution"]  # two models that are there, and differ


@pytest.mark.parametrize(
    ("listed", "said"),
    [
        ((200, b"<title>Sign in", {"Content-Type": "text/html"}), "a page for browsers answers at .*200, text/html"),
        ((404, b"<h1>No", {"Content-Type": "text/html; charset=x"}), "a page for browsers answers at .*404"),
        ((503, b"<h1>Busy", {"Content-Type": "text/html"}), "answers with status 503"),
        ((404, {}, {}), None),  # servers need not list their models
        ((200, {"data": []}, {"Content-Type": "application/json"}), None),
    ],
)
def test_a_page_in_place_of_a_server_is_cautioned_of(
    tmp_path: Path, toy_data: Path, listed: tuple[int, Any, dict[str, str]], said: str | None
) -> None:
    server = FakeServer()
    server.listed = listed
    try:
        engine = {"kind": "openai", "model": "m", "base_url": server.url}
        looked = found(tmp_path, {"generation": {"sources": {"api": {"engine": engine}}}})
    finally:
        server.close()
    cautions = [finding.what for finding in looked if finding.where.endswith("base_url")]
    assert len(cautions) == (said is not None)
    assert said is None or re.search(said, cautions[0])


@pytest.mark.parametrize(
    ("model", "training", "said"),
    [
        ("{family: mf_bpr_sgd}", "{processes: 2}", "cannot have processes: 2"),
        ("{family: mf_bpr_sgd, training: {optimiser: adamw}}", "{}", "cannot have optimiser: adamw"),
        ("{family: blend, members: {a: {family: ease}, b: {family: mf_bpr_sgd}}}", "{processes: 2}", "processes: 2"),
        ("{family: simgcl}", "{processes: 2, shard: true}", "cannot be split over processes"),
        ("{family: lightgcn}", "{processes: 1, shard: true}", "one process has nobody to share with"),
        ("{family: lightgcn}", "{processes: 2, shard: true}", None),
        ("{family: mf_bpr_sgd}", "{}", None),
        ("{family: ease}", "{processes: 2, shard: true}", None),
    ],
)
def test_a_training_that_would_be_refused_is_so_before_anybody_is_asked(
    tmp_path: Path, toy_data: Path, model: str, training: str, said: str | None
) -> None:
    looked = problems(
        found(tmp_path, f"{{models: {{odd: {model}}}, variants: {{odd: {{model: odd}}}}}}", f"training: {training}")
    )
    assert list(looked) == ([] if said is None else ["models.odd"])
    assert said is None or said in looked["models.odd"]


def test_all_that_is_missing_is_one_refusal(tmp_path: Path) -> None:
    looked = found(tmp_path, LLM, {"embedding": {"model": "no-such-folder"}})
    with pytest.raises(UsageError) as refusal:
        begin(looked, tmp_path)
    assert "3 things are missing or wrong" in refusal.value.what
    for key in ("dataset.source.path", "generation.sources.llm.engine.model", "embedding.model"):
        assert f"- {key}: " in refusal.value.what
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("gpus", "level", "words"),
    [
        (["large, 81559"], "fact", "fits into large (80 GiB)"),
        (["small, 800", "large, 81559"], "caution", "may not fit into small (1 GiB)"),
        (["none, 0", "large, 81559"], "problem", "does not fit into none (0 GiB)"),
    ],
)
def test_a_model_is_held_against_the_smallest_gpu(
    tmp_path: Path, toy_data: Path, monkeypatch: pytest.MonkeyPatch, gpus: list[str], level: str, words: str
) -> None:
    """What is counted decides; where only the estimate of the working memory says no, it is a caution."""
    monkeypatch.setattr(engines, "query_gpus", lambda *asked: [gpu.split(", ") for gpu in gpus])
    model = write_llama(tmp_path / "model")
    engine = {"kind": "vllm", "model": str(model), "max_model_len": 512}
    (finding,) = found(tmp_path, {"generation": {"sources": {"llm": {"engine": engine}}}})
    assert finding.where == "generation.sources.llm.engine.model"
    assert finding.level == level
    assert finding.what.startswith(words)


def test_a_profile_beside_the_run(tmp_path: Path, toy_data: Path) -> None:
    model = write_llama(tmp_path / "model")
    engine = {"kind": "vllm", "model": str(model), "max_model_len": 512, "tensor_parallel": 2}
    (tmp_path / "profile.toml").write_text('venv = "no/venv"\n[stages.augment]\ngpus = 1\ngpu_type = "h100"\n')
    looked = found(
        tmp_path, {"generation": {"sources": {"llm": {"engine": engine}}}}, profile=read_profile(Path("profile.toml"))
    )
    by_level = {finding.level: f"{finding.where}: {finding.what}" for finding in looked}
    assert by_level["problem"].startswith("stages.augment.gpus in the profile: a job gets 1 of the 2 GPUs")
    assert "no/venv/bin/python" in by_level["caution"]
    assert "fits into 80 GB (h100)" in by_level["fact"]


def test_a_half_downloaded_model_is_not_there(tmp_path: Path, toy_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    snapshot = write_llama(tmp_path / "hub" / "models--some--model" / "snapshots" / ("0" * 40))
    config = LLM.replace("MODEL", "some/model, max_model_len: 512")
    assert problems(found(tmp_path, config)) == {}
    whole = (snapshot / "model.safetensors").read_bytes()
    (snapshot / "model.safetensors").write_bytes(whole[:-100])
    assert "the end of model.safetensors" in problems(found(tmp_path, config))["generation.sources.llm.engine.model"]
    index = {"weight_map": {"a": "model.safetensors", "b": "model-2.safetensors"}}
    (snapshot / "model.safetensors").write_bytes(whole)
    (snapshot / "model.safetensors.index.json").write_text(json.dumps(index))
    assert "lacks model-2.safetensors" in problems(found(tmp_path, config))["generation.sources.llm.engine.model"]
