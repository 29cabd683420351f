"""What the readers of publishers' own files share: the files by their names, and what is read of them and when.

A file of interactions and one of items, both with an object a line. Interactions are read at once, without what was
written; reviews and items when it is known which of them stay.

What such files count over all users (average ratings, numbers of reviews, what was also bought) knows the test
interactions, so no reader keeps it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

import numpy as np

from augrec.artefacts.errors import DataError
from recsys.data.readers.base import RawData, SideRows, nothing_known
from recsys.data.readers.catalogue import Catalogue
from recsys.data.readers.review_log import LogFile, read_log, read_reviews

PACKED = ("", ".gz", ".bz2", ".xz", ".zst")


@dataclass(frozen=True)
class PublishedFiles:
    """The files of a data set as they were found, see `Later`."""

    logs: tuple[LogFile, ...]
    items: Catalogue | None

    def read(self, others: Sequence[Path] = (), licence: str | None = None) -> RawData:
        """The interactions, and a promise of the rest.

        Args:
            others: files that `items` reads, too.
            licence: terms of the data.
        """
        notes: list[str] = []
        interactions = read_log(self.logs, notes)
        described = [self.items.path, *others] if self.items else []
        if not self.items:
            notes.append("no file describes the items: they have no titles")
        files = {path.name: path for path in [*(log.path for log in self.logs), *described]}
        tables = {"interactions": self.logs[0].path} | ({"items": self.items.path} if self.items else {})
        nobody = {about: nothing_known(about) for about in ("item", "user")}
        return RawData(
            interactions, nobody["item"], nobody["user"], files, licence, tables=tables, notes=tuple(notes), later=self
        )

    def side(self, about: str, ids: np.ndarray) -> SideRows:
        """See `Later`; of users nothing is kept."""
        if about == "item" and self.items is not None:
            return self.items.read(about, ids)
        return SideRows(nothing_known(about), nothing_known(about)[about])

    def reviews(self, rows: np.ndarray) -> Iterator[str | None]:
        """See `Later`."""
        return read_reviews(self.logs, rows)


def one_file(folder: Path, patterns: Sequence[str], what: str, remedy: str, *, but: Sequence[str] = ()) -> Path:
    """The one file of a folder whose name fits, compressed or not.

    Args:
        folder: where it lies.
        patterns: of names, as shells write them.
        what: it is, for errors.
        remedy: where to get it.
        but: patterns of names that do not count.

    Raises:
        DataError: there is none, or several are.
    """
    found = optional_file(folder, patterns, what, but=but)
    if found is None:
        reason = "the folder does not exist" if not folder.is_dir() else f"no file holds the {what}"
        raise DataError(f"{reason}; expected {' or '.join(patterns)}, also as .gz", where=folder, remedy=remedy)
    return found


def optional_file(folder: Path, patterns: Sequence[str], what: str, *, but: Sequence[str] = ()) -> Path | None:
    """As `one_file`, None where there is none."""
    names = sorted(path.name for path in folder.iterdir() if path.is_file()) if folder.is_dir() else []
    found = [name for name in names if _fits(name, patterns) and not _fits(name, but)]
    if len(found) > 1:
        raise DataError(
            f"{len(found)} files could hold the {what}: {', '.join(found[:5])}",
            where=folder,
            remedy="give each data set a folder of its own, with one of them",
        )
    return folder / found[0] if found else None


def _fits(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatch(name, pattern + packed) for pattern in patterns for packed in PACKED)
