"""A run that replays an earlier run's records ends with the same text, edges and audit."""

from __future__ import annotations

import io
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from rich.console import Console

from augrec.artefacts.files import read_json
from augrec.pipeline.audit import audit_run
from augrec.pipeline.config.run_config import read_config
from augrec.pipeline.executors.chain import run_one
from augrec.pipeline.stages.base import Run
from tests.kit.toy_run import silent

COLUMNS = ("entity", "status", "reason", "fields", "text", "shown_history", "shown_candidates")


@pytest.fixture
def replayed(finished_run: Path, run_copy: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("AUGREC_CACHE", str(finished_run.parent / "cache"))
    content = yaml.safe_load((finished_run.parent / "toy.yaml").read_text())
    engine = {"kind": "replay", "records": str(finished_run / "augment" / "rule")}
    content["generation"]["sources"] = {"old": {"engine": engine}}
    for variant in content["variants"].values():
        if "source" in variant:
            variant["source"] = "old"
    config = run_copy.parent / "replay.yaml"
    config.write_text(yaml.safe_dump(content))
    return Run(read_config(config, [f"output={run_copy}"]))


def rows(path: Path) -> list[dict[str, object]]:
    return pq.read_table(path, columns=list(COLUMNS)).to_pylist()


def test_the_same_records_and_a_clean_audit(finished_run: Path, replayed: Run) -> None:
    run_one(replayed, "augment", force=False, console=silent())
    tasks = ("edges", "user_profile", "item_attributes")
    for task in tasks:
        path = Path("augment") / "rule" / task / "records.parquet"
        assert rows(replayed.folder / "augment" / "old" / task / "records.parquet") == rows(finished_run / path)
    summary = read_json(replayed.folder / "augment" / "summary.json")["sources"]["old"]
    assert summary["engine"]["engine"] == "replay of heuristic"
    assert [summary["tasks"][task]["failed"] for task in tasks] == [0, 0, 0]
    shutil.rmtree(replayed.folder / "embed")
    audit = audit_run(replayed.folder)
    assert audit.violations == 0, [check for check in audit.checks if check.violations]
    assert audit.leaks["old"]["edges"] == summary["tasks"]["edges"]["ok"]


def test_the_stage_follows_the_content_of_the_records(
    finished_run: Path, replayed: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = io.StringIO()
    run_one(replayed, "augment", force=False, console=Console(file=said))
    run_one(replayed, "augment", force=False, console=Console(file=said))
    assert said.getvalue().count("skipped, unchanged") == 1
    moved = shutil.copytree(finished_run, tmp_path / "moved")
    section = replayed.config.generation.sources["old"].engine  # type: ignore[union-attr]
    monkeypatch.setitem(section.__dict__, "records", moved / "augment" / "rule")
    run_one(replayed, "augment", force=False, console=Console(file=said))
    assert said.getvalue().count("skipped, unchanged") == 2
    path = moved / "augment" / "rule" / "edges" / "records.parquet"
    pq.write_table(pq.read_table(path).slice(1), path)
    run_one(replayed, "augment", force=False, console=Console(file=said))
    assert "files.old.edges/records.parquet" in said.getvalue()
    failed = read_json(replayed.folder / "augment" / "summary.json")["sources"]["old"]["tasks"]["edges"]
    assert failed["failed_by_reason"] == {"no_record": 1}


def test_a_replayed_prompt_with_held_out_items_is_a_violation(replayed: Run) -> None:
    run_one(replayed, "augment", force=False, console=silent())
    shutil.rmtree(replayed.folder / "embed")
    interactions = pq.read_table(replayed.folder / "dataset" / "interactions.parquet").to_pylist()
    held_out = next(row for row in interactions if row["split"] == "test")
    path = replayed.folder / "augment" / "old" / "user_profile" / "records.parquet"
    table = pq.read_table(path).to_pylist()
    next(row for row in table if row["entity"] == held_out["user"])["shown_history"] = [held_out["item"]]
    pq.write_table(pa.Table.from_pylist(table, schema=pq.read_schema(path)), path)
    problems = [text for check in audit_run(replayed.folder).checks for text in check.violations]
    assert "records.parquet is not what the stage in augment wrote" in problems[0]
    assert f"user {held_out['user']}: item {held_out['item']} is not in train" in problems[1]
    assert len(problems) == 2
