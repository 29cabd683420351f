"""Who is asked for: files that name users by the source's ids, with what they did since, and describe new items."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from augrec.artefacts.counts import counted
from augrec.artefacts.errors import DataError, UsageError
from augrec.artefacts.names import suggestion
from recsys.data.dataset import Dataset
from recsys.data.newcomers import Newcomers
from recsys.data.options import TableOptions
from recsys.data.readers.columns import load_columns
from recsys.data.readers.contents import contents, suffixes
from recsys.data.readers.fields import ids_of
from recsys.data.readers.nothing import without_nothing
from recsys.data.readers.side_columns import side_column
from recsys.data.readers.times import Rows
from recsys.data.side_tables import side_table

USER, ITEM = "user", "item"
PLAIN = ".txt"
"""Files that hold an id a line."""


@dataclass(frozen=True, eq=False)
class Asked:
    """Users whose lists are wanted.

    Attributes:
        users: int64 [n], ids in the data that the newcomers have joined, each once, in the order of the file.
        newcomers: who is new, and what is.
        notes: what a person should know of how the files were read, a line each.
    """

    users: np.ndarray
    newcomers: Newcomers = field(default_factory=Newcomers)
    notes: tuple[str, ...] = ()


def everybody(dataset: Dataset, newcomers: Newcomers | None = None) -> Asked:
    """All users of a data set."""
    return Asked(np.arange(dataset.n_users), newcomers or Newcomers())


def read_users(path: Path, dataset: Dataset, newcomers: Newcomers) -> Asked:
    """The users that a file names.

    A .txt file has the source's id of a user on each line. Others are tables (CSV, TSV, JSON, Parquet) with a column
    `user`, or with `user` and `item`: what each user did, oldest first. New users are known by that alone; for known
    ones it comes after what the data hold.

    Args:
        path: the file.
        dataset: without the newcomers.
        newcomers: items that are new.

    Raises:
        DataError: a column or an id is missing, or a user without interactions is not known.
    """
    notes: list[str] = []
    _require_file(path)
    frame = _plain(path) if suffixes(path)[0] == PLAIN else load_columns(path, TableOptions(), [], notes)
    if USER not in frame:
        raise DataError(
            "the file has no column 'user'",
            where=path,
            remedy=f"{suggestion(USER, map(str, frame.columns))}call it so: 'user', and 'item' for histories",
        )
    users = ids_of(frame[USER], path, Rows(), notes).to_numpy()
    items = ids_of(frame[ITEM], path, Rows(), notes).to_numpy() if ITEM in frame else None
    asked = ask(users, items, dataset, path, newcomers)
    return replace(asked, notes=(*notes, *asked.notes))


def ask(
    users: np.ndarray,
    items: np.ndarray | None,
    dataset: Dataset,
    where: Path | str,
    newcomers: Newcomers | None = None,
) -> Asked:
    """Users by their source ids, once each; beside each of them, if any, the source id of an item, oldest first.

    Args:
        users: text [n].
        items: text [n]; None where nothing is told of what users did.
        dataset: without the newcomers.
        where: the ids stand, for messages.
        newcomers: items that are new.

    Raises:
        DataError: a user without interactions is not known, or no interaction is with an item that is known.
    """
    newcomers = newcomers or Newcomers()
    known = _places(dataset.users["source_id"].to_pylist(), users)
    if items is None:
        if (known < 0).any():
            place = int(np.argmax(known < 0))
            raise DataError(
                f"the data know no user {users[place]!r}"
                + (
                    f" (nor {counted(others, 'other that is', 'others that are')} named)"
                    if (others := int((known < 0).sum()) - 1)
                    else ""
                ),
                where=Rows().where(where, place) if isinstance(where, Path) else where,
                remedy="give what new users did: a table with columns user and item, an interaction a row",
            )
        return Asked(pd.unique(known), newcomers)
    ids = [*dataset.items["source_id"].to_pylist(), *newcomers.items["source_id"].to_pylist()]
    return _with_histories(where, dataset, newcomers, users, known, _places(ids, items))


def _with_histories(
    where: Path | str,
    dataset: Dataset,
    newcomers: Newcomers,
    users: np.ndarray,
    known: np.ndarray,
    items: np.ndarray,
) -> Asked:
    told, notes = items >= 0, list[str]()
    name = where.name if isinstance(where, Path) else where
    if not told.all():
        notes.append(f"{name}: {int((~told).sum()):,} of {len(told):,} rows name items that the data do not know")
    new = pd.unique(users[(known < 0) & told])
    lost = len(pd.unique(users[known < 0])) - len(new)
    if lost:
        notes.append(f"{name}: {lost:,} new users have no item that the data know, and get no list")
    joined = np.where(known < 0, dataset.n_users + _places(list(new), users), known)
    joined[(known < 0) & ~np.isin(users, new)] = -1
    asked = pd.unique(joined[joined >= 0])
    if not len(asked):
        raise DataError(
            "none of its rows names an item that the data know",
            where=where,
            remedy="use the ids of the data's source, as the column source_id of dataset/items.parquet has them",
        )
    pairs = np.stack([joined[told], items[told]], axis=1)
    return Asked(asked, replace(newcomers, users=tuple(new), pairs=pairs), tuple(notes))


def read_items(path: Path, dataset: Dataset) -> tuple[pa.Table, list[str]]:
    """New items, described as the data's own are, and lines on how the file was read.

    Args:
        path: a table with a column `item`, the source's id, and columns of `dataset/items.parquet`.
        dataset: which must not know them.

    Raises:
        DataError: an item is known already, or occurs twice, or a column is none of the items'.
    """
    notes: list[str] = []
    _require_file(path)
    frame = load_columns(path, TableOptions(), [], notes)
    ours = [name for name in dataset.items.column_names if name not in (ITEM, "source_id")]
    strange = [str(name) for name in frame.columns if name != ITEM and name not in ours]
    if ITEM not in frame or strange:
        what = f"the items have no column {strange[0]!r}" if strange else "the file has no column 'item'"
        hint = suggestion(strange[0] if strange else ITEM, ours if strange else map(str, frame.columns))
        raise DataError(what, where=path, remedy=f"{hint}the columns are item, {', '.join(ours)}")
    ids = ids_of(frame[ITEM], path, Rows(), notes)
    there = _places(dataset.items["source_id"].to_pylist(), ids.to_numpy()) >= 0
    wrong = there | ids.duplicated().to_numpy()
    if wrong.any():
        place = int(np.argmax(wrong))
        why = "is in the run already" if there[place] else "occurs twice"
        raise DataError(f"item {ids.iloc[place]!r} {why}", where=Rows().where(path, place), remedy="leave the row out")
    types = {name: dataset.items.schema.field(name).type for name in ours}
    lists = [name for name, kind in types.items() if pa.types.is_list(kind) or pa.types.is_large_list(kind)]
    columns = {name: side_column(frame[name], path, notes, lists) for name in ours if name in frame}
    described, nothing = without_nothing(pd.DataFrame({ITEM: ids, **columns}), ITEM, path.name)
    table, notes = side_table(described, ITEM, ids.to_numpy()).drop_columns([ITEM]), [*notes, *nothing]
    for name in columns:
        try:
            table = table.set_column(table.column_names.index(name), name, table[name].cast(types[name]))
        except pa.ArrowException as error:
            what = f"the column {name!r} is not as the run has it, {types[name]} ({error})"
            raise DataError(what, where=path, remedy="write it as the source of the run does") from None
    return table, notes


def _require_file(path: Path) -> None:
    if not path.is_file():
        raise UsageError("there is no such file", where=path.absolute(), remedy="correct the path")


def _plain(path: Path) -> pd.DataFrame:
    lines = [line for line in bytes(contents(path, "utf-8")).decode("utf-8").splitlines() if line.strip()]
    if not lines:
        raise DataError("the file has no rows", where=path, remedy="write the id of a user on each line")
    return pd.DataFrame({USER: pd.Series(lines, dtype="str")})


def _places(ids: list[str], wanted: np.ndarray) -> np.ndarray:
    """int64 [n]: where each of `wanted` stands among `ids`; -1 for those that do not."""
    return pd.Index(ids, dtype="object").get_indexer(pd.Index(wanted, dtype="object")).astype(np.int64)
