from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

from artefacts.errors import AugrecError
from artefacts.files import read_parquet
from recsys.candidates import write_candidates
from recsys.data.dataset import Dataset


@pytest.fixture
def small() -> Dataset:
    """4 users x 5 items; user 2 owns all but item 4, user 3 owns nothing in training."""
    train = np.array([[0, 0], [0, 3], [1, 1], [2, 0], [2, 1], [2, 2], [2, 3]])
    return Dataset.from_arrays(4, 5, train, np.array([[0, 4]]), np.array([[3, 2]]))


TABLE = torch.tensor(
    [[9.0, 1.0, 2.0, 8.0, 3.0], [0.0, 5.0, 4.0, 3.0, 2.0], [9.0, 8.0, 7.0, 6.0, -3.0], [1.0, 2.0, 3.0, 4.0, 5.0]]
)


def test_the_best_unowned_items_in_order_and_fewer_where_fewer_are_left(small: Dataset, tmp_path: Path) -> None:
    path = tmp_path / "candidates.parquet"
    rows = write_candidates(lambda users: TABLE[users], small, 3, path)
    table = read_parquet(path)
    assert [field.type for field in table.schema] == [pa.int32(), pa.int32(), pa.int32(), pa.float32()]
    assert table.column_names == ["user", "rank", "item", "score"]
    expected = [(0, 0, 4, 3.0), (0, 1, 2, 2.0), (0, 2, 1, 1.0), (1, 0, 2, 4.0), (1, 1, 3, 3.0), (1, 2, 4, 2.0),
                (2, 0, 4, -3.0), (3, 0, 4, 5.0), (3, 1, 3, 4.0), (3, 2, 2, 3.0)]  # fmt: skip
    assert list(zip(*(column.to_pylist() for column in table.columns), strict=True)) == expected
    assert rows == len(expected)


def test_the_scorers_own_table_is_left_alone(small: Dataset, tmp_path: Path) -> None:
    table = TABLE.clone()
    write_candidates(lambda users: table[:], small, 3, tmp_path / "c.parquet")
    assert torch.equal(table, TABLE)


def test_ties_depend_on_the_seed_not_on_ids_or_chunks(tastes: Dataset, tmp_path: Path) -> None:
    def constant(users: torch.Tensor) -> torch.Tensor:
        return torch.zeros(len(users), tastes.n_items)

    files = []
    for number, settings in enumerate(({"seed": 1}, {"seed": 1, "chunk": 7}, {"seed": 2})):
        path = tmp_path / f"{number}.parquet"
        assert write_candidates(constant, tastes, 5, path, **settings) == 5 * tastes.n_users
        files.append(read_parquet(path))
    assert files[0].equals(files[1])
    assert not files[0].equals(files[2])
    counts = np.bincount(files[0]["item"].to_numpy(), minlength=tastes.n_items)
    assert counts.max() < tastes.n_users / 2, "a constant scorer must not offer everybody the same items"


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_scores_that_are_no_numbers_name_the_user(small: Dataset, tmp_path: Path, bad: float) -> None:
    table = TABLE.clone()
    table[2, 1] = bad
    with pytest.raises(AugrecError, match="user 2"):
        write_candidates(lambda users: table[users], small, 3, tmp_path / "c.parquet")
    assert not (tmp_path / "c.parquet").exists()


def test_an_item_the_model_rules_out_is_no_candidate(small: Dataset, tmp_path: Path) -> None:
    table = TABLE.clone()
    table[:, 4] = -torch.inf
    write_candidates(lambda users: table[users], small, 3, tmp_path / "c.parquet")
    written = read_parquet(tmp_path / "c.parquet")
    assert 4 not in written["item"].to_pylist()
    assert set(written["user"].to_pylist()) == {0, 1, 3}
