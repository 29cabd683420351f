"""The second method finds what belongs together and nothing in shuffled texts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import scipy.sparse as sp

from augrec.artefacts.files import write_parquet
from augrec.artefacts.run_folder import RunFolder
from augrec.pipeline.exchange.artefacts import id_table, write_released
from benchmarks.texts_and_ids import CLEAR, cosine_in_histories, measure
from recsys.data.dataset import Dataset

USERS, ITEMS, TOPICS = 240, 620, 20


def world() -> tuple[np.ndarray, np.ndarray]:
    """The topic of each item, and int64 [m, 2] of (user, item): everybody prefers one topic."""
    rng = np.random.default_rng(0)
    topics, liked = rng.integers(0, TOPICS, ITEMS), rng.integers(0, TOPICS, (USERS, 1))
    chance = rng.permutation(np.geomspace(0.01, 0.2, ITEMS)) * (1 + 6 * (topics == liked))
    return topics, np.argwhere(rng.random((USERS, ITEMS)) < chance)


def test_neighbours_in_a_history_are_alike_where_texts_belong_and_not_where_they_are_shuffled() -> None:
    topics, pairs = world()
    vectors = sp.csr_array(np.eye(TOPICS)[topics] + 0.02)
    times, errors = cosine_in_histories(vectors, pairs, np.random.default_rng(1))
    assert times > 1.2
    assert errors > 2 * CLEAR
    shuffled = [
        cosine_in_histories(vectors[np.random.default_rng(n).permutation(ITEMS)], pairs, np.random.default_rng(n))
        for n in range(8)
    ]
    assert np.mean([times for times, _ in shuffled]) == pytest.approx(1.0, abs=0.02)


def test_popularity_that_texts_show_is_taken_off() -> None:
    _, pairs = world()
    popularity = np.bincount(pairs[:, 1], minlength=ITEMS)
    levels = np.searchsorted([8, 16], popularity) + 3 * (np.arange(ITEMS) % 2)
    times, _ = cosine_in_histories(sp.csr_array(np.eye(6)[levels] + 0.02), pairs, np.random.default_rng(2))
    assert times == pytest.approx(1.0, abs=0.03)


def test_an_import_is_judged_by_both(tmp_path: Path) -> None:
    topics, pairs = world()
    titles = [f"film topic{topic}" for topic in topics.tolist()]
    empty = np.empty((0, 2), dtype=np.int64)
    items = id_table("item", ITEMS, {"title": pa.array(titles)})
    dataset = Dataset(USERS, ITEMS, pairs, empty, empty, items, id_table("user", USERS, {}))
    run = RunFolder(tmp_path)
    write_released(dataset, run.dataset, {"name": "toy"})
    near, times, errors = measure(tmp_path)
    assert near.target == "aligned"
    assert times.value is not None
    assert times.value > 1.5
    assert errors.ok
    write_parquet(run.items, items.set_column(2, "title", pa.array(np.random.default_rng(3).permutation(titles))))
    near, _, errors = measure(tmp_path)
    assert near.target == "apart"
    assert errors.ok
