"""The records of one source and task: `augment/<source>/<task>/records.parquet`, its columns and its reader.

A table of a million records is held by column; a record becomes an object, and its fields are decoded, when it is asked
for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from augrec.artefacts.errors import DataError
from augrec.artefacts.files import parse_json, readable_parquet

RECORD_SCHEMA = pa.schema(
    [
        ("key", pa.string()),
        ("task", pa.string()),
        ("entity", pa.int32()),
        ("question", pa.string()),
        ("status", pa.string()),
        ("reason", pa.string()),
        ("fields", pa.string()),
        ("text", pa.string()),
        ("finish_reason", pa.string()),
        ("prompt_tokens", pa.int32()),
        ("completion_tokens", pa.int32()),
        ("cached_tokens", pa.int32()),
        ("attempt", pa.int32()),
        ("repairs", pa.list_(pa.string())),
        ("shown_history", pa.list_(pa.int32())),
        ("shown_candidates", pa.list_(pa.int32())),
        ("dropped_history", pa.int32()),
        ("shown_reviews", pa.list_(pa.int32())),
        ("reviews_sha256", pa.string()),
        ("shown_similar", pa.list_(pa.int32())),
        ("fallback", pa.string()),
    ]
)
"""`question` is "" where a task asks one question per entity; (entity, question) occurs once."""
SHOWN_ITEMS = ("shown_history", "shown_candidates", "shown_similar")
"""Columns that hold items."""
REQUIRED = ("entity", "status", "fields")
"""What records of others must have, too; the rest says nothing where it is missing."""
AUGMENT_AGAIN = "run the stage `augment` again: finished shards are kept"
ROWS_AT_A_TIME = 4096


@dataclass(frozen=True, slots=True)
class StoredRecord:
    """One record; a column that was not read, or that the file lacks, has its default.

    `fields` is None when the request failed; `text` is what the LLM wrote, untrusted. `shown_history` (oldest first)
    and `shown_candidates` are item ids; `shown_reviews` are of the users whose reviews of an item were shown, or of the
    items that a user's shown reviews are about; `shown_similar` are items of a similar user, the latest first. `row` is
    its place in the table.
    """

    row: int
    entity: int
    status: str
    fields: dict[str, Any] | None
    key: str = ""
    task: str = ""
    question: str = ""
    reason: str | None = None
    text: str = ""
    finish_reason: str = "none"
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    attempt: int = 1
    repairs: tuple[str, ...] = ()
    shown_history: tuple[int, ...] = ()
    shown_candidates: tuple[int, ...] = ()
    dropped_history: int = 0
    shown_reviews: tuple[int, ...] = ()
    reviews_sha256: str = ""
    shown_similar: tuple[int, ...] = ()
    fallback: str | None = None

    @property
    def ok(self) -> bool:
        """Whether it holds an answer."""
        return self.status == "ok"


def read_records(
    path: Path,
    *,
    entities: int | None = None,
    columns: Iterable[str] | None = None,
    remedy: str = AUGMENT_AGAIN,
) -> Records:
    """The records of a file.

    Args:
        path: `records.parquet`.
        entities: how many users or items the data set has.
        columns: what is read beside `entity`, `question`, `status` and `fields`; None for everything.
        remedy: what a user can do about a file that is wrong.

    Raises:
        DataError: the file is missing or damaged, lacks a column, or has one of another type; an entity is out of range
            or answers the same question twice. That fields are no JSON object is found when they are decoded.
    """
    with readable_parquet(path, remedy=remedy):
        present = set(pq.read_schema(path).names)
    lacking = [name for name in REQUIRED if name not in present]
    if lacking:
        raise DataError(f"the records have no column {', '.join(lacking)}", where=path, remedy=remedy)
    wanted = {*REQUIRED, "question", *(RECORD_SCHEMA.names if columns is None else columns)}
    schema = pa.schema([field for field in RECORD_SCHEMA if field.name in wanted & present])
    with readable_parquet(path, remedy=remedy):
        table = pq.read_table(path, columns=schema.names, page_checksum_verification=True)
    table = _typed(table, schema, path, remedy)
    records = Records(path, table, remedy)
    _check_entities(records, entities)
    return records


@dataclass(frozen=True, eq=False)
class Records:
    """The records of one file, in the order of its rows: by entity. Made by `read_records`."""

    path: Path
    table: pa.Table
    """Those columns of RECORD_SCHEMA that were read."""
    remedy: str

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def __iter__(self) -> Iterator[StoredRecord]:
        """Every record, the failed ones too; few are in memory at a time."""
        return self._records(self.table, 0)

    def __getitem__(self, row: int) -> StoredRecord:
        """The record of a row."""
        if not 0 <= row < len(self):
            raise IndexError(f"row {row} of {len(self)} records")
        return next(self._records(self.table.slice(row, 1), row))

    def answered(self) -> Iterator[StoredRecord]:
        """The records that hold an answer."""
        return (record for record in self if record.ok)

    def by_entity(self) -> dict[int, list[StoredRecord]]:
        """entity -> its records, one for each question. All of them are in memory then."""
        found: dict[int, list[StoredRecord]] = {}
        for record in self:
            found.setdefault(record.entity, []).append(record)
        return found

    @cached_property
    def entities(self) -> np.ndarray:
        """int64 [rows]."""
        return self.table["entity"].to_numpy().astype(np.int64)

    @cached_property
    def ok(self) -> np.ndarray:
        """bool [rows]: whether the record holds an answer."""
        return pc.equal(self.table["status"], "ok").to_numpy(zero_copy_only=False)

    @cached_property
    def rows(self) -> dict[tuple[int, str], int]:
        """(entity, question) -> row."""
        questions = self.column("question") or [""] * len(self)
        return {pair: row for row, pair in enumerate(zip(self.entities.tolist(), questions, strict=True))}

    def of(self, entity: int, question: str = "") -> StoredRecord | None:
        """The record of an entity's question; None where there is none."""
        row = self.rows.get((entity, question))
        return None if row is None else self[row]

    def column(self, name: str) -> list[Any]:
        """A column as Python values, [] where the file lacks it."""
        return self._values(self.table, name) if name in self.table.column_names else []

    def fields(self, row: int) -> dict[str, Any] | None:
        """The decoded answer of a row; None where the request failed.

        Raises:
            DataError: it is not a JSON object.
        """
        return self[row].fields

    def _records(self, table: pa.Table, first: int) -> Iterator[StoredRecord]:
        names = [name for name in table.column_names if name not in ("entity", "status", "fields")]
        for begin in range(0, table.num_rows, ROWS_AT_A_TIME):
            part = table.slice(begin, ROWS_AT_A_TIME)
            entities, statuses, fields = (self._values(part, name) for name in ("entity", "status", "fields"))
            others = zip(*(self._values(part, name) for name in names), strict=True) if names else iter(())
            for place, (entity, status, text) in enumerate(zip(entities, statuses, fields, strict=True)):
                row = first + begin + place
                rest = {name: value for name, value in zip(names, next(others, ()), strict=True) if value is not None}
                yield StoredRecord(row, entity, status, self._decoded(text, row) if status == "ok" else None, **rest)

    def _decoded(self, text: str | None, row: int) -> dict[str, Any]:
        try:
            value = parse_json(text or "")
        except ValueError:
            value = None
        if not isinstance(value, dict):
            what = "the fields of a record are not a JSON object"
            raise DataError(what, where=f"{self.path}, row {row}", remedy=self.remedy)
        return value

    def _values(self, table: pa.Table, name: str) -> list[Any]:
        column = table[name]
        with readable_parquet(self.path, remedy=self.remedy):  # text that is no UTF-8 shows here
            if not pa.types.is_list(column.type):
                found: list[Any] = column.to_pylist()
                return found
            lengths = pc.fill_null(pc.list_value_length(column), 0).to_numpy(zero_copy_only=False)
            flat = pc.list_flatten(column).to_pylist()  # most lists are short: one call for all of them
        ends = np.cumsum(lengths).tolist()
        return [tuple(flat[end - length : end]) for end, length in zip(ends, lengths.tolist(), strict=True)]


def _typed(table: pa.Table, schema: pa.Schema, path: Path, remedy: str) -> pa.Table:
    """The table with the schema's types; other types that hold the same values are converted."""
    columns = []
    for field in schema:
        try:
            columns.append(table[field.name].cast(field.type))
        except pa.ArrowException:
            what = f"the column {field.name} is {table[field.name].type}, not {field.type}"
            raise DataError(what, where=path, remedy=remedy) from None
    return pa.table(columns, schema=schema)


def _check_entities(records: Records, entities: int | None) -> None:
    """Raises DataError for the first record whose entity is out of range or whose question was answered before."""
    table, path, remedy = records.table, records.path, records.remedy
    if table["entity"].null_count:
        row = int(np.argmax(table["entity"].is_null().to_numpy(zero_copy_only=False)))
        raise DataError("a record names no entity", where=f"{path}, row {row}", remedy=remedy)
    ids = records.entities
    outside = (ids < 0) | (ids >= (np.iinfo(np.int64).max if entities is None else entities))
    if outside.any():
        row = int(np.argmax(outside))
        what = f"a record names entity {ids[row]}, the data set has {entities}" if entities else f"entity {ids[row]}"
        remedy = f"the records belong to another data set; {remedy}"
        raise DataError(what, where=f"{path}, row {row}", remedy=remedy)
    if len(np.unique(ids)) < len(ids):
        _check_questions(records)


def _check_questions(records: Records) -> None:
    table = records.table
    asked = table["question"] if "question" in table.column_names else pa.nulls(len(table), pa.string())
    codes = pc.fill_null(asked, "").combine_chunks().dictionary_encode().indices.to_numpy()
    order = np.lexsort((codes, records.entities))
    ids, questions = records.entities[order], codes[order]
    twice = (ids[1:] == ids[:-1]) & (questions[1:] == questions[:-1])
    if twice.any():
        row = int(order[1:][twice].min())
        what = f"two records of entity {records.entities[row]}"
        question = asked[row].as_py()
        what += f" answer the question {question!r}" if question else ""
        raise DataError(what, where=f"{records.path}, row {row}", remedy=records.remedy)
