"""Published item attributes, row by row: what says nothing becomes "unknown", what slipped by a column goes back.

The released rows are lines of `director::country::language` split by position. Some hold these three words instead of
values, some the item's title as its director, and some begin with the echoed item line, so that the director stands
under country and the country under language. Raw texts are kept beside the mended fields.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from augment.messages import Record
from augment.tasks.naming import UNKNOWN, informative, known_or_missing
from augrec.pipeline.exchange.artefacts import published_record
from recsys.data.released.reader import Findings
from recsys.data.released.texts import ATTRIBUTE_NAMES

TASK = "item_attributes"
ECHOED_LINE = re.compile(r"\[\d+\]")
CREATOR = ATTRIBUTE_NAMES[0]


@dataclass(frozen=True)
class _Seen:
    """How often each value stands in each column: a slipped row's values are common in the column before."""

    columns: tuple[Counter[str], ...]

    @classmethod
    def of(cls, rows: Mapping[int, Sequence[str]]) -> _Seen:
        return cls(tuple(Counter(row[place].strip() for row in rows.values()) for place in range(len(ATTRIBUTE_NAMES))))

    def slipped(self, row: Sequence[str], title: str | None) -> bool:
        if ECHOED_LINE.match(row[0].strip()):
            return True
        later = [value.strip() for value in row[1:]]
        return _echoes(row[0], title) and all(
            self.columns[place][value] > self.columns[place + 1][value] for place, value in enumerate(later)
        )


def attribute_records(
    rows: Mapping[int, Sequence[str]], titles: Sequence[str | None], n_items: int, file: str, findings: Findings
) -> list[Record]:
    """One record per item; counts of what was odd join the findings.

    Args:
        rows: item -> (director, country, language) as published.
        titles: of every item, or empty.
        file: named in the findings.
    """
    seen = _Seen.of(rows)
    odd: Counter[str] = Counter()
    records = []
    for item in range(n_items):
        if item not in rows:
            records.append(published_record(TASK, item, fields=None, text="", reason="not_published"))
            continue
        title = titles[item] if titles else None
        fields, repairs, kinds = _mended(rows[item], title, seen)
        odd.update(kinds)
        records.append(published_record(TASK, item, fields=fields, text="::".join(rows[item]), repairs=repairs))
    for kind, meaning in WHAT.items():
        findings.add(file, meaning, odd[kind])
    return records


WHAT = {
    "words": f"rows hold the words {', '.join(ATTRIBUTE_NAMES)} in place of values; read as unknown",
    "placeholders": "rows hold a placeholder such as 'unknown'; read as unknown",
    "echo": f"rows echo the title as {CREATOR}; read as unknown",
    "slipped": "rows are shifted by one column; moved back",
}


def _mended(row: Sequence[str], title: str | None, seen: _Seen) -> tuple[dict[str, str], list[str], set[str]]:
    """The fields, what was mended, and which kinds of oddity the row shows."""
    values, repairs, odd = [value.strip() for value in row], list[str](), set[str]()
    if seen.slipped(row, title):
        values = [*values[1:], ""]
        repairs.append("shifted by one column: moved back")
        odd.add("slipped")
    fields = {}
    for name, value in zip(ATTRIBUTE_NAMES, values, strict=True):
        if not value:
            fields[name] = UNKNOWN
        elif name == CREATOR and _echoes(value, title):
            fields[name] = UNKNOWN
            repairs.append(f"{name}: echoes the title")
            odd.add("echo")
        else:
            fields[name] = known_or_missing(value, name, repairs)
            if not informative(value, name):
                odd.add("words" if value.casefold() in ATTRIBUTE_NAMES else "placeholders")
    return fields, repairs, odd


def _echoes(value: str, title: str | None) -> bool:
    return title is not None and value.strip().casefold() == title.casefold()
