"""Within a shard the longest histories come first, a user's tasks stay together, and nothing depends on who asks."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from augment.catalog import Catalog
from augment.hashes import shard_of
from augment.prompts.domains import domain_named
from augment.requests import Questions
from augrec.artefacts.interactions import UserItems

TASKS: Any = [SimpleNamespace(name=name, about="user") for name in ("edges", "user_profile")]


def world(lengths: Sequence[int]) -> Catalog:
    history = UserItems(np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64), np.zeros(sum(lengths), np.int64))
    return Catalog(pa.table({"item": [0], "title": ["A"]}), history, None, domain_named("books"), ())


def asked(catalog: Catalog, total: int, selected: Sequence[int], longest: int | None) -> list[tuple[str, int]]:
    def ask(tasks: Sequence[Any], number: int) -> Any:
        return [(task.name, number) for task in tasks]

    questions = Questions(catalog, TASKS, ask, total, selected, longest=longest)
    return [question for block in questions.blocks(4) for question in block]  # type: ignore[misc]


@given(st.lists(st.integers(0, 9), min_size=1, max_size=40), st.integers(1, 3), st.one_of(st.none(), st.integers(1, 9)))
def test_longest_first_within_each_shard(lengths: list[int], total: int, longest: int | None) -> None:
    catalog = world(lengths)
    found = asked(catalog, total, range(total), longest)
    users = [number for name, number in found if name == "edges"]
    assert sorted(users) == list(range(len(lengths)))
    assert found == [(task.name, user) for user in users for task in TASKS]
    shards = [shard_of("user", str(user), total) for user in users]
    assert shards == sorted(shards)
    keys = [(shard, -min(lengths[user], longest or 99), user) for shard, user in zip(shards, users, strict=True)]
    assert keys == sorted(keys)


@pytest.mark.parametrize("total", [2, 3])
def test_a_shard_is_asked_alike_whoever_runs_it(total: int) -> None:
    catalog = world([3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8])
    alone = [question for shard in range(total) for question in asked(catalog, total, [shard], 5)]
    assert alone == asked(catalog, total, range(total), 5)
