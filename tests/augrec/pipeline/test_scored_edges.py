"""Scored edges from records to a trained model: how many, what they weigh, and that everything reads their records."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from augrec.artefacts.errors import DataError
from augrec.artefacts.files import read_json, read_parquet
from augrec.pipeline.audit import audit_run
from augrec.pipeline.audit.edges import wrong_scores
from augrec.pipeline.config.run_config import Config, Variant
from augrec.pipeline.side.edges import read_edges
from recsys.augmentation import Edges
from tests.kit.toy_config import EMBEDDING, RULES, toy_config
from tests.kit.toy_data import write_toy_data
from tests.kit.toy_run import advance, open_run

pytestmark = pytest.mark.slow

SCORES = [[4, 0.5], [7, 0.3], [2, 0.15], [9, 0.05]]
SCORED = {"positive": 4, "negative": 9, "confidence": 0.818182, "disagreement": 0.1, "scores": SCORES}
UNSURE = {"positive": 3, "negative": 8, "scores": [[3, 0.4], [5, 0.3], [8, 0.3]]}
FLAT = {"positive": 1, "negative": 2, "scores": [[1, 0.5], [2, 0.5]]}
CHOSEN = {"positive": 6, "negative": 5}


def records(folder: Path, fields: list[dict[str, Any] | None]) -> Path:
    path = folder / "records.parquet"
    table = {
        "entity": pa.array(range(len(fields)), pa.int32()),
        "status": ["failed" if each is None else "ok" for each in fields],
        "fields": [None if each is None else json.dumps(each) for each in fields],
    }
    pq.write_table(pa.table(table), path)
    return path


@pytest.fixture
def edges(tmp_path: Path) -> Callable[..., list[tuple[int, int, int, float]]]:
    """edges(**options) reads four records; rounded weights."""
    path = records(tmp_path, [SCORED, None, CHOSEN, UNSURE, FLAT])

    def call(**options: Any) -> list[tuple[int, int, int, float]]:
        found: Edges = read_edges(path, Variant(model="m", **options)).edges
        columns = (found.user, found.positive, found.negative, found.weight.round(4))
        return list(zip(*(column.tolist() for column in columns), strict=True))

    return call


def pairs(found: list[tuple[int, int, int, float]]) -> list[tuple[int, int, int]]:
    return [edge[:3] for edge in found]


def test_one_edge_per_record_as_ever(edges: Any) -> None:
    assert edges() == [(0, 4, 9, 1), (2, 6, 5, 1), (3, 3, 8, 1), (4, 1, 2, 1)]


def test_several_positives_stand_against_the_least_likely(edges: Any) -> None:
    found = [(0, 4, 9), (0, 7, 9), (2, 6, 5), (3, 3, 8), (3, 5, 8), (4, 1, 2)]
    assert pairs(edges(edge_positives=2)) == found
    assert Counter(user for user, *_ in edges(edge_positives=50)) == {0: 3, 2: 1, 3: 2, 4: 1}


def test_weights_are_confidences_and_nothing_weighs_nothing(edges: Any) -> None:
    found = edges(edge_positives=3, edge_confidence="weight")
    expected = {(0, 4): 0.45 / 0.55, (0, 7): 0.25 / 0.35, (0, 2): 0.1 / 0.2, (2, 6): 1.0, (3, 3): 0.1 / 0.7}
    assert {edge[:2]: edge[3] for edge in found} == pytest.approx(expected, abs=1e-4)


def test_a_threshold_leaves_edges_out(edges: Any) -> None:
    options = {"edge_positives": 3, "edge_confidence": "threshold"}
    assert edges(**options) == [(0, 4, 9, 1), (0, 7, 9, 1), (0, 2, 9, 1), (2, 6, 5, 1)]
    assert pairs(edges(**options, edge_threshold=0.7)) == [(0, 4, 9), (0, 7, 9), (2, 6, 5)]
    assert len(edges(**options, edge_threshold=0.0)) == 7


def test_no_edges_at_all(tmp_path: Path) -> None:
    assert len(read_edges(records(tmp_path, [None, FLAT]), Variant(model="m", edge_confidence="weight")).edges) == 0


@pytest.mark.parametrize("scores", [3, [[4]], [[4, 0.5]], [["x", "y"]]])
def test_scores_that_are_none_are_named(tmp_path: Path, scores: Any) -> None:
    path = records(tmp_path, [SCORED | {"scores": scores}])
    with pytest.raises(DataError, match="scores of an edge"):
        read_edges(path, Variant(model="m"))


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({}, None),
        ({"scores": SCORES[:3]}, "not every candidate"),
        ({"scores": SCORES[:2] + SCORES[:2]}, "not every candidate"),
        ({"positive": 7}, "not that of the highest"),
        ({"scores": [[4, 0.3], [7, 0.5], [2, 0.15], [9, 0.05]]}, "falling order"),
        ({"scores": [[4, 0.9], [7, 0.3], [2, 0.15], [9, 0.05]]}, "add up to 1.4"),
    ],
)
def test_the_audit_of_scores(change: dict[str, Any], problem: str | None) -> None:
    found = wrong_scores(SCORED | change, {4, 7, 2, 9})
    assert bool(found) == (problem is not None)
    assert problem is None or any(problem in each for each in found)


SECTIONS = """
generation: {tasks: {edges: {mode: score}}}
models: {llmrec: {family: llmrec, dim: 8, aug_sample_rate: 1.0}}
training: {epochs: 3}
workers: 2
variants:
  one: {model: llmrec, source: rule}
  weighted: {model: llmrec, source: rule, edge_positives: 3, edge_confidence: weight}
  random: {model: llmrec, source: rule, change: {edges: random}, edge_positives: 3, edge_confidence: weight}
  none: {model: llmrec, source: rule, edge_confidence: threshold, edge_threshold: 1.0}
"""


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, embedder: str) -> Iterator[Config]:
    root = tmp_path_factory.mktemp("scored")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUGREC_CACHE", str(root / "cache"))
        run = open_run(root, toy_config(write_toy_data(root / "data"), RULES, EMBEDDING, SECTIONS))
        advance(run)
        yield run.config


def test_a_run_with_scored_edges_ends_in_trained_models(finished: Config) -> None:
    rows = read_parquet(finished.folder / "augment" / "rule" / "edges" / "records.parquet").to_pylist()
    assert {row["status"] for row in rows} == {"ok"}
    fields = [json.loads(row["fields"]) for row in rows]
    assert all(len(each["scores"]) == 5 for each in fields)
    losses = {}
    for name in ("one", "weighted", "random", "none"):
        metrics = read_json(finished.folder / "train" / name / "seed-1" / "metrics.json")
        losses[name] = metrics["history"][0]["loss"]
        assert np.isfinite(losses[name])
    assert len(set(losses.values())) == 4


def test_the_random_control_keeps_number_and_weights(finished: Config) -> None:
    from augrec.pipeline.side.side_information import side_information
    from recsys.data.dataset import Dataset

    dataset = Dataset.load(finished.folder / "dataset")
    given, drawn = (
        side_information(finished.folder, finished.variants[name], dataset, 1).edges for name in ("weighted", "random")
    )
    assert given is not None
    assert drawn is not None
    assert given.weight.tolist() == drawn.weight.tolist()
    assert set(given.weight.tolist()) - {1.0}
    assert given.user.tolist() == drawn.user.tolist()
    assert given.positive.tolist() != drawn.positive.tolist()


def test_audit_and_report_read_it(finished: Config) -> None:
    audit = audit_run(finished.folder)
    assert audit.violations == 0, [check for check in audit.checks if check.violations]
    page = (finished.folder / "report" / "index.html").read_text(encoding="utf-8")
    assert "probabilities" in page
    assert "%" in page
