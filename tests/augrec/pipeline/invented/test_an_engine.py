"""An engine that this file alone knows answers a run from beginning to end, and is planned for a cluster."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import pytest

from augment.engines.base import Engine, EngineInputs
from augment.engines.options import EngineOptions
from augment.engines.registry import ENGINES, EngineKind
from augment.messages import Completion, Request
from augrec.artefacts.errors import UsageError
from augrec.artefacts.files import read_json, read_parquet
from augrec.pipeline.audit import audit_run
from augrec.pipeline.config.run_config import read_config
from augrec.pipeline.executors.local import gpu_shares
from augrec.pipeline.executors.profile import Profile
from augrec.pipeline.executors.slurm.plan import plan
from augrec.pipeline.stages import STAGES
from augrec.pipeline.stages.base import Run
from tests.kit.toy_config import write_config
from tests.kit.toy_run import advance, finished_config


class ParrotOptions(EngineOptions):
    """Repeats what the rules say, on graphics cards."""

    kind: Literal["parrot"] = "parrot"
    """Which engine."""
    needs_gpu: ClassVar[bool] = True
    changes_no_answer: ClassVar[frozenset[str]] = frozenset({"pace"})
    accent: str = "none"
    """Part of every answer's identity."""
    pace: int = 8
    """Requests at once."""
    cards: int = 3
    """GPUs of one process."""

    @property
    def gpus(self) -> int:
        return self.cards


class ParrotEngine(Engine):
    def __init__(self, options: ParrotOptions, inputs: EngineInputs) -> None:
        self.identity = {"engine": "parrot", "accent": options.accent}
        self.block, self._log = options.pace, inputs.log

    def start(self) -> None:
        self._log.parent.mkdir(parents=True, exist_ok=True)
        self._log.write_text("a parrot woke up\n")

    def run(self, requests: Sequence[Request]) -> Iterator[Completion]:
        for request in reversed(requests):
            rule, answer = request.draft.control
            yield Completion(request, json.dumps(rule()), "stop", answer, prompt_tokens=3, completion_tokens=2)

    def describe(self) -> dict[str, Any]:
        return {**self.identity, "model": "polly", "llm": True}


def build(options: ParrotOptions, inputs: EngineInputs) -> ParrotEngine:
    return ParrotEngine(options, inputs)


@pytest.fixture(autouse=True)
def registered() -> Iterator[None]:
    with ENGINES.including(EngineKind(ParrotOptions, __name__)):
        yield


@pytest.fixture
def config(tmp_path: Path, toy_data: Path, embedder: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AUGREC_CACHE", str(tmp_path / "cache"))
    content = finished_config(toy_data)
    content["generation"]["sources"]["rule"]["engine"] = {"kind": "parrot", "cards": 2}
    return write_config(tmp_path / "toy.yaml", content)


def run_of(config: Path, *overrides: str) -> Run:
    return Run(read_config(config, [f"output={config.parent / 'run'}", *overrides]))


@pytest.mark.slow
def test_it_answers_a_whole_run(config: Path) -> None:
    run = run_of(config, "seeds=[1]", "workers=1", "training.epochs=1")
    advance(run)
    source = run.folder / "augment" / "rule"
    for task in ("edges", "user_profile", "item_attributes"):
        records = read_parquet(source / task / "records.parquet")
        assert set(records["status"].to_pylist()) == {"ok"}
        assert set(records["prompt_tokens"].to_pylist()) == {3}
    assert (source / "engine.log").read_text() == "a parrot woke up\n"
    summary = read_json(run.folder / "augment" / "summary.json")["sources"]["rule"]
    described = summary["engine"]
    assert (described["engine"], described["model"], described["llm"]) == ("parrot", "polly", True)
    assert list((run.folder / "embed" / "rule").glob("*.npy"))
    assert audit_run(run.folder).violations == 0
    assert "llmrec" in json.dumps(read_json(run.folder / "report" / "results.json"))
    assert "polly" in (run.folder / "report" / "index.html").read_text()


def test_what_decides_an_answer_makes_the_stage_run_again_and_nothing_else_does(config: Path) -> None:
    def identity(*overrides: str) -> Any:
        return STAGES["augment"].section(run_of(config, *overrides))

    at = "generation.sources.rule.engine"
    assert identity() == identity(f"{at}.pace=2")
    assert identity() != identity(f"{at}.accent=nautical")
    with pytest.raises(UsageError, match="pace"):
        run_of(config, f"{at}.pase=2")


def test_its_jobs_get_the_gpus_that_it_asks_for(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = {job.name: job for level in plan(run_of(config), Profile(), 1001) for job in level}
    assert jobs["augment-rule"].resources.gpus == 2
    assert not jobs["train"].resources.gpus
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,2,3")
    each = STAGES["augment"].gpus(run_of(config), "rule")
    assert gpu_shares(each or 0, 2) == ["0,1", "2,3"]


def test_outside_of_its_block_nobody_knows_it(config: Path) -> None:
    with pytest.raises(UsageError, match="kind") as error:
        ENGINES.find("parot")
    assert "parrot" in str(error.value)
