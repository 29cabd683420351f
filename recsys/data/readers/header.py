"""The names of a file's columns, from its beginning alone: what a config names can be looked for before a file is read.

JSON has no header. Its first rows say which keys there are, and a later row may have one that they lack.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from augrec.artefacts.errors import DataError
from recsys.data.options import TableOptions
from recsys.data.readers.blocks import blocks
from recsys.data.readers.columns import JSON, PARQUET, SEPARATORS, layout_and_names
from recsys.data.readers.contents import FETCH, suffixes
from recsys.data.readers.fields import nearest
from recsys.data.readers.json_records import read_records

SHOWN = 20
"""Names that an error lists."""


@dataclass(frozen=True)
class Header:
    """The columns of a file.

    Args:
        path: the file.
        names: as they stand there.
        whole: whether there are no others; the first rows of JSON cannot say.
    """

    path: Path
    names: tuple[str, ...]
    whole: bool = True

    def has(self, name: str) -> bool:
        """Whether there is such a column, or the one that a path such as `details.Brand` begins with."""
        return name in self.names or name.split(".")[0] in self.names


@dataclass(frozen=True)
class Lack:
    """A column that the options name and that its file does not have."""

    key: str
    """The option under `source.table`."""
    column: str
    header: Header

    @property
    def what(self) -> str:
        """In words."""
        first = "" if self.header.whole else " in its first rows"
        return f"{self.header.path.name} has no column {self.column!r}{first}"

    @property
    def remedy(self) -> str:
        """What to do about it."""
        near = nearest(self.column, list(self.header.names))
        listed = ", ".join(self.header.names[:SHOWN]) or "none"
        return (f"did you mean {near!r}? " if near else "") + f"its columns are: {listed}"


def read_header(path: Path, options: TableOptions, required: Iterable[str] = ()) -> Header | None:
    """The columns of a file; None where its beginning does not tell.

    Args:
        path: the file.
        options: how it is written.
        required: columns it should have, by which the separator of a text file is told.

    Raises:
        DataError: the file is missing, empty or damaged.
    """
    kind, packed = suffixes(path)
    if not path.is_file():
        raise DataError("there is no such file", where=path, remedy="set source.path and the file names")
    if kind in PARQUET and not packed:
        try:
            return Header(path, tuple(pq.read_schema(path).names))
        except (pa.ArrowException, OSError) as error:
            cause = str(error).split("\n")[0]
            raise DataError(f"the file cannot be read as parquet: {cause}", where=path, remedy=FETCH) from None
    if kind not in (*SEPARATORS, *JSON):
        return None
    beginning = next(blocks(path, options.encoding)).data
    if kind in SEPARATORS:
        return Header(path, tuple(layout_and_names(beginning, path, options, kind, required)[1]))
    try:
        return Header(path, tuple(sorted(read_records(beginning, path).present)), whole=False)
    except DataError:  # a list of objects that goes on, or a fault that whoever reads it names
        return None


def lacking_columns(options: TableOptions, folder: Path) -> list[Lack]:
    """The columns that the options name and the files do not have; files that are missing are left out."""
    renamed = {ours: theirs for theirs, ours in options.rename.items()}
    of_interactions = {
        key: name
        for key in ("user", "item", "rating", "review", "timestamp")
        if (name := getattr(options, key)) is not None
    }
    lacks = _lacks(options, folder, options.interactions, of_interactions)
    sides: list[Header] = []
    for file, key in ((options.items, "item"), (options.users, "user")):
        if file is None or not (folder / file).is_file():
            continue
        own = getattr(options, f"{key}s_id")
        name = own or renamed.get(getattr(options, key), getattr(options, key))
        lacks += _lacks(options, folder, file, {f"{key}s_id" if own else key: name})
        header = read_header(folder / file, options, [name])
        sides += [header] if header else []
    asked = {f"rename.{theirs}": theirs for theirs in options.rename}
    if sides and len(sides) == sum(file is not None for file in (options.items, options.users)):
        lacks += [
            Lack(key, name, sides[0]) for key, name in asked.items() if not any(header.has(name) for header in sides)
        ]
    return lacks


def item_columns(options: TableOptions, folder: Path) -> tuple[str, ...] | None:
    """What is known of an item, by our names; None where that cannot be told before the files are read."""
    if options.items is None:
        return ()
    if not (folder / options.items).is_file():
        return None
    header = read_header(folder / options.items, options, [options.items_id or options.item])
    if header is None or not header.whole:
        return None
    paths = [name for name in options.rename if "." in name and header.has(name)]
    return tuple(options.rename.get(name, name) for name in (*header.names, *paths))


def _lacks(options: TableOptions, folder: Path, file: str, asked: dict[str, str]) -> list[Lack]:
    path = folder / file
    header = read_header(path, options, asked.values()) if path.is_file() else None
    return [] if header is None else [Lack(key, name, header) for key, name in asked.items() if not header.has(name)]
