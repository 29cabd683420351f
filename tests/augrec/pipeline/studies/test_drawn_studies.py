"""Studies over a language model that is asked twice: one row or arm, over draws and seeds, searched once."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from augrec.artefacts.files import read_json
from augrec.pipeline.studies.comparison.plan import read_compare
from augrec.pipeline.studies.comparison.run import run_compare
from augrec.pipeline.studies.execution import Execution
from augrec.pipeline.studies.experiment.plan import read_experiment
from augrec.pipeline.studies.experiment.run import run_experiment
from tests.kit.dice_engine import dice
from tests.kit.toy_config import toy_config
from tests.kit.toy_run import silent

pytestmark = pytest.mark.slow
MODEL = {"family": "mf_bpr", "dim": 4, "aug_sample_rate": 0.5}
GENERATION = {"shards": 1, "sources": {"dice": {"engine": {"kind": "dice"}, "tasks": ["edges"], "draws": 2}}}
SEEDS = (1, 2)


@pytest.fixture(autouse=True)
def registered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inline: None) -> Iterator[None]:
    monkeypatch.setenv("AUGREC_CACHE", str(tmp_path / "cache"))
    with dice():
        yield


def told(run: Path, variant: str) -> list[float]:
    """Recall@10 on test by seed."""
    return [read_json(run / f"train/{variant}/seed-{seed}/metrics.json")["test"]["recall@10"] for seed in SEEDS]


def check(value: dict[str, Any], versus: dict[str, Any], run: Path, drawn: str, plain: str) -> None:
    """A row's mean and difference are those over draws and seeds, and its tests are of both."""
    draws = np.array([told(run, drawn), told(run, f"{drawn}+draw-2")])
    assert draws[0].tolist() != draws[1].tolist(), "what was written differs, and so does what was learned"
    assert value["mean"] == pytest.approx(draws.mean())
    assert versus["difference"] == pytest.approx((draws - told(run, plain)).mean())
    assert (versus["paired_draws"], versus["paired_seeds"]) == (2, 2)


def test_a_row_of_an_experiment_is_over_draws_and_seeds_and_is_searched_once(experiment_with_data: Path) -> None:
    (experiment_with_data.parent / "spaces" / "mf_bpr.yaml").write_text(
        "family: mf_bpr\nspace: {training.lr: {kind: float, low: 0.005, high: 0.05}}\n"
    )
    changes = [
        "change.embedding={model: tfidf}", f"change.generation={GENERATION}", f"models={{mf: {MODEL}}}",
        "variants={plain: {model: mf}, drawn: {model: mf, source: dice}}",
        "tables={main: {title: Main, metrics: [recall@10], baseline: plain, bootstrap: 100}}",
        "search={trials: 2, seeds: [1001], spaces: spaces, models: [mf]}",
    ]  # fmt: skip
    _, failures = run_experiment(read_experiment(experiment_with_data, changes), Execution(silent()))
    assert failures == []
    out = experiment_with_data.parent / "out"
    run = out / "data" / "base"
    (table,) = read_json(out / "results.json")["tables"]
    rows = {row["variant"]: row for row in table["rows"]}
    assert list(rows) == ["plain", "drawn"]
    value = rows["drawn"]["values"]["recall@10"]
    check(value, value["versus"], run, "drawn", "plain")
    assert [row["trials"] for row in rows.values()] == [2, 2]
    assert sorted(path.name for path in (run / "search").iterdir()) == ["mf", "mf+drawn"]
    trials = list(csv.DictReader((out / "tables" / "trials.csv").open()))
    assert [row["model"] for row in trials] == ["mf", "mf", "mf+drawn", "mf+drawn"]


def test_an_arm_of_a_comparison_is_over_draws_and_seeds(toy_data: Path, tmp_path: Path) -> None:
    parts = {"embedding": {"model": "tfidf"}, "generation": GENERATION, "models": {"mf": MODEL}}
    base = toy_config(toy_data, parts, "{name: null, variants: null, report: null, seeds: null, workers: 2}")
    content = {
        "name": "drawn",
        "output": str(tmp_path / "run"),
        "base": base,
        "arms": {"drawn": {"source": "dice"}, "none": {}},
        "recommenders": {"mf": {"model": "mf", "scale": "aug_sample_rate", "scales": [0.5]}},
        "baseline": "none",
        "metrics": ["recall@10"],
        "seeds": list(SEEDS),
        "bootstrap": 100,
    }
    path = tmp_path / "compare.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    run_compare(read_compare(path), Execution(silent()))
    found = read_json(tmp_path / "run" / "compare.json")
    assert [(row["arm"], row["seeds"]) for row in found["downstream"]] == [("drawn", [1, 2]), ("none", [1, 2])]
    value = found["downstream"][0]["groups"]["all"]["recall@10"]
    check(value, value["versus"]["none"], tmp_path / "run", "mf+drawn", "mf+none")
