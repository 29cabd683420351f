"""Picked items from records to places in training sequences, and the controls that keep nothing but their number."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from augrec.artefacts.errors import DataError
from augrec.artefacts.run_folder import RunFolder
from augrec.artefacts.tasks import Insertions as Kind
from augrec.artefacts.tasks import TaskCard, write_card
from augrec.pipeline.config.run_config import Variant
from augrec.pipeline.side.insertions import placed, read_picks
from augrec.pipeline.side.side_information import side_files, side_information
from recsys.augmentation import Insertions
from recsys.data.dataset import Dataset

N_USERS, N_ITEMS = 24, 40


@pytest.fixture
def dataset() -> Dataset:
    """User u has 1 + u % 5 training items: u, u + 1, ..."""
    train = np.array([(user, (user + k) % N_ITEMS) for user in range(N_USERS) for k in range(1 + user % 5)])
    empty = np.empty((0, 2), dtype=np.int64)
    return Dataset.from_arrays(N_USERS, N_ITEMS, train, empty, empty)


def write(run: RunFolder, fields: list[dict[str, Any] | None]) -> Path:
    task = run.source("llm").task("pick")
    write_card(task.card, TaskCard(name="pick", about="user", gives=Kind()))
    table = {
        "entity": pa.array(range(len(fields)), pa.int32()),
        "status": ["failed" if each is None else "ok" for each in fields],
        "fields": [None if each is None else json.dumps(each) for each in fields],
        "shown_candidates": pa.array([[(n + 10 + k) % N_ITEMS for k in range(4)] for n in range(len(fields))]),
    }
    pq.write_table(pa.table(table), task.records)
    run.summary.write_text(json.dumps({"sources": {"llm": {"tasks": {"pick": {}}}}}))
    return task.records


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    """Every user but 3, whose record failed, was asked for one of user + 10 .. user + 13 and named user + 11."""
    run = RunFolder(tmp_path)
    write(run, [None if user == 3 else {"item": (user + 11) % N_ITEMS} for user in range(N_USERS)])
    return run


def insertions(run: RunFolder, dataset: Dataset, seed: int, **change: str) -> Insertions:
    variant = Variant(model="m", source="llm", change={"pick": change["how"]} if change else {})  # type: ignore[dict-item]
    side = side_information(run.root, variant, dataset, seed)
    assert side.insertions is not None
    assert side.drawn
    side.check(N_USERS, N_ITEMS)
    return side.insertions


def test_every_answer_stands_once_before_the_last_item(run: RunFolder, dataset: Dataset) -> None:
    lengths, places = np.diff(dataset.starts("train")), Counter[tuple[int, int]]()
    for seed in range(300):
        found = insertions(run, dataset, seed)
        assert found.user.tolist() == [user for user in range(N_USERS) if user != 3]
        assert found.item.tolist() == [(user + 11) % N_ITEMS for user in found.user]
        assert (found.position < lengths[found.user]).all()
        places.update(zip(found.user.tolist(), found.position.tolist(), strict=True))
    for user in range(4, 9):
        counts = [places[user, place] for place in range(lengths[user])]
        expected = 300 / lengths[user]
        assert max(abs(count - expected) for count in counts) <= 4 * np.sqrt(expected)


def test_places_are_the_same_whatever_stands_there(run: RunFolder, dataset: Dataset) -> None:
    own, random = (insertions(run, dataset, 5, how=how) for how in ("as-is", "random"))
    np.testing.assert_array_equal(own.position, random.position)
    assert (own.position != insertions(run, dataset, 6).position).any()


@pytest.mark.parametrize("how", ["random", "random-candidates", "shuffled"])
def test_controls_keep_number_and_users_and_lose_the_choice(run: RunFolder, dataset: Dataset, how: str) -> None:
    train = set(map(tuple, dataset.train.tolist()))
    own, items = insertions(run, dataset, 1), Counter[int]()
    for seed in range(60):
        found = insertions(run, dataset, seed, how=how)
        assert len(found) == len(own) or (how == "shuffled" and 15 < len(found) < len(own))  # not what somebody has
        assert not train & set(zip(found.user.tolist(), found.item.tolist(), strict=True))
        offsets = (found.item - found.user) % N_ITEMS
        if how == "random-candidates":
            assert set(offsets.tolist()) <= {10, 11, 12, 13}
        if how == "shuffled":
            assert not Counter(found.item.tolist()) - Counter(own.item.tolist())
            assert (offsets != 11).all()
        items.update(offsets.tolist())
    assert items[11] < 0.5 * items.total()


def test_nothing_is_inserted_where_that_is_asked_for(run: RunFolder, dataset: Dataset) -> None:
    variant = Variant(model="m", source="llm", change={"pick": "none"})
    assert side_information(run.root, variant, dataset, 1).insertions is None
    assert side_files(run.root, variant) == []


def test_records_count_for_what_a_training_is_made_of(run: RunFolder) -> None:
    task = run.source("llm").task("pick")
    assert side_files(run.root, Variant(model="m", source="llm")) == [task.card, task.records]


def test_a_record_that_names_no_item_is_refused(run: RunFolder) -> None:
    records = write(run, [{"item": 4}, {"item": "four"}])
    with pytest.raises(DataError, match=r"is no id: four(.|\n)*row 1"):
        read_picks(records)


def test_who_has_no_sequence_gets_nothing(run: RunFolder) -> None:
    empty = np.empty((0, 2), dtype=np.int64)
    few = Dataset.from_arrays(N_USERS, N_ITEMS, np.array([(0, 1), (2, 1)]), empty, empty)
    picks = read_picks(run.source("llm").task("pick").records)
    assert placed(picks.edges, few, np.random.default_rng(0)).user.tolist() == [0, 2]
