"""Your own files: separated text, JSON or Parquet. All is read as text; what is numeric is converted here, by column.

Nothing depends on how the first rows look: ids and titles are text whatever they look like, and the type of a side
column is decided when all of it is known.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from augrec.artefacts.errors import DataError
from recsys.data.options import SourceOptions, TableOptions
from recsys.data.readers.base import RawData, require_files, unique_ids
from recsys.data.readers.columns import load_columns
from recsys.data.readers.fields import ids_of, nearest, ratings_of
from recsys.data.readers.header import read_header
from recsys.data.readers.nested import text_of
from recsys.data.readers.side_columns import side_column, texts_of
from recsys.data.readers.times import Rows, seconds_of

RESERVED = {"user", "item", "source_id"}
ROWS = Rows()


def read(source: SourceOptions, folder: Path) -> RawData:
    """Reads the files `source.table` names. Ids are kept as text, so "007", "7" and "7.0" differ."""
    options = source.table or TableOptions()
    names = [name for name in (options.interactions, options.items, options.users) if name]
    files = require_files(folder, names, "set source.path and the file names under source.table")
    notes: list[str] = []
    interactions = _interactions(options, files[options.interactions], notes)
    renamed = {ours: theirs for theirs, ours in options.rename.items()}
    item, user = (own or renamed.get(name, name) for own, name in _id_columns(options))
    sides = {
        "items": _Side("item", item, options, files.get(options.items or ""), _own_columns(options, options.items)),
        "users": _Side("user", user, options, files.get(options.users or ""), _own_columns(options, options.users)),
    }
    frames = {about: side.read(notes) for about, side in sides.items()}
    _require_named(options, list(sides.values()), folder)
    tables = {about: side.path for about, side in sides.items() if side.path is not None}
    tables["interactions"] = files[options.interactions]
    return RawData(interactions, frames["items"], frames["users"], files, tables=tables, notes=tuple(notes))


def _id_columns(options: TableOptions) -> tuple[tuple[str | None, str], ...]:
    """What `items` and `users` call their ids, if they say, and what the interactions call them."""
    return (options.items_id, options.item), (options.users_id, options.user)


def _own_columns(options: TableOptions, file: str | None) -> tuple[str, ...]:
    """What a row of the interactions says of itself, where `file` is theirs and describes items or users beside it."""
    columns = (options.user, options.item, options.rating, options.review, options.timestamp)
    return tuple(name for name in columns if name) if file == options.interactions else ()


def _note_unread(path: Path, options: TableOptions, read: list[str], notes: list[str]) -> None:
    """A line on columns of the interactions that nothing asks for."""
    header = read_header(path, options, read)
    roots = {name.split(".")[0] for name in read}
    unread = [name for name in header.names if name and name not in roots and name not in read] if header else []
    if unread:
        more = f" and {len(unread) - 12} more" if len(unread) > 12 else ""
        notes.append(
            f"{path.name}: columns that source.table does not name are left out: {', '.join(unread[:12])}{more}"
        )


def _interactions(options: TableOptions, path: Path, notes: list[str]) -> pd.DataFrame:
    ids = [options.user, options.item]
    numbers = [name for name in (options.rating, options.timestamp) if name]
    texts = [*dict.fromkeys([*ids, *([options.review] if options.review else [])])]
    numbers = [name for name in dict.fromkeys(numbers) if name not in texts]
    frame = load_columns(path, options, [*texts, *numbers], notes, flat=(texts, numbers))
    if options.interactions not in (options.items, options.users):
        _note_unread(path, options, [*texts, *numbers], notes)
    out = {}
    for about, name in (("user", options.user), ("item", options.item)):
        out[about] = _ids(frame[name], path, notes)
    _refuse_second_header({options.user: out["user"], options.item: out["item"]}, options, path)
    if options.rating:
        out["rating"] = pd.Series(ratings_of(frame[options.rating], path, ROWS))
    if options.timestamp:
        times = seconds_of(frame[options.timestamp], path, ROWS, options.timestamp_format)
        out["timestamp"] = pd.Series(times.seconds)
        if times.missing.any():
            out["timestamp"] = out["timestamp"].astype("Int64").mask(times.missing)
        notes += [f"{path.name}: {times.note}"] if times.note else []
    if options.review:
        out["review"] = _reviews(frame[options.review])
    return pd.DataFrame(out)


def _reviews(column: pd.Series) -> pd.Series:
    """What was written, blank being nothing."""
    text = texts_of(column) if column.dtype == object else column.astype("str").where(column.notna(), None)
    return text.where(text.str.strip() != "", None)


def _refuse_second_header(columns: Mapping[str, pd.Series], options: TableOptions, path: Path) -> None:
    """Files that were joined bring their headers along: a user called user_id would be one more user, and no column of
    numbers, with its name among them, be one any more.

    Args:
        columns: those of the file that a row has to repeat, by its own names.
        options: how the file is written.
        path: names the file in errors.
    """
    again = np.logical_and.reduce([(column == name).to_numpy(bool, na_value=False) for name, column in columns.items()])
    if again.any():
        place = int(np.argmax(again))
        named = place == 0 and options.columns_of(path) is not None
        raise DataError(
            "the row repeats the header",
            where=ROWS.where(path, place),
            remedy=f"the file has a header: leave {path.name} out of source.table.columns"
            if named
            else "leave out the headers of the files that were joined",
        )


@dataclass
class _Side:
    """The table of items or of users, and the names its file has."""

    about: str
    id_column: str
    options: TableOptions
    path: Path | None
    of_interactions: tuple[str, ...] = ()
    """The columns of the file that say something of interactions, where it is their file."""
    names: list[str] = field(default_factory=list)
    """The columns of the file by its own names, and the paths that lead to something."""

    def read(self, notes: list[str]) -> pd.DataFrame:
        if self.path is None:
            return pd.DataFrame({self.about: pd.Series(dtype=str)})
        asked = [*self.options.rename, *self.options.lists, "genres"]
        frame = load_columns(self.path, self.options, [self.id_column], notes, asked=asked)
        self.names = list(frame.columns)
        out = {self.about: _ids(frame[self.id_column], self.path, notes)}
        texts = {name: column for name, column in frame.items() if isinstance(column.dtype, pd.StringDtype)}
        if self.id_column in texts:
            _refuse_second_header(texts, self.options, self.path)
        for column in self.names:
            if column == self.id_column or not column or column in self.of_interactions:
                continue
            ours = self.options.rename.get(column, column)
            if ours in RESERVED or ours in out:
                raise DataError(
                    f"the side column {ours!r} is a name Augrec uses or occurs twice",
                    where=self.path,
                    remedy=f"give it another name, e.g. source.table.rename: {{{column}: {ours}_2}}",
                )
            lists = (*self.options.lists, "genres")
            out[ours] = side_column(frame[column].rename(ours), self.path, notes, lists, self.options.list_separator)
        if self.of_interactions:
            return _first_rows(pd.DataFrame(out), self.about, self.path, notes)
        return unique_ids(pd.DataFrame(out), self.about, self.path, notes)


def _first_rows(frame: pd.DataFrame, about: str, path: Path, notes: list[str]) -> pd.DataFrame:
    """The first row of each id, in a file with a row per interaction; `notes` say what other rows tell otherwise."""
    first = frame.drop_duplicates(about).reset_index(drop=True)
    places = pd.Index(first[about]).get_indexer(pd.Index(frame[about]))
    for name in frame.columns.drop(about):
        text = frame[name].astype(object).map(str).to_numpy()
        other = text != first[name].astype(object).map(str).to_numpy()[places]
        if other.any():
            count = frame[about][other].nunique()
            notes.append(
                f"{path.name}: {count:,} of {len(first):,} {about}s have several values of {name}: the first counts"
            )
    return first


def _require_named(options: TableOptions, sides: list[_Side], folder: Path) -> None:
    """Raises where `rename` or `lists` name a column that neither file has."""
    read = [side for side in sides if side.path is not None]
    there = [name for side in read for name in side.names]
    ours = [*there, *options.rename.values()]
    keys = [(name, "rename", there) for name in options.rename if name not in there]
    if "lists" in options.model_fields_set:
        keys += [(name, "lists", ours) for name in options.lists if name not in ours]
    if not keys:
        return
    name, key, known = keys[0]
    near = nearest(name, known)
    files = " and ".join(str(side.path) for side in read)
    raise DataError(
        f"source.table.{key} names the column {name!r}, which is not there",
        where=files or folder,
        remedy=(f"did you mean {near!r}? " if near else "") + f"the columns are: {', '.join(map(str, known[:40]))}"
        if read
        else "name the file that has it: source.table.items or source.table.users",
    )


def _ids(column: pd.Series, path: Path, notes: list[str]) -> pd.Series:
    if column.dtype == object:
        for place, cell in enumerate(column):
            if isinstance(cell, (list, dict)):
                raise DataError(
                    f"{column.name} is {str(cell)[:40]}, expected an id",
                    where=ROWS.where(path, place),
                    remedy="one object a row, ids as text or numbers; a path such as user.id reaches into an object",
                )
        column = pd.Series([None if cell is None else text_of(cell) for cell in column], dtype="str", name=column.name)
    return ids_of(column, path, ROWS, notes)
