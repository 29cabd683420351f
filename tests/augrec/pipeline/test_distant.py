"""The command that looks at distant users, over a run whose models were kept."""

from __future__ import annotations

import io
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from typer.testing import CliRunner

from augrec.artefacts.errors import UsageError
from augrec.artefacts.run_folder import RunFolder
from augrec.cli import app
from augrec.pipeline.distant import measure, render
from augrec.pipeline.training.variant_training import Training, side_of
from recsys.augmentation import SideInformation
from recsys.data.dataset import Dataset
from tests.kit.toy_config import toy_config
from tests.kit.toy_data import write_toy_data
from tests.kit.toy_run import advance, open_run

CONFIG = """
dataset: {k_core: 0, min_rating: null}
generation: {sources: {rule: {engine: {kind: heuristic}, tasks: [user_profile]}}}
embedding: {model: tfidf, fewest_texts: 1}
models:
  graph: {family: lightgcn, dim: 8, layers: 1}
seeds: [1, 2]
variants:
  graph: {model: graph}
  shuffled: {model: graph, source: rule, change: {user_profile: shuffled}}
  taste: {model: graph, source: rule, change: {user_profile: interactions}}
  popular: {model: popular}
report: {baseline: graph}
"""
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("distant")
    data = write_toy_data(root / "data", n_users=60, n_items=150, n_seen=4)
    run = open_run(root, toy_config(data, CONFIG))
    advance(run, "prepare", "candidates", "augment", "embed", "train")
    return run.folder


def test_every_variant_with_embeddings_is_measured_over_its_seeds(run: Path) -> None:
    found = measure(run, sample=30, near=3)
    assert [(row.variant, row.seeds) for row in found.variants] == [("graph", 2), ("shuffled", 2), ("taste", 2)]
    assert found.text == "rule/profile"
    assert found.variants[0].above is None
    assert found.variants[1].above is not None
    assert found.passed_over == ("popular: Popularity has no embeddings of users and items",)
    assert all(0 <= row.near <= 100 and 0 < row.users <= 30 for row in found.variants)
    assert measure(run, sample=30, near=3) == found
    said = io.StringIO()
    render(found, Console(file=said, width=120))
    assert "by chance 50" in said.getvalue()
    assert "passed over: popular" in said.getvalue()


def test_what_the_seeds_are_given_alike_is_made_once(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: Counter[str] = Counter()

    def counted(training: Training, dataset: Dataset) -> SideInformation:
        made[training.variant] += 1
        return side_of(training, dataset)

    monkeypatch.setattr("augrec.pipeline.distant.side_of", counted)
    measure(run, sample=30, near=3)
    assert (made["taste"], made["shuffled"]) == (1, 2), "vectors of interactions know no seed, a shuffle is each seed's"


def test_the_command_gives_its_figures_as_json(run: Path) -> None:
    result = CliRunner().invoke(app, ["distant", str(run), "--users", "30", "--near", "3", "--json"])
    assert result.exit_code == 0, result.output
    content = json.loads(result.stdout)["answer"]
    assert [row["variant"] for row in content["variants"]] == ["graph", "shuffled", "taste"]
    assert np.isfinite(content["variants"][0]["near"])


def test_a_model_that_was_not_kept_is_passed_over(run: Path) -> None:
    model = RunFolder(run).training("shuffled", 2).model
    kept = model.read_bytes()
    model.unlink()
    try:
        found = measure(run, sample=30, near=3)
    finally:
        model.write_bytes(kept)
    assert [row.variant for row in found.variants] == ["graph", "taste"]
    assert "shuffled: the trained model is not there" in found.passed_over


@pytest.mark.parametrize(
    ("options", "message"),
    [({"hops": 4}, "4 is none between two of them"), ({"source": "ruel"}, "no source 'ruel'")],
)
def test_what_cannot_be_asked_is_named(run: Path, options: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        measure(run, **options)
