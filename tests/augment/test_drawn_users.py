"""A part of the users, drawn: the same for every source, nested, and the others without any record."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from augment.catalog import Catalog
from augment.options import GenerationOptions
from augment.prompts.domains import domain_named
from augment.requests import drawn_users
from augment.runner import run_source
from augrec.artefacts.interactions import UserItems
from tests.kit.fake_engine import FakeEngine


def world(n_users: int, empty: tuple[int, ...] = ()) -> Catalog:
    """Users with one item each, but for the empty ones."""
    lengths = np.array([user not in empty for user in range(n_users)]).astype(int)
    history = UserItems(np.concatenate([[0], np.cumsum(lengths)]), np.zeros(lengths.sum(), np.int64))
    return Catalog(pa.table({"item": [0], "title": ["A"]}), history, None, domain_named("books"), ())


def drawn(catalog: Catalog, number: int, seed: int = 0) -> set[int]:
    users = drawn_users(catalog, number, seed)
    assert users is not None
    return set(np.flatnonzero(users).tolist())


def test_fewer_users_are_some_of_more() -> None:
    catalog = world(200)
    sets = [drawn(catalog, number) for number in range(1, 201, 7)]
    assert all(small < large for small, large in pairwise(sets))
    assert [len(users) for users in sets] == list(range(1, 201, 7))
    assert drawn_users(catalog, None, 0) is None


def test_the_seed_draws_and_everybody_has_the_same_chance() -> None:
    catalog = world(40)
    assert drawn(catalog, 10, 1) == drawn(catalog, 10, 1) != drawn(catalog, 10, 2)
    counts = np.zeros(40)
    for seed in range(400):
        counts[list(drawn(catalog, 10, seed))] += 1
    assert (np.abs(counts - 100) < 5 * np.sqrt(75)).all()


def test_users_without_history_are_not_drawn() -> None:
    everybody = drawn(world(30), 10)
    without = tuple(sorted(everybody)[:4])
    others = drawn(world(30, without), 10)
    assert not others & set(without)
    assert everybody - set(without) < others
    assert drawn(world(30, without), 1000) == set(range(30)) - set(without)


def run(catalog: Catalog, folder: Path, users: int | None, engine: dict[str, Any]) -> dict[str, Any]:
    source = {"engine": engine, "users": users, "tasks": ["user_profile", "item_attributes"]}
    options = GenerationOptions(sources={"s": source})  # type: ignore[dict-item]
    return run_source(catalog, "s", options.sources["s"], options, folder=folder, seed=4)


def test_only_they_are_asked_about_and_their_records_are_the_same(
    catalog: Catalog, records: Any, tmp_path: Path
) -> None:
    run(catalog, tmp_path / "all", None, {"kind": "heuristic"})
    summary = run(catalog, tmp_path / "some", 5, {"kind": "heuristic"})
    whole = {row["entity"]: row for row in records("all")["user_profile"]}
    some = records("some")["user_profile"]
    assert {row["entity"] for row in some} == drawn(catalog, 5, 4)
    assert all(whole[row["entity"]] == row for row in some)
    assert records("some")["item_attributes"] == records("all")["item_attributes"]
    assert summary["users"] == 5
    counts = summary["tasks"]["user_profile"]
    assert (counts["requests"], counts["ok"], counts["failed"]) == (5, 5, 0)


def test_replayed_sources_draw_the_same_users(dataset: Path, catalog: Catalog, records: Any, tmp_path: Path) -> None:
    run(catalog, tmp_path / "all", None, {"kind": "heuristic"})
    replay = {"kind": "replay", "records": tmp_path / "all", "match": "position"}
    summary = run(catalog, tmp_path / "some", 5, replay)
    assert {row["entity"] for row in records("some")["user_profile"]} == drawn(catalog, 5, 4)
    assert summary["tasks"]["user_profile"]["failed"] == 0


@pytest.mark.parametrize("shards", [1, 5])
def test_more_users_later_ask_only_the_new_ones(catalog: Catalog, records: Any, tmp_path: Path, shards: int) -> None:
    engines = []
    for users in (4, 9):
        source = {"engine": {"kind": "heuristic"}, "users": users, "tasks": ["user_profile"]}
        options = GenerationOptions(sources={"s": source}, shards=shards)  # type: ignore[dict-item]
        engines.append(FakeEngine())
        run_source(
            catalog, "s", options.sources["s"], options, folder=tmp_path / "out",
            seed=4, engine=engines[-1],
        )  # fmt: skip
    assert {request.draft.entity for request in engines[0].asked} == drawn(catalog, 4, 4)
    assert {request.draft.entity for request in engines[1].asked} == drawn(catalog, 9, 4) - drawn(catalog, 4, 4)
    assert len(records()["user_profile"]) == 9


def test_tail_begins_with_the_shortest_histories_and_head_with_the_longest() -> None:
    lengths = np.array([3, 1, 0, 2, 1, 5, 1])
    history = UserItems(np.concatenate([[0], np.cumsum(lengths)]), np.zeros(lengths.sum(), np.int64))
    catalog = Catalog(pa.table({"item": [0], "title": ["A"]}), history, None, domain_named("books"), ())
    for seed in (1, 2):
        tail, head = drawn_users(catalog, 4, seed, "tail"), drawn_users(catalog, 2, seed, "head")
        assert tail is not None
        assert head is not None
        assert np.flatnonzero(tail).tolist() == [1, 3, 4, 6]
        assert np.flatnonzero(head).tolist() == [0, 5]
    few = [
        np.flatnonzero(users).tolist() for s in range(20) if (users := drawn_users(catalog, 1, s, "tail")) is not None
    ]
    assert {user for users in few for user in users} == {1, 4, 6}, "who have equally many are drawn"
