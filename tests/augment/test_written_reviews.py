"""Reviews of the training split, against a dictionary."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from augment.reviews import Reviews
from augrec.artefacts.files import write_parquet

N_USERS, N_ITEMS = 7, 5


@pytest.mark.parametrize("written", [0, 1, 20])
def test_what_training_holds_is_found_and_nothing_else(tmp_path: Path, written: int) -> None:
    """Of 30 pairs in any order, the first ones have a text, or one of blanks; a third is of each split."""
    keys = np.random.default_rng(written).permutation(N_USERS * N_ITEMS)[:30].tolist()
    rows = [
        {
            "user": key // N_ITEMS,
            "item": key % N_ITEMS,
            "split": ("train", "valid", "test")[place % 3],
            "review": None if place >= written else " \n" if place == 3 else f" of {key}",
        }
        for place, key in enumerate(keys)
    ]
    path = tmp_path / "interactions.parquet"
    kinds = {"user": pa.int32(), "item": pa.int32(), "split": pa.string(), "review": pa.large_string()}
    write_parquet(path, pa.Table.from_pylist(rows, pa.schema(kinds)))
    reviews = Reviews(path, N_USERS, N_ITEMS)
    said = {(row["user"], row["item"]): row["review"] for row in rows if row["split"] == "train"}
    said = {pair: text for pair, text in said.items() if (text or "").strip()}
    assert len(said) == {0: 0, 1: 1, 20: 6}[written]
    assert reviews.exist == bool(said)
    for item in range(N_ITEMS):
        assert reviews.authors(item) == [user for user in range(N_USERS) if (user, item) in said]
        for user in range(N_USERS):
            assert reviews.text(user, item) == said.get((user, item))


def test_data_without_reviews_have_none(tmp_path: Path) -> None:
    path = tmp_path / "interactions.parquet"
    write_parquet(path, pa.table({"user": [0], "item": [0], "split": ["train"]}))
    for reviews in (Reviews(None, 2, 2), Reviews(path, 2, 2)):
        assert not reviews.exist
        assert (reviews.authors(1), reviews.text(0, 0), reviews.text(1, 1)) == ([], None, None)
