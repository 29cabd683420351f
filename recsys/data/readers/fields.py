"""Fields of text as ids, numbers, years and typed side columns; what cannot be read is named by row or counted."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from augrec.artefacts.counts import counted
from augrec.artefacts.errors import DataError
from recsys.data.readers.nothing import MISSING, NOTHING
from recsys.data.readers.times import Rows, as_written

_INTEGER = r"-?(0|[1-9]\d{0,17})"
_DECIMAL = r"-?(0|[1-9]\d{0,14})(\.\d+)?([eE][+-]?\d{1,2})?"
_INVISIBLE = "\u200b\ufeff"
_YEAR = r"(?<!\d)([12]\d{3})(?!\d)"
_COMMA = r"[+-]?\d+,\d+"
_ROUNDED = r"^\d[.,]\d+[eE]\+\d{2,3}$"
"""A long number as a spreadsheet shows it, and saves it: 1.23457E+17."""


def ids_of(column: pd.Series, path: Path, rows: Rows, notes: list[str]) -> pd.Series:
    """Ids as text without blanks around them; `notes` get a line on how many had some, and on those like NULL.

    They are otherwise what the file says: 30.0, 030.

    Raises:
        DataError: an id is missing; names the row.
    """
    if pd.api.types.is_float_dtype(column):  # whole floats of a table with types: "30.0", as text files write them
        column = column.map(lambda value: None if pd.isna(value) else repr(float(value)))
    text = pa.array(column.astype("str").where(column.notna(), None), pa.large_string(), from_pandas=True)
    bare = bare_ids(text)
    missing = np.asarray(pc.fill_null(pc.equal(bare, ""), True))
    if missing.any():
        place = int(np.argmax(missing))
        value = column.iloc[place]
        raise DataError(
            f"{column.name} is {'missing' if pd.isna(value) else repr(value)}, expected an id",
            where=rows.where(path, place),
            remedy="mend the row or leave it out",
        )
    broken = np.asarray(pc.match_substring(bare, "\n"))
    if broken.any():
        place = int(np.argmax(broken))
        raise DataError(
            f"{column.name} is {str(column.iloc[place])[:40]!r}, expected an id: it holds a line break",
            where=rows.where(path, place),
            remedy="close the quotation mark that swallowed the line, or set source.table.quoting: none",
        )
    stripped = int(pc.sum(pc.not_equal(bare, text)).as_py() or 0)
    if stripped:
        notes.append(
            f"{path.name}: {stripped:,} of {len(column):,} values of {column.name} had blanks around them: removed"
        )
    name = str(column.name)
    notes += _like_nothing(bare, name, path, rows) + _rounded(bare, name, path) + _written_twice(bare, name, path)
    return bare.to_pandas().astype("str").rename(column.name)


def _like_nothing(ids: pa.Array, name: str, path: Path, rows: Rows) -> list[str]:
    """A line on ids that are written as programs write that there is none: all of them would be one user or item."""
    alike = np.asarray(pc.is_in(ids, value_set=pa.array(NOTHING, pa.large_string())))
    if not alike.any():
        return []
    place = int(np.argmax(alike))
    where = rows.where(path, place).removeprefix(f"{path}, ")
    reading = counted(int(alike.sum()), f"value of {name} reads", f"values of {name} read")
    return [
        f"{path.name}: {reading} {ids[place].as_py()!r} or the like, the first in {where}: taken as an id; leave these "
        "rows out if it means that there is none"
    ]


def _rounded(ids: pa.Array, name: str, path: Path) -> list[str]:
    """A line on ids that have lost digits in a spreadsheet, by which several may have become one."""
    if not len(ids) or not (alike := np.asarray(pc.match_substring_regex(ids, _ROUNDED))).any():
        return []
    reading = counted(int(alike.sum()), f"value of {name} is", f"values of {name} are")
    first = ids[int(np.argmax(alike))].as_py()
    return [
        f"{path.name}: {reading} rounded, e.g. {first}, as spreadsheets save long numbers: several ids may have become "
        "one; export the column as text"
    ]


def _written_twice(ids: pa.Array, name: str, path: Path) -> list[str]:
    """A line on ids that are others' but for a trailing .0, leading zeros or how Unicode writes accents: programs that
    take ids for numbers write 30 as 30.0 from the first row on that lacks one, and one user becomes two."""
    zero_in_front = pc.and_(pc.starts_with(ids, "0"), pc.greater(pc.binary_length(ids), 1))
    otherwise = (pc.ends_with(ids, ".0"), zero_in_front, pc.invert(pc.string_is_ascii(ids)))
    if not any(pc.any(found).as_py() for found in otherwise):
        return []
    distinct = ids.unique()
    whole = pc.utf8_slice_codeunits(distinct, 0, -2)
    plain = pc.if_else(pc.and_(pc.ends_with(distinct, ".0"), pc.ascii_is_decimal(whole)), whole, distinct)
    plain = pc.if_else(pc.ascii_is_decimal(plain), pc.ascii_ltrim(plain, "0"), plain)
    plain = pc.utf8_normalize(plain, "NFC")
    if pc.count_distinct(plain).as_py() == len(distinct):
        return []
    frame = pd.DataFrame({"id": distinct.to_pandas(), "plain": plain.to_pandas()})
    twice = frame[frame["plain"].duplicated(keep=False)].sort_values("plain", kind="stable")
    first, other = twice["id"].iloc[:2]
    return [
        f"{path.name}: {len(twice):,} different values of {name} are alike but for a trailing .0, leading zeros or how "
        f"Unicode writes accents, e.g. {first!r} and {other!r}: taken as different ids"
    ]


def bare_ids(text: pa.Array) -> pa.Array:
    """Ids without blanks and invisible letters around them."""
    return pc.utf8_trim(pc.utf8_trim_whitespace(text), _INVISIBLE)


def numbers_of(column: pd.Series, path: Path, rows: Rows, expected: str = "a number") -> np.ndarray:
    """float64 [n], NaN where the field is empty or says that there is none (`MISSING`).

    Raises:
        DataError: anything else that is no finite number; names the row.
    """
    if pd.api.types.is_numeric_dtype(column):
        values = column.to_numpy(np.float64, na_value=np.nan)
        missing = np.isnan(values)
    else:
        text = pc.utf8_trim_whitespace(pa.array(column.astype("str").fillna(""), pa.large_string()))
        lower = pc.utf8_lower(text)
        missing = np.asarray(pc.is_in(lower, value_set=pa.array(MISSING, pa.large_string())))
        values = _parsed(pc.if_else(pa.array(missing), pa.scalar(None, pa.large_string()), text))
    bad = ~np.isfinite(values) & ~missing
    if bad.any():
        place = int(np.argmax(bad))
        comma = pd.Series([str(column.iloc[place])]).str.fullmatch(_COMMA).all()
        raise DataError(
            f"{column.name} is {as_written(column.iloc[place])}, expected {expected}",
            where=rows.where(path, place),
            remedy="write decimals with a point, not a comma"
            if comma
            else "check that the format in the config is that of the file, or mend the line",
        )
    return values


def ratings_of(column: pd.Series, path: Path, rows: Rows) -> np.ndarray:
    """float32 [n], NaN where there is none; see `numbers_of`.

    Raises:
        DataError: as `numbers_of`, and for a number beyond those of 32 bits; names the row.
    """
    values = numbers_of(column, path, rows)
    large = np.abs(values) > np.finfo(np.float32).max
    if large.any():
        place = int(np.argmax(large))
        raise DataError(
            f"{column.name} is {as_written(column.iloc[place])}, which is too large for a rating",
            where=rows.where(path, place),
            remedy="mend the row or leave it out",
        )
    return values.astype(np.float32)


def _parsed(text: pa.Array) -> np.ndarray:
    try:
        return np.asarray(pc.cast(text, pa.float64()).to_numpy(zero_copy_only=False), np.float64)
    except pa.ArrowInvalid:
        return pd.to_numeric(text.to_pandas(), errors="coerce").to_numpy(np.float64, na_value=np.nan)


def years_of(column: pd.Series) -> tuple[pd.Series, list[str]]:
    """Int16 years, from numbers or from dates of any form, and examples of what holds no year, as 0 does."""
    text = column.astype("str").fillna("").str.strip()
    years = pd.to_numeric(text, errors="coerce")
    years = years.where((years.abs() <= np.iinfo(np.int16).max) & (years != 0))
    known = text.str.lower().isin(MISSING)
    written = pd.to_numeric(text[years.isna() & ~known].str.extract(_YEAR)[0], errors="coerce")
    years = years.astype("float64").fillna(written.astype("float64")).round().astype("Int16")
    return years, text[years.isna() & ~known].drop_duplicates().tolist()


def typed(column: pd.Series) -> tuple[pd.Series, int]:
    """A column of text as whole numbers, numbers or truth values where every field is written as one, and how many
    fields stand for a missing number (a dash, NA); else the text, null where it is empty.

    The whole column decides, so a word in the last row keeps it text. "007", "1e999" and "+1" are no numbers.
    """
    text = column.astype("str").fillna("")
    bare = text.str.strip()
    gaps = bare.str.lower().isin(MISSING)
    known = bare[~gaps]
    dashes = int((gaps & (bare != "")).sum())
    if len(known) and dashes <= len(known):
        if known.str.fullmatch(_INTEGER).all():
            return pd.to_numeric(bare.where(~gaps, None)).astype("Int64"), dashes
        if known.str.fullmatch(_DECIMAL).all():
            return pd.to_numeric(bare.where(~gaps, None)).astype("float64"), dashes
        if known.isin(("true", "false", "True", "False")).all() and not dashes:
            return bare.str.lower().map({"true": True, "false": False}).astype("boolean"), 0
    return text.where(bare != "", None), 0


def require_columns(wanted: Iterable[str], there: list[str], path: Path, remedy: str) -> None:
    """Raises `DataError` for columns that a file lacks or has twice, with the names it has and the nearest one."""
    missing = [name for name in wanted if name not in there]
    if missing:
        near = nearest(missing[0], there)
        shown = ", ".join(there[:40]) + (f" and {len(there) - 40} more" if len(there) > 40 else "")
        raise DataError(
            f"no column {', '.join(missing)}; the file has {shown}",
            where=path,
            remedy=f"did you mean {near!r}? {remedy}" if near else remedy,
        )
    twice = [name for name in wanted if there.count(name) > 1]
    if twice:
        raise DataError(f"the column {twice[0]} occurs {there.count(twice[0])} times", where=path, remedy="rename one")


def nearest(name: str, there: Iterable[str]) -> str | None:
    """The name most like `name`, whatever its case; None when none is alike."""
    by_small = {other.lower(): other for other in there}
    close = difflib.get_close_matches(name.lower(), by_small, n=1, cutoff=0.6)
    return by_small[close[0]] if close else None
