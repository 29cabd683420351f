"""A whole experiment on toy data: finished work is skipped or copied, and failures keep to their rows."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import pytest
from rich.console import Console

from augrec.artefacts.files import read_json
from augrec.cli import main
from augrec.pipeline.folders.standing import standing
from augrec.pipeline.studies.execution import Execution
from augrec.pipeline.studies.experiment.plan import read_experiment
from augrec.pipeline.studies.experiment.run import run_experiment
from augrec.report.study import Failure

pytestmark = pytest.mark.slow

OVERRIDES = [
    "settings={small: {}, large: {title: 'eight', change: {candidates.size: 8}}}",
    "models.broken={family: lightgcn, dim: 8, training: {lr: 1.0e+30}}",
    "variants.broken={model: broken}",
    "tables.main.settings=[small]",
    "tables.sizes={title: Sizes, rows: [graph], metrics: [recall@10], baseline: graph, baseline_setting: small}",
    "tables.sizes.bootstrap=100",
    "sweeps={layers: {variant: graph, option: layers, own: 1, values: [0, 2], metrics: [recall@10]}}",
]


def go(path: Path, *more: str) -> tuple[str, list[Failure]]:
    shown = io.StringIO()
    plan = read_experiment(path, [*OVERRIDES, *more])
    _, failures = run_experiment(plan, Execution(Console(file=shown, width=200)))
    return shown.getvalue(), failures


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inline: None) -> None:
    monkeypatch.setenv("AUGREC_CACHE", str(tmp_path / "cache"))


def test_an_experiment_from_data_to_pages(experiment_with_data: Path) -> None:
    out = experiment_with_data.parent / "out"
    shown, failures = go(experiment_with_data)
    assert {(f.setting, f.variant, f.seed) for f in failures} == {
        (setting, "broken", seed) for setting in ("small", "large") for seed in (1, 2)
    }
    assert all("loss" in f.reason for f in failures)
    assert read_json(out / "failures.json")[0]["stage"] == "train"
    assert "prepare    copied, the same as in" in shown
    assert "8 trainings copied from runs that share them" in shown

    results = read_json(out / "results.json")
    main, sizes = results["tables"]
    rows = {row["variant"]: row for row in main["rows"]}
    assert list(rows) == ["graph", "popular", "broken"]
    assert rows["broken"]["problem"].startswith("failed: ")
    assert rows["broken"]["values"]["recall@10"]["mean"] is None
    seeds = [read_json(out / f"data/small/train/graph/seed-{n}/metrics.json")["test"]["recall@10"] for n in (1, 2)]
    assert rows["graph"]["values"]["recall@10"]["mean"] == pytest.approx(sum(seeds) / 2)
    assert rows["graph"]["is_baseline"]
    assert rows["popular"]["against"] == "graph"
    assert [row["label"] for row in sizes["rows"]] == ["small", "eight"]
    assert sizes["rows"][1]["values"]["recall@10"]["versus"]["difference"] == 0
    points = [(point["value"], point["variant"]) for point in results["sweeps"][0]["points"]]
    assert points == [(1, "graph"), (0, "layers=0"), (2, "layers=2")]  # the first is trained once, as itself
    assert not (out / "data/small/train/layers=1").exists()

    page = (out / "index.md").read_text()
    assert "| broken | failed: " in page
    assert "**4 failures**" in page
    for name in (
        "tables/main-data.md",
        "tables/main-data.tex",
        "plots/main-data.svg",
        "plots/layers.png",
        "index.html",
    ):
        assert (out / name).stat().st_size > 300
    linked = re.findall(r'href="(tables/[^"]+)"', (out / "index.html").read_text(encoding="utf-8"))
    assert {"tables/main-data-means.csv", "tables/main-data-means.md", "tables/layers-table.tex"} <= set(linked)
    assert [link for link in linked if not (out / link).exists()] == []
    lines = list(csv.DictReader((out / "tables" / "main-data.csv").open()))
    assert {line["variant"] for line in lines} == {"graph", "popular", "broken"}

    states = {member.folder.relative_to(out).as_posix(): member.state for member in standing(out).members}
    assert states == {"data/small": "open", "data/large": "open"}
    (said,) = re.findall(
        r"^train  (\d+/\d+ trainings) .*took.*(2 failed)", (out / "data/small/run.log").read_text(), re.M
    )
    assert said == ("8/10 trainings", "2 failed")
    before = (out / "results.json").read_bytes()
    mended, failures = go(experiment_with_data, "models.broken.training.lr=0.01")
    assert failures == []
    assert not (out / "failures.json").exists()
    assert mended.count("skipped, unchanged") == 8  # all four stages before training, in both settings
    assert mended.count("report") >= 2
    found = standing(out)
    assert (found.state, [member.state for member in found.members]) == ("done", ["done", "done"])
    again, _ = go(experiment_with_data, "models.broken.training.lr=0.01")
    assert again.count("skipped, unchanged") == 12
    assert json.loads(before)["tables"][0]["rows"][0] == read_json(out / "results.json")["tables"][0]["rows"][0]


def test_a_cell_that_fails_early_leaves_the_other_alone(experiment_with_data: Path) -> None:
    elsewhere = "datasets={gone: {change: {dataset.source.path: nowhere}}, data: {}}"
    shown = io.StringIO()
    plan = read_experiment(experiment_with_data, [elsewhere, "seeds=[1]"])
    _, failures = run_experiment(plan, Execution(Console(file=shown, width=200)))
    assert [(f.dataset, f.stage, f.variant) for f in failures] == [("gone", "prepare", None)]
    gone, data = read_json(experiment_with_data.parent / "out" / "results.json")["tables"]
    assert all("failed: " in row["problem"] and row["values"]["ndcg@5"]["mean"] is None for row in gone["rows"])
    assert all(row["problem"] is None for row in data["rows"])
    assert data["title"] == "Main: data"


def test_the_command_line_says_what_failed_and_exits_with_1(
    experiment_with_data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = ["models.popular={family: lightgcn, training: {lr: 1.0e+30}}", "seeds=[1]"]
    command = ["augrec", "experiment", str(experiment_with_data)]
    monkeypatch.setattr("sys.argv", [*command, *broken])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 1
    shown = capsys.readouterr()
    assert "Tables and plots: " in shown.out
    assert "1 of the experiment's steps failed" in shown.err
    assert "failures.json" in shown.err
    monkeypatch.setattr("sys.argv", [*command, "tabels={}"])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 2
    assert "did you mean 'tables'?" in capsys.readouterr().err
