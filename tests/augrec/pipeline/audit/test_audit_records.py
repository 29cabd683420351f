"""What is said of records alone: samples of a history, picks, who lacks a record, and the order of what is named.

The interactions are made up here, of more users and items than the run written by hand has.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from augrec.artefacts.files import sha256_file
from augrec.artefacts.run_folder import RunFolder
from augrec.artefacts.tasks import Attributes, Edges, Insertions, TaskCard, Text
from augrec.pipeline.audit.checks import Asked, Split
from augrec.pipeline.audit.replayed import audit_replayed, audit_vectors
from augrec.pipeline.audit.reviews import audit_reviews
from augrec.pipeline.audit.text import audit_records
from tests.augrec.pipeline.audit.hand_made_run import (
    N_ITEMS,
    record,
    vectors,
    write_answers,
    write_dataset,
    write_matrix,
)

SAMPLE = TaskCard(name="user_profile", about="user", gives=Text(field="profile"), shows="sample")
PICK = TaskCard(name="pick", about="user", gives=Insertions())
EDGES = TaskCard(name="edges", about="user", gives=Edges())
ITEMS = TaskCard(name="item_attributes", about="item", gives=Attributes())
HISTORY = {0: [15, 3, 9, 8, 1, 12, 7, 5, 2, 11], 1: [4, 6], 9: [0], 8: [0]}


def split(history: dict[int, list[int]] = HISTORY) -> Split:
    train = np.array([(user, item) for user, items in history.items() for item in items], dtype=np.int64)
    none = np.zeros((0, 2), dtype=np.int64)
    return Split(10, 20, {"train": train, "valid": none, "test": none}, history)


def said(folder: Path, card: TaskCard, rows: list[dict[str, Any]], **summary: Any) -> dict[str, tuple[str, ...]]:
    """What is wrong with the records of one task, by the end of the check's name."""
    write_answers(RunFolder(folder), "llm", card, rows)
    ok = sum(row["status"] == "ok" for row in rows)
    counted = {card.name: {"requests": len(rows), "ok": ok, "failed": len(rows) - ok}}
    checks, _ = audit_records(folder, "llm", {"tasks": counted, **summary}, split())
    return {check.name.partition(": ")[2]: check.violations for check in checks}


def profiles(**change: Any) -> list[dict[str, Any]]:
    """Three items of everybody were asked for, and of user 9 there is one; the first record is changed."""
    shown = {0: [15, 9, 11], 1: [4, 6], 9: [0], 8: [0]}
    rows = [record("user_profile", user, {"profile": "x"}, shown_history=items) for user, items in shown.items()]
    rows[0] |= change
    return rows


FAILED = {"status": "failed", "reason": "x", "fallback": "masked", "fields": None}
HISTORIES = "prompts show training history only"


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({}, ""),
        ({"shown_history": [3, 2, 11]}, ""),  # the second, ninth and tenth of it
        ({"shown_history": [15, 9], "dropped_history": 1}, ""),
        ({"shown_history": [15, 9]}, "2 items of the history were shown, not 3"),
        ({"shown_history": [15, 9, 0]}, "item 0 is not in train (key {key})"),
        ({"shown_history": [0, 15, 9]}, "item 0 is not in train (key {key})"),
        ({"shown_history": [3, 15, 9]}, "not training items in order (key {key})"),
        ({"shown_history": [15, 15, 9]}, "not training items in order (key {key})"),
        ({"shown_history": [], **FAILED}, ""),
        ({"shown_history": [15, 9, 11, 2], **FAILED}, "not training items in order (key {key})"),
    ],
)
def test_a_sample_is_of_training_items_in_their_order(tmp_path: Path, change: dict[str, Any], problem: str) -> None:
    rows = profiles(**change)
    rows.append(record("user_profile", 0, {"profile": "y"}, question="b", shown_history=[3, 2, 11]))
    problem = problem.format(key=rows[0]["key"][:12])
    assert said(tmp_path, SAMPLE, rows)[HISTORIES] == ((f"user 0: {problem}",) if problem else ())


def test_as_many_are_asked_for_as_the_longest_was_shown_and_lost(tmp_path: Path) -> None:
    rows = profiles(shown_history=[15, 9, 11], dropped_history=2)  # five of ten
    rows.append(record("user_profile", 0, {"profile": "y"}, question="b", shown_history=[3, 2, 11]))
    assert said(tmp_path, SAMPLE, rows)[HISTORIES] == ("user 0: 3 items of the history were shown, not 5",)


def picks(**change: Any) -> list[dict[str, Any]]:
    rows = [
        record("pick", user, {"item": 13}, shown_history=HISTORY[user], shown_candidates=[13, 14]) for user in HISTORY
    ]
    rows[0] |= change
    return rows


PICKS = "picks come from what was shown, and are not in train"


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ({}, ()),
        ({"shown_candidates": [14, 0]}, ("user 0: what pick named was not among the choices shown",)),
        (
            {"shown_candidates": [13, 9, 8, 1]},
            tuple(f"user 0: item {item} was shown as a choice but is in train" for item in (1, 8, 9)),
        ),
        ({"shown_candidates": [], **FAILED}, ()),
    ],
)
def test_picks_are_of_choices_that_were_shown(tmp_path: Path, change: dict[str, Any], wrong: tuple[str, ...]) -> None:
    assert said(tmp_path, PICK, picks(**change))[PICKS] == wrong


def test_picks_from_elsewhere_were_of_other_choices(tmp_path: Path) -> None:
    assert PICKS not in said(tmp_path, PICK, picks(shown_candidates=[0]), engine={"engine": "replay"})
    assert PICKS in said(tmp_path, PICK, picks(), engine={})


def test_those_who_lack_a_record_or_were_not_to_have_one_are_named_in_order(tmp_path: Path) -> None:
    requests = "one record per request"
    assert said(tmp_path, SAMPLE, profiles()[:1])[requests] == tuple(f"entity {n} has no record" for n in (1, 8, 9))
    strangers = [record("user_profile", user, None) for user in (7, 3, 18)]
    found = said(tmp_path, SAMPLE, [*profiles()[:2], *strangers], users=5)[requests]
    assert found == (*(f"user {user} was drawn and has no history" for user in (3, 7, 18)), "entity 18 does not exist")
    found = said(tmp_path, SAMPLE, [*profiles(), *(record("user_profile", user, None) for user in (17, 16, 10))])
    assert found[requests] == tuple(f"entity {user} does not exist" for user in (10, 16, 17))


def test_candidates_that_were_not_listed_or_are_of_training_are_named_in_order(tmp_path: Path) -> None:
    rows = [record("edges", 0, None, shown_candidates=[9, 8, 1])]
    assert said(tmp_path, EDGES, rows)["pairs come from the candidates"] == (
        *(f"user 0: item {item} was shown but is not in candidates.parquet" for item in (1, 8, 9)),
        *(f"user 0: item {item} was shown as a candidate but is in train" for item in (1, 8, 9)),
    )


def test_of_several_items_that_a_published_prompt_may_not_show_the_first_by_number_is_named() -> None:
    task = Asked("user_profile", "user", "text", False, (), False)
    row = record("user_profile", 1, {}, shown_history=[17, 16, 9])
    (check,) = audit_replayed("paper user_profile", task, [row], split())
    assert [text.partition(" (")[0] for text in check.violations] == ["user 1: item 9 is not in train"]


# --- vectors that were copied with records


@pytest.mark.parametrize(
    ("fields", "problems"),
    [
        ({item: {"director": "x"} for item in range(N_ITEMS)}, []),
        ({item: {"director": "x"} for item in range(6)}, [6, 7]),
        ({0: {"director": "x"}, 1: {"country": "y"}}, [2, 3, 4, 5, 6, 7]),
        ({0: {"country": "y"}}, []),  # the records say nothing of it: it came with vectors alone
    ],
)
def test_attributes_have_vectors_where_the_records_speak_of_them(
    tmp_path: Path, fields: dict[int, dict[str, str]], problems: list[int]
) -> None:
    run = write_dataset(tmp_path / "run")
    write_answers(run, "paper", ITEMS, [record("item_attributes", item, said) for item, said in fields.items()])
    sealed = sha256_file(run.source("paper").task("item_attributes").records)
    about = {"records_sha256": sealed, "source": str(tmp_path / "gone"), "replayed": {"dataset": None}}
    path, matrix = run.matrix("paper", "director").with_suffix(".npy"), vectors(N_ITEMS)
    matrix[3, 1] = 0  # a number of a vector that is there
    write_matrix(path.with_suffix(""), matrix, about)
    task = Asked("item_attributes", "item", "attributes", False, (), False)
    found = audit_vectors(run.root, path, matrix, {"missing": [], **about}, task)
    assert found == [f"row {row} has a vector, and no record that takes part" for row in problems]


# --- reviews


def test_of_records_from_elsewhere_the_pairs_of_reviews_are_compared_and_not_their_texts(tmp_path: Path) -> None:
    run = write_dataset(tmp_path / "run")
    task = Asked("user_profile", "user", "text", False, (), False)
    row = record("user_profile", 0, {}, shown_history=[5, 1], shown_reviews=[5, 1], reviews_sha256="0" * 64)
    (check,) = audit_reviews("paper", task, [row], run.dataset, replayed=True)
    assert check.name == "paper: prompts, where known, showed reviews of training interactions only"
    assert (check.rows, check.violations) == (1, ())
    (check,) = audit_reviews("paper", task, [row | {"shown_reviews": [5, 2]}], run.dataset, replayed=True)
    assert check.violations == ("user 0: the review of user 0 about item 2 was shown, which is not in train",)


def test_reviews_that_the_data_set_does_not_hold_are_named(tmp_path: Path) -> None:
    run = write_dataset(tmp_path / "run")
    task = Asked("user_profile", "user", "text", False, (), False)
    row = record("user_profile", 0, {}, shown_history=[5, 1], shown_reviews=[5, 1], reviews_sha256="0" * 64)
    (check,) = audit_reviews("llm", task, [row, record("user_profile", 1, {})], run.dataset, replayed=False)
    assert check.rows == 1
    assert [text.partition(" (")[0] for text in check.violations] == [
        "user 0: what was shown is not the text of these training reviews"
    ]
