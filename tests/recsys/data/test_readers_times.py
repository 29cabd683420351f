"""Times as people write them: units by size, ISO 8601, known formats; a row that differs is named, never guessed."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from augrec.artefacts.errors import DataError
from recsys.data.readers.times import Rows, seconds_of

FILE = Path("log.csv")


def seconds(*texts: str, layout: str | None = None) -> list[int]:
    return seconds_of(pd.Series(texts, name="when", dtype="str"), FILE, Rows(), layout).seconds.tolist()


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["1300000000", "1300000000.9", "1.3e9"], [1300000000] * 3),
        (["1300000000123", "1300000001000"], [1300000000, 1300000001]),
        (["1300000000123456"], [1300000000]),
        (["1300000000999999999"], [1300000000]),
        (["-5", "0", "10"], [-5, 0, 10]),
        (["20180131", "20180201"], [1517356800, 1517443200]),
        (["2018-01-31", "2018-02-01"], [1517356800, 1517443200]),
        (["2018-01-31T10:00:00Z", "2018-01-31T12:00:00+02:00", "2018-01-31 10:00:00.5"], [1517392800] * 3),
        (["2018-01-31 10:00:00 UTC", "2018-01-31T12:00:00+0200"], [1517392800] * 2),
        (["31.01.2018", "01.02.2018"], [1517356800, 1517443200]),
        (["1/31/2018 10:00:00 AM"], [1517392800]),
        (["Fri Sep 08 10:44:26 -0700 2017"], [1504892666]),
        (["09 13, 2009", "9 14, 2009"], [1252800000, 1252886400]),
        (["01/02/2010", "01/25/2011"], [1262390400, 1295913600]),
        (["13/02/2010", "01/05/2011"], [1266019200, 1304208000]),
    ],
)
def test_ways_of_writing_are_told_apart(texts: list[str], expected: list[int]) -> None:
    assert seconds(*texts) == expected


@pytest.mark.parametrize("nothing", ["", "NaT", "NULL", "\\N", "-", "N/A", "0000-00-00 00:00:00"])
@pytest.mark.parametrize(("there", "layout"), [("2018-01-31", None), ("1517356800", None), ("31/01/2018", "%d/%m/%Y")])
def test_what_programs_write_for_no_time_is_none(nothing: str, there: str, layout: str | None) -> None:
    found = seconds_of(pd.Series([nothing, there, nothing], name="when", dtype="str"), FILE, Rows(), layout)
    assert found.missing.tolist() == [True, False, True]
    assert found.seconds.tolist() == [0, 1517356800, 0]


def test_a_format_of_your_own() -> None:
    assert seconds("Posted May 1, 2010", layout="Posted %B %d, %Y") == [1272672000]


@given(at=st.integers(100_000_000, 4_000_000_000), unit=st.sampled_from([1, 10**3, 10**6, 10**9]))
def test_every_unit_gives_the_same_seconds(at: int, unit: int) -> None:
    assert seconds(str(at * unit), str((at + 7) * unit)) == [at, at + 7]


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["1300000000000", "1300000000"], r"'1300000000', expected a time in milliseconds.*data row 2"),
        (["1300000000000"] * 3 + ["253402300799000"], r"'253402300799000', expected .* in milliseconds.*data row 4"),
        (
            ["1300000000000"] * 3 + ["9999"],
            r"'9999', expected .* milliseconds .*1300000000000 in data row 1.*data row 4",
        ),
        (["1300000000"] * 3 + ["9999999999999"], r"'9999999999999', expected a time in seconds .*data row 4"),
        (["0", "-1", "1300000000000000", "1300000000000001", "1300000000000002"], r"'0', expected .* microseconds"),
        (["1300000000"] * 150 + ["yesterday"], r"'yesterday', expected a time as a number.*data row 151"),
        (["2018-01-31"] * 150 + ["1300000000"], r"'1300000000', expected an ISO 8601 time.*data row 151"),
        (["2018-02-28", "2018-02-30"], r"'2018-02-30', expected an ISO 8601 time.*data row 2"),
        (["01/02/2010", "03/04/2010"], r"may be %m/%d/%Y or %d/%m/%Y.*timestamp_format"),
        (["1e30"], r"'1e30', expected a time since 1970"),
        (["soon"], r"'soon', expected a time: seconds"),
    ],
)
def test_a_time_that_differs_is_named(texts: list[str], message: str) -> None:
    with pytest.raises(DataError, match=f"(?s){message}"):
        seconds(*texts)


def test_what_was_understood_is_said() -> None:
    def note(*texts: str) -> str:
        return seconds_of(pd.Series(texts, name="when", dtype="str"), FILE, Rows()).note

    assert note("1300000000") == ""
    assert "milliseconds" in note("1300000000000")
    assert "1 of 2 times name no zone" in note("2018-01-31T10:00:00Z", "2018-01-31T10:00:00")
    assert "times are days" in note("2018-01-31")
    assert note("2018-01-31", "2018-01-31 10:00:00") == ""  # a day ends as a zone does
    assert "1 of 2 times name no zone" in note("2018-01-31 10:00:00-05", "2018-01-31")


def test_missing_times_are_marked() -> None:
    times = seconds_of(pd.Series(["", "5", None], dtype="str", name="when"), FILE, Rows())
    assert times.missing.tolist() == [True, False, True]


@pytest.mark.parametrize(
    ("texts", "expected", "note"),
    [
        (["20170714024000", "20170714024001"], [1500000000, 1500000001], "time of day"),
        (["201707140240", "201707140241"], [1500000000, 1500000060], "hour and minute"),
        (["1970", "2017"], [0, 1483228800], "read as years"),
        (["Fri, 14 Jul 2017 02:40:00 GMT", "Fri, 14 Jul 2017 02:40:01 +0000"], [1500000000, 1500000001], ""),
        (["14/Jul/2017:04:40:00 +0200"], [1500000000], ""),
        (["42930", "42931.5"], [1499990400, 1500120000], "day numbers of a spreadsheet (2017-07-14 to 2017-07-15)"),
        (["42930", "42931", "1500000000"], [42930, 42931, 1500000000], ""),
        (["20170714024000", "1500000000000"], [20170714024, 1500000000], "milliseconds"),  # one that is no date
    ],
)
def test_dates_in_digits_are_no_seconds(texts: list[str], expected: list[int], note: str) -> None:
    times = seconds_of(pd.Series(texts, name="when", dtype="str"), FILE, Rows())
    assert times.seconds.tolist() == expected
    assert note in times.note
    if all(text.isdigit() for text in texts):
        numbers = seconds_of(pd.Series([int(text) for text in texts], name="when"), FILE, Rows())
        assert (numbers.seconds.tolist(), numbers.note) == (expected, times.note)
