"""Nothing is chosen on test: reading a test interaction raises, and all that chooses goes through nevertheless."""

from __future__ import annotations

import csv
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from augrec.artefacts.errors import AugrecError
from augrec.artefacts.interactions import read_histories, read_interactions
from augrec.artefacts.run_folder import DatasetFolder
from augrec.pipeline.stages.base import Run
from augrec.pipeline.studies.experiment.plan import ExperimentPlan, read_experiment
from augrec.pipeline.studies.experiment.search import search_models
from recsys.data.dataset import Dataset
from recsys.data.noise import false_interactions, with_false_interactions
from recsys.data.sealed import SealedSplit
from tests.kit.held_out_rows import HeldOutRowsRead
from tests.kit.toy_config import toy_config
from tests.kit.toy_run import advance, open_run

CHAIN = """
base: {model: graph, folds: 2, list_size: 5, negatives: 3}
generation: {shards: 1, sources: {rule: {engine: {kind: heuristic}, tasks: [edges]}}}
candidates: {model: graph}
models:
  graph: {family: lightgcn, dim: 8, layers: 1}
  both: {family: blend, members: {popular: {family: popularity}, knn: {family: item_knn}}}
variants: {both: {model: both}}
report: {baseline: both}
"""


pytestmark = pytest.mark.slow


def test_stages_that_choose_read_no_test_interaction(toy_data: Path, tmp_path: Path, forbid: Callable) -> None:
    run = open_run(tmp_path, toy_config(toy_data, CHAIN))
    advance(run, "prepare")
    forbid()
    advance(run, "base", "candidates", "augment", "embed")
    assert run.files.candidates.exists()
    assert run.files.base.held_out.exists()
    with pytest.raises((AugrecError, HeldOutRowsRead), match=HeldOutRowsRead.__name__):
        advance(run, "train")


def test_a_search_reads_no_test_interaction_even_of_blends_and_false_interactions(
    experiment_with_data: Path, forbid: Callable
) -> None:
    spaces = experiment_with_data.parent / "spaces"
    (spaces / "blend.yaml").write_text("family: blend\nspace: {steps: {kind: int, low: 2, high: 4}}\n")
    plan, run = searchable(
        experiment_with_data,
        "models.both={family: blend, members: {popular: {family: popularity}, graph: {family: lightgcn, dim: 4}}}",
        "variants.both={model: both}",
        "change.training.noise=0.1",
    )
    forbid()
    found, ran = search_models(plan, plan.cells[0], run, 1)
    assert ran == 4
    assert {name: (result.trials, result.failed) for name, result in found.items() if not result.note} == {
        "graph": (2, 0),
        "both": (2, 0),
    }
    written = list(csv.DictReader((run.files.search / "both" / "trials.csv").open()))
    assert [row["state"] for row in written] == ["complete"] * 2
    with pytest.raises(HeldOutRowsRead):
        Dataset.load(run.files.dataset)
    dataset = Dataset.load(run.files.dataset, test=False)
    interactions = DatasetFolder(run.files.dataset).interactions
    with pytest.raises(HeldOutRowsRead):
        read_interactions(interactions, dataset.n_users, dataset.n_items, splits=("test",))
    with pytest.raises(HeldOutRowsRead):
        read_histories(interactions, "test", dataset.n_users, dataset.n_items)


def searchable(path: Path, *overrides: str) -> tuple[ExperimentPlan, Run]:
    """An experiment with two trials a model, its stages before the trainings finished."""
    plan = read_experiment(path, ["search={trials: 2, seeds: [1001], spaces: spaces}", *overrides])
    run = Run(plan.cells[0].config)
    advance(run, "prepare", "candidates")
    return plan, run


def test_sealed_data_are_the_same_data_without_the_test_split(toy_data: Path, tmp_path: Path) -> None:
    run = open_run(tmp_path, toy_config(toy_data))
    advance(run, "prepare")
    whole, read = Dataset.load(run.files.dataset), Dataset.load(run.files.dataset, test=False)
    sent = pickle.loads(pickle.dumps(whole.sealed()))  # as to the processes of one training
    for data in (read, sent, whole.sealed(), whole.without(np.arange(len(whole.train)) % 2 == 0).sealed()):
        assert data.is_sealed
        assert data.splits == ("train", "valid")
        assert data.valid.tolist() == whole.valid.tolist()
        for ask in (data.pairs, data.starts, data.by_time, data.ratings, data.timestamps, data.texts):
            with pytest.raises(SealedSplit):
                ask("test")
        with pytest.raises(SealedSplit):
            data.test_timestamps.sum()  # type: ignore[union-attr]
        for look in (len, iter, np.asarray, np.unique, lambda test: test[0], lambda test: test.shape):
            with pytest.raises(SealedSplit):
                look(data.test)


def test_false_interactions_of_a_search_are_drawn_as_ever_and_may_be_test_interactions(
    toy_data: Path, tmp_path: Path
) -> None:
    run = open_run(tmp_path, toy_config(toy_data))
    advance(run, "prepare")
    whole = Dataset.load(run.files.dataset)
    seeing, sealed = false_interactions(whole, 0.5, 3), false_interactions(whole.sealed(), 0.5, 3)
    test = set(map(tuple, whole.test.tolist()))
    assert test & set(map(tuple, sealed.pairs.tolist()))
    assert [pair for pair in map(tuple, sealed.pairs.tolist()) if pair not in test] == [
        tuple(pair) for pair in seeing.pairs.tolist()
    ]
    assert with_false_interactions(whole.sealed(), sealed.pairs).is_sealed
