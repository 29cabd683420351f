"""The merged table of a task's records: `records.parquet`, sorted by entity and question."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence
from contextlib import ExitStack
from itertools import islice, pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from augment.accounting.summary import TaskCounts
from augment.messages import Record
from augrec.artefacts.files import atomic_path, said_when_full, scrap_path
from augrec.artefacts.records import RECORD_SCHEMA

ROWS_PER_BATCH = 10_000
ENTITIES_PER_GROUP = 1 << 17
"""Entities that are sorted at a time and make one row group."""

ORDER = [("entity", "ascending"), ("question", "ascending")]


def merge(records: Iterable[Record | None], present: Container[str], path: Path) -> TaskCounts:
    """Writes the records of present requests, sorted by entity and question; others are counted as stale.

    None is a record of somebody or something that the data set does not have any more; it is stale too.
    Needs memory for one range of entities, however many there are: the rows of each range are collected in a file
    beside `path`, then sorted. Every row is written twice.
    """
    tally = TaskCounts()
    rows = _present(records, present, tally)
    with said_when_full(path), RangesOnDisk(path) as ranges:
        while chunk := list(islice(rows, ROWS_PER_BATCH)):
            ranges.add(_batch(chunk))
        with (
            atomic_path(path) as temporary,
            pq.ParquetWriter(temporary, RECORD_SCHEMA, write_page_checksum=True) as out,
        ):
            for table in ranges.tables():
                out.write_table(table, row_group_size=max(1, len(table)))
    return tally


def _batch(records: Sequence[Record]) -> pa.RecordBatch:
    columns = [pa.array([getattr(record, column.name) for record in records], column.type) for column in RECORD_SCHEMA]
    return pa.RecordBatch.from_arrays(columns, schema=RECORD_SCHEMA)


class RangesOnDisk:
    """Rows on the disk by ranges of entities."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._files: dict[int, tuple[Path, pa.ipc.RecordBatchStreamWriter]] = {}
        self._open = ExitStack()

    def __enter__(self) -> RangesOnDisk:
        return self

    def __exit__(self, *error: object) -> None:
        try:
            self._open.close()
        finally:
            for path, _ in self._files.values():
                path.unlink(missing_ok=True)

    def add(self, batch: pa.RecordBatch) -> None:
        """Appends the rows of a batch to the files of their ranges; an OSError where the disk is full."""
        batch = batch.sort_by("entity")  # which puts each range's rows together
        numbers = batch["entity"].to_numpy() // ENTITIES_PER_GROUP
        starts = [0, *(np.flatnonzero(np.diff(numbers)) + 1).tolist(), len(numbers)]
        for begin, end in pairwise(starts):
            self._writer(int(numbers[begin])).write_batch(batch.slice(begin, end - begin))

    def tables(self) -> Iterator[pa.Table]:
        """The ranges in order, each sorted."""
        self._open.close()
        for _, (path, _) in sorted(self._files.items()):
            with pa.OSFile(str(path)) as source:
                yield pa.ipc.open_stream(source).read_all().sort_by(ORDER)

    def _writer(self, number: int) -> pa.ipc.RecordBatchStreamWriter:
        if number not in self._files:
            path = scrap_path(self._path)
            out = self._open.enter_context(pa.OSFile(str(path), "wb"))
            self._files[number] = path, self._open.enter_context(pa.ipc.new_stream(out, RECORD_SCHEMA))
        return self._files[number][1]


def _present(records: Iterable[Record | None], present: Container[str], tally: TaskCounts) -> Iterator[Record]:
    for record in records:
        if record is not None and record.key in present:
            tally.add(record)
            yield record
        else:
            tally.stale += 1
