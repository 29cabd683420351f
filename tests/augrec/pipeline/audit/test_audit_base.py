"""Every check of a base recommender on files written by hand: a sound one has nothing wrong, each damage is named."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import yaml

from augrec.artefacts.files import read_parquet, write_npy, write_parquet
from augrec.artefacts.run_folder import RunFolder
from augrec.pipeline.audit import hints
from augrec.pipeline.audit.hints import audit_base, audit_similar
from augrec.pipeline.audit.interactions import read_split
from tests.augrec.pipeline.audit.hand_made_base import LISTS, OWN, write_base, write_lists, write_trained_on
from tests.augrec.pipeline.audit.hand_made_run import HISTORY, TRAIN, write_dataset

HELD, DRAWN, WITHOUT, NEIGHBOURS, LISTED, NEAREST = (
    "base: folds hold out training interactions, each once",
    "base: drawn items have no training interaction",
    "base: models were trained without what they score",
    "base: neighbours are other users with training interactions",
    "base: lists follow from the vectors",
    "base: the nearest users follow from the vectors",
)
Rows = list[dict[str, Any]]


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    run = write_dataset(tmp_path / "run")
    write_base(run)
    return run


def found(run: RunFolder) -> dict[str, tuple[int, list[str]]]:
    checks = audit_base(run.root, read_split(run.dataset))
    return {check.name: (check.rows, list(check.violations)) for check in checks}


def violations(run: RunFolder) -> dict[str, list[str]]:
    return {name: wrong for name, (_, wrong) in found(run).items() if wrong}


def edit(path: Path, change: Callable[[Rows], object]) -> None:
    table = read_parquet(path)
    rows = table.to_pylist()
    change(rows)
    write_parquet(path, pa.Table.from_pylist(rows, schema=table.schema))


def row_of(rows: Rows, **where: Any) -> dict[str, Any]:
    (row,) = (row for row in rows if all(row[name] == value for name, value in where.items()))
    return row


def test_all_that_is_said_of_a_sound_base(run: RunFolder) -> None:
    lists = {f"base lists {what}": (8, []) for what in
             ("are known items", "hold no training interaction", "are distinct per user")}  # fmt: skip
    assert found(run) == lists | {
        HELD: (5, []),
        DRAWN: (6, []),
        WITHOUT: (3, []),
        NEIGHBOURS: (11, []),
        LISTED: (4, []),
        NEAREST: (4, []),
    }


@pytest.mark.parametrize(
    ("base", "judged"),
    [(None, True), ({}, True), ({"model": "mf"}, True), ({"model": "mf", "vectors": "mf"}, True),
     ({"model": "mf", "vectors": "words"}, False)],
)  # fmt: skip
def test_who_is_near_by_other_vectors_is_not_judged_by_the_models(run: RunFolder, base: object, judged: bool) -> None:
    run.config.write_text(yaml.safe_dump({"base": base}))
    assert (NEAREST in found(run)) == judged
    run.config.write_text("[1]")
    assert NEAREST in found(run)
    run.config.unlink()
    assert NEAREST in found(run)


def test_of_a_model_without_vectors_nothing_is_said_of_them(run: RunFolder) -> None:
    run.base.users.unlink()
    assert found(run).keys().isdisjoint({LISTED, NEAREST})
    assert len(found(run)) == 7


@pytest.mark.parametrize(
    ("where", "change", "said"),
    [
        ({"user": 1, "drawn": False}, {"item": 3}, {HELD: ["fold 0: user 1, item 3"]}),  # of valid
        ({"user": 0, "item": 1}, {"item": 5}, {HELD: ["fold 0: user 0, item 5"]}),  # once more, in the row after it
        ({"user": 1, "drawn": True}, {"item": 7}, {DRAWN: ["fold 0: user 1, item 7"]}),
        ({"user": 1, "drawn": True}, {"fold": 1}, {DRAWN: ["fold 1: user 1, item 4"]}),
        ({"user": 1, "drawn": True}, {"user": 2}, {DRAWN: ["fold 0: user 2, item 4"]}),
    ],
)
def test_folds_hold_out_what_was_trained_on_and_draw_what_was_not(
    run: RunFolder, where: dict[str, Any], change: dict[str, int], said: dict[str, list[str]]
) -> None:
    edit(run.base.held_out, lambda rows: row_of(rows, **where).update(change))
    wrong = violations(run)
    wrong.pop(WITHOUT, None)
    assert wrong == said


def test_what_is_drawn_is_no_part_of_what_a_fold_holds_out(run: RunFolder) -> None:
    edit(run.base.held_out, lambda rows: row_of(rows, user=1, drawn=True).update(item=7))
    assert WITHOUT not in violations(run), "only what is held out is missing in the training"


@pytest.mark.parametrize(
    ("piece", "lacking", "more", "said"),
    [
        ("whole", [(3, 1)], [], ["whole: was trained on 10 interactions, not on the 11 others"]),
        ("fold-0", [(0, 1)], [(0, 5)], ["fold-0: was trained on 9 interactions, not on the 9 others"]),
        ("fold-1", [], [], ["fold-1: was trained on 11 interactions, not on the 8 others"]),
        ("fold-1", [(0, 1), (2, 4), (3, 1)], [], []),
    ],
)
def test_models_saw_everything_but_what_they_score(
    run: RunFolder, piece: str, lacking: list[tuple[int, int]], more: list[tuple[int, int]], said: list[str]
) -> None:
    hidden = {"fold-0": OWN[0]}.get(piece, [])
    pairs = [(user, item) for user, item, _ in TRAIN]
    write_trained_on(run, piece, [pair for pair in pairs if pair not in [*hidden, *lacking] or pair in more])
    assert violations(run) == ({WITHOUT: said} if said else {})


def test_a_model_that_does_not_say_what_it_saw_is_named(run: RunFolder) -> None:
    run.base.trained_on("whole").unlink()
    assert violations(run) == {WITHOUT: ["whole: was trained on no interactions, not on the 11 others"]}
    for fold in ("fold-0", "fold-1"):
        run.base.trained_on(fold).unlink()
    assert [text.partition(":")[0] for text in violations(run)[WITHOUT]] == ["whole", "fold-0", "fold-1"]


@pytest.mark.parametrize(
    ("fold", "user", "neighbour", "sound"),
    [(0, 2, 2, False), (0, 2, 4, False), (0, 2, 3, True), (1, 2, 3, False), (1, 1, 0, True)],
)  # user 4 has no training interaction, and user 3 none without fold 1
def test_neighbours_are_others_of_whom_something_is_known(
    run: RunFolder, fold: int, user: int, neighbour: int, sound: bool
) -> None:
    edit(run.base.neighbours, lambda rows: row_of(rows, fold=fold, user=user).update(neighbour=neighbour))
    said = {NEIGHBOURS: [f"fold {fold}: user {user} has the neighbour {neighbour}"]}
    assert violations(run) == ({} if sound else said)


BETTER, OTHER_SCORES, NO_ORDER = (
    "user 0: item {} is better, and is not listed",
    "user 0: scores are not the inner products of the vectors",
    "user 0: the list is not in order",
)


@pytest.mark.parametrize(
    ("listed", "said"),
    [
        ([(2, 0.9), (7, 0.7)], BETTER.format(4)),
        ([(4, 0.8), (7, 0.7)], BETTER.format(2)),
        ([(0, 0.1)], BETTER.format(2)),
        ([], BETTER.format(2)),
        ([(2, 0.9), (4, 0.8), (7, 0.7), (0, 0.1)], ""),  # all that there are
        ([(2, 0.8), (4, 0.9)], OTHER_SCORES),
        ([(2, 0.9), (4, 0.81)], OTHER_SCORES),
        ([(4, 0.8), (2, 0.9)], NO_ORDER),
    ],
)
def test_lists_are_the_best_items_in_order(run: RunFolder, listed: list[tuple[int, float]], said: str) -> None:
    write_lists(run, LISTS | {0: listed})
    assert violations(run) == ({LISTED: [said]} if said else {})


def test_of_a_user_who_has_everything_nothing_is_missing(run: RunFolder) -> None:
    edit(run.interactions, lambda rows: rows.extend(
        {**rows[0], "user": 3, "item": item, "timestamp": 9} for item in range(8) if item != 1))  # fmt: skip
    write_lists(run, {user: listed for user, listed in LISTS.items() if user != 3})
    assert LISTED not in violations(run)


@pytest.mark.parametrize("factor", [1.0, 8.0, -8.0])
@pytest.mark.parametrize(("share", "sound"), [(1.0, True), (1.5, False)])
def test_scores_are_compared_up_to_a_ten_thousandth_of_the_largest(
    run: RunFolder, factor: float, share: float, sound: bool
) -> None:
    """User 0 has met all items but three; of these the first is as good as nothing, or as the rounding allows."""
    slack = 1e-4 * abs(factor) * share
    edit(run.interactions, lambda rows: rows.__setitem__(slice(None), [
        {**rows[0], "user": 0, "item": item} for item in (0, 1, 3, 5, 6)]))  # fmt: skip
    items = np.zeros((8, 2))
    items[0, 0] = factor  # the largest score, of an item that cannot be listed

    def said(last: float, listed: list[tuple[int, float]]) -> str:
        items[7, 0] = last
        write_npy(run.base.items, items)
        write_npy(run.base.users, np.array([[1.0, 0.0], *[[0.0, 0.0]] * 4]))
        write_lists(run, {0: listed})
        return "".join(violations(run).get(LISTED, ()))

    assert said(slack, [(2, 0.0), (4, 0.0)]) == ("" if sound else BETTER.format(7))
    assert said(-1.0, [(2, 0.0), (4, slack)]) == ("" if sound else OTHER_SCORES)
    assert said(-1.0, [(2, 0.0), (4, -slack)]) == ("" if sound else OTHER_SCORES)
    assert said(slack, [(2, 0.0), (7, slack), (4, 0.0)]) == ("" if sound else NO_ORDER)


@pytest.mark.parametrize(
    ("change", "sound"),
    [
        ({"neighbour": 3}, False),
        ({"neighbour": 3, "similarity": 0.2**0.5}, False),
        ({"neighbour": 0, "similarity": 1.0}, False),
        ({"neighbour": 4, "similarity": 1.0}, False),
        ({"similarity": 0.5**0.5 + 0.99e-4}, True),
        ({"similarity": 0.5**0.5 + 1.01e-4}, False),
        ({"similarity": 0.5**0.5 - 1.01e-4}, False),
    ],
)
def test_the_first_neighbour_is_the_nearest_and_as_near_as_is_said(
    run: RunFolder, change: dict[str, float], sound: bool
) -> None:
    write_npy(run.base.users, np.array([[1, 0], [0, 1], [1, 1], [0.5, 1], [2, 0]], dtype=np.float64))
    edit(run.base.neighbours, lambda rows: row_of(rows, fold=-1, user=0, rank=0).update(change))
    name = change.get("neighbour", 2)
    said = [f"user 0: {name} is not the nearest user, or not as near as is said"]
    assert violations(run).get(NEAREST, []) == ([] if sound else said)


@pytest.mark.parametrize(
    ("neighbour", "said", "sound"),
    [(3, 0.0, True), (3, 1e-4, True), (3, 1.5e-4, False), (3, -1.5e-4, False), (1, 0.0, True), (2, -1e-4, False)],
)
def test_nobody_is_nearer_than_who_is_near_but_for_a_ten_thousandth(
    run: RunFolder, neighbour: int, said: float, sound: bool
) -> None:
    """Of user 0 the cosines are 0, -1e-4 and 1e-4: by as much as is let pass, 3 is no worse and 2 is."""
    rest = math.sqrt(1 - 1e-8)
    write_npy(run.base.users, np.array([[1, 0, 0], [3e-4, 3 * rest, 0], [-1e-4, 0, rest], [0, 0, 1], [0, 0, 0]]))
    write_npy(run.base.items, np.zeros((8, 3)))
    edit(run.base.neighbours, lambda rows: row_of(rows, fold=-1, user=0, rank=0).update(
        neighbour=neighbour, similarity=said))  # fmt: skip
    assert any(text.startswith("user 0") for text in violations(run).get(NEAREST, ())) != sound


def test_one_who_has_no_neighbour_is_named_but_where_there_is_nobody_else(run: RunFolder) -> None:
    edit(run.base.neighbours, lambda rows: row_of(rows, fold=-1, user=1, rank=0).update(rank=2))
    assert violations(run) == {NEAREST: ["user 1 has no neighbour"]}
    edit(run.interactions, lambda rows: rows.__setitem__(slice(None), [row for row in rows if row["user"] == 1]))
    assert NEAREST not in violations(run)


@pytest.mark.parametrize(("most", "looked_at"), [(1, 1), (2, 2), (3, 2), (4, 4), (5, 4)])
def test_of_many_users_some_are_looked_at(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch, most: int, looked_at: int
) -> None:
    monkeypatch.setattr(hints, "USERS_COMPARED", most)
    assert {name: rows for name, (rows, _) in found(run).items() if name in (LISTED, NEAREST)} == {
        LISTED: looked_at,
        NEAREST: looked_at,
    }


@pytest.mark.parametrize(
    ("user", "shown", "said"),
    [
        (0, HISTORY[2][::-1], ""),
        (0, HISTORY[2][::-1][:1], ""),
        (0, HISTORY[2][:2], "not the latest items, the latest first"),
        (0, HISTORY[2][::-1][1:], "not the latest items, the latest first"),
        (0, [*HISTORY[2][::-1], 6], "item 6 is not the nearest user's"),
        (0, HISTORY[3], "item 1 is not the nearest user's"),  # the second nearest, and the nearest without a fold
        (4, [2], "item 2 is not the nearest user's"),  # nobody is near
    ],
)
def test_what_is_shown_of_a_similar_user(run: RunFolder, user: int, shown: list[int], said: str) -> None:
    records = [
        {"entity": user, "key": "k" * 64, "shown_similar": shown},
        {"entity": 1, "key": "o" * 64, "shown_similar": []},
        {"entity": 1, "key": "o" * 64},
    ]
    (check,) = audit_similar(run.root, "llm pair", records, read_split(run.dataset))
    assert (check.name, check.rows) == ("llm pair: a similar user's items are of training", 1)
    assert check.violations == ((f"user {user}: {said} (key {'k' * 12})",) if said else ())
    assert audit_similar(run.root, "llm pair", records[1:], read_split(run.dataset)) == []


def test_without_a_base_nobody_is_near(run: RunFolder) -> None:
    run.base.neighbours.unlink()
    record = {"entity": 0, "key": "k" * 64, "shown_similar": HISTORY[2][::-1]}
    (check,) = audit_similar(run.root, "llm pair", [record], read_split(run.dataset))
    assert len(check.violations) == 1
