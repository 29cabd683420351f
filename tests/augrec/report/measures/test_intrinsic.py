"""The form of texts against figures counted by hand."""

from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import pytest

from augrec.report.measures.intrinsic import (
    FieldValues,
    Histogram,
    distinct_per_window,
    histogram,
    intrinsic,
    repetition,
    text_of,
    values,
    words_of,
)
from tests.augrec.report.measures.written import HOSTILE, prose, records, row


def test_every_figure_of_a_few_texts() -> None:
    found = intrinsic(
        records(
            [
                row(0, {"profile": "One two three one two three"}),
                row(1, {"profile": "One TWO"}, attempt=2, repairs=["cut"]),
                row(2, {"profile": "One TWO"}),
                row(3, None, attempt=3),
                row(4, None, reason="no_history: nothing"),
            ]
        )
    )
    assert asdict(found) == {
        "source": "llm",
        "task": "user_profile",
        "records": 5,
        "ok": 3,
        "failed": 2,
        "failed_by_reason": {"length": 1, "no_history": 1},
        "first_attempt_share": 2 / 5,
        "repaired_share": pytest.approx(1 / 3),
        "distinct_share": pytest.approx(2 / 3),
        "repetition": 0.25,  # of four trigrams one comes again; the others have none
        "vocabulary": 3,
        "words_per_text": {"mean": pytest.approx(10 / 3), "p5": 2.0, "p50": 2.0, "p95": pytest.approx(5.6)},
        "distinct_per_1000": None,
        "histogram": {"edges": (2, 3, 4, 5, 6, 7), "counts": (2, 0, 0, 0, 1)},
        "values": {"profile": {"distinct": 2, "top": (("One TWO", 2 / 3), ("One two three one two three", 1 / 3))}},
    }


def test_fields_are_text_joined_and_counted_by_value() -> None:
    answers = [
        {"age": "25-34", "liked_genres": ["Drama", "Comedy", "Drama"], "country": None, "score": 3},
        {"age": "25-34", "liked_genres": ["Drama"], "country": "France"},
        {"age": "18-24", "liked_genres": [], "country": "x" * 61},
    ]
    assert text_of(answers[0]) == "25-34, Drama, Comedy, Drama"
    assert words_of("It's Zoë’s 2nd — don't_know") == ["it's", "zoë’s", "2nd", "don't", "know"]
    assert values(answers) == {
        "age": FieldValues(2, (("25-34", 2 / 3), ("18-24", 1 / 3))),
        "liked_genres": FieldValues(2, (("Drama", 2 / 3), ("Comedy", 1 / 3))),
    }


def test_edges_have_counts_and_no_text() -> None:
    found = intrinsic(records([row(0, {"positive": 3, "negative": 4})], task="edges"))
    assert found.ok == 1
    assert found.vocabulary is found.distinct_share is found.repetition is None
    assert found.words_per_text.mean is None
    assert found.histogram == Histogram((), ())
    assert found.values == {}


def test_nothing_at_all_has_no_shares() -> None:
    assert intrinsic(records([])).first_attempt_share is None
    assert intrinsic(prose([None, None])).repaired_share is None


def test_a_vocabulary_is_counted_in_whole_windows() -> None:
    assert distinct_per_window(["a", "b", "a", "a", "c", "a", "a", "z"], window=3) == 2.0  # {a, b} and {a, c}; two over
    assert distinct_per_window(["a"], window=2) is None


def test_repetition_is_that_of_trigrams() -> None:
    assert repetition(["a", "b"]) is None
    assert repetition(["a", "b", "c"]) == 0.0
    assert repetition(["a"] * 6) == 0.75


@pytest.mark.parametrize("counts", [[5], [0, 1000], list(range(37)), [3, 3, 3, 90]])
def test_a_histogram_holds_every_text_in_few_whole_bins(counts: list[int]) -> None:
    found = histogram(counts)
    assert sum(found.counts) == len(counts)
    assert len(found.counts) == len(found.edges) - 1 <= 20
    assert len(set(np.diff(found.edges))) == 1
    expected = [sum(low <= n < high for n in counts) for low, high in zip(found.edges, found.edges[1:], strict=False)]
    assert list(found.counts) == expected


def test_hostile_text_is_counted_like_any_other() -> None:
    found = intrinsic(prose([*HOSTILE, None]))
    assert found.ok == len(HOSTILE)
    assert found.distinct_share == 1.0
    json.dumps(asdict(found), allow_nan=False)
