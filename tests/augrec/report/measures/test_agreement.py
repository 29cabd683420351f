"""Two sources beside each other, by hand."""

from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import pytest

from augrec.report.measures.agreement import agreement, cosines, likeness, strangers
from augrec.report.measures.directions import unit_rows
from tests.augrec.report.measures.written import HOSTILE, prose, records, row


def test_fields_and_entities_that_both_have() -> None:
    a = records(
        [
            row(0, {"age": "25-34", "liked_genres": ["Drama", "Comedy"], "only_a": "x"}),
            row(1, {"age": "18-24", "liked_genres": []}),
            row(2, {"age": "18-24", "liked_genres": ["War"]}),
            row(3, None),
        ],
        source="a",
    )
    b = records(
        [
            row(3, {"age": "18-24", "liked_genres": []}),
            row(2, {"age": "Under 18", "liked_genres": ["war"]}),
            row(1, {"age": "18-24 ", "liked_genres": []}),
            row(0, {"age": "25-34", "liked_genres": ["comedy", "Horror"]}),
        ],
        source="b",
    )
    found = agreement(a, b)
    assert asdict(found) == {
        "a": "a",
        "b": "b",
        "task": "user_profile",
        "entities": 3,
        "exact": pytest.approx(1 / 3),
        "fields": {"age": pytest.approx(2 / 3), "liked_genres": pytest.approx((1 / 3 + 1 + 1) / 3)},
        "cosine": None,
        "cosine_strangers": None,
    }


def test_answers_to_several_questions_are_compared_one_by_one() -> None:
    asked = [("0", "x"), ("0", "y"), ("1", "x"), ("1", "y")]
    texts = {"a": ["same", "this", "same", None], "b": ["same", "that", "other", "same"]}
    a, b = (
        records(
            [
                row(int(user), None if text is None else {"said": text}, question=question)
                for (user, question), text in zip(asked, texts[source], strict=True)
            ],
            source=source,
        )
        for source in ("a", "b")
    )
    found = agreement(a, b)
    assert (found.entities, found.exact) == (2, pytest.approx(1 / 3))
    assert found.fields == {"said": pytest.approx(1 / 3)}
    assert a.answers_about(1) == [{"said": "same"}]
    assert b.answers_about(1) == [{"said": "other"}, {"said": "same"}]
    assert a.answers_about(7) == []


def test_sources_without_a_common_field_or_entity() -> None:
    found = agreement(prose(["a"]), records([row(0, {"age": "b"})]))
    assert (found.entities, found.exact, found.fields) == (1, None, {})
    assert agreement(prose(["a"]), prose([None])).entities == 0


def test_cosine_of_the_same_and_of_strangers_against_a_loop() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(2, 9, 4)).astype(np.float32)
    first[3], second[5] = 0, np.nan
    entities = np.array([0, 1, 3, 4, 5, 8])
    own, strange = cosines(first, second, entities, seed=2)

    def cosine(a: np.ndarray, b: np.ndarray) -> float:
        return float(a @ b / np.sqrt(a @ a) / np.sqrt(b @ b))

    left = [0, 1, 4, 8]
    assert own == pytest.approx(np.mean([cosine(first[e], second[e]) for e in left]), abs=1e-6)
    circle = np.random.default_rng([2, 0xA6]).permutation(4).tolist()
    pairs = zip(circle, circle[-1:] + circle[:-1], strict=True)
    assert strange == pytest.approx(np.mean([cosine(first[left[a]], second[left[b]]) for a, b in pairs]), abs=1e-6)
    assert cosines(first, second, entities, seed=2) == (own, strange)


def test_equal_vectors_agree_and_strangers_do_not() -> None:
    own, strange = cosines(np.eye(6), 3 * np.eye(6), np.arange(6), seed=0)
    assert (own, strange) == (1.0, 0.0)
    assert cosines(np.eye(6), np.eye(6), np.array([2]), seed=0) == (1.0, None)
    assert cosines(np.eye(6), np.zeros((6, 6)), np.arange(6), seed=0) == (None, None)
    assert cosines(np.eye(6), np.eye(5), np.arange(5), seed=0) == (None, None)


@pytest.mark.parametrize("count", [2, 3, 50])
def test_nobody_is_their_own_stranger_and_everybody_is_one(count: int) -> None:
    other = strangers(count, np.random.default_rng(count))
    assert sorted(other) == list(range(count))
    assert (other != np.arange(count)).all()


def test_likeness_of_odd_values() -> None:
    assert likeness(["A", "b"], ["B"]) == 0.5
    assert likeness([{"x": 1}], [{"x": 1}]) == 1.0
    assert likeness(None, "none") == 0.0
    assert likeness(1, 1) == 1.0
    assert not unit_rows(np.array([[0.0, 0.0], [np.inf, 1.0]])).any()


def test_hostile_text_agrees_with_itself() -> None:
    found = agreement(prose(list(HOSTILE)), prose(list(HOSTILE), source="b"))
    assert (found.exact, found.fields) == (1.0, {"profile": 1.0})
    json.dumps(asdict(found), allow_nan=False)
