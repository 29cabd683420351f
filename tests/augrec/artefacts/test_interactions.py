"""Interactions, histories and ranked lists, against loops over the rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from augrec.artefacts import files
from augrec.artefacts.errors import DataError
from augrec.artefacts.interactions import (
    SPLITS,
    UserItems,
    by_time,
    read_detail,
    read_histories,
    read_in_order,
    read_interactions,
)
from augrec.artefacts.ranked_lists import read_ranked_lists, read_scored_lists, write_ranked_lists
from augrec.artefacts.side_tables import count_rows, read_side_table, read_source_ids, titles_of

N_USERS, N_ITEMS = 5, 7
ROWS = st.lists(
    st.tuples(st.integers(0, N_USERS - 1), st.integers(0, N_ITEMS - 1), st.sampled_from(SPLITS), st.integers(0, 3)),
    unique_by=lambda row: row[:2],
    max_size=20,
)
Row = tuple[int, int, str, int]


def written(path: Path, rows: list[Row], *, times: bool = True) -> Path:
    users, items, splits, clock = ([row[place] for row in rows] for place in range(4))
    columns = {"user": pa.array(users, pa.int32()), "item": pa.array(items, pa.int32())}
    columns |= {"timestamp": pa.array(clock, pa.int64())} if times else {}
    pq.write_table(pa.table(columns | {"split": pa.array(splits, pa.string())}), path)
    return path


@settings(deadline=None, max_examples=60)
@given(rows=ROWS, times=st.booleans())
def test_splits_and_histories_are_those_of_a_loop(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Row], times: bool
) -> None:
    path = written(tmp_path_factory.mktemp("i") / "interactions.parquet", rows, times=times)
    read = read_interactions(path, N_USERS, N_ITEMS, times=True)
    alone = read_interactions(path, N_USERS, N_ITEMS, splits=("train",), times=True)
    assert (read.clock is None) == (not times)
    for split in SPLITS:
        expected = sorted((user, item) for user, item, name, _ in rows if name == split)
        assert [tuple(pair) for pair in read.of(split).tolist()] == expected
        histories = read.histories(split, N_USERS)
        for user in range(N_USERS):
            mine = [(clock if times else 0, item) for u, item, name, clock in rows if (u, name) == (user, split)]
            assert histories.of(user).tolist() == [item for _, item in sorted(mine)]
        assert histories.lengths.tolist() == [len(histories.of(user)) for user in range(N_USERS)]
        assert histories.users.tolist() == [user for user in range(N_USERS) for _ in histories.of(user)]
    np.testing.assert_array_equal(alone.of("train"), read.of("train"))
    assert alone.histories("train", N_USERS).items.tolist() == read.histories("train", N_USERS).items.tolist()
    assert set(alone.codes.tolist()) <= {0}


@settings(deadline=None, max_examples=80)
@given(rows=ROWS, times=st.booleans(), together=st.integers(1, 9), ordered=st.booleans())
def test_histories_are_the_same_from_rows_in_order_and_in_any_other(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Row], times: bool, together: int, ordered: bool
) -> None:
    if ordered:
        rows = sorted(rows, key=lambda row: (row[0], SPLITS.index(row[2]), row[3] if times else 0, row[1]))
    path = written(tmp_path_factory.mktemp("i") / "interactions.parquet", rows, times=times)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "ROWS_AT_ONCE", together)
        for split in SPLITS:
            expected = read_interactions(path, N_USERS, N_ITEMS, times=True).histories(split, N_USERS)
            found = read_histories(path, split, N_USERS, N_ITEMS)
            assert (found.starts.tolist(), found.items.tolist()) == (expected.starts.tolist(), expected.items.tolist())
            by = ["timestamp"] if times else []
            at_once = read_in_order(path, by, N_USERS, N_ITEMS, rows=("split", (split,)))
            assert at_once is not None or not ordered or not len(expected.items)
            assert at_once is None or at_once.items.tolist() == expected.items.tolist()


def test_times_count_only_where_every_interaction_has_one(tmp_path: Path) -> None:
    path = tmp_path / "interactions.parquet"
    table = pa.table(
        {"user": [0, 0, 0], "item": [3, 1, 2], "timestamp": pa.array([1, None, 3]), "split": ["train", "train", "test"]}
    )
    pq.write_table(table, path)
    read = read_interactions(path, 1, 4, times=True)
    assert read.clock is None
    assert read.histories("train", 1).of(0).tolist() == [1, 3]
    assert read_histories(path, "train", 1, 4).of(0).tolist() == [1, 3]


def test_places_go_before_times_where_every_interaction_has_one(tmp_path: Path) -> None:
    path = tmp_path / "interactions.parquet"
    columns = {"user": [0, 0, 0], "item": [3, 1, 2], "timestamp": [5, 6, 7], "split": ["train"] * 3}
    for places, history in (([1, 2, 0], [2, 3, 1]), ([1, None, 0], [3, 1, 2])):
        pq.write_table(pa.table(columns | {"place": pa.array(places, pa.int32())}), path)
        assert read_interactions(path, 1, 4, times=True).histories("train", 1).of(0).tolist() == history
        assert read_histories(path, "train", 1, 4).of(0).tolist() == history
        assert read_interactions(path, 1, 4).histories("train", 1).of(0).tolist() == [1, 2, 3]


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        ([(0, 1, "train", 0), (0, 1, "test", 0)], r"the same user and item occur twice.*\.parquet, row 1"),
        ([(0, 1, "train", 0), (5, 1, "train", 0)], r"user id outside 0\.\.4.*row 1"),
        ([(0, 7, "train", 0)], r"item id outside 0\.\.6.*row 0"),
        ([(-1, 0, "train", 0)], r"user id outside"),
        ([(0, 0, "train", 0), (0, 1, "dev", 0)], r"split is none of train, valid, test.*row 1"),
    ],
)
def test_what_does_not_fit_names_its_row(tmp_path: Path, rows: list[Row], problem: str) -> None:
    path = written(tmp_path / "interactions.parquet", rows)
    with pytest.raises(DataError, match=f"(?s){problem}") as error:
        read_interactions(path, N_USERS, N_ITEMS)
    assert "augrec prepare" in (error.value.remedy or "")


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        ([(0, 1, "train", 0), (0, 1, "train", 3)], r"the same user and item occur twice.*\.parquet, row 1"),
        ([(0, 1, "train", 0), (5, 1, "train", 0)], r"user id outside 0\.\.4.*row 1"),
        ([(0, 7, "train", 0)], r"item id outside 0\.\.6.*row 0"),
        ([(-1, 0, "train", 0)], r"user id outside"),
    ],
)
def test_histories_of_what_does_not_fit_name_its_row(tmp_path: Path, rows: list[Row], problem: str) -> None:
    path = written(tmp_path / "interactions.parquet", rows)
    with pytest.raises(DataError, match=f"(?s){problem}") as error:
        read_histories(path, "train", N_USERS, N_ITEMS)
    assert "augrec prepare" in (error.value.remedy or "")
    pq.write_table(pq.read_table(path).drop_columns(["split"]), path)
    with pytest.raises(DataError, match="columns are missing: split"):
        read_histories(path, "train", N_USERS, N_ITEMS)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(DataError, match="not readable Parquet"):
        read_histories(path, "train", N_USERS, N_ITEMS)


PAIRS = st.lists(st.tuples(st.integers(0, N_USERS - 1), st.integers(0, N_ITEMS - 1)), unique=True, max_size=15)


@settings(deadline=None, max_examples=80)
@given(pairs=st.lists(PAIRS, min_size=1, max_size=3), again=st.booleans(), n_items=st.sampled_from([N_ITEMS, 2**30]))
def test_a_pair_is_found_twice_in_one_or_in_several(pairs: list[list[Row]], again: bool, n_items: int) -> None:
    if again:
        pairs = [pairs[0] + pairs[0][:1], *pairs[1:]]
    columns = [np.array(sorted(part), dtype=np.int64).reshape(-1, 2).T for part in pairs]
    first, *others = (UserItems.build(users, items + (n_items - N_ITEMS), N_USERS) for users, items in columns)
    together = [pair for part in pairs for pair in part]
    assert first.any_twice(n_items, *others) == (len(set(together)) < len(together))


@pytest.mark.parametrize("column", ["user", "item", "split"])
def test_a_column_or_a_value_that_is_missing_is_an_error(tmp_path: Path, column: str) -> None:
    path = written(tmp_path / "interactions.parquet", [(0, 1, "train", 0), (0, 2, "train", 0)])
    table = pq.read_table(path)
    pq.write_table(table.drop_columns([column]), path)
    with pytest.raises(DataError, match=f"columns are missing: {column}"):
        read_interactions(path, N_USERS, N_ITEMS)
    holes = pa.array([None, table[column][1].as_py()], table[column].type)
    pq.write_table(table.set_column(table.column_names.index(column), column, holes), path)
    with pytest.raises(DataError, match=r"(?s)row 0"):
        read_interactions(path, N_USERS, N_ITEMS)


def test_every_pair_of_more_users_than_items_is_another_one(tmp_path: Path) -> None:
    rows = [(user, item, "train", 0) for user in range(7) for item in range(2)]
    path = written(tmp_path / "interactions.parquet", rows)
    assert len(read_interactions(path, 7, 2).pairs) == 14
    write_ranked_lists(tmp_path / "lists.parquet", UserItems(np.arange(0, 15, 2), np.tile([0, 1], 7)))
    lists = read_ranked_lists(tmp_path / "lists.parquet", 7, 2, remedy="again")
    assert [lists.of(user).tolist() for user in range(7)] == [[0, 1]] * 7


def test_details_are_aligned_with_the_pairs_of_their_split(tmp_path: Path) -> None:
    rows = [(1, 2, "train", 5), (0, 3, "train", 9), (0, 1, "test", 4), (0, 0, "train", 7)]
    path = written(tmp_path / "interactions.parquet", rows)
    pairs = read_interactions(path, N_USERS, N_ITEMS).of("train")
    found = read_detail(path, "timestamp", "train", pairs)
    assert found is not None
    assert found.to_pylist() == [7, 9, 5]
    assert read_detail(path, "rating", "train", pairs) is None
    written(path, rows[:2])
    with pytest.raises(DataError, match="have changed since they were read"):
        read_detail(path, "timestamp", "train", pairs)


LISTS = st.lists(st.lists(st.integers(0, N_ITEMS - 1), unique=True, max_size=4), min_size=1, max_size=5)


@settings(deadline=None, max_examples=30)
@given(lists=LISTS, scored=st.booleans())
def test_ranked_lists_are_read_as_they_were_written(
    tmp_path_factory: pytest.TempPathFactory, lists: list[list[int]], scored: bool
) -> None:
    path = tmp_path_factory.mktemp("l") / "candidates.parquet"
    starts = np.cumsum([0, *map(len, lists)])
    items = np.array([item for items_of in lists for item in items_of], dtype=np.int64)
    write_ranked_lists(path, UserItems(starts, items), np.linspace(1, 0, len(items)) if scored else None)
    table = pq.read_table(path)
    assert table.schema.names == ["user", "rank", "item", "score"]
    assert [str(kind) for kind in table.schema.types] == ["int32", "int32", "int32", "float"]
    assert table["rank"].to_pylist() == [rank for own in lists for rank in range(len(own))]
    assert table["score"].null_count == (0 if scored else len(items))
    order = np.random.default_rng(len(items)).permutation(len(items))
    pq.write_table(table.take(pa.array(order)), path)  # whatever the order of the rows
    read = read_ranked_lists(path, len(lists), N_ITEMS, remedy="again")
    assert [read.of(user).tolist() for user in range(len(lists))] == lists


@pytest.mark.parametrize("scores", [[0.5, 0.25, 0.125], None])
def test_scores_stand_beside_their_items(tmp_path: Path, scores: list[float] | None) -> None:
    path = tmp_path / "candidates.parquet"
    lists = UserItems(np.array([0, 2, 2, 3]), np.array([4, 1, 4]))
    write_ranked_lists(path, lists, None if scores is None else np.array(scores))
    pq.write_table(pq.read_table(path)[::-1], path)
    read, found = read_scored_lists(path, 3, N_ITEMS, remedy="again")
    assert [read.of(user).tolist() for user in range(3)] == [[4, 1], [], [4]]
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, [np.nan] * 3 if scores is None else scores)


@pytest.mark.parametrize(
    ("columns", "problem"),
    [
        ({"user": [0, 0], "rank": [0, 1], "item": [3, 3]}, "listed twice for the same user"),
        ({"user": [0, 2], "rank": [0, 0], "item": [3, 3]}, r"user id outside 0\.\.1"),
        ({"user": [0, 1], "rank": [0, 0], "item": [3, 9]}, r"item id outside 0\.\.6"),
        ({"user": [0], "item": [3]}, "columns are missing: rank"),
    ],
)
def test_lists_that_do_not_fit_are_errors(tmp_path: Path, columns: dict[str, list[int]], problem: str) -> None:
    path = tmp_path / "candidates.parquet"
    pq.write_table(pa.table(columns), path)
    with pytest.raises(DataError, match=problem) as error:
        read_ranked_lists(path, 2, N_ITEMS, remedy="run candidates")
    assert error.value.remedy == "run candidates"


def test_a_side_table_has_its_ids_in_order(tmp_path: Path) -> None:
    path = tmp_path / "items.parquet"
    pq.write_table(pa.table({"item": [0, 1, 2], "title": ["a", "b", "c"], "year": [1, 2, 3]}), path)
    assert read_side_table(path, "item").column_names == ["item", "title", "year"]
    assert read_side_table(path, "item", columns=["year", "absent"]).column_names == ["item", "year"]
    assert count_rows(path) == 3
    with pytest.raises(DataError, match="the column 'user' is missing"):
        read_side_table(path, "user")
    for ids in ([0, 2, 1], [1, 2, 3], [0, None, 2]):
        pq.write_table(pa.table({"item": pa.array(ids, pa.int32())}), path)
        with pytest.raises(DataError, match="item ids are not contiguous from 0"):
            read_side_table(path, "item")
    for look in (count_rows, lambda missing: read_side_table(missing, "item")):
        with pytest.raises(DataError, match="does not exist"):
            look(tmp_path / "absent.parquet")


def test_source_ids_stand_in_the_order_of_contiguous_ones(tmp_path: Path) -> None:
    path = tmp_path / "users.parquet"
    pq.write_table(pa.table({"user": [0, 1], "source_id": [7, 3]}), path)
    assert read_source_ids(path, "user") == ["7", "3"]
    pq.write_table(pa.table({"user": [0, 1]}), path)
    with pytest.raises(DataError, match="the users have no column 'source_id'") as error:
        read_source_ids(path, "user", remedy="name another folder")
    assert error.value.remedy == "name another folder"


def test_an_item_is_called_by_its_title_and_year_or_by_its_source_id() -> None:
    columns = {"source_id": ["a", "b", "c", "7"], "title": ["Alien", "Heat (1995)", None, "Up"]}
    years = {"year": pa.array([1979, 1995, None, None])}
    assert titles_of(pa.table(columns | years)) == ["Alien (1979)", "Heat (1995)", "item c", "Up"]
    assert titles_of(pa.table(columns)) == ["Alien", "Heat (1995)", "item c", "Up"]
    assert titles_of(pa.table({"source_id": ["a", "7"], "year": [1979, None]})) == ["a (1979)", "7"]


@pytest.mark.parametrize("clocks", ["none", "few", "all alike", "seconds", "the ends of int64", "before 1970"])
@pytest.mark.parametrize("ordered", [True, False])
def test_by_time_is_the_order_of_user_then_clock_then_item(clocks: str, ordered: bool) -> None:
    rng = np.random.default_rng(4)
    pairs = np.unique(rng.integers(0, (40, 300), (2000, 2)), axis=0)
    pairs = pairs if ordered else rng.permutation(pairs)
    ends = np.iinfo(np.int64)
    clock = {
        "none": None,
        "few": rng.integers(0, 3, len(pairs)),
        "all alike": np.full(len(pairs), 7),
        "seconds": rng.integers(1_500_000_000, 1_600_000_000, len(pairs)),
        "the ends of int64": rng.choice([ends.min, -1, 0, ends.max - 1, ends.max], len(pairs)),
        "before 1970": -rng.integers(0, 2**40, len(pairs)),
    }[clocks]
    keys = (pairs[:, 1], pairs[:, 0]) if clock is None else (pairs[:, 1], clock, pairs[:, 0])
    np.testing.assert_array_equal(by_time(pairs, clock), np.lexsort(keys))


def test_no_interactions_have_an_order_by_time() -> None:
    assert by_time(np.empty((0, 2), dtype=np.int64), np.empty(0, dtype=np.int64)).tolist() == []
