"""The form of a source's texts: how many are valid, how long, how varied, how repetitive.

The text of a record is what its strings say, joined; numbers are no text, so edges have none. A word is a run of
letters and digits, apostrophes inside it included, folded to one case: also in scripts that write no spaces, where a
run is longer than a word. Nothing here is quoted to a reader but the values of short fields, cut to `SHORT` characters.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from augrec.report.measures.source_records import SourceRecords

SHORT = 60
WINDOW = 1000
BINS = 20
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")


@dataclass(frozen=True)
class Lengths:
    """Words per text: mean and percentiles; None without texts."""

    mean: float | None
    p5: float | None
    p50: float | None
    p95: float | None


@dataclass(frozen=True)
class Histogram:
    """Texts by number of words: bin n holds edges[n] to edges[n + 1], the latter excluded; empty without texts."""

    edges: tuple[float, ...]
    counts: tuple[int, ...]


@dataclass(frozen=True)
class FieldValues:
    """The values of a field of short values: how many differ, and the commonest with the share of answers."""

    distinct: int
    top: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Intrinsic:
    """The form of what one source answered to one task; see `intrinsic` for the shares."""

    source: str
    task: str
    records: int
    ok: int
    failed: int
    failed_by_reason: dict[str, int]
    first_attempt_share: float | None
    repaired_share: float | None
    distinct_share: float | None
    repetition: float | None
    vocabulary: int | None
    words_per_text: Lengths
    distinct_per_1000: float | None
    histogram: Histogram
    values: dict[str, FieldValues]


def intrinsic(records: SourceRecords) -> Intrinsic:
    """The form of one source's answers to one task.

    Shares of valid, first-attempt and failed answers are of all records, all others of the valid ones; a share of
    nothing is None. `repetition` leaves out texts of fewer than 3 words, and `distinct_per_1000` is None below 1,000
    words in all; its windows go through the texts by entity, one after another.
    """
    total, ok = len(records.ok), int(records.ok.sum())
    answers = [fields for fields, valid in zip(records.fields, records.ok, strict=True) if valid]
    texts = [text_of(fields) for fields in answers]
    worded = [words_of(text) for text in texts]
    has_text = any(worded)
    attempts, repairs = records.column("attempt"), records.column("repairs")
    failures = (reason for reason, valid in zip(records.reasons, records.ok, strict=True) if not valid)
    counts = [len(words) for words in worded] if has_text else []
    return Intrinsic(
        source=records.source,
        task=records.task,
        records=total,
        ok=ok,
        failed=total - ok,
        failed_by_reason=dict(sorted(Counter((reason or "unknown").partition(":")[0] for reason in failures).items())),
        first_attempt_share=_share(
            sum(valid and (attempt or 0) <= 1 for valid, attempt in zip(records.ok.tolist(), attempts, strict=True)),
            total,
        ),
        repaired_share=_share(
            sum(valid and bool(made) for valid, made in zip(records.ok.tolist(), repairs, strict=True)), ok
        ),
        distinct_share=_share(len(set(texts)), ok) if has_text else None,
        repetition=_mean(repeated for words in worded if (repeated := repetition(words)) is not None),
        vocabulary=len({word for words in worded for word in words}) if has_text else None,
        words_per_text=lengths(counts),
        distinct_per_1000=distinct_per_window(word for words in worded for word in words),
        histogram=histogram(counts),
        values=values(answers),
    )


def text_of(fields: dict[str, Any]) -> str:
    """What the strings of an answer say, those of lists too, in the order of the fields."""
    return ", ".join(text for value in fields.values() for text in strings(value))


def strings(value: Any) -> list[str]:
    """The strings of a value: itself, or those of a list."""
    if isinstance(value, str):
        return [value] if value else []
    return [text for text in value if isinstance(text, str) and text] if isinstance(value, list) else []


def words_of(text: str) -> list[str]:
    """The words of a text in their order, folded to one case."""
    return _WORD.findall(text.casefold())


def repetition(words: Sequence[str]) -> float | None:
    """The share of word trigrams that stand earlier in the same text; None without a trigram."""
    trigrams = list(zip(words, words[1:], words[2:], strict=False))
    return 1 - len(set(trigrams)) / len(trigrams) if trigrams else None


def distinct_per_window(words: Iterable[str], window: int = WINDOW) -> float | None:
    """Distinct words in each whole window of so many words, on average: a vocabulary that long texts do not inflate."""
    counts = [len(set(chunk)) for chunk in _chunks(words, window)]
    return float(np.mean(counts)) if counts else None


def _chunks(words: Iterable[str], size: int) -> Iterator[list[str]]:
    chunk: list[str] = []
    for word in words:
        chunk.append(word)
        if len(chunk) == size:
            yield chunk
            chunk = []


def lengths(counts: Sequence[int]) -> Lengths:
    """Mean and percentiles."""
    if not counts:
        return Lengths(None, None, None, None)
    return Lengths(float(np.mean(counts)), *(float(value) for value in np.percentile(counts, [5, 50, 95])))


def histogram(counts: Sequence[int], bins: int = BINS) -> Histogram:
    """How many texts have how many words: at most `bins` bins of equal, whole width; a bin holds its lower edge."""
    if not counts:
        return Histogram((), ())
    low, high = min(counts), max(counts)
    width = -(-(high - low + 1) // bins)
    number = (high - low) // width + 1
    texts = np.bincount([(count - low) // width for count in counts], minlength=number)
    return Histogram(tuple(low + width * place for place in range(number + 1)), tuple(texts.tolist()))


def values(answers: Sequence[dict[str, Any]]) -> dict[str, FieldValues]:
    """For every field of short values: how many distinct ones, and the three commonest with the share of answers.

    A field is short where 99 of 100 values have at most `SHORT` characters. Of a list every value counts once.
    """
    counters: dict[str, Counter[str]] = {}
    for fields in answers:
        for name, value in fields.items():
            if distinct := set(strings(value)):
                counters.setdefault(name, Counter()).update(distinct)
    kept = {}
    for name, counter in counters.items():
        long = sum(count for value, count in counter.items() if len(value) > SHORT)
        if long <= counter.total() / 100:
            common = sorted(counter.items(), key=lambda pair: (-pair[1], pair[0]))[:3]
            top = tuple((value[:SHORT], count / len(answers)) for value, count in common)
            kept[name] = FieldValues(len(counter), top)
    return kept


def _mean(numbers: Iterable[float]) -> float | None:
    listed = list(numbers)
    return float(np.mean(listed)) if listed else None


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
