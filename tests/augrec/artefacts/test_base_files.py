"""What the stage `base` writes comes back as it was, and a file that is wrong is named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from augrec.artefacts.errors import DataError
from augrec.artefacts.held_out import HeldOut, read_held_out, write_held_out
from augrec.artefacts.interactions import UserItems
from augrec.artefacts.matrices import read_matrix
from augrec.artefacts.neighbours import Neighbours, read_neighbours, write_neighbours
from augrec.artefacts.ranked_lists import read_scored_lists, write_ranked_lists

N_USERS, N_ITEMS = 4, 9


def column_of(path: Path, name: str, values: list[object]) -> None:
    """Writes a file again with other values in a column."""
    table = pq.read_table(path)
    place = table.schema.get_field_index(name)
    pq.write_table(table.set_column(place, name, pa.array(values, table.schema.field(name).type)), path)


@pytest.fixture
def neighbours(tmp_path: Path) -> Path:
    starts, users = np.array([0, 2, 3, 3, 5]), np.array([3, 1, 0, 0, 2])
    similarity = np.array([0.9, 0.5, 0.25, 1.0, -0.5], dtype=np.float32)
    others = Neighbours(np.array([0, 0, 1, 1, 1]), np.array([2]), np.ones(1, dtype=np.float32))
    write_neighbours(tmp_path / "neighbours.parquet", {-1: Neighbours(starts, users, similarity), 4: others})
    return tmp_path / "neighbours.parquet"


def test_neighbours_come_back_nearest_first(neighbours: Path) -> None:
    table = pq.read_table(neighbours)
    pq.write_table(table.take([4, 0, 5, 3, 1, 2]), neighbours)
    found = read_neighbours(neighbours, N_USERS, remedy="again")
    assert [found.of(user).tolist() for user in range(N_USERS)] == [[3, 1], [0], [], [0, 2]]
    assert found.similarity.tolist() == [np.float32(value) for value in (0.9, 0.5, 0.25, 1.0, -0.5)]
    of_fold = read_neighbours(neighbours, N_USERS, 4, remedy="again")
    assert [of_fold.of(user).tolist() for user in range(N_USERS)] == [[], [2], [], []]
    assert read_neighbours(neighbours, N_USERS, 3, remedy="again").users.tolist() == []


@pytest.mark.parametrize(
    ("column", "values", "complaint"),
    [
        ("neighbour", [3, 1, 0, 4, 2, 2], r"neighbour id outside 0\.\.3: 4(.|\n)*row 3"),
        ("user", [0, -1, 1, 3, 3, 1], r"user id outside 0\.\.3: -1(.|\n)*row 1"),
        ("neighbour", [3, 1, 1, 0, 2, 2], r"of their own(.|\n)*row 2"),
        ("neighbour", [3, 3, 0, 0, 2, 2], r"twice(.|\n)*row 1"),
    ],
)
def test_wrong_neighbours_are_named(neighbours: Path, column: str, values: list[object], complaint: str) -> None:
    column_of(neighbours, column, values)
    with pytest.raises(DataError, match=complaint):
        read_neighbours(neighbours, N_USERS, remedy="again")


def rows() -> HeldOut:
    return HeldOut(
        user=np.array([2, 0, 0, 2, 2]),
        item=np.array([8, 1, 4, 3, 0]),
        fold=np.array([1, 0, 0, 0, 1]),
        drawn=np.array([True, True, False, False, False]),
        rating=np.array([np.nan, np.nan, 4.5, 3.0, np.nan], dtype=np.float32),
        score=np.array([0.5, -1.0, 2.0, 3.0, 7.0], dtype=np.float32),
    )


@pytest.fixture
def held_out(tmp_path: Path) -> Path:
    write_held_out(tmp_path / "held_out.parquet", rows())
    return tmp_path / "held_out.parquet"


def test_held_out_rows_come_back_by_user_and_fold(held_out: Path) -> None:
    assert pq.read_table(held_out)["rating"].null_count == 3
    found = read_held_out(held_out, N_USERS, N_ITEMS, remedy="again")
    assert found.item.tolist() == [4, 1, 3, 0, 8]
    assert found.drawn.tolist() == [False, True, False, False, True]
    np.testing.assert_array_equal(found.rating, [4.5, np.nan, 3.0, np.nan, np.nan])
    assert found.of(1).item.tolist() == []
    own = found.of(2)
    assert own.rows(own.fold == 1).score.tolist() == [7.0, 0.5]
    again = HeldOut.joined([found.of(2), found.of(0)])
    assert again.score.tolist() == found.score.tolist()


@pytest.mark.parametrize(
    ("column", "values", "complaint"),
    [
        ("item", [8, 1, 9, 3, 0], r"item id outside 0\.\.8: 9(.|\n)*row 2"),
        ("score", [0.5, None, 2.0, 3.0, 7.0], r"no number(.|\n)*row 1"),
        ("item", [0, 1, 4, 3, 0], r"twice(.|\n)*row 4"),
    ],
)
def test_wrong_held_out_rows_are_named(held_out: Path, column: str, values: list[object], complaint: str) -> None:
    column_of(held_out, column, values)
    with pytest.raises(DataError, match=complaint):
        read_held_out(held_out, N_USERS, N_ITEMS, remedy="again")


def test_a_column_that_is_missing_is_named(held_out: Path) -> None:
    pq.write_table(pq.read_table(held_out).drop_columns(["fold", "drawn"]), held_out)
    with pytest.raises(DataError, match=r"columns are missing: fold, drawn"):
        read_held_out(held_out, N_USERS, N_ITEMS, remedy="again")


def test_lists_come_back_with_their_scores(tmp_path: Path) -> None:
    lists = UserItems.build(np.array([0, 0, 2]), np.array([5, 1, 7]), N_USERS)
    write_ranked_lists(tmp_path / "lists.parquet", lists, np.array([2.0, 1.5, -3.0]))
    found, scores = read_scored_lists(tmp_path / "lists.parquet", N_USERS, N_ITEMS, remedy="again")
    assert (found.items.tolist(), found.starts.tolist(), scores.tolist()) == ([5, 1, 7], [0, 2, 2, 3, 3], [2, 1.5, -3])
    write_ranked_lists(tmp_path / "lists.parquet", lists)
    assert np.isnan(read_scored_lists(tmp_path / "lists.parquet", N_USERS, N_ITEMS, remedy="again")[1]).all()


def test_a_matrix_of_other_size_is_named(tmp_path: Path) -> None:
    np.save(tmp_path / "users.npy", np.zeros((3, 2), dtype=np.float32))
    assert read_matrix(tmp_path / "users.npy", rows=3, remedy="again").shape == (3, 2)
    with pytest.raises(DataError, match=r"\[3, 2\], expected 4 rows"):
        read_matrix(tmp_path / "users.npy", rows=4, remedy="again")
    with pytest.raises(DataError, match="cannot be read"):
        read_matrix(tmp_path / "items.npy", rows=4, remedy="again")
