"""What every reader hands on, and the errors they share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd

from augrec.artefacts.counts import counted
from augrec.artefacts.errors import DataError
from recsys.data.options import SourceOptions
from recsys.data.readers.nothing import without_nothing

ML100K_HINT = (
    "ML-100K comes with RecBole: `pip install --no-deps recbole==1.2.1`, then `format: recbole` and "
    "`path: pkg:recbole/dataset_example/ml-100k`; `augrec prepare --download` fetches the original from GroupLens"
)
GROUPLENS_TERMS = "GroupLens MovieLens terms: research use, no redistribution, no commercial use without permission"


@dataclass(frozen=True, eq=False)
class SideRows:
    """What is known of some items or users."""

    frame: pd.DataFrame
    """Their rows, see `RawData.items`; those of others may be among them."""
    ids: pd.Series
    """All ids that the source describes (str, unique)."""
    notes: tuple[str, ...] = ()
    """As `RawData.notes`."""


class Later(Protocol):
    """Reads, once it is known who stays, what a source says of them, so that the rest of it is never held."""

    def side(self, about: str, ids: np.ndarray) -> SideRows:
        """The rows of `ids`, str [n], which are "item"s or "user"s."""

    def reviews(self, rows: np.ndarray) -> Iterator[str | None]:
        """What was written in the interactions with these values of `row`, int [m] in rising order."""


@dataclass(frozen=True, eq=False)
class RawData:
    """A source as it was found: nothing filtered, ids as the source writes them."""

    interactions: pd.DataFrame
    """Columns user, item (str, perhaps as `EncodedIds`) and, where the source has them, rating (float32, NaN where a
    row has none), timestamp (int64, seconds; Int64 where a row has none), review (str or null) and split (uint8: 0
    train, 1 valid, 2 test). Of a source that is read `later`, `row` and `written` stand for the review (`read_log`)."""
    items: pd.DataFrame
    """Column item (str, unique) and typed side columns: title (str or null), year (Int16), genres (list of str), ..."""
    users: pd.DataFrame
    """Column user (str, unique) and typed side columns: age, gender, occupation, ..."""
    files: dict[str, Path] = field(default_factory=dict)
    """The files that were read, by name."""
    licence: str | None = None
    """Terms of the data, where the format implies them."""
    keeps_everyone: bool = False
    """Whether users and items of the side tables stay when they have no interaction, unless a filter took it."""
    tables: dict[str, Path] = field(default_factory=dict)
    """Which file holds the `interactions`, the `items` and the `users`, to name them in errors."""
    notes: tuple[str, ...] = ()
    """What a person should know of how the files were read, one short line each."""
    later: Later | None = None
    """Reads reviews and side tables after the filters; `items` and `users` have no rows then."""

    def without_interactions(self) -> RawData:
        """All but the interactions, for who has taken from them what stays: they are as large as the source."""
        return replace(self, interactions=pd.DataFrame(columns=self.interactions.columns))  # a slice would keep them

    def side(self, about: str, ids: np.ndarray) -> SideRows:
        """What is known of the items or users with these ids (str); released texts stay as they are."""
        if self.later is not None:
            rows = self.later.side(about, ids)
        else:
            frame = self.items if about == "item" else self.users
            rows = SideRows(frame, frame[about])
        if self.keeps_everyone:
            return rows
        table = self.tables.get(f"{about}s")
        frame, notes = without_nothing(rows.frame, about, table.name if table else f"the {about}s")
        return replace(rows, frame=frame, notes=(*rows.notes, *notes))


class Reader(Protocol):
    """Reads one layout."""

    def __call__(self, source: SourceOptions, folder: Path) -> RawData:
        """Reads the files in `folder`.

        Raises:
            DataError: a file is missing, empty or malformed; names the file and line and says what was expected.
        """


def nothing_known(about: str) -> pd.DataFrame:
    """A table of items or users without rows."""
    return pd.DataFrame({about: pd.Series(dtype=str)})


def require_files(folder: Path, names: Sequence[str], remedy: str) -> dict[str, Path]:
    """The paths of `names` in `folder`; `DataError` names those that are missing."""
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        if (folder / missing[0]).is_dir():
            raise DataError(
                "a folder stands where a file is expected",
                where=folder / missing[0],
                remedy="name a file in it; parts, as Spark writes them, become one file by "
                "pandas.read_parquet(FOLDER).to_parquet(FILE)",
            )
        what = f"{', '.join(missing)} not found" if folder.is_dir() else "the folder does not exist"
        raise DataError(f"{what}; expected the files {', '.join(names)}", where=folder, remedy=remedy)
    return {name: folder / name for name in names}


def unique_ids(frame: pd.DataFrame, column: str, path: Path, notes: list[str] | None = None) -> pd.DataFrame:
    """`frame` without rows that repeat another one in every column, of which `notes` get a line.

    Raises:
        DataError: two different rows have one id; names it.
    """
    repeated = frame[column].duplicated(keep=False)
    if notes is not None and repeated.any():
        copies = frame[repeated].astype(str).duplicated()
        if copies.any():
            repeating = counted(int(copies.sum()), "row repeats", "rows repeat")
            notes.append(f"{path.name}: {repeating} another row of the same {column}: left out")
            frame = frame.drop(index=copies.index[copies]).reset_index(drop=True)
    repeated = frame[column].duplicated()
    if repeated.any():
        value = frame.loc[repeated, column].iloc[0]
        how = _difference(frame[frame[column] == value].head(2))
        raise DataError(f"{column} {value!r} has more than one row{how}", where=path, remedy="keep one row per id")
    return frame


def _difference(two: pd.DataFrame) -> str:
    """What two rows tell differently, in words; "" where they are alike."""
    first, other = (list(map(str, row)) for row in two.itertuples(index=False))
    differing = [place for place, (one, another) in enumerate(zip(first, other, strict=True)) if one != another]
    if not differing:
        return ""
    names = ", ".join(str(two.columns[place]) for place in differing[:12])
    place = differing[0]
    return f", which differ in {names}: {first[place][:40]!r} and {other[place][:40]!r}"


def whole_seconds(times: np.ndarray, path: Path) -> np.ndarray:
    """int64 seconds of `times`; a `DataError` for times that look like milliseconds or finer."""
    if len(times) and np.abs(times).max() > 1e11:  # the year 5138 in seconds
        raise DataError(
            f"timestamps such as {int(np.abs(times).max())} are not seconds since 1970",
            where=path,
            remedy="divide milliseconds by 1000 before reading",
        )
    return times.astype(np.int64)
