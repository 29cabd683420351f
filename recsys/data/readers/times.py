"""Points in time as people write them, as whole seconds since 1970 in UTC.

A column is read as a whole, by one rule, so that no row means something else than its neighbours. Numbers are seconds,
milliseconds, microseconds or nanoseconds, told apart by their size (1e11 seconds are the year 5138, 1e11 milliseconds
1973), or days as 20180131, with the time of day (20180131235959), or years, or the day numbers of spreadsheets.
Text is ISO 8601, with or without a zone, or one of `FORMATS`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from augrec.artefacts.errors import DataError
from recsys.data.readers.nothing import NO_TIME

FORMATS = (
    "%a %b %d %H:%M:%S %z %Y",  # Goodreads, Twitter: Fri Sep 08 10:44:26 -0700 2017
    "%a, %d %b %Y %H:%M:%S %z",
    "%m %d, %Y",  # Amazon's reviewTime: 09 13, 2009
    "%B %d, %Y",
    "%b %d, %Y",
    "%d %B %Y",
    "%d %b %Y",
    "%Y/%m/%d %H:%M:%S",
    "%Y/%m/%d",
    "%Y/%m/%d %H:%M",
    "%d.%m.%Y",
    "%d.%m.%Y %H:%M:%S",
    "%d.%m.%Y %H:%M",
    "%d-%b-%Y",
    "%d/%b/%Y:%H:%M:%S %z",  # logs of web servers
)
AMBIGUOUS = (
    ("%m/%d/%Y", "%d/%m/%Y"),
    ("%m/%d/%Y %H:%M:%S", "%d/%m/%Y %H:%M:%S"),
    ("%m/%d/%Y %H:%M", "%d/%m/%Y %H:%M"),
    ("%m/%d/%Y %I:%M:%S %p", "%d/%m/%Y %I:%M:%S %p"),
    ("%m/%d/%y", "%d/%m/%y"),
    ("%m-%d-%Y", "%d-%m-%Y"),
)
"""Pairs of which one is taken where the other does not fit, and none where both do."""
UNITS = (
    (1e11, 1, "seconds"),
    (1e14, 10**3, "milliseconds"),
    (1e17, 10**6, "microseconds"),
    (9.2e18, 10**9, "nanoseconds"),
)
DIGITS = (
    (r"(19|20)\d{2}", "%Y", "years"),
    (r"(19|20)\d{6}", "%Y%m%d", "days (year, month, day)"),
    (r"(19|20)\d{10}", "%Y%m%d%H%M", "year, month, day, hour and minute"),
    (r"(19|20)\d{12}", "%Y%m%d%H%M%S", "year, month, day and time of day"),
)
"""Dates written in digits alone: as seconds they would lie in the first hour or in August of 1970, or after 2500."""
SHEET_DAYS = (29_221, 73_051)
"""The years 1980 to 2099 in the day numbers of spreadsheets, which count from 30 December 1899; the time of day is a
fraction. As seconds all of them would be one day, the first of January 1970."""
SHEET_EPOCH = 25_569
"""The first of January 1970 among them."""
_NUMBER = r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?"
SAMPLE = 100
"""Rows from which the way of writing is told; every other row has to follow it."""


@dataclass(frozen=True)
class Times:
    """Seconds, and what was understood.

    Args:
        seconds: int64 [n]; 0 where `missing`.
        missing: bool [n].
        note: what a person should know of how they were read; "" where nothing is special.
        unit: of times that are numbers; "" where they are dates, or none is known.
    """

    seconds: np.ndarray
    missing: np.ndarray
    note: str = ""
    unit: str = ""


def seconds_of(column: pd.Series, path: Path, rows: Rows, layout: str | None = None) -> Times:
    """Reads a column of text or of datetimes.

    Args:
        column: text (one of `NO_TIME` where the time is missing), numbers or datetimes.
        path: names the file in errors.
        rows: names rows in errors.
        layout: a strptime format to read text by; None: see above.

    Raises:
        DataError: a value that is no time, or one whose unit or order of day and month is not that of the others.
    """
    if pd.api.types.is_datetime64_any_dtype(column):
        return Times(_since_1970(column), column.isna().to_numpy())
    numeric = pd.api.types.is_numeric_dtype(column)
    text = column if numeric else column.fillna("").astype(str).str.strip()
    missing = (text.isna() if numeric else text.isin(NO_TIME)).to_numpy()
    known = text[~missing]
    if known.empty:
        return Times(np.zeros(len(text), np.int64), missing)
    unit = ""
    if layout is not None:
        dates, note = pd.to_datetime(known, format=layout, utc=True, errors="coerce"), ""
        values = _whole(dates, known, path, rows, f"a time written as {layout}")
    elif numeric or known.iloc[:SAMPLE].str.fullmatch(_NUMBER).mean() >= 0.5:
        values, note, unit = _numeric(known, path, rows)
    else:
        values, note = _written(known, path, rows)
    seconds = np.zeros(len(text), np.int64)
    seconds[~missing] = values
    return Times(seconds, missing, note, unit)


def as_written(value: object) -> str:
    """A cell as errors show it: a number of a table with types as a number, not as NumPy's."""
    return repr(value.item() if isinstance(value, np.generic) else value)


class Rows:
    """Names the rows of a file in errors: by line, or by their number among the data rows."""

    def __init__(self, first_line: int | None = None) -> None:
        self._first_line = first_line

    @property
    def format_hint(self) -> str:
        """What else helps where the file is a table of one's own."""
        return "; source.table.timestamp_format names a format of your own" if self._first_line is None else ""

    def where(self, path: Path, index: int) -> str:
        """Row `index`, from 0."""
        return f"{path}, data row {index + 1}" if self._first_line is None else f"{path}:{index + self._first_line}"


class Lines(Rows):
    """Names rows by their lines in a file where lines are empty or left out."""

    def __init__(self) -> None:
        super().__init__(1)
        self._rows, self._shifts, self._count = [0], [1], 0

    def add(self, numbers: Sequence[int]) -> None:
        """Appends rows, by the numbers of their lines, in order."""
        for row, number in enumerate(numbers, start=self._count):
            if number - row != self._shifts[-1]:
                self._rows.append(row)
                self._shifts.append(number - row)
        self._count += len(numbers)

    def where(self, path: Path, index: int) -> str:
        """Row `index`, from 0."""
        return f"{path}:{index + self._shifts[bisect_right(self._rows, index) - 1]}"


def _numeric(known: pd.Series, path: Path, rows: Rows) -> tuple[np.ndarray, str, str]:
    """Seconds, a note, and the unit of the numbers."""
    values = _parsed(known)
    numbers = values.to_numpy(np.float64, na_value=np.nan)
    _refuse(~np.isfinite(numbers), known, path, rows, "a time as a number, as in the rows before")
    for pattern, layout, name in DIGITS:
        dates = _digits(known, numbers, pattern, layout)
        if dates is not None:
            return dates, f"times such as {known.iloc[0]} are read as {name}", "days"
    if ((numbers >= SHEET_DAYS[0]) & (numbers < SHEET_DAYS[1])).all():
        seconds = np.rint((numbers - SHEET_EPOCH) * 86_400).astype(np.int64)
        return (
            seconds,
            f"times such as {known.iloc[0]} are read as day numbers of a spreadsheet ({day_span(seconds)})",
            "days",
        )
    size = np.abs(numbers)
    _refuse(size >= UNITS[-1][0], known, path, rows, "a time since 1970")
    # by what most rows have: a sentinel, such as 0 or the end of the year 9999, is the one that is out of place
    usual = np.partition(size, len(size) // 2)[len(size) // 2]
    limit, per_second, name = next(unit for unit in UNITS if usual < unit[0])
    odd = (size < (0.0 if per_second == 1 else limit / 10**3)) | (size >= limit)
    if odd.any():
        place = int(np.argmin(odd))
        where = rows.where(path, int(known.index[place])).removeprefix(f"{path}, ")
        _refuse(odd, known, path, rows, f"a time in {name} since 1970, as {known.iloc[place]} in {where}")
    if pd.api.types.is_integer_dtype(values.dtype):
        whole = values.to_numpy(np.int64) // per_second
    else:
        whole = np.floor(numbers / per_second).astype(np.int64)
    return whole, "" if per_second == 1 else f"times such as {known.iloc[0]} are read as {name} since 1970", name


def day_span(seconds: np.ndarray) -> str:
    """The first and the last day of times in seconds since 1970, e.g. 2023-01-01 to 2023-12-31; one day alone."""
    first, last = (str(np.datetime64(int(at), "s"))[:10] for at in (seconds.min(), seconds.max()))
    return first if first == last else f"{first} to {last}"


def _parsed(known: pd.Series) -> pd.Series:
    """Numbers, whole ones exactly; NaN for what is none."""
    if pd.api.types.is_numeric_dtype(known):
        return known
    try:
        whole = pc.cast(pa.array(known, pa.large_string()), pa.int64())
        return pd.Series(whole.to_numpy(zero_copy_only=False), known.index)
    except pa.ArrowInvalid:
        return pd.to_numeric(known, errors="coerce")


def _digits(known: pd.Series, numbers: np.ndarray, pattern: str, layout: str) -> np.ndarray | None:
    """The seconds of dates written in digits, when every value is one."""
    if pd.api.types.is_numeric_dtype(known):
        if (numbers != np.trunc(numbers)).any() or (np.abs(numbers) > 2**53).any():
            return None
        known = pd.Series(numbers.astype(np.int64), known.index).astype(str)
    if not known.str.fullmatch(pattern).all():
        return None
    dates = pd.to_datetime(known, format=layout, utc=True, errors="coerce")
    return None if dates.isna().any() else _since_1970(dates)


def _written(known: pd.Series, path: Path, rows: Rows) -> tuple[np.ndarray, str]:
    sample = known.iloc[:SAMPLE]
    if _fits(_with_zones(sample), "ISO8601"):
        iso = _with_zones(known)
        dates = pd.to_datetime(iso, format="ISO8601", utc=True, errors="coerce")
        return _whole(dates, known, path, rows, "an ISO 8601 time, as in the rows before"), _zone_note(iso)
    for layout in FORMATS:
        zoned = known.str.replace(r"\s+(?:UTC|GMT)$", " +0000", regex=True) if layout.endswith("%z") else known
        if _fits(zoned.iloc[:SAMPLE], layout):
            dates = pd.to_datetime(zoned, format=layout, utc=True, errors="coerce")
            return _whole(dates, known, path, rows, f"a time written as {layout}, as in the rows before"), ""
    for pair in AMBIGUOUS:
        if any(_fits(sample, layout) for layout in pair):
            return _day_or_month(known, pair, path, rows)
    _refuse(np.ones(len(known), bool), known, path, rows, "a time: seconds since 1970 or an ISO 8601 date")
    raise AssertionError("unreachable")


def _with_zones(known: pd.Series) -> pd.Series:
    """ "2019-10-01 00:00:00 UTC", which databases export, as ISO 8601 has it."""
    return known.str.replace(r"\s*(?:UTC|GMT)$", "Z", regex=True)


def _day_or_month(known: pd.Series, pair: tuple[str, str], path: Path, rows: Rows) -> tuple[np.ndarray, str]:
    both = [pd.to_datetime(known, format=layout, utc=True, errors="coerce") for layout in pair]
    fitting = [not dates.isna().any() for dates in both]
    if all(fitting) and not (both[0] == both[1]).all():
        raise DataError(
            f"{known.name} is {known.iloc[0]!r}, which may be {pair[0]} or {pair[1]}: no row tells day and month apart",
            where=path,
            remedy=f'say which, e.g. source.table.timestamp_format: "{pair[0]}"',
        )
    chosen = fitting.index(True) if any(fitting) else int(both[1].notna().sum() > both[0].notna().sum())
    values = _whole(both[chosen], known, path, rows, f"a time written as {pair[chosen]}")
    return values, f"times such as {known.iloc[0]} are read as {pair[chosen]}"


def _zone_note(known: pd.Series) -> str:
    zoned = known.str.contains(r"[T ]\d\d.*(?:Z|[+-]\d\d(?::?\d\d)?)$", regex=True)  # a day alone ends in -07, too
    notes = []
    if zoned.any() and not zoned.all():
        notes.append(f"{int((~zoned).sum())} of {len(known)} times name no zone and are read as UTC")
    if known.str.fullmatch(r"\d{4}-?\d\d-?\d\d").all():
        notes.append("times are days: interactions of one day are in the order of their items")
    return "; ".join(notes)


def _fits(sample: pd.Series, layout: str) -> bool:
    return bool(pd.to_datetime(sample, format=layout, utc=True, errors="coerce").notna().mean() >= 0.5)


def _whole(dates: pd.Series, known: pd.Series, path: Path, rows: Rows, expected: str) -> np.ndarray:
    _refuse(dates.isna().to_numpy(), known, path, rows, expected)
    return _since_1970(dates)


def _since_1970(times: pd.Series) -> np.ndarray:
    """int64 seconds, 0 where missing; times without a zone are UTC."""
    aware = times.dt.tz_localize("UTC") if times.dt.tz is None else times.dt.tz_convert("UTC")
    plain = aware.dt.tz_localize(None).dt.as_unit("s")
    return plain.to_numpy("datetime64[s]").astype(np.int64) * ~plain.isna().to_numpy()


def _refuse(bad: np.ndarray, known: pd.Series, path: Path, rows: Rows, expected: str) -> None:
    if bad.any():
        place = int(np.argmax(bad))
        raise DataError(
            f"{known.name} is {as_written(known.iloc[place])}, expected {expected}",
            where=rows.where(path, int(known.index[place])),
            remedy="mend the row or leave it out" + rows.format_hint,
        )
