"""The audit passes a sound run and names the row of every kind of damage."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from rich.console import Console

from artefacts.errors import DataError
from artefacts.files import read_json, read_parquet, write_json, write_npy, write_parquet
from pipeline.audit import audit_run, render
from pipeline.audit.interactions import read_split
from pipeline.audit.text import audit_records

Damage = Callable[[Path], None]


def violations(run: Path) -> dict[str, tuple[str, ...]]:
    return {check.name: check.violations for check in audit_run(run).checks if check.violations}


def edit_rows(path: Path, change: Callable[[list[dict[str, Any]]], None]) -> None:
    table = read_parquet(path)
    rows = table.to_pylist()
    change(rows)
    write_parquet(path, pa.Table.from_pylist(rows, schema=table.schema))


def train_item_of(run: Path, user: int) -> int:
    rows = read_parquet(run / "dataset" / "interactions.parquet").to_pylist()
    return next(row["item"] for row in rows if row["user"] == user and row["split"] == "train")


def held_out_item_of(run: Path, user: int) -> int:
    rows = read_parquet(run / "dataset" / "interactions.parquet").to_pylist()
    return next(row["item"] for row in rows if row["user"] == user and row["split"] == "test")


def test_a_sound_run_passes(finished_run: Path) -> None:
    audit = audit_run(finished_run)
    assert audit.violations == 0
    assert len(audit.checks) >= 15
    assert all(check.rows > 0 for check in audit.checks)


def test_it_counts_augmented_pairs_in_valid_and_test_by_hand(finished_run: Path) -> None:
    held_out = {
        (row["user"], row["item"], row["split"])
        for row in read_parquet(finished_run / "dataset" / "interactions.parquet").to_pylist()
    }
    expected = dict.fromkeys(("positives_in_valid", "positives_in_test", "negatives_in_valid", "negatives_in_test"), 0)
    for record in read_parquet(finished_run / "augment" / "rule" / "edges" / "records.parquet").to_pylist():
        fields = json.loads(record["fields"])
        for side in ("positive", "negative"):
            for split in ("valid", "test"):
                expected[f"{side}s_in_{split}"] += (record["entity"], fields[side], split) in held_out
    found = audit_run(finished_run).leaks["rule"]
    assert {key: found[key] for key in expected} == expected
    assert sum(expected.values()) > 0


def leak_into_history(run: Path) -> None:
    def change(rows: list[dict[str, Any]]) -> None:
        rows[0]["shown_history"] = [*rows[0]["shown_history"], held_out_item_of(run, rows[0]["entity"])]

    edit_rows(run / "augment" / "rule" / "user_profile" / "records.parquet", change)


def train_item_as_candidate(run: Path) -> None:
    edit_rows(run / "candidates" / "candidates.parquet", lambda rows: rows[0].update(item=train_item_of(run, 0)))


def candidate_twice(run: Path) -> None:
    edit_rows(run / "candidates" / "candidates.parquet", lambda rows: rows[1].update(item=rows[0]["item"]))


def lost_record(run: Path) -> None:
    edit_rows(run / "augment" / "rule" / "edges" / "records.parquet", lambda rows: rows.pop())


def doubled_record(run: Path) -> None:
    edit_rows(run / "augment" / "rule" / "item_attributes" / "records.parquet", lambda rows: rows.append(rows[0]))


def edge_outside_the_candidates(run: Path) -> None:
    def change(rows: list[dict[str, Any]]) -> None:
        stranger = next(item for item in range(30) if item not in rows[0]["shown_candidates"])
        rows[0]["fields"] = json.dumps({**json.loads(rows[0]["fields"]), "positive": stranger})

    edit_rows(run / "augment" / "rule" / "edges" / "records.parquet", change)


def moved_interaction(run: Path) -> None:
    edit_rows(run / "dataset" / "interactions.parquet", lambda rows: rows[0].update(split="test"))


def interaction_in_two_splits(run: Path) -> None:
    edit_rows(run / "dataset" / "interactions.parquet", lambda rows: rows.append({**rows[0], "split": "test"}))


def other_profile_text(run: Path) -> None:
    def change(rows: list[dict[str, Any]]) -> None:
        rows[0]["fields"] = json.dumps({**json.loads(rows[0]["fields"]), "liked_genres": ["Horror", "Comedy"]})

    edit_rows(run / "augment" / "rule" / "user_profile" / "records.parquet", change)


def zeroed_vector(run: Path) -> None:
    path = run / "embed" / "data" / "title.npy"
    matrix = np.load(path)
    matrix[3] = 0
    write_npy(path, matrix)


def short_matrix(run: Path) -> None:
    path = run / "embed" / "data" / "text.npy"
    write_npy(path, np.load(path)[:-1])


def wrong_summary(run: Path) -> None:
    summary = read_json(run / "augment" / "summary.json")
    summary["sources"]["rule"]["tasks"]["edges"]["ok"] += 1
    write_json(run / "augment" / "summary.json", summary)


@pytest.mark.parametrize(
    ("damage", "check", "named"),
    [
        (leak_into_history, "rule user_profile: prompts show training history only", "is not in train"),
        (train_item_as_candidate, "candidates hold no training interaction", "row 0: user 0"),
        (candidate_twice, "candidates are distinct per user", "user 0"),
        (lost_record, "rule edges: one record per request", "has no record"),
        (doubled_record, "rule item_attributes: one record per request", "several records"),
        (edge_outside_the_candidates, "rule edges: pairs come from the candidates", "not among the candidates shown"),
        (moved_interaction, "split hash as recorded", "dataset.json says"),
        (interaction_in_two_splits, "splits are disjoint and free of duplicates", "user 0"),
        (other_profile_text, "embedding rule/user_profile", "was not made from the text"),
        (zeroed_vector, "embedding data/title", "row 3 is zero but not listed"),
        (short_matrix, "embedding data/text", "expected float32 with"),
        (wrong_summary, "rule edges: one record per request", "summary.json counts"),
    ],
)
def test_damage_is_found_and_named(run_copy: Path, damage: Damage, check: str, named: str) -> None:
    damage(run_copy)
    found = violations(run_copy)
    assert check in found
    assert any(named in violation for violation in found[check])


@pytest.mark.parametrize(("said", "complaint"), [(10, None), (11, "11 users were drawn, 10 have a record")])
def test_users_who_were_not_drawn_need_no_record(run_copy: Path, said: int, complaint: str | None) -> None:
    summary = read_json(run_copy / "augment" / "summary.json")["sources"]["rule"]
    for task in ("edges", "user_profile"):
        path = run_copy / "augment" / "rule" / task / "records.parquet"
        edit_rows(path, lambda rows: rows.__delitem__(slice(10, None)))
        summary["tasks"][task] |= {"requests": 10, "ok": 10, "failed": 0}
    checks, _ = audit_records(run_copy, "rule", summary | {"users": said}, read_split(run_copy / "dataset"))
    found = [violation for check in checks for violation in check.violations]
    assert found == ([] if complaint is None else [complaint] * 2)
    without, _ = audit_records(run_copy, "rule", summary, read_split(run_copy / "dataset"))
    assert any("has no record" in violation for check in without for violation in check.violations)


def test_the_result_is_written_and_shown(run_copy: Path) -> None:
    train_item_as_candidate(run_copy)
    shown = io.StringIO()
    audit = audit_run(run_copy)
    render(audit, Console(file=shown, width=120))
    assert read_json(run_copy / "audit.json")["violations"] == audit.violations > 0
    assert "candidates hold no training interaction: row 0: user 0" in shown.getvalue()


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no prepared run"):
        audit_run(tmp_path)
