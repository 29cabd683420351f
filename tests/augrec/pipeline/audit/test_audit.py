"""The audit passes a sound run and names the row of every kind of damage."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import yaml
from rich.console import Console

from augrec.artefacts.errors import DataError
from augrec.artefacts.files import read_json, read_parquet, write_json, write_npy, write_parquet
from augrec.pipeline.audit import audit_run, render
from augrec.pipeline.audit.interactions import audit_graph, read_split
from augrec.pipeline.audit.text import audit_records

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


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda train: train[1:], "is no edge"),
        (lambda train: train[:-1], "is no edge"),
        (lambda train: np.concatenate([train, [[0, 29]]]), "is not in train"),
        (lambda train: np.concatenate([train[1:], [[0, 29]]]), "is no edge"),
    ],
)
def test_a_graph_that_lacks_edges_or_has_others_is_found(
    finished_run: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[np.ndarray], np.ndarray], named: str
) -> None:
    """The graph is built by the code that trains; the audit has to notice what that does wrong."""
    from recsys.graph import adjacency as graph

    sound = graph.bipartite
    split = read_split(finished_run / "dataset")
    assert not any(
        violations for check in audit_graph(finished_run / "dataset", split) for violations in check.violations
    )
    assert [0, 29] not in split.pairs["train"].tolist()
    monkeypatch.setattr(graph, "bipartite", lambda train, *rest, **options: sound(change(train), *rest, **options))
    (check,) = audit_graph(finished_run / "dataset", split)
    assert any(named in violation for violation in check.violations)


def test_every_positive_that_a_variant_trains_on_is_counted(run_copy: Path) -> None:
    """Scored records give as many edges as the run's variants take of each; one where none takes more."""
    held_out = {user: held_out_item_of(run_copy, user) for user in (0, 1)}
    path = run_copy / "augment" / "rule" / "edges" / "records.parquet"

    def change(rows: list[dict[str, Any]]) -> None:
        for row in rows:
            items = sorted(row["shown_candidates"])[:3]
            if row["entity"] in held_out:
                items[1] = held_out[row["entity"]]
            scores = [[item, 0.5 - 0.2 * place] for place, item in enumerate(items)]
            row["fields"] = json.dumps({"positive": items[0], "negative": items[2], "scores": scores})

    edit_rows(path, change)
    split, summary = read_split(run_copy / "dataset"), read_json(run_copy / "augment" / "summary.json")
    config = yaml.safe_load((run_copy / "config.yaml").read_text())

    def counted(positives: int, **other: Any) -> dict[str, int]:
        config["variants"]["llmrec"] |= {"edge_positives": positives, **other}
        (run_copy / "config.yaml").write_text(yaml.safe_dump(config))
        return audit_records(run_copy, "rule", summary["sources"]["rule"], split)[1]

    one, two = counted(1), counted(2)
    assert two["edges"] == 2 * one["edges"] > 0
    assert two["positives_in_test"] >= one["positives_in_test"] + 2
    assert two["negatives_in_test"] == 2 * one["negatives_in_test"]
    assert counted(2, change={"edges": "none"}) == one


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


def history_with_a_gap(run: Path) -> None:
    def change(rows: list[dict[str, Any]]) -> None:
        rows[2]["shown_history"] = [*rows[2]["shown_history"][:2], *rows[2]["shown_history"][3:]]

    edit_rows(run / "augment" / "rule" / "user_profile" / "records.parquet", change)


def history_without_its_end(run: Path) -> None:
    def change(rows: list[dict[str, Any]]) -> None:
        rows[2]["shown_history"] = rows[2]["shown_history"][:-1]

    edit_rows(run / "augment" / "rule" / "edges" / "records.parquet", change)


def history_without_its_beginning(run: Path) -> None:
    def change(rows: list[dict[str, Any]]) -> None:
        rows[2]["shown_history"] = rows[2]["shown_history"][1:]

    edit_rows(run / "augment" / "rule" / "edges" / "records.parquet", change)


def history_of_nothing(run: Path) -> None:
    edit_rows(run / "augment" / "rule" / "edges" / "records.parquet", lambda rows: rows[4].update(shown_history=[]))


def history_in_another_order(run: Path) -> None:
    def change(rows: list[dict[str, Any]]) -> None:
        rows[2]["shown_history"] = rows[2]["shown_history"][::-1]

    edit_rows(run / "augment" / "rule" / "user_profile" / "records.parquet", change)


def history_of_another_user(run: Path) -> None:
    def change(rows: list[dict[str, Any]]) -> None:
        rows[2]["shown_history"] = rows[3]["shown_history"]

    edit_rows(run / "augment" / "rule" / "user_profile" / "records.parquet", change)


def candidate_that_was_not_listed(run: Path) -> None:
    """Shown, chosen, no training item: all is well but that the candidate list does not hold it."""

    def change(rows: list[dict[str, Any]]) -> None:
        user = rows[0]["entity"]
        interactions = read_parquet(run / "dataset" / "interactions.parquet").to_pylist()
        owned = {row["item"] for row in interactions if row["user"] == user}
        stranger = next(item for item in range(30) if item not in owned | set(rows[0]["shown_candidates"]))
        fields = json.loads(rows[0]["fields"])
        shown = [item for item in rows[0]["shown_candidates"] if item != fields["positive"]]
        rows[0]["shown_candidates"] = [*shown, stranger]
        rows[0]["fields"] = json.dumps({**fields, "positive": stranger})

    edit_rows(run / "augment" / "rule" / "edges" / "records.parquet", change)


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


def another_vector(run: Path) -> None:
    path = run / "embed" / "data" / "title.npy"
    matrix = np.load(path)
    matrix[3, 0] += 1
    write_npy(path, matrix)


def better_metric(run: Path) -> None:
    path = run / "train" / "llmrec" / "seed-1" / "metrics.json"
    metrics = read_json(path)
    metrics["test"]["recall@10"] = 0.9
    write_json(path, metrics)


def better_user(run: Path) -> None:
    path = run / "train" / "llmrec" / "seed-1" / "per_user.parquet"
    edit_rows(path, lambda rows: next(row for row in rows if row["recall@10"] < 1).update({"recall@10": 1.0}))


def lost_seed(run: Path) -> None:
    shutil.rmtree(run / "train" / "llmrec" / "seed-2")


def other_results(run: Path) -> None:
    path = run / "report" / "results.json"
    write_json(path, read_json(path) | {"alpha": 0.1})


AS_WRITTEN = "files are as their stages wrote them"


@pytest.mark.parametrize(
    ("damage", "check", "named"),
    [
        (another_vector, AS_WRITTEN, "embed/data/title.npy is not what the stage in embed wrote"),
        (better_metric, AS_WRITTEN, "train/llmrec/seed-1/metrics.json is not what"),
        (better_metric, "metrics are means over users", "train/llmrec/seed-1/metrics.json: recall@10 is 0.9, and"),
        (better_user, "metrics are means over users", "train/llmrec/seed-1/metrics.json: recall@10 is"),
        (lost_seed, AS_WRITTEN, "train/llmrec/seed-2/per_user.parquet was written by the stage in train and is gone"),
        (other_results, AS_WRITTEN, "report/results.json is not what the stage in report wrote"),
        (leak_into_history, "rule user_profile: prompts show training history only", "is not in train"),
        (history_with_a_gap, "rule user_profile: prompts show training history only", "not the latest training items"),
        (history_in_another_order, "rule user_profile: prompts show training history only", "not the latest training"),
        (history_of_another_user, "rule user_profile: prompts show training history only", "is not in train"),
        (history_without_its_end, "rule edges: prompts show training history only", "not the latest training items"),
        (history_without_its_beginning, "rule edges: prompts show training history only", "items of the history were"),
        (history_of_nothing, "rule edges: prompts show training history only", "0 items of the history were shown"),
        (candidate_that_was_not_listed, "rule edges: pairs come from the candidates", "is not in candidates.parquet"),
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


@pytest.mark.parametrize("name", ["embed/data/title.json", "dataset/dataset.json"])
def test_a_file_that_lost_its_content_is_named(run_copy: Path, name: str) -> None:
    """What needs it cannot be looked at, which is said."""
    write_json(run_copy / name, {})
    audit = audit_run(run_copy)
    assert any(violation.startswith(f"{name} is not what") for violation in audit.checks[0].violations)
    assert "nothing else was looked at" in (audit.left_out or "")


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
