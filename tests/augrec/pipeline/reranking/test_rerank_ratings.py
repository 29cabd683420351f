"""Ratings: of models that predict them, and of lists beside an order; the rule answers."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from augrec.artefacts.errors import UsageError
from augrec.artefacts.files import read_json
from augrec.artefacts.run_folder import RunFolder
from augrec.artefacts.trainings import read_per_user, read_training
from augrec.pipeline.audit import audit_run
from augrec.pipeline.config.run_config import read_config
from recsys.reranking.aggregation import Weights
from tests.kit.toy_config import toy_config, write_config
from tests.kit.toy_data import write_toy_data
from tests.kit.toy_run import advance, built_once, open_run

pytestmark = pytest.mark.slow
RATED = """
dataset: {min_rating: 1}
generation:
  shards: 2
  sources: {judge: {engine: {kind: heuristic}, tasks: []}}
models: {fm: {family: deepfm, training: {monitor: rmse}}}
training: {monitor: rmse}
seeds: [1, 2]
variants: {popular: null, fm: {model: fm}}
rerank:
  variants: [fm]
  source: judge
  tasks: [rating]
  controls: [random, popularity, shuffled, uniform, alone]
report: {baseline: fm, claim: fm+rating, primary: rmse, secondary: [pooled_rmse, mae]}
"""
CONTROLS = ["fm+rating-shuffled", "fm+rating-uniform", "fm+rating-alone", "fm+random", "fm+popularity"]


def build(root: Path) -> None:
    content = toy_config(write_toy_data(root / "data"), RATED, "{models: {popular: {training: {monitor: recall@10}}}}")
    advance(open_run(root, content))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built_once("rerated", build, tmp_path_factory.getbasetemp(), shared=False) / "run"


def test_every_pair_of_both_splits_is_asked_about(finished: Path) -> None:
    files = RunFolder(finished)
    interactions = pq.read_table(files.interactions).to_pylist()
    for split in ("valid", "test"):
        wanted = {(row["user"], row["item"]) for row in interactions if row["split"] == split}
        records = pq.read_table(files.reranking("fm", 1, split).answers.task("rating").records).to_pylist()
        assert {(record["entity"], record["shown_candidates"][0]) for record in records} == wanted
        assert len(records) == len(wanted)
    assert audit_run(finished).violations == 0


def test_errors_are_those_of_the_blended_and_clipped_ratings(finished: Path) -> None:
    files = RunFolder(finished)
    interactions = pq.read_table(files.interactions).to_pylist()
    counts = np.bincount([row["user"] for row in interactions if row["split"] == "train"], minlength=40)
    train = [row["rating"] for row in interactions if row["split"] == "train"]
    there = files.reranking("fm", 2, "test")
    said = {
        (record["entity"], record["shown_candidates"][0]): json.loads(record["fields"])["rating"]
        for record in pq.read_table(there.answers.task("rating").records).to_pylist()
    }
    model = {(row["user"], row["item"]): row["score"] for row in pq.read_table(there.lists).to_pylist()}
    made = next(row for row in read_json(files.rerank_summary)["rows"] if (row["row"], row["seed"]) == ("fm+rating", 2))
    alpha = Weights(made["b1"], made["b2"]).of(counts)
    squares = []
    for row in interactions:
        if row["split"] == "test":
            pair = row["user"], row["item"]
            blended = alpha[row["user"]] * said[pair] + (1 - alpha[row["user"]]) * model[pair]
            squares.append((float(np.clip(blended, min(train), max(train))) - row["rating"]) ** 2)
    found = read_training(files.reranked("fm+rating", 2)).test["pooled_rmse"]
    assert found == pytest.approx(np.sqrt(np.mean(squares)), rel=1e-6)
    assert made["chosen_by"] == "rmse"


def test_controls_are_other_ratings(finished: Path) -> None:
    files = RunFolder(finished)
    values = {name: read_training(files.reranked(name, 1)).test["pooled_rmse"] for name in ["fm+rating", *CONTROLS]}
    assert len(set(values.values())) == len(values)
    interactions = pq.read_table(files.interactions).to_pylist()
    train = [row for row in interactions if row["split"] == "train"]
    means = {
        item: np.mean([row["rating"] for row in train if row["item"] == item])
        for item in {row["item"] for row in train}
    }
    rated = {
        (row["user"], row["item"]): row["score"]
        for row in pq.read_table(files.reranked("fm+popularity", 1).lists).to_pylist()
    }
    model = {
        (row["user"], row["item"]): row["score"]
        for row in pq.read_table(files.reranking("fm", 1, "test").lists).to_pylist()
    }
    for pair, value in rated.items():
        ends = sorted((model[pair], float(means.get(pair[1], np.mean([row["rating"] for row in train])))))
        low, high = np.clip(ends, 1, 5)
        assert low - 1e-5 <= value <= high + 1e-5
    per_user = read_per_user(files.reranked("fm+rating-alone", 1))
    assert per_user.values.keys() == read_per_user(files.training("fm", 1)).values.keys()


def test_a_list_may_be_ranked_and_rated(tmp_path: Path, finished: Path) -> None:
    shutil.copytree(finished.parent / "data", tmp_path / "data")
    patch = """
    generation:
      shards: 2
      sources: {judge: {engine: {kind: heuristic}, tasks: []}}
      tasks: {rating: {mode: score, scale: [1, 2, 3, 4, 5]}}
    rerank:
      variants: [popular]
      source: judge
      tasks: [ranking, rating]
      list_size: 4
      controls: []
      utility: reciprocal
    report: {primary: ndcg@5, secondary: []}
    """
    run = open_run(tmp_path, toy_config(tmp_path / "data", patch))
    advance(run)
    rows = read_json(run.files.rerank_summary)["rows"]
    assert [row["row"] for row in rows] == ["popular+ranking", "popular+rating"]
    ranking, rating = (row["answers"]["test"] for row in rows)
    assert rating["questions"] == 4 * ranking["questions"] == 4 * rows[0]["users"]
    assert audit_run(run.folder).violations == 0


def test_a_model_that_rates_is_not_asked_for_an_order(tmp_path: Path) -> None:
    path = write_config(
        tmp_path / "toy.yaml", toy_config("nowhere", RATED, "{rerank: {tasks: [ranking]}, report: {claim: null}}")
    )
    with pytest.raises(UsageError, match=r"'fm' predicts ratings, and lists nothing; set tasks: \[rating\]"):
        read_config(path)


def test_lists_of_the_next_item_are_reranked(tmp_path: Path) -> None:
    patch = """
    dataset: {split: {kind: leave_last_out, ratios: null}}
    generation: {shards: 1, sources: {judge: {engine: {kind: heuristic}, tasks: []}}}
    models:
      sas: {family: sasrec, dim: 8, blocks: 1, length: 10}
      popular: {training: {monitor: recall@10}}
    training: {monitor: hit_rate@10}
    variants: {popular: null, sas: {model: sas}}
    rerank: {variants: [sas], source: judge, list_size: 5, controls: [random]}
    report: {baseline: sas, primary: ndcg@5, secondary: [hit_rate@10]}
    """
    run = open_run(tmp_path, toy_config(write_toy_data(tmp_path / "data"), patch))
    advance(run)
    assert audit_run(run.folder).violations == 0
    base = read_per_user(run.files.training("sas", 1))
    for name in ("sas+ranking", "sas+random"):
        row = read_per_user(run.files.reranked(name, 1))
        np.testing.assert_array_equal(row.values["hit_rate@10"], base.values["hit_rate@10"])
        np.testing.assert_array_equal(row.values["hit_rate@5"], base.values["hit_rate@5"])
        assert (row.values["ndcg@5"] != base.values["ndcg@5"]).any()
        assert read_training(run.files.reranked(name, 1)).details["judged"] == "next_item"
