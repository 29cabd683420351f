"""Records that exist already, published ones or an earlier run's, as a source of augmentation.

Nothing is generated, so there are no prompts, grammars or candidates: an entity is looked up and its record copied. Ids
are translated, because contiguous ids belong to one data set: entities and the items inside a record are matched by the
`source_id` of the two data sets (or by position). Whoever cannot be matched becomes a failed record with its reason.
A record whose prompt showed an item that is no training interaction here would bring held-out data in; it is refused.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa

from augment.catalog import Catalog
from augment.engines.heuristic import RULE_ENGINE
from augment.messages import MASKED, Record
from augment.replay.options import ReplayOptions
from augment.replay.translation import Translation, dataset_folder
from augment.source_ids import About, UnknownItem, translated
from augment.store.lines import Stored
from augment.tasks.base import Task
from augrec.artefacts.errors import DataError, UsageError
from augrec.artefacts.files import digest, parse_json, read_json, read_parquet, sha256_file

REQUIRED = ("entity", "status", "fields")
COPIED: dict[str, Any] = {
    "text": "",
    "finish_reason": "none",
    "prompt_tokens": 0,
    "completion_tokens": 0,
    "cached_tokens": 0,
    "attempt": 1,
    "dropped_history": 0,
}
COPIED_LISTS = ("repairs", "shown_history", "shown_candidates")


class Replay:
    """The records of a run or an import, as records of another data set.

    A context manager: the records that were read are let go when the block ends.

    Args:
        options: which records, and how ids are matched.
        catalog: the data set the records are brought into.

    Attributes:
        identity: part of what its questions are made of, as an engine's.
        context: there are no prompts that would have to fit.
        block: how many records are copied at once.
    """

    def __init__(self, options: ReplayOptions, catalog: Catalog) -> None:
        self._options, self._catalog = options, catalog
        self.identity: dict[str, Any] = {"engine": "replay"}
        self.context: int | None = None
        self.block = 1024
        self._folder = records_folder(options.records)
        self._tables: dict[str, _Table] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self._tables.clear()

    def describe(self) -> dict[str, Any]:
        """As an engine describes itself, with what is known of the engine that wrote the records."""
        written_by = _written_by(self._folder)
        return {
            "engine": f"replay of {written_by.get('engine', 'records')}",
            "model": written_by.get("model"),
            "llm": written_by.get("llm", written_by.get("engine") != RULE_ENGINE),
            "match": self._options.match,
            "records": {task: table.about() for task, table in sorted(self._tables.items())},
            "written_by": written_by,
        }

    def questions(self, tasks: Sequence[Task], entity: int) -> Iterator[Record]:
        """See `augment.requests.Ask`: answered before they are asked."""
        return (self.recall(task.name, task.about, entity) for task in tasks)

    def recall(self, task: str, about: About, entity: int) -> Record:
        """The record of an entity of this data set: the source's, translated, or a failed one that says why not.

        Its key is of its whole content: other records to replay are other records here.
        """
        record = self._recalled(task, about, entity)
        stored = Stored.of(record, about, self._catalog.ids)
        return replace(record, key=digest({"engine": "replay", **stored.content}))

    def _recalled(self, task: str, about: About, entity: int) -> Record:
        table = self._table(task)
        theirs = self._translation.to_source(about, entity)
        if theirs is None:
            source_id = self._catalog.source_ids(about)[entity]
            return _failed(task, entity, f"unknown_to_source: its data set has no {about} {source_id!r}")
        row = table.row_of.get(theirs)
        if row is None:
            return _failed(task, entity, f"no_record: the source has none for its {about} {theirs}")
        table.used.add(theirs)
        return self._translated(task, about, entity, table.record(row))

    @cached_property
    def _translation(self) -> Translation:
        return Translation(self._options, self._folder, self._catalog)

    def _table(self, task: str) -> _Table:
        if task not in self._tables:
            path = self._folder / task / "records.parquet"
            if not path.exists():
                there = sorted(found.parent.name for found in self._folder.glob("*/records.parquet"))
                raise UsageError(
                    f"the records to replay hold no {task}",
                    where=path,
                    remedy=f"set this source's `tasks` to what is there: [{', '.join(there)}]",
                )
            self._tables[task] = _Table(path)
        return self._tables[task]

    def _translated(self, task: str, about: str, entity: int, row: dict[str, Any]) -> Record:
        lists = {name: tuple(row.get(name) or ()) for name in COPIED_LISTS}
        for name in ("shown_history", "shown_candidates"):
            here = (self._translation.item_here(item) for item in lists[name])
            lists[name] = tuple(item for item in here if item is not None)
        status, reason, fields = row["status"], row.get("reason"), row["fields"]
        if status == "ok":
            fields, reason = self._fields(task, fields)
        if reason is None and about == "user" and (stray := self._held_out(entity, lists["shown_history"])) is not None:
            reason = f"held_out_history: item {stray} was shown, which is no training interaction of this user here"
        ok = reason is None and status == "ok"
        copied = {name: default if row.get(name) is None else row[name] for name, default in COPIED.items()} | lists
        return Record(
            key="",
            task=task,
            entity=entity,
            status="ok" if ok else "failed",
            reason=None if ok else reason or "failed_in_source",
            fields=fields if ok else None,
            fallback=None if ok else MASKED,
            **copied,
        )

    def _fields(self, task: str, text: str) -> tuple[str | None, str | None]:
        """The fields with item ids translated, or None and the reason why they cannot be."""
        try:
            fields = translated(task, json.loads(text), self._translation.item_here)
        except UnknownItem as unknown:
            name, item = unknown.args
            return None, f"unknown_item: the {name} {item} of the source is not in this data set"
        except ValueError as odd:
            return None, str(odd)
        return json.dumps(fields, ensure_ascii=False, separators=(",", ":")), None

    def _held_out(self, user: int, shown: tuple[int, ...]) -> int | None:
        stray = np.setdiff1d(np.asarray(shown, dtype=np.int64), self._catalog.train_items(user))
        return int(stray[0]) if len(stray) else None


class _Table:
    """The records of one task: rows are read when asked for."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._rows = read_parquet(path)
        missing = [name for name in REQUIRED if name not in self._rows.column_names]
        if missing:
            raise DataError(f"the records have no column {', '.join(missing)}", where=path)
        entities = self._rows["entity"].to_pylist()
        self.row_of = {entity: row for row, entity in enumerate(entities)}
        if len(self.row_of) < len(entities):
            twice = next(entity for entity, count in Counter(entities).items() if count > 1)
            raise DataError(f"entity {twice} has several records", where=path, remedy="keep one row per entity")
        self.used: set[int] = set()

    def record(self, row: int) -> dict[str, Any]:
        """One row, its fields checked to be a JSON object where there are any."""
        found = {name: _value(self._rows, name, row) for name in self._rows.column_names}
        if found["status"] == "ok":
            try:
                whole = isinstance(parse_json(found["fields"]), dict)
            except (TypeError, ValueError):
                whole = False
            if not whole:
                raise DataError("the fields of a record are not a JSON object", where=f"{self._path}, row {row}")
        return found

    def about(self) -> dict[str, Any]:
        """Counts and hash, for provenance."""
        return {
            "sha256": sha256_file(self._path),
            "records": len(self.row_of),
            "used": len(self.used),
            "unused": len(self.row_of) - len(self.used),
        }


def _value(table: pa.Table, name: str, row: int) -> Any:
    return table[name][row].as_py()


def _failed(task: str, entity: int, reason: str) -> Record:
    return Record("", task, entity, "failed", reason, None, "", "none", 0, 0, 0, attempt=0, fallback=MASKED)


def records_folder(given: Path) -> Path:
    """The folder with `<task>/records.parquet`: the given one, or the only source of the run or import given.

    Raises:
        UsageError: there are no records, or those of several sources.
    """
    if any(given.glob("*/records.parquet")):
        return given
    sources = sorted({path.parent.parent for path in given.glob("augment/*/*/records.parquet")})
    if len(sources) == 1:
        return sources[0]
    if sources:
        named = ", ".join(str(path) for path in sources)
        raise UsageError("the records of several sources lie here", where=given, remedy=f"name one of {named}")
    raise UsageError(
        "there are no records to replay",
        where=given,
        remedy="`records` is a folder with <task>/records.parquet, e.g. runs/demo/augment/smollm2",
    )


def replayed_files(options: ReplayOptions) -> dict[str, str]:
    """The sha256 of every file that decides what is replayed: records, and the ids they are matched by."""
    folder = records_folder(options.records)
    files = {f"{path.parent.name}/{path.name}": path for path in sorted(folder.glob("*/records.parquet"))}
    dataset = dataset_folder(options, folder)
    if options.match == "source_id" and dataset is not None:
        files |= {f"dataset/{about}s.parquet": dataset / f"{about}s.parquet" for about in ("item", "user")}
    return {name: sha256_file(path) for name, path in files.items() if path.exists()}


def _written_by(folder: Path) -> dict[str, Any]:
    """What is known of the engine that wrote the records, without the list of its files."""
    path = folder / "engine.json"
    known = read_json(path) if path.exists() else {}
    return {name: value for name, value in known.items() if name != "files"}
