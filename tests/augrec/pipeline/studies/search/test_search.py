"""The search: equal budgets, resumable to the same proposals, and never near the test split."""

from __future__ import annotations

import csv
import math
import sys
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from augrec.artefacts.errors import UsageError
from augrec.artefacts.files import read_json, write_json
from augrec.pipeline.executors.chain import run_stage
from augrec.pipeline.host.workers import KILLED
from augrec.pipeline.stages import STAGES
from augrec.pipeline.stages.base import Run
from augrec.pipeline.studies.experiment.plan import ExperimentPlan, read_experiment, searched_models
from augrec.pipeline.studies.experiment.search import search_models
from augrec.pipeline.studies.search import trials as module
from augrec.pipeline.studies.search.grid import GridStudy
from augrec.pipeline.studies.search.trials import Step, run_trials
from augrec.report.study import SearchResult
from tests.kit.toy_run import silent

MODELS = [
    "models.second={family: lightgcn, dim: 4}",
    "variants.second={model: second}",
]


class Killed(Exception):
    """Stands for a kill of the whole process."""


class Trainer:
    """Trains nothing: a trial's value is a function of its options; remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, Any], int]] = []
        self.fail: Callable[[int], str | None] = lambda count: None

    def __call__(self, work: object, steps: Iterable[Step], workers: int, done: Callable[..., Iterable[Step]]) -> None:
        waiting = deque(steps)
        while waiting:
            step = waiting.popleft()
            training = step.training
            model = training.config.models[step.model]
            assert not training.judge_test
            assert training.seed not in (1, 2)
            params = {"layers": model.layers, "lr": model.training.lr}  # type: ignore[attr-defined,union-attr]
            self.asked.append((step.model, params, training.seed))
            problem = self.fail(len(self.asked))
            if problem == "die":
                raise Killed
            value = -abs(math.log10(params["lr"]) + 2) + training.seed / 1e6
            if problem is None:
                write_json(
                    training.out / "metrics.json", {"fingerprint": training.fingerprint, "valid": {"recall@10": value}}
                )
            waiting.extend(done(step, value if problem is None else None, problem))


@pytest.fixture
def trainer(monkeypatch: pytest.MonkeyPatch) -> Trainer:
    fake = Trainer()
    monkeypatch.setattr(module, "run_tasks", fake)
    return fake


@pytest.fixture
def make(experiment_with_data: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[ExperimentPlan, Run]]:
    """A plan whose first stages are finished, in a folder of its own."""
    monkeypatch.setenv("AUGREC_CACHE", str(experiment_with_data.parent / "cache"))

    def prepared(name: str = "out", trials: int = 4, seeds: str = "[1001, 1002]") -> tuple[ExperimentPlan, Run]:
        section = f"search={{trials: {trials}, seeds: {seeds}, spaces: spaces}}"
        output = experiment_with_data.parent / name
        plan = read_experiment(experiment_with_data, [*MODELS, section, f"output={output}"])
        run = Run(plan.cells[0].config)
        for stage in ("prepare", "candidates", "augment", "embed"):
            run_stage(STAGES[stage], run, False, stage, silent())
        return plan, run

    return prepared


def search(plan: ExperimentPlan, run: Run) -> dict[str, SearchResult]:
    return search_models(plan, plan.cells[0], run, 1)[0]


def test_every_model_gets_the_same_trials_and_the_best_wins(
    make: Callable[..., tuple[ExperimentPlan, Run]], trainer: Trainer
) -> None:
    plan, run = make()
    found = search(plan, run)
    assert (found["graph"].trials, found["second"].trials) == (4, 4)
    assert found["popular"].note == "nothing to tune"
    for model in ("graph", "second"):
        mine = [(params, seed) for name, params, seed in trainer.asked if name == model]
        assert [seed for _, seed in mine] == [1001, 1002] * 4
        best = min((params["lr"] for params, _ in mine), key=lambda lr: abs(math.log10(lr) + 2))
        assert found[model].options["training.lr"] == pytest.approx(best)
        written = list(csv.DictReader((run.folder / "search" / model / "trials.csv").open()))
        assert [row["state"] for row in written] == ["complete"] * 4
        assert read_json(run.folder / "search" / model / "best.json")["options"] == found[model].options
    tuned = plan.tuned(plan.cells[0], {"graph": found["graph"].options})
    assert tuned.models["graph"].training.lr == found["graph"].options["training.lr"]  # type: ignore[union-attr]
    assert tuned.models["candidates-base"] == plan.cells[0].config.models["candidates-base"]


def test_a_killed_search_goes_on_as_if_it_had_not_been(
    make: Callable[..., tuple[ExperimentPlan, Run]], trainer: Trainer
) -> None:
    plan, run = make()
    whole = search(plan, run)
    asked, trainer.asked = trainer.asked, []
    plan, run = make("killed")
    trainer.fail = lambda count: "die" if count == 6 else None
    with pytest.raises(Killed):
        search(plan, run)
    journal = run.folder / "search" / "graph" / "journal.log"
    with journal.open("ab") as torn:
        torn.write(b'{"op_code": 5, "worker')
    Path(f"{journal}.lock").touch()
    trainer.fail = lambda count: None
    assert search(plan, run) == whole
    trainer.asked.pop(5)  # the training that was cut off is the only one that was repeated
    assert sorted(map(str, trainer.asked)) == sorted(map(str, asked))
    trainer.asked.clear()
    assert search_models(plan, plan.cells[0], run, 1) == (whole, 0)
    assert trainer.asked == []


def test_failed_trials_count_and_killed_ones_are_tried_again(
    make: Callable[..., tuple[ExperimentPlan, Run]], trainer: Trainer
) -> None:
    plan, run = make(seeds="[1001]")
    trainer.fail = lambda count: "the loss is not finite" if count == 1 else KILLED if count == 3 else None
    found = search(plan, run)
    assert (found["graph"].trials, found["graph"].failed) == (4, 2)
    reasons = [read_json(path)["reason"] for path in sorted(run.folder.glob("search/graph/*/failed.json"))]
    assert reasons == ["the loss is not finite", KILLED]
    trainer.asked.clear()
    trainer.fail = lambda count: None
    assert search(plan, run)["graph"].failed == 1
    assert [model for model, _, _ in trainer.asked] == ["graph"]


def test_a_model_without_a_finished_trial_says_so(
    make: Callable[..., tuple[ExperimentPlan, Run]], trainer: Trainer
) -> None:
    plan, run = make(seeds="[1001]", trials=2)
    trainer.fail = lambda count: "no"
    assert "all 2 trials of the search failed" in (search(plan, run)["graph"].problem or "")


def test_a_search_with_real_trainings_leaves_the_test_split_alone(
    make: Callable[..., tuple[ExperimentPlan, Run]], inline: None
) -> None:
    plan, run = make(seeds="[1001]", trials=1)
    found = search(plan, run)
    metrics = read_json(next(run.folder.glob("search/graph/trial-000/seed-1001/metrics.json")))
    assert metrics["test"] == {}
    assert metrics["valid"]["recall@10"] == found["graph"].value
    assert not list(run.folder.glob("search/**/per_user.parquet"))
    assert not list(run.folder.glob("search/**/model.safetensors"))


def test_every_row_of_a_model_is_searched_with_its_own_budget_and_what_it_is_given(
    make: Callable[..., tuple[ExperimentPlan, Run]], trainer: Trainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules[__name__], "MODELS", ["variants.control={model: graph}"])
    plan, run = make(seeds="[1001]")
    found = search(plan, run)
    assert found.keys() == {"graph", "popular", "graph+control"}
    assert (found["graph"].trials, found["graph+control"].trials) == (4, 4)
    best = {model: read_json(run.folder / "search" / model / "best.json") for model in ("graph", "graph+control")}
    assert {model: one["variant"] for model, one in best.items()} == {"graph": "graph", "graph+control": "control"}
    asked = {model: [params for name, params, _ in trainer.asked if name == model] for model in best}
    assert asked["graph"] != asked["graph+control"]
    tuned = plan.tuned(plan.cells[0], {model: one.options for model, one in found.items() if one.options})
    for variant, model in (("graph", "graph"), ("control", "graph+control")):
        options = tuned.models[tuned.variants[variant].model]
        assert options.training.lr == found[model].options["training.lr"]  # type: ignore[union-attr]


def test_a_model_that_is_named_is_searched_for_every_row(experiment_with_data: Path) -> None:
    section = "search={trials: 2, seeds: [1001], spaces: spaces, models: [graph]}"
    plan = read_experiment(experiment_with_data, [*MODELS, "variants.control={model: graph}", section])
    assert searched_models(("graph",), plan.cells[0].config, plan.swept()) == ["graph", "graph+control"]


def test_without_a_search_rows_share_their_model(experiment_with_data: Path) -> None:
    config = read_experiment(experiment_with_data, ["variants.control={model: graph}"]).cells[0].config
    assert config.variants["control"].model == "graph"
    assert "graph+control" not in config.models


def test_a_seed_that_any_variant_reports_is_not_tuned_on(experiment_with_data: Path) -> None:
    section = "search={trials: 2, seeds: [1001], spaces: spaces}"
    with pytest.raises(UsageError, match="seed 1001 is also reported"):
        read_experiment(experiment_with_data, [section, "variants.popular={model: popular, seeds: [1001]}"])


def test_a_model_that_is_called_like_a_row_s_copy_is_refused(experiment_with_data: Path) -> None:
    section = "search={trials: 2, seeds: [1001], spaces: spaces}"
    changes = ["models.graph+control={family: popularity}", "variants.control={model: graph}"]
    with pytest.raises(UsageError, match="the copy of 'graph' that is searched for the variant 'control'"):
        read_experiment(experiment_with_data, [section, *changes])


RATES = [{"training.lr": 0.1}, {"training.lr": 0.01}, {"training.lr": 0.001}]


def grid(plan: ExperimentPlan, run: Run) -> GridStudy:
    subject = plan.subject(plan.cells[0], "graph", "graph", (1001,))
    return GridStudy(subject, run.folder / "search" / "graph", RATES)


def test_a_list_is_tried_whole_and_once(make: Callable[..., tuple[ExperimentPlan, Run]], trainer: Trainer) -> None:
    plan, run = make()
    study = grid(plan, run)
    assert run_trials([study], 1) == 3
    assert [params["lr"] for _, params, _ in trainer.asked] == [0.1, 0.01, 0.001]
    assert study.result("recall@10").options == {"training.lr": 0.01}
    assert study.result("rmse").options == {"training.lr": 0.1}, "of an error the least, and the first of equals"
    again = grid(plan, run)
    assert run_trials([again], 1) == 0
    assert again.tried() == study.tried()
    assert len(trainer.asked) == 3


def test_a_failure_in_a_list_is_kept_and_tried_again(
    make: Callable[..., tuple[ExperimentPlan, Run]], trainer: Trainer
) -> None:
    plan, run = make()
    trainer.fail = lambda count: "no" if count == 2 else None
    study = grid(plan, run)
    run_trials([study], 1)
    assert study.problems == {1: "no"}
    assert [trial.state for trial in study.tried()] == ["complete", "fail", "complete"]
    assert study.result("recall@10").failed == 1
    trainer.fail = lambda count: None
    assert run_trials([grid(plan, run)], 1) == 1
