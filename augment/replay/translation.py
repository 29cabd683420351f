"""Ids of one data set in another's: by the names their source gave them, or by position."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from augment.catalog import Catalog
from augrec.artefacts.errors import DataError, UsageError
from augrec.artefacts.files import read_parquet
from augrec.artefacts.run_folder import DatasetFolder, RunFolder
from augrec.artefacts.tasks import About

if TYPE_CHECKING:
    from augment.replay.options import ReplayOptions


def dataset_folder(options: ReplayOptions, records: Path) -> Path | None:
    """The data set the records were written for: the one named, or that of the run or import they lie in."""
    if options.dataset is not None:
        return options.dataset
    beside = RunFolder(records.resolve().parent.parent).dataset
    return beside if beside.is_dir() else None


class Translation:
    """Between the ids of the records and those of this data set."""

    def __init__(self, options: ReplayOptions, records: Path, catalog: Catalog) -> None:
        self._catalog = catalog
        self._dataset = dataset_folder(options, records)
        self._by_position = options.match == "position"
        self._met: set[About] = set()
        if not self._by_position and self._dataset is None:
            raise UsageError(
                "the records cannot be matched: the data set they were written for is not beside them",
                where=records,
                remedy="name its folder (items.parquet, users.parquet) in the engine's `dataset`; or, if ids are the "
                "same in both, set `match: position`",
            )

    def to_source(self, about: About, entity: int) -> int | None:
        """The source's id of an entity of this data set; None when it does not know it."""
        if self._by_position:
            return entity
        if about not in self._met:
            self._require_meeting(about)
        return self._theirs[about].get(self._catalog.source_ids(about)[entity])

    def item_here(self, item: int) -> int | None:
        """This data set's id of an item of the source; None when it is not here."""
        return self.here("item", item)

    def here(self, about: About, entity: int) -> int | None:
        """This data set's id of a user or item of the source; None for one that is not here."""
        if self._by_position:
            size = self._catalog.n_items if about == "item" else self._catalog.n_users
            return entity if 0 <= entity < size else None
        return self._here[about].get(entity)

    def _require_meeting(self, about: About) -> None:
        """Refuses ids of which not one is the same here and there: every record would fail, and a run go on without."""
        here, theirs = self._catalog.source_ids(about), self._theirs[about]
        if not theirs.keys() & set(here):
            example = f", e.g. {next(iter(theirs))!r} there and {here[0]!r} here" if theirs and len(here) else ""
            raise UsageError(
                f"the records name no {about} of this data set{example}",
                where=DatasetFolder(self._dataset or Path()).side_table(about),
                remedy="write ids as the source of this data does; if both have the same users and items in the same "
                "order, set `match: position`",
            )
        self._met.add(about)

    @cached_property
    def _theirs(self) -> dict[About, dict[str, int]]:
        assert self._dataset is not None
        return {"user": _ids(self._dataset, "user"), "item": _ids(self._dataset, "item")}

    @cached_property
    def _here(self) -> dict[About, dict[int, int]]:
        return {
            about: {
                entity: number
                for source_id, entity in theirs.items()
                if (number := self._catalog.ids.find(about, source_id)) is not None
            }
            for about, theirs in self._theirs.items()
        }


def _ids(dataset: Path, about: About) -> dict[str, int]:
    path = DatasetFolder(dataset).side_table(about)
    table = read_parquet(path, remedy="the engine's `dataset` names a prepared data set's folder")
    if not {about, "source_id"} <= set(table.column_names):
        raise DataError(f"the columns `{about}` and `source_id` are needed to match ids", where=path)
    return {
        str(source_id): entity
        for source_id, entity in zip(table["source_id"].to_pylist(), table[about].to_pylist(), strict=True)
    }
