"""Records that exist already, published ones or an earlier run's, as a source of augmentation.

Nothing is generated, so there are no prompts, grammars or candidates: an entity is looked up and its record copied. Ids
are translated, because contiguous ids belong to one data set: entities and the items inside a record are matched by the
`source_id` of the two data sets (or by position). Whoever cannot be matched becomes a failed record with its reason.
A record whose prompt showed an item that is no training interaction here would bring held-out data in; it is refused.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from augment.catalog import Catalog
from augment.engines.heuristic import RULE_ENGINE
from augment.messages import MASKED, Draft, Record
from augment.replay.translation import Translation, dataset_folder
from augment.requests import refusal
from augment.source_ids import UnknownItem, reviewed, translated
from augment.store.lines import Stored
from augment.tasks import TASKS, card_of
from augment.tasks.base import Checked, Task, TaskOptions
from augrec.artefacts.errors import DataError, UsageError
from augrec.artefacts.files import digest, read_json, sha256_file
from augrec.artefacts.records import SHOWN_ITEMS, StoredRecord, read_records
from augrec.artefacts.run_folder import DatasetFolder, RunFolder
from augrec.artefacts.source_folder import SourceFolder
from augrec.artefacts.tasks import Kind, TaskCard, read_card

if TYPE_CHECKING:
    from augment.replay.options import ReplayOptions

COPIED = (
    *("text", "finish_reason", "prompt_tokens", "completion_tokens", "cached_tokens"),
    *("attempt", "dropped_history", "repairs", "reviews_sha256"),
)
"""What a record here has of the one it was made from, as it is there."""


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
        return (record for task in tasks for record in self.recall(card_of(task), entity))

    def recall(self, card: TaskCard, entity: int) -> Iterator[Record]:
        """The records of an entity of this data set: the source's, translated, or a failed one that says why not.

        Their keys are of their whole content: other records to replay are other records here.
        """
        for record in self._recalled(card, entity):
            stored = Stored.of(record, card, self._catalog.ids)
            yield replace(record, key=digest({"engine": "replay", **stored.content}))

    def _recalled(self, card: TaskCard, entity: int) -> Iterator[Record]:
        table = self._table(card.name)
        theirs = self._translation.to_source(card.about, entity)
        if theirs is None:
            source_id = self._catalog.source_ids(card.about)[entity]
            yield refusal("", card.name, entity, f"unknown_to_source: its data set has no {card.about} {source_id!r}")
        elif theirs not in table.rows_of:
            yield refusal("", card.name, entity, f"no_record: the source has none for its {card.about} {theirs}")
        else:
            for record in table.of(theirs):
                yield self._translated(card, entity, record)

    @cached_property
    def _translation(self) -> Translation:
        return Translation(self._options, self._folder, self._catalog)

    def _table(self, task: str) -> _Table:
        if task not in self._tables:
            self._tables[task] = _Table(SourceFolder(self._folder).task(task).records)
        return self._tables[task]

    def _translated(self, card: TaskCard, entity: int, theirs: StoredRecord) -> Record:
        shown = {
            name: tuple(item for item in map(self._translation.item_here, getattr(theirs, name)) if item is not None)
            for name in SHOWN_ITEMS
        }
        others = (self._translation.here(reviewed(card.about), other) for other in theirs.shown_reviews)
        shown["shown_reviews"] = tuple(other for other in others if other is not None)
        reason, fields = theirs.reason, None
        if theirs.ok:
            fields, reason = self._fields(card.gives, theirs.fields or {})
        if reason is None:
            reason = self._held_out(card, entity, shown)
        ok = reason is None and theirs.ok
        copied: dict[str, Any] = {name: getattr(theirs, name) for name in COPIED}
        return Record(
            key="",
            task=card.name,
            entity=entity,
            question=theirs.question,
            status="ok" if ok else "failed",
            reason=None if ok else reason or "failed_in_source",
            fields=fields if ok else None,
            fallback=None if ok else MASKED,
            **copied | shown,
        )

    def _fields(self, gives: Kind, theirs: dict[str, Any]) -> tuple[str | None, str | None]:
        """The fields with item ids translated, or None and the reason why they cannot be."""
        try:
            fields = translated(gives, theirs, self._translation.item_here)
        except UnknownItem as unknown:
            name, item = unknown.args
            return None, f"unknown_item: the {name} {item} of the source is not in this data set"
        except ValueError as odd:
            return None, str(odd)
        return json.dumps(fields, ensure_ascii=False, separators=(",", ":")), None

    def _held_out(self, card: TaskCard, entity: int, shown: dict[str, tuple[int, ...]]) -> str | None:
        """Why a record would bring held-out data in: it was shown what is no training interaction here."""
        if card.about == "item":
            strays = [user for user in shown["shown_reviews"] if entity not in self._catalog.train_items(user)]
            what = "held_out_review: that of user {} was shown, who has no training interaction with this item here"
            return what.format(strays[0]) if strays else None
        train = self._catalog.train_items(entity)
        for name, what in (("shown_history", "held_out_history: item {} was shown"),
                           ("shown_reviews", "held_out_review: that of item {} was shown")):  # fmt: skip
            stray = np.setdiff1d(np.asarray(shown[name], dtype=np.int64), train)
            if len(stray):
                return what.format(int(stray[0])) + ", which is no training interaction of this user here"
        return None


class _Table:
    """The records of one task: rows are decoded when asked for."""

    def __init__(self, path: Path) -> None:
        self._records = read_records(path, remedy="check the records that are replayed")
        self.rows_of: dict[int, list[int]] = {}
        for row, entity in enumerate(self._records.entities.tolist()):
            self.rows_of.setdefault(entity, []).append(row)
        self.used: set[int] = set()

    def of(self, entity: int) -> Iterator[StoredRecord]:
        """The records of an entity."""
        self.used.add(entity)
        return (self._records[row] for row in self.rows_of[entity])

    def about(self) -> dict[str, Any]:
        """Counts and hash, for provenance."""
        return {
            "sha256": sha256_file(self._records.path),
            "records": len(self.rows_of),
            "used": len(self.used),
            "unused": len(self.rows_of) - len(self.used),
        }


class ReplayedTask(Task):
    """A task as the records to replay describe it; it is never asked."""

    def __init__(self, card: TaskCard) -> None:
        self.name, self.about, self.reads, self.gives = card.name, card.about, card.reads, card.gives  # type: ignore[misc]
        self.shows = card.shows  # type: ignore[misc]
        self.options = TaskOptions()

    def check(self, answer: dict[str, Any], draft: Draft) -> Checked:
        """See Task."""
        raise NotImplementedError(f"{self.name} is replayed, not asked")


def replayed_task(options: ReplayOptions, name: str) -> ReplayedTask:
    """A task of the records to replay, by the card beside them; records without cards answer the tasks of that name.

    Raises:
        UsageError: there are no such records, or nothing says what they are.
    """
    folder = SourceFolder(records_folder(options.records))
    task = folder.task(name)
    if not task.records.exists():
        raise UsageError(
            f"the records to replay hold no {name}",
            where=task.records,
            remedy=f"set this source's `tasks` to what is there: [{', '.join(found.name for found in folder.tasks())}]",
        )
    if not task.card.exists() and name in TASKS:
        return ReplayedTask(card_of(TASKS[name]))
    if not task.card.exists():
        raise UsageError(
            f"nothing says what the answers to {name} are for",
            where=task.card,
            remedy="import or generate the records again: each task's folder then holds a task.json",
        )
    card = read_card(task.card)
    if card.name != name:
        raise DataError(f"this describes the task {card.name}, not {name}", where=task.card)
    return ReplayedTask(card)


def records_folder(place: Path) -> Path:
    """The folder with `<task>/records.parquet`: the place itself, or the only source of the run or import there.

    Raises:
        UsageError: there are no records, or those of several sources.
    """
    if SourceFolder(place).tasks():
        return place
    sources = [source.root for source in RunFolder(place).sources()]
    if len(sources) == 1:
        return sources[0]
    if sources:
        named = ", ".join(str(path) for path in sources)
        raise UsageError("the records of several sources lie here", where=place, remedy=f"name one of {named}")
    raise UsageError(
        "there are no records to replay",
        where=place,
        remedy="`records` is a folder with <task>/records.parquet, e.g. runs/demo/augment/smollm2",
    )


def replayed_files(options: ReplayOptions) -> dict[str, str]:
    """The sha256 of every file that decides what is replayed: records, and the ids they are matched by."""
    folder = records_folder(options.records)
    tasks = SourceFolder(folder).tasks()
    files = {f"{task.name}/{path.name}": path for task in tasks for path in (task.records, task.card)}
    dataset = dataset_folder(options, folder)
    if options.match == "source_id" and dataset is not None:
        described = DatasetFolder(dataset)
        files |= {f"dataset/{path.name}": path for path in (described.items, described.users)}
    return {name: sha256_file(path) for name, path in files.items() if path.exists()}


def _written_by(folder: Path) -> dict[str, Any]:
    """What is known of the engine that wrote the records, without the list of its files."""
    path = SourceFolder(folder).engine_json
    known = read_json(path) if path.exists() else {}
    return {name: value for name, value in known.items() if name != "files"}
