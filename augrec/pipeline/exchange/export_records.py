"""What sources answered, as tables that need no join: a column for each field of an answer, and the source's ids.

`records.parquet` holds answers as JSON and names users and items by contiguous ids, because that is what later stages
read. Here each field is a column with the type of its values, `answer_<field>`, and beside every column of ids stands
one with what the data's source calls them. Fields whose values have no type in common are JSON text.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from augrec.artefacts.confinement import confined
from augrec.artefacts.errors import UsageError
from augrec.artefacts.files import atomic_path, remove_file
from augrec.artefacts.named import named_records, named_sources
from augrec.artefacts.names import did_you_mean
from augrec.artefacts.records import RECORD_SCHEMA, SHOWN_ITEMS, Records, StoredRecord, read_records
from augrec.artefacts.run_folder import RunFolder
from augrec.artefacts.side_tables import read_side_table
from augrec.artefacts.source_folder import TaskFolder
from augrec.artefacts.tasks import TaskCard, read_card
from augrec.pipeline.exchange.claimed_folder import claim, complete
from augrec.pipeline.exchange.exported import EXPORT_FILE

ROWS = 4096
"""Records in memory at a time."""
PLAIN = tuple(name for name in RECORD_SCHEMA.names if name not in ("entity", "fields", "task"))
"""Columns of records that are taken as they are."""
ANSWER, IDS = "answer_", "_source_id"


@dataclass(frozen=True)
class Names:
    """What the source calls users and items, by contiguous id, and titles of items where it has some."""

    ids: Mapping[str, Sequence[str]]
    titles: Sequence[str | None] | None

    @classmethod
    def of(cls, run: RunFolder) -> Names:
        """Those of a run's data."""
        items, users = read_side_table(run.items, "item"), read_side_table(run.users, "user")
        ids = {"item": items["source_id"].to_pylist(), "user": users["source_id"].to_pylist()}
        return cls(ids, items["title"].to_pylist() if "title" in items.column_names else None)

    def items(self, ids: Iterable[int]) -> list[str | None]:
        """The source's ids of items; None for one beyond the catalogue."""
        known = self.ids["item"]
        return [known[item] if isinstance(item, int) and 0 <= item < len(known) else None for item in ids]


def export_records(
    folder: Path, out: Path, *, sources: Sequence[str] = (), tasks: Sequence[str] = ()
) -> dict[str, Any]:
    """Writes `<source>/<task>.parquet` of a run, or of what an import wrote, and export.json last.

    Args:
        folder: the run.
        out: a new or empty folder, or an earlier export.
        sources, tasks: those that are written; all unless named.

    Returns:
        What export.json holds: of each table its file, source, task, rows and columns.

    Raises:
        UsageError: there is no such source or task, or `out` holds something else.
        DataError: records or side tables are damaged.
    """
    run = RunFolder(folder)
    run.check_layout()
    chosen = chosen_tasks(run, sources, tasks)
    earlier = claim(out, EXPORT_FILE)
    with confined(out):
        remove_tables(out, earlier)
        tables = write_records(run, chosen, out)
        written = {"layout": "records", "tables": tables}
        complete(out, EXPORT_FILE, written)
    return written


def write_records(
    run: RunFolder, tasks: Iterable[TaskFolder], out: Path, *, user_ids: bool = True
) -> list[dict[str, Any]]:
    """Writes the table of each task.

    Args:
        run: whose they are.
        tasks: see `chosen_tasks`.
        out: the folder.
        user_ids: whether tables about users say what the source calls them.

    Returns:
        What export.json says of each.
    """
    names = Names.of(run)
    return [_exported(task, names, out, user_ids) for task in tasks]


def remove_tables(out: Path, earlier: Mapping[str, Any]) -> None:
    """Removes the tables of an earlier export, which may have held more; nothing outside of the folder."""
    for table in earlier.get("tables", ()):
        remove_file(out / table["file"])


def chosen_tasks(run: RunFolder, sources: Sequence[str], tasks: Sequence[str]) -> list[TaskFolder]:
    """The tasks with records, of these sources and of these names; all where none is named.

    Raises:
        UsageError: there is no such source or task, or no records at all.
    """
    there = [TaskFolder(path.parent) for source in named_sources(run.root) for path in named_records(run.root, source)]
    for option, wanted, known in (
        ("--source", sources, {task.root.parent.name for task in there}),
        ("--task", tasks, {task.name for task in there}),
    ):
        for name in wanted:
            if name not in known:
                raise UsageError(
                    f"the run has no records of '{name}'{did_you_mean(name, known)}",
                    where=option,
                    remedy=f"one of {', '.join(sorted(known)) or 'none: run the stage `augment` first'}",
                )
    found = [
        task
        for task in there
        if (not sources or task.root.parent.name in sources) and (not tasks or task.name in tasks)
    ]
    if not found:
        raise UsageError("the run has no such records", where=run.augment, remedy="run the stage `augment` first")
    return found


def _exported(task: TaskFolder, names: Names, out: Path, user_ids: bool) -> dict[str, Any]:
    """Writes the table of a task; what export.json says of it."""
    card = read_card(task.card)
    records = read_records(task.records, entities=len(names.ids[card.about]))
    source = task.root.parent.name
    path = out / source / f"{task.name}.parquet"
    types = answer_types(records)
    with atomic_path(path) as temporary:
        hidden = [] if user_ids or card.about == "item" else [f"user{IDS}"]
        tables = (table.drop_columns(hidden) for table in _tables(records, card, names, types))
        first = next(tables)
        schema = first.schema
        with pq.ParquetWriter(temporary, schema, write_page_checksum=True) as writer:
            writer.write_table(first)
            for table in tables:
                writer.write_table(table)
    columns = {field.name: str(field.type) for field in schema}
    return {"file": f"{source}/{path.name}", "source": source, "task": card.name, "about": card.about,
            "rows": len(records), "columns": columns}  # fmt: skip


def answer_types(records: Records) -> dict[str, pa.DataType | None]:
    """The type of each field of the answers, in the order of their first appearance; None where there is no common one.

    Whole numbers beside others are float64. A field that is null in every answer is text.
    """
    types: dict[str, pa.DataType | None] = {}
    for part in _batches(records.answered()):
        for name in dict.fromkeys(name for record in part for name in record.fields or {}):
            values = [(record.fields or {}).get(name) for record in part]
            types[name] = _common(types[name], _type(values)) if name in types else _type(values)
    return {name: None if kind is None else _known(kind) for name, kind in types.items()}


def _known(kind: pa.DataType) -> pa.DataType:
    """The type with text in place of what was never there."""
    if pa.types.is_list(kind):
        return pa.list_(_known(kind.value_type))
    return pa.string() if pa.types.is_null(kind) else kind


def _batches(records: Iterable[StoredRecord]) -> Iterator[tuple[StoredRecord, ...]]:
    waiting = iter(records)
    while part := tuple(islice(waiting, ROWS)):
        yield part


def _type(values: Sequence[Any]) -> pa.DataType | None:
    try:
        kind = pa.array(values).type
    except (pa.ArrowException, OverflowError):
        return None
    return None if _has_struct(kind) else kind


def _has_struct(kind: pa.DataType) -> bool:
    """Objects may differ in their keys from answer to answer."""
    return pa.types.is_struct(kind) or (pa.types.is_list(kind) and _has_struct(kind.value_type))


def _common(first: pa.DataType | None, second: pa.DataType | None) -> pa.DataType | None:
    if first is None or second is None:
        return None
    try:
        schemas = [pa.schema([("field", kind)]) for kind in (first, second)]
        return pa.unify_schemas(schemas, promote_options="permissive").field("field").type
    except pa.ArrowException:
        return None


def _tables(
    records: Records, card: TaskCard, names: Names, types: Mapping[str, pa.DataType | None]
) -> Iterator[pa.Table]:
    """The rows in their order, a part at a time; one table without rows where there are none."""
    some = False
    for part in _batches(records):
        some = True
        yield _table(part, card, names, types)
    if not some:
        yield _table((), card, names, types)


def _table(
    part: Sequence[StoredRecord], card: TaskCard, names: Names, types: Mapping[str, pa.DataType | None]
) -> pa.Table:
    ids = names.ids[card.about]
    columns: dict[str, pa.Array] = {
        card.about: pa.array([record.entity for record in part], pa.int32()),
        f"{card.about}{IDS}": pa.array([ids[record.entity] for record in part], pa.string()),
    }
    if card.about == "item" and names.titles is not None:
        columns["title"] = pa.array([names.titles[record.entity] for record in part], pa.string())
    for name in PLAIN:
        values = [getattr(record, name) for record in part]
        columns[name] = pa.array(values, RECORD_SCHEMA.field(name).type)
        if name in SHOWN_ITEMS:
            columns[f"{name}{IDS}s"] = pa.array([names.items(shown) for shown in values], pa.list_(pa.string()))
    for name, kind in types.items():
        values = [(record.fields or {}).get(name) for record in part]
        columns[f"{ANSWER}{name}"] = _column(values, kind)
        if name in card.gives.items:
            columns[f"{ANSWER}{name}{IDS}"] = pa.array(names.items(values), pa.string())
        elif name in card.gives.lists:
            columns[f"{ANSWER}{name}{IDS}s"] = pa.array(
                [None if listed is None else names.items(listed) for listed in values], pa.list_(pa.string())
            )
        elif name == card.gives.scores:
            columns[f"{ANSWER}{name}{IDS}s"] = pa.array(
                [None if pairs is None else names.items(item for item, _ in pairs) for pairs in values],
                pa.list_(pa.string()),
            )
    return pa.table(columns)


def _column(values: Sequence[Any], kind: pa.DataType | None) -> pa.Array:
    if kind is None:
        texts = [None if value is None else json.dumps(value, ensure_ascii=False) for value in values]
        return pa.array(texts, pa.string())
    return pa.array(values, kind)
