"""The numbers of a table against scipy, loops and published examples; memory and reuse beside them."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from scipy import stats

from augrec.artefacts.files import digest, write_json, write_parquet
from augrec.pipeline.config.run_config import read_config
from augrec.pipeline.stages.augment import Augment
from augrec.pipeline.stages.base import Run
from augrec.pipeline.stages.prepare import Prepare
from augrec.pipeline.stages.train import trainings_of
from augrec.pipeline.studies import memory
from augrec.pipeline.studies.experiment.outcome import CellOutcome, study_of
from augrec.pipeline.studies.experiment.plan import ExperimentPlan, read_experiment
from augrec.pipeline.studies.reuse import adopt_stage, adopt_trainings, runs_below
from augrec.report.numbers.statistics import holm, paired_t, sign_flips
from augrec.report.pages.experiment.results import ExperimentResults
from augrec.report.pages.experiment.values import TableValues
from augrec.report.study import Failure

N = 60
METRICS = ("recall@10", "ndcg@5")
EXTRA_HOURS = {  # Student, Biometrika 1908: extra hours of sleep of ten patients with two drugs
    1: [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0],
    2: [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4],
}


def test_student_s_sleep() -> None:
    first, second = (np.array(EXTRA_HOURS[drug]) for drug in (1, 2))
    assert paired_t(first, second).p == pytest.approx(0.002833, abs=5e-7)  # printed by R's t.test for these data
    (flips,) = sign_flips((second - first)[:, None], np.random.default_rng(0))
    assert flips.p == 2 / 2**9  # of ten patients one slept alike with both, and nine longer with the second


def test_holm_as_r_has_it() -> None:
    assert holm([0.01, 0.02, 0.03, 0.04, 0.05]) == pytest.approx([0.05, 0.08, 0.09, 0.09, 0.09])


def fabricate(run: Run, gains: dict[str, float]) -> dict[str, np.ndarray]:
    """Finished trainings with made-up values per user; returns their means over seeds, [users, metrics]."""
    means = {}
    for training in trainings_of(run):
        rng = np.random.default_rng([training.seed, *training.variant.encode()])
        base = np.random.default_rng(0).random((N, len(METRICS)))
        values = base * 0.3 + gains[training.variant] + rng.normal(0, 0.05, base.shape)
        columns = {metric: values[:, n] for n, metric in enumerate(METRICS)}
        write_parquet(training.out / "per_user.parquet", pa.table({"user": np.arange(N, dtype=np.int32), **columns}))
        test = {metric: float(values[:, n].mean()) for n, metric in enumerate(METRICS)}
        content = {"fingerprint": training.fingerprint, "model": "m", "test": test, "valid": {}}
        content |= {"variant": training.variant, "seed": training.seed, "deterministic": False}
        write_json(training.out / "metrics.json", content)
        means[training.variant] = means.get(training.variant, 0) + values / 2
    return means


def marker(run: Run, stage: str, folder: str) -> None:
    """A finished stage without outputs."""
    counts = {"users": N, "items": 20, "interactions": 300}
    path = run.folder / folder / "stage.json"
    write_json(path, {"fingerprint": stage, "identity": {}, "outputs": {}, "details": counts})


@pytest.fixture
def planned(experiment_file: Path) -> tuple[ExperimentPlan, Run]:
    overrides = ["models.third={family: popularity}", "variants.third={model: third}"]
    plan = read_experiment(experiment_file, overrides)
    run = Run(plan.cells[0].config)
    marker(run, "prepare", "dataset")
    return plan, run


def results_of(plan: ExperimentPlan, outcome: CellOutcome) -> ExperimentResults:
    return ExperimentResults(study_of(plan, [outcome]), plan.experiment.tables)


def block_of(plan: ExperimentPlan) -> TableValues:
    return results_of(plan, CellOutcome(plan.cells[0], plan.cells[0].config, (), ())).blocks()[0]


def test_a_table_agrees_with_scipy_and_a_loop(planned: tuple[ExperimentPlan, Run]) -> None:
    plan, run = planned
    means = fabricate(run, {"graph": 0.0, "popular": 0.02, "third": -0.05})
    block = block_of(plan)
    rows = {row.variant: row for row in block.rows}
    p_values, flipped_values = {}, {}
    for variant, (n, metric) in product(("popular", "third"), enumerate(METRICS)):
        value = rows[variant].values[metric]
        mine, base = means[variant][:, n], means["graph"][:, n]
        assert value.versus is not None
        assert value.mean == pytest.approx(mine.mean())
        assert value.versus.difference == pytest.approx((mine - base).mean())
        assert value.versus.p_users == pytest.approx(stats.ttest_rel(mine, base).pvalue)
        flips = stats.permutation_test((mine - base,), np.mean, permutation_type="samples", rng=0)
        assert value.versus.p_users_randomisation == pytest.approx(flips.pvalue, abs=0.01)
        draw = np.random.default_rng(3)
        resampled = [mine[draw.integers(0, N, N)].mean() for _ in range(4000)]
        assert (value.low, value.high) == pytest.approx(tuple(np.quantile(resampled, [0.025, 0.975])), abs=0.012)
        p_values[variant, metric] = value.versus.p_users
        flipped_values[variant, metric] = value.versus.p_users_randomisation
    for (test, tested), metric in product((("p_users", p_values), ("p_users_randomisation", flipped_values)), METRICS):
        family = {variant: p or 0 for (variant, of), p in tested.items() if of == metric}
        highest = 0.0
        for rank, variant in enumerate(sorted(family, key=lambda name: family[name])):
            highest = max(highest, min(1.0, (len(family) - rank) * family[variant]))
            assert getattr(rows[variant].values[metric].versus, f"{test}_holm") == pytest.approx(highest)
    assert rows["graph"].values["ndcg@5"].versus is None
    assert [row.variant for row in block.rows if row.values["recall@10"].best] == ["popular"]
    assert "over all comparisons in the metric" in block.tests


def test_a_missing_seed_is_told_and_the_rest_used(planned: tuple[ExperimentPlan, Run]) -> None:
    plan, run = planned
    fabricate(run, {"graph": 0.0, "popular": 0.02, "third": 0.0})
    (run.folder / "train" / "popular" / "seed-2" / "metrics.json").unlink()
    popular = next(row for row in block_of(plan).rows if row.variant == "popular")
    assert popular.seeds == (1,)
    assert popular.problem == "1 of 2 seeds: it was not trained"
    assert popular.values["recall@10"].std is None


def test_results_of_an_earlier_config_are_not_shown_for_a_run_that_stopped(planned: tuple[ExperimentPlan, Run]) -> None:
    plan, run = planned
    fabricate(run, {"graph": 0.0, "popular": 0.02, "third": 0.0})
    stopped = Failure("data", "base", "augment", "the engine did not start\n  remedy: none")
    outcome = CellOutcome(plan.cells[0], plan.cells[0].config, (), (stopped,))
    rows = results_of(plan, outcome).blocks()[0].rows
    assert {row.problem for row in rows} == {"failed: the engine did not start"}


def test_published_figures_stand_beside_ours_only_where_the_data_are_declared(
    planned: tuple[ExperimentPlan, Run],
) -> None:
    plan, run = planned
    fabricate(run, {"graph": 0.0, "popular": 0.02, "third": 0.0})
    path = plan.path
    declared = [
        "datasets={data: {paper: llmrec-netflix}}",
        "tables.main.paper=table2",
        "tables.main.metrics=[recall@10]",
    ]
    same = ["models.third={family: popularity}", "variants.third={model: third}"]
    with_paper = block_of(read_experiment(path, [*same, *declared]))
    assert {row.variant: row.values["recall@10"].paper for row in with_paper.rows}["graph"] == 0.0352
    assert "Table 2" in (with_paper.paper or "")
    without = block_of(read_experiment(path, [*same, *declared[1:]]))
    assert all(row.values["recall@10"].paper is None for row in without.rows)


def test_a_published_figure_is_of_one_row(planned: tuple[ExperimentPlan, Run]) -> None:
    plan, run = planned
    fabricate(run, {"graph": 0.0, "popular": 0.02, "third": 0.0})
    declared = [
        "datasets={data: {paper: llmrec-netflix}}",
        "tables.main.paper=table2",
        "tables.main.metrics=[recall@10]",
    ]

    def shown(*overrides: str) -> dict[str, float | None]:
        rows = block_of(read_experiment(plan.path, [*declared, *overrides])).rows
        return {row.variant: row.values["recall@10"].paper for row in rows}

    control = "variants={graph: {model: graph}, popular: {model: popular}, third: {model: graph}}"
    assert shown(control) == {"graph": 0.0352, "popular": None, "third": None}
    named = "variants={graph: {model: graph}, popular: {model: popular}, lightgcn: {model: graph}}"
    assert shown(named) == {"graph": None, "popular": None, "lightgcn": 0.0352}
    told = "tables.main.paper_rows={third: ngcf, popular: lightgcn}"
    assert shown(control, told) == {"graph": None, "popular": 0.0352, "third": 0.0347}


def test_memory_bounds_the_workers(planned: tuple[ExperimentPlan, Run], monkeypatch: pytest.MonkeyPatch) -> None:
    _, run = planned
    monkeypatch.setattr(memory, "default_workers", lambda config: 8)
    free = Run(run.config.model_copy(update={"workers": None}))
    each = max(memory.estimate_mb(free, variant) for variant in free.config.variants.values())
    assert each > memory.PROCESS_MB
    assert memory.workers_that_fit(free, free_mb=3.1 * each / memory.SHARE) == 3
    assert memory.workers_that_fit(free, free_mb=1.0) == 1
    assert memory.workers_that_fit(free, free_mb=1e9) == 8


def test_memory_grows_with_the_items_of_models_in_closed_form(planned: tuple[ExperimentPlan, Run]) -> None:
    _, run = planned
    third = run.config.variants["third"]
    small = memory.estimate_mb(run, third)
    write_json(
        run.folder / "dataset" / "stage.json",
        {"fingerprint": "", "identity": {}, "outputs": {}, "details": {"users": N, "items": 20_000, "interactions": 3}},
    )
    assert memory.estimate_mb(run, third) > small + 8000


class Stub(Prepare):
    """Prepare with a given identity."""

    def identity(self, run: Run) -> dict[str, object]:
        return {"name": run.config.name}


def test_a_stage_is_copied_only_from_the_same(tmp_path: Path, experiment_file: Path) -> None:
    run, other = (
        Run(read_config(experiment_file.parent / "base.yaml", [f"output={tmp_path / name}"])) for name in ("a", "b/c/d")
    )
    data = other.folder / "dataset"
    write_json(data / "x.json", 1)
    content = {"fingerprint": "other", "identity": {}, "outputs": {"dataset/x.json": "h"}, "details": {}}
    write_json(data / "stage.json", content)
    others = runs_below([tmp_path / "b", tmp_path / "nowhere"])
    assert others == [other.folder]
    assert adopt_stage(Stub(), run, others) is None
    write_json(data / "stage.json", {**content, "fingerprint": digest({"name": "toy"})})
    assert adopt_stage(Stub(), run, others) == other.folder
    assert (run.folder / "dataset" / "x.json").read_text() == "1\n"
    assert adopt_stage(Stub(), run, others) is None, "it is already there"


class Answers(Augment):
    """Augment with a given identity."""

    def identity(self, run: Run) -> dict[str, object]:
        return {"name": run.config.name}


def test_a_copied_stage_takes_the_place_of_no_answers(tmp_path: Path, experiment_file: Path) -> None:
    run, other = (
        Run(read_config(experiment_file.parent / "base.yaml", [f"output={tmp_path / name}"])) for name in ("a", "b")
    )
    for where, text in ((run, "own"), (other, "theirs")):
        shard = where.folder / "augment" / "rule" / "edges" / "shards" / "00000-of-00001.jsonl"
        shard.parent.mkdir(parents=True)
        shard.write_text(text)
    own = run.folder / "augment" / "mine" / "edges" / "shards" / "00000-of-00001.jsonl"
    own.parent.mkdir(parents=True)
    own.write_text("mine")
    content = {"fingerprint": digest({"name": "toy"}), "identity": {}, "outputs": {}, "details": {}}
    write_json(other.folder / "augment" / "stage.json", content)
    assert adopt_stage(Answers(), run, [other.folder]) == other.folder
    texts = {
        path.relative_to(run.folder / "augment").parts[0]: path.read_text() for path in run.folder.rglob("*.jsonl")
    }
    assert texts == {"rule": "theirs", "mine": "mine", "rule.replaced-1": "own"}
    assert not list(run.folder.glob(".copy-*"))


def test_a_training_is_copied_only_with_its_fingerprint(planned: tuple[ExperimentPlan, Run], tmp_path: Path) -> None:
    _, run = planned
    fabricate(run, {"graph": 0.0, "popular": 0.0, "third": 0.0})
    again = Run(run.config.model_copy(update={"output": tmp_path / "again"}))
    marker(again, "prepare", "dataset")
    (run.folder / "train" / "graph" / "seed-1" / "metrics.json").write_text('{"fingerprint": "old"}')
    assert adopt_trainings(again, [run.folder]) == 5
    assert adopt_trainings(again, [run.folder]) == 0
    assert [t.finished() for t in trainings_of(again)].count(False) == 1
