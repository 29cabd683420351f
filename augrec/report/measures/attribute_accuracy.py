"""How often what a source says of items is what the data say: a director, a genre, a number of pages.

A field is held against the column of items that is called like it, or like its plural (`genre` against `genres`). An
answer is right where its words are those of the value, in any order and case ("Tarantino, Quentin"), or of one of the
values, where the data have several; a range ("200-299") where the number lies in it. "unknown" is not right. Beside it
stand the same answers at other items, and the data's commonest value said of every item: what a field is worth that
knows nothing of its item.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from augrec.report.measures.resampled_means import ResampledMean

UNKNOWN = "unknown"
RANGE = re.compile(r"(\d+)\s*-\s*(\d+)|(\d+) or (more|fewer|less)")


@dataclass(frozen=True)
class AttributeAccuracy:
    """One field of one source.

    Attributes:
        source, field, column: what was asked, and what it is held against.
        items: with an answer, and a value in the data.
        unknown: the share of them of which the answer says so.
        right: the share that is right, and its interval over items.
        right_of_told: of the answers that say something.
        elsewhere: the share that is right of the same answers at other items.
        commonest: of the data's commonest value, said of every item.
    """

    source: str
    field: str
    column: str
    items: int
    unknown: float
    right: ResampledMean
    right_of_told: float | None
    elsewhere: float
    commonest: float


def attribute_accuracy(
    source: str, answers: Mapping[int, Mapping[str, Any]], items: pa.Table, *, seed: int = 0
) -> tuple[AttributeAccuracy, ...]:
    """Every field of a source's answers about items that the data have a column for.

    Args:
        source: its name.
        answers: item -> field -> what was answered; failed ones are left out.
        items: the side table, row = item.
        seed: of the move to other items, and of the intervals.
    """
    fields = dict.fromkeys(name for answer in answers.values() for name in answer)
    found = []
    for field in fields:
        column = next((name for name in (field, f"{field}s") if name in items.column_names), None)
        if column is None or column in ("item", "source_id", "title"):
            continue
        values = [_values(value) for value in items[column].to_pylist()]
        said = {item: str(answer[field]) for item, answer in answers.items() if field in answer and values[item]}
        if said:
            found.append(_of_field(source, field, column, said, values, seed))
    return tuple(found)


def _of_field(
    source: str, field: str, column: str, said: Mapping[int, str], values: Sequence[Sequence[str]], seed: int
) -> AttributeAccuracy:
    known, texts = [values[item] for item in said], list(said.values())
    rng = np.random.default_rng([seed, 0xFAC7])
    right = np.array([is_right(text, one) for text, one in zip(texts, known, strict=True)], float)
    told = np.array([text.casefold() != UNKNOWN for text in texts])
    moved = [texts[place] for place in rng.permutation(len(texts))]
    interval = ResampledMean.of(right, rng)
    commonest = Counter(value for one in known for value in set(one)).most_common(1)[0][0]
    return AttributeAccuracy(
        source=source,
        field=field,
        column=column,
        items=len(said),
        unknown=float(1 - told.mean()),
        right=interval,
        right_of_told=float(right[told].mean()) if told.any() else None,
        elsewhere=float(np.mean([is_right(text, one) for text, one in zip(moved, known, strict=True)])),
        commonest=float(np.mean([commonest in one for one in known])),
    )


def is_right(said: str, known: Sequence[str]) -> bool:
    """Whether an answer is one of the values that the data have of its item."""
    words = _words(said)
    if not words or said.casefold() == UNKNOWN:
        return False
    return any(words == _words(value) or _in_range(said, value) for value in known)


def _words(text: str) -> list[str]:
    return sorted(re.findall(r"\w+", text.casefold()))


def _in_range(said: str, value: str) -> bool:
    found = RANGE.fullmatch(said.strip())
    if found is None or not value.replace(".", "", 1).isdigit():
        return False
    number, (low, high, end, side) = float(value), found.groups()
    if end is not None:
        return number >= float(end) if side == "more" else number <= float(end)
    return float(low) <= number <= float(high)


def _values(value: Any) -> list[str]:
    """What the data say of an item as texts; nothing where it is not known."""
    several = value if isinstance(value, list) else [value]
    return [str(one) for one in several if one is not None and str(one).strip()]
