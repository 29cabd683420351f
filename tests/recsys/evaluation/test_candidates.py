from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

from augrec.artefacts.errors import AugrecError
from augrec.artefacts.files import read_parquet
from recsys.data.dataset import Dataset
from recsys.evaluation import candidates
from recsys.evaluation.candidates import write_candidates
from recsys.evaluation.ranking import SMALLEST_CHUNK
from recsys.evaluation.top_items import Top, top_items


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


def test_ties_follow_source_ids_when_contiguous_ones_shift(tmp_path: Path) -> None:
    """One user and one item more in front: the same candidates for everybody, but for the new item."""

    def offered(users: list[str], items: list[str], name: str) -> dict[str, list[str]]:
        empty, path = np.empty((0, 2)), tmp_path / name
        tables = {
            about: pa.table({about: pa.array(range(len(ids)), pa.int32()), "source_id": ids})
            for about, ids in (("user", users), ("item", items))
        }
        dataset = Dataset.from_arrays(
            len(users), len(items), empty, empty, empty, users=tables["user"], items=tables["item"]
        )
        write_candidates(lambda rows: torch.zeros(len(rows), len(items)), dataset, 5, path, seed=3)
        found: dict[str, list[str]] = {}
        for row in read_parquet(path).to_pylist():
            found.setdefault(users[row["user"]], []).append(items[row["item"]])
        return found

    users, items = [f"u{n}" for n in range(20)], [f"i{n}" for n in range(40)]
    before = offered(users, items, "before")
    after = offered(["a", *users], ["b", *items], "after")
    assert len({tuple(found) for found in before.values()}) == 20
    for user, found in before.items():
        assert [item for item in after[user] if item != "b"] == found[: 5 - ("b" in after[user])]


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


def test_a_block_of_scores_is_bounded_whatever_the_catalogue(tmp_path: Path) -> None:
    """Users at a time, for catalogues of 100 and of 500,000 items: no block of scores grows with the catalogue."""
    sizes = {}
    for n_items in (100, 500_000):
        train = np.column_stack([np.arange(300), np.arange(300) % n_items])
        none = np.empty((0, 2), dtype=np.int64)
        dataset = Dataset(300, n_items, train, none, none, pa.table({}), pa.table({}))
        asked: list[int] = []

        def scores(users: torch.Tensor, n_items: int = n_items, asked: list[int] = asked) -> torch.Tensor:
            asked.append(len(users))
            return torch.rand(len(users), n_items, generator=torch.Generator().manual_seed(int(users[0])))

        assert write_candidates(scores, dataset, 5, tmp_path / f"{n_items}.parquet") == 1500
        sizes[n_items] = max(asked)
    assert sizes == {100: 300, 500_000: SMALLEST_CHUNK}


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("item", [0, 2])
def test_a_score_that_is_no_number_is_an_error_also_of_a_training_item(
    small: Dataset, tmp_path: Path, value: float, item: int
) -> None:
    table = TABLE.clone()
    table[1, item], table[2, item] = (table[1, item], value) if item == 0 else (value, 0.0)
    user = 2 if item == 0 else 1  # item 0 is one of user 2's training items, item 2 none of user 1's
    with pytest.raises(AugrecError, match=f"user {user}"):
        write_candidates(lambda users: table[users], small, 3, tmp_path / "c.parquet")


@pytest.mark.parametrize("levels", [1, 3, 40])
@pytest.mark.parametrize(("chunk", "scores"), [(2, 0), (7, 0), (None, 0), (None, 40), (None, 80)])
def test_scores_that_are_one_row_for_all_give_what_the_whole_table_gives(
    levels: int, chunk: int | None, scores: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 40 items with few or many distinct scores, some never shown, users own none to all."""
    if scores:
        monkeypatch.setattr(candidates, "default_chunk", lambda items: max(scores // items, 1))
    rng = np.random.default_rng(levels)
    owned = [rng.permutation(40)[:count] for count in (0, 1, 5, 30, 39, 40, 3, 0, 2, 8, 1)]
    train = np.array([(user, item) for user, items in enumerate(owned) for item in items])
    dataset = Dataset.from_arrays(len(owned), 40, train, np.empty((0, 2)), np.empty((0, 2)))
    row = torch.from_numpy(rng.integers(levels, size=40)).float()
    row[[3, 17]] = -torch.inf
    written = []
    for name, scorer in (("one", lambda u: row.expand(len(u), -1)), ("all", lambda u: row.repeat(len(u), 1))):
        write_candidates(scorer, dataset, 6, tmp_path / name, seed=5, chunk=chunk)
        written.append(read_parquet(tmp_path / name))
    assert written[0].equals(written[1])
    assert not {3, 17} & {*written[0]["item"].to_pylist()}


def test_one_row_of_scores_that_are_no_numbers_is_refused(small: Dataset, tmp_path: Path) -> None:
    row = torch.tensor([1.0, torch.nan, 0.0, 2.0, 1.0])
    with pytest.raises(AugrecError, match="NaN or infinity"):
        write_candidates(lambda users: row.expand(len(users), -1), small, 2, tmp_path / "c.parquet")


def test_what_a_user_costs_with_one_row_of_scores_does_not_grow_with_the_catalogue(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []

    def counting(matrix: torch.Tensor, *given: object) -> Top:
        seen.append(matrix.numel())
        return top_items(matrix, *given)

    monkeypatch.setattr(candidates, "top_items", counting)
    for n_items in (100, 10_000):
        dataset = Dataset.from_arrays(8, n_items, np.array([[0, 99], [0, 98], [3, 97]]), *(np.empty((0, 2)),) * 2)
        write_candidates(
            lambda users, n=n_items: torch.arange(n).float().expand(len(users), -1), dataset, 5, tmp_path / "c"
        )
    assert seen == [8 * 7, 8 * 7]


def test_who_knows_much_is_asked_about_apart_from_who_knows_little(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One row of scores for all; 100 of 400 items are known to user 30, and one to everybody else."""
    seen: list[tuple[int, ...]] = []

    def counting(matrix: torch.Tensor, *given: object) -> Top:
        seen.append(tuple(matrix.shape))
        return top_items(matrix, *given)

    monkeypatch.setattr(candidates, "top_items", counting)
    monkeypatch.setattr(candidates, "default_chunk", lambda items: max(800 // items, 1))
    train = np.array([(user, item) for user in range(50) for item in range(100 if user == 30 else 1)])
    dataset = Dataset.from_arrays(50, 400, train, *(np.empty((0, 2)),) * 2)
    write_candidates(lambda users: torch.arange(400).float().expand(len(users), -1), dataset, 5, tmp_path / "c")
    assert seen == [(2, 6), (7, 105), (41, 6)]
