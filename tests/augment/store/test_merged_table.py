"""The merged table: every present record once, in the order of entities, whatever the order and however many."""

from __future__ import annotations

import errno
import gc
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from augment.messages import Record
from augment.store import table
from augment.store.table import merge
from augrec.artefacts.errors import AugrecError, DataError
from augrec.artefacts.files import read_parquet
from augrec.artefacts.records import RECORD_SCHEMA


@pytest.fixture
def small_ranges(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "ENTITIES_PER_GROUP", 8)
    monkeypatch.setattr(table, "ROWS_PER_BATCH", 7)


def record(entity: int) -> Record:
    text = f"what {entity} likes"
    return Record(f"key{entity}", "edges", entity, "ok", None, "{}", text, "stop", 4, 2, 3, 1, ("a",), (1, 2), (3,))


def told(path: Path) -> list[Record]:
    rows = read_parquet(path).to_pylist()
    return [Record(**{key: tuple(v) if isinstance(v, list) else v for key, v in row.items()}) for row in rows]


def test_it_is_the_sorted_records_and_nothing_else_lies_about(small_ranges: None, tmp_path: Path) -> None:
    entities = np.random.default_rng(0).permutation(np.r_[0:20, 50:53]).tolist()  # ranges 3 to 5 are empty
    records = [record(entity) for entity in entities]
    stale = {"key3", "key51"}
    present = {one.key for one in records} - stale
    tally = merge([None, *records], present, tmp_path / "edges" / "records.parquet")
    assert told(tmp_path / "edges" / "records.parquet") == [
        one for one in sorted(records, key=lambda one: one.entity) if one.key not in stale
    ]
    assert (tally.requests, tally.ok, tally.stale, tally.prompt_tokens) == (21, 21, 3, 84)
    assert [path.name for path in (tmp_path / "edges").iterdir()] == ["records.parquet"]


def test_questions_of_an_entity_are_in_order_of_their_names(small_ranges: None, tmp_path: Path) -> None:
    records = [replace(record(entity), question=name, key=f"key{name}{entity}") for name in "cab" for entity in (9, 3)]
    merge(records, {one.key for one in records}, tmp_path / "records.parquet")
    found = [(one.entity, one.question) for one in told(tmp_path / "records.parquet")]
    assert found == [(entity, name) for entity in (3, 9) for name in "abc"]


def test_no_records_make_an_empty_table(tmp_path: Path) -> None:
    assert merge([], set(), tmp_path / "records.parquet").requests == 0
    assert read_parquet(tmp_path / "records.parquet").schema.equals(RECORD_SCHEMA)


def test_only_a_batch_of_records_and_a_range_of_rows_are_held(small_ranges: None, tmp_path: Path) -> None:
    def held() -> int:
        return sum(type(one) is Record for one in gc.get_objects())

    n, most, of_others = 400, 0, held()  # what other tests of this process keep is none of this one's

    def records() -> Iterator[Record]:
        nonlocal most
        for count, entity in enumerate(np.random.default_rng(1).permutation(n).tolist()):
            yield record(entity)
            if count % 67 == 66:  # batches of 7 are full at different places
                most = max(most, held() - of_others)

    merge(records(), {f"key{entity}" for entity in range(n)}, tmp_path / "records.parquet")
    assert most <= 2 * table.ROWS_PER_BATCH
    groups = pq.ParquetFile(tmp_path / "records.parquet").metadata
    assert [groups.row_group(n).num_rows for n in range(groups.num_row_groups)] == [8] * 50


def test_a_full_disk_is_said_and_leaves_the_old_table(
    small_ranges: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "records.parquet"
    merge([record(1)], {"key1"}, path)

    add = table.RangesOnDisk.add

    def full(ranges: table.RangesOnDisk, batch: pa.RecordBatch) -> None:
        add(ranges, batch)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(table.RangesOnDisk, "add", full)
    with pytest.raises(AugrecError, match="the disk is full"):
        merge([record(2)], {"key2"}, path)
    assert [row.entity for row in told(path)] == [1]
    assert [left.name for left in tmp_path.iterdir()] == ["records.parquet"]


@pytest.mark.parametrize("order", [lambda n: reversed(range(n)), lambda n: [*range(n // 2, n), *range(n // 2)]])
def test_ranges_that_come_in_another_order_are_sorted(small_ranges: None, tmp_path: Path, order: Any) -> None:
    entities = list(order(40))
    merge(
        [record(entity) for entity in entities], {f"key{entity}" for entity in entities}, tmp_path / "records.parquet"
    )
    assert [row.entity for row in told(tmp_path / "records.parquet")] == list(range(40))


def test_another_letter_in_a_page_of_the_table_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "records.parquet"
    merge([record(entity) for entity in range(3)], {"key0", "key1", "key2"}, path)
    content = bytearray(path.read_bytes())
    content[content.index(b"what 0 likes")] = ord("W")  # the page comes first, what is said about it after
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"not readable Parquet(.|\n)*records.parquet"):
        read_parquet(path)


def test_a_merge_that_fails_leaves_no_rows_about(
    small_ranges: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def records() -> Iterator[Record]:
        yield from (record(entity) for entity in range(30))
        raise DataError("they cannot be read any more")

    with pytest.raises(DataError, match="any more") as error:
        merge(records(), {f"key{entity}" for entity in range(30)}, tmp_path / "records.parquet")
    assert list(tmp_path.iterdir()) == []
    still_open = []
    for link in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # the one that lists them
            still_open.append(str(link.readlink()))
    assert not [name for name in still_open if name.startswith(str(tmp_path))], f"kept open after {error.value}"


def test_rows_that_are_gone_already_do_not_keep_the_others_from_being_cleared(
    small_ranges: None, tmp_path: Path
) -> None:
    def records() -> Iterator[Record]:
        yield from (record(entity) for entity in range(30))
        min(tmp_path.iterdir()).unlink()
        raise DataError("they cannot be read any more")

    with pytest.raises(DataError, match="any more"):
        merge(records(), {f"key{entity}" for entity in range(30)}, tmp_path / "records.parquet")
    assert list(tmp_path.iterdir()) == []
