"""Every check of re-ranked lists on files written by hand: a sound run has nothing wrong, each damage is named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pytest

from augrec.artefacts.errors import DataError
from augrec.artefacts.files import read_parquet, write_json, write_parquet
from augrec.artefacts.records import RECORD_SCHEMA
from augrec.artefacts.run_folder import RerankingFolder, RunFolder
from augrec.pipeline.audit.interactions import read_split
from augrec.pipeline.audit.reranking import audit_reranking
from tests.augrec.pipeline.audit.hand_made_run import HISTORY, N_ITEMS, TEST, VALID, record, write_dataset

LISTED, SHOWN, OFFERED, REARRANGED = (
    "re-ranking: lists hold no training item, and each item once",
    "re-ranking: prompts show training history only",
    "re-ranking: prompts offer what is listed first, and nothing else",
    "re-ranking: lists keep their items",
)
Lists = dict[int, list[int]]
LISTS: dict[str, Lists] = {
    "valid": {0: [4, 2, 7, 0], 1: [6, 3, 1], 2: [1, 7, 6, 3, 2]},
    "test": {0: [2, 4, 7, 0], 1: [3, 1, 4, 5, 6], 2: [7, 6, 1, 2], 3: [0, 2]},
}
"""What the training lists; three of each are asked about, and those of user 3 are fewer."""
SIZE = 3
RERANKED: Lists = {0: [7, 2, 4, 0], 1: [3, 1, 4, 5, 6], 2: [1, 6, 7, 2], 3: [2, 0]}
PAIRS = {"valid": VALID, "test": TEST}
NEAREST = {0: 1, 1: 0, 2: 3}
RANKED = {"main+ranking": "ranking", "main+random": None}
"""The rows of a model that ranks, with their tasks."""
RATED = "fm+rating"
SPLITS: tuple[Literal["valid", "test"], ...] = ("valid", "test")


def write_lists(path: Path, lists: Lists) -> None:
    """Lists in rows that are in no order."""
    rows = [
        {"user": user, "rank": rank, "item": item, "score": -float(rank)}
        for user, items in lists.items()
        for rank, item in enumerate(items)
    ]
    write_parquet(path, pa.Table.from_pylist(rows[::-1]))


def edit(path: Path, change: Callable[[list[dict[str, Any]]], object]) -> None:
    table = read_parquet(path)
    rows = table.to_pylist()
    change(rows)
    write_parquet(path, pa.Table.from_pylist(rows, schema=table.schema))


def write_split(there: RerankingFolder, lists: Lists, task: str, asked: list[dict[str, Any]]) -> None:
    """What is listed on a split, and what was asked about it."""
    write_lists(there.lists, lists)
    write_parquet(there.answers.task(task).records, pa.Table.from_pylist(asked, schema=RECORD_SCHEMA))


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    """Lists of a model that ranks, re-ranked by a language model and at random."""
    run = write_dataset(tmp_path / "run")
    rows = [{"row": name, "variant": "main", "seed": 1, "task": task} for name, task in RANKED.items()]
    write_json(run.rerank_summary, {"list_size": SIZE, "rows": rows})
    near = [(-1, user, 0, other) for user, other in NEAREST.items()]
    near += [(-1, 0, 1, 3), (0, 1, 0, 3)]  # a second neighbour, and the nearest without a fold
    names = ("fold", "user", "rank", "neighbour")
    write_parquet(run.base.neighbours, pa.Table.from_pylist([dict(zip(names, row, strict=True)) for row in near]))
    for split in SPLITS:
        asked = [
            record("ranking", user, None, shown_history=HISTORY[user][-2:], shown_candidates=items[:SIZE][::-1],
                   shown_similar=HISTORY[NEAREST[user]][::-1][:2] if user in NEAREST else [])
            for user, items in LISTS[split].items()
        ]  # fmt: skip
        write_split(run.reranking("main", 1, split), LISTS[split], "ranking", asked)
    for name, lists in zip(RANKED, (RERANKED, LISTS["test"]), strict=True):
        write_lists(run.reranked(name, 1).lists, lists)
        write_json(run.reranked(name, 1).metrics, {"judged": "ranking"})
    return run


@pytest.fixture
def rated(tmp_path: Path) -> RunFolder:
    """The pairs of each split, as a model rates them and as a language model does."""
    run = write_dataset(tmp_path / "run")
    row = {"row": RATED, "variant": "fm", "seed": 2, "task": "rating"}
    write_json(run.rerank_summary, {"list_size": SIZE, "rows": [row]})
    for split in SPLITS:
        asked = [
            record("rating", user, None, shown_history=HISTORY[user], shown_candidates=[item])
            for user, item, _ in PAIRS[split]
        ]
        write_split(run.reranking("fm", 2, split), {user: [item] for user, item, _ in PAIRS[split]}, "rating", asked)
    write_lists(run.reranked(RATED, 2).lists, {user: [item] for user, item, _ in TEST})
    write_json(run.reranked(RATED, 2).metrics, {"judged": "rating"})
    return run


def found(run: RunFolder) -> dict[str, tuple[int, list[str]]]:
    checks = audit_reranking(run.root, read_split(run.dataset))
    return {check.name: (check.rows, list(check.violations)) for check in checks}


def violations(run: RunFolder) -> dict[str, list[str]]:
    return {name: wrong for name, (_, wrong) in found(run).items() if wrong}


def test_all_that_is_said_of_sound_lists(run: RunFolder) -> None:
    assert found(run) == {LISTED: (7, []), SHOWN: (2 * 7, []), OFFERED: (7, []), REARRANGED: (2 * 4, [])}


def test_all_that_is_said_of_sound_ratings(rated: RunFolder) -> None:
    assert found(rated) == {LISTED: (7 + 2, []), SHOWN: (2 * 7, []), OFFERED: (7, []), REARRANGED: (4, [])}


@pytest.mark.parametrize(
    ("place", "item", "named"),
    [
        ((0, 3), HISTORY[0][0], f"item {HISTORY[0][0]} of user 0's list"),
        ((0, 0), HISTORY[0][3], f"item {HISTORY[0][3]} of user 0's list"),
        ((1, 4), N_ITEMS, f"item {N_ITEMS} of user 1's list"),
        ((1, 4), -1, "item -1 of user 1's list"),
        ((2, 3), 7, "item 7 of user 2's list"),  # it stands there already
    ],
)
def test_lists_hold_known_items_once_and_none_of_training(
    run: RunFolder, place: tuple[int, int], item: int, named: str
) -> None:
    edit(run.reranking("main", 1, "test").lists, lambda rows: next(
        row for row in rows if (row["user"], row["rank"]) == place).update(item=item))  # fmt: skip
    assert violations(run)[LISTED] == [f"main/seed-1/test: {named}"]


def test_of_a_model_that_rates_the_pairs_of_the_split_are_listed(rated: RunFolder) -> None:
    edit(rated.reranking("fm", 2, "valid").lists, lambda rows: rows[0].update(item=7 if rows[0]["item"] != 7 else 3))
    assert violations(rated)[LISTED] == ["fm/seed-2/valid: 2 pairs are not those of the split"]
    edit(rated.reranking("fm", 2, "valid").lists, lambda rows: rows.pop(0))
    assert violations(rated)[LISTED] == ["fm/seed-2/valid: 1 pairs are not those of the split"]


@pytest.mark.parametrize(
    ("user", "change", "named"),
    [
        (0, {"shown_history": [3, 2]}, "not the latest training items"),  # 2 is in valid
        (0, {"shown_history": HISTORY[0][1:3]}, "not the latest training items"),
        (1, {"shown_history": HISTORY[1][::-1]}, "not the latest training items"),
        (3, {"shown_history": HISTORY[0]}, "not the latest training items"),
        (0, {"shown_similar": [4]}, "not what a similar user has in training"),
        (0, {"shown_similar": HISTORY[1][:2]}, "not what a similar user has in training"),
        (0, {"shown_similar": HISTORY[3][:1]}, "not what a similar user has in training"),  # the second nearest
        (1, {"shown_similar": HISTORY[3][:1]}, "not what a similar user has in training"),  # that of a fold
        (3, {"shown_similar": [5]}, "not what a similar user has in training"),  # nobody is near
    ],
)
def test_prompts_show_training_items_of_the_user_and_of_the_nearest_one(
    run: RunFolder, user: int, change: dict[str, list[int]], named: str
) -> None:
    path = run.reranking("main", 1, "test").answers.task("ranking").records
    edit(path, lambda rows: next(row for row in rows if row["entity"] == user).update(change))
    assert violations(run) == {SHOWN: [f"main/seed-1/test ranking, user {user}: {named}"]}


def test_nobody_is_near_where_no_base_says_so(run: RunFolder) -> None:
    run.base.neighbours.unlink()
    assert len(violations(run)[SHOWN]) == 6


@pytest.mark.parametrize(
    ("user", "candidates", "fits"),
    [
        (0, [7, 4, 2], True),
        (0, [2, 4, 0], False),  # the fourth of the list
        (0, [2, 4], False),
        (0, [2, 4, 7, 0], False),
        (0, [2, 2, 4], False),
        (3, [2, 0], True),
        (0, [7], True),  # one at a time
        (0, [0], False),
        (3, [], True),  # no prompt is known
    ],
)
def test_candidates_are_the_first_of_the_list(run: RunFolder, user: int, candidates: list[int], fits: bool) -> None:
    path = run.reranking("main", 1, "test").answers.task("ranking").records
    edit(path, lambda rows: next(row for row in rows if row["entity"] == user).update(shown_candidates=candidates))
    said = {OFFERED: [f"main/seed-1/test ranking, user {user}: not what is listed first"]}
    assert violations(run) == ({} if fits else said)


def test_of_a_model_that_rates_every_pair_of_a_user_may_be_offered(rated: RunFolder) -> None:
    path = rated.reranking("fm", 2, "test").answers.task("rating").records
    edit(path, lambda rows: rows[1].update(shown_candidates=[5]))
    assert violations(rated) == {OFFERED: ["fm/seed-2/test rating, user 1: not what is listed first"]}


def test_tasks_are_looked_at_in_the_order_of_their_names(run: RunFolder) -> None:
    tasks = [f"task-{name}" for name in "dbeacf"]
    rows = [{"row": "main+ranking", "variant": "main", "seed": 1, "task": task} for task in tasks]
    write_json(run.rerank_summary, {"list_size": SIZE, "rows": rows})
    for split in SPLITS:
        for task in tasks:
            path = run.reranking("main", 1, split).answers.task(task).records
            write_parquet(path, pa.Table.from_pylist([record(task, 0, None, shown_history=[4])], schema=RECORD_SCHEMA))
    named = [text.split(",")[0].rpartition(" ")[2] for text in violations(run)[SHOWN]]
    assert named == sorted(tasks) * 2


@pytest.mark.parametrize(
    ("user", "items", "kept"),
    [
        (1, [4, 1, 3, 5, 6], True),
        (1, [4, 1, 5, 3, 6], False),
        (1, [3, 1, 4, 6, 5], False),  # those behind the ones that were asked about
        (1, [3, 1, 4, 5], False),
        (3, [], False),
        (4, [2], False),
    ],
)
def test_only_the_first_items_change_places(run: RunFolder, user: int, items: list[int], kept: bool) -> None:
    write_lists(run.reranked("main+ranking", 1).lists, RERANKED | {user: items})
    said = {REARRANGED: [f"main+ranking/seed-1: the list of user {user} has other items"]}
    assert violations(run) == ({} if kept else said)


def test_of_a_model_that_rates_pairs_change_places_at_will(rated: RunFolder) -> None:
    both = {0: [4, 7, 0, 2], 1: [1], 2: [7], 3: [0]}  # as if user 0 had four in test
    write_lists(rated.reranking("fm", 2, "test").lists, both)
    write_lists(rated.reranked(RATED, 2).lists, both | {0: both[0][::-1]})
    assert REARRANGED not in violations(rated)
    write_lists(rated.reranked(RATED, 2).lists, both | {0: both[0][:3]})
    assert violations(rated)[REARRANGED] == [f"{RATED}/seed-2: the list of user 0 has other items"]


def test_lists_that_are_not_there_are_an_error_but_where_a_split_is_empty(run: RunFolder) -> None:
    run.reranking("main", 1, "valid").lists.unlink()
    with pytest.raises(DataError, match="augrec rerank CONFIG"):
        violations(run)
    edit(run.interactions, lambda rows: rows.__setitem__(slice(None), [row for row in rows if row["split"] != "valid"]))
    assert violations(run) == {}
