"""An experiment whose runs are re-ranked: its rows stand in tables beside the variants."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from augrec.artefacts.errors import UsageError
from augrec.artefacts.files import read_json
from augrec.pipeline.studies.execution import Execution
from augrec.pipeline.studies.experiment.plan import read_experiment
from augrec.pipeline.studies.experiment.run import run_experiment

pytestmark = pytest.mark.slow
CHANGES = [
    "change.generation={sources: {judge: {engine: {kind: heuristic}, tasks: []}}}",
    "change.rerank={variants: [graph], source: judge, controls: [random]}",
    "variants={graph: {model: graph}}",
    "settings={small: {change: {rerank.list_size: 3}}, large: {change: {rerank.list_size: 6}}}",
    "tables.main.rows=[graph, graph+ranking, graph+random]",
]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inline: None) -> None:
    monkeypatch.setenv("AUGREC_CACHE", str(tmp_path / "cache"))


def test_rows_of_reranking_stand_in_tables(experiment_with_data: Path) -> None:
    said = io.StringIO()
    plan = read_experiment(experiment_with_data, CHANGES)
    _, failures = run_experiment(plan, Execution(Console(file=said, width=200)))
    assert failures == []
    assert said.getvalue().count("rerank     done") == 2
    assert "2 trainings copied" in said.getvalue()
    (table,) = read_json(experiment_with_data.parent / "out" / "results.json")["tables"]
    found = {(row["setting"], row["variant"]): row["values"] for row in table["rows"]}
    for setting in ("small", "large"):
        plain, ranked = found[setting, "graph"], found[setting, "graph+ranking"]
        assert ranked["recall@10"]["mean"] == pytest.approx(plain["recall@10"]["mean"]), "the items are the same"
        assert ranked["ndcg@5"]["versus"]["difference"] is not None
    assert {row["problem"] for row in table["rows"]} == {None}


def test_a_row_that_is_not_made_is_named(experiment_file: Path) -> None:
    with pytest.raises(UsageError, match=r"tables.main.rows: 'graph\+rating' is not one of graph, graph\+ranking"):
        read_experiment(experiment_file, [*CHANGES[:-1], "tables.main.rows=[graph+rating]"])
