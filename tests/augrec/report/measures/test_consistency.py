"""Genres that profiles name, those that histories hold, and places that edges pick, by hand."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict

import numpy as np
import pytest
from scipy import stats

from augrec.report.measures.consistency import commonest, consistency
from augrec.report.measures.position import position
from tests.augrec.report.measures.written import prose, records, row

HISTORIES = {
    0: [("Drama", "Drama", "War"), ("Drama",), ("Comedy", "War"), ("Horror",), ("Comedy",)],
    1: [("Action",)],
    2: [()],
    3: [("Action",)],
}


def test_shares_by_hand() -> None:
    found = consistency(
        records(
            [
                row(0, {"liked_genres": ["drama", "Horror", "Action"], "disliked_genres": ["War", "Action"]}),
                row(1, {"liked_genres": ["Action"], "disliked_genres": []}),
                row(2, {"liked_genres": ["Action"], "disliked_genres": []}),  # has no genre in the history
                row(3, {"liked_genres": [], "disliked_genres": ["War"]}),
                row(4, {"liked_genres": ["Action"]}),  # has no history
                row(5, None),
            ]
        ),
        HISTORIES,
    )
    assert asdict(found) == {
        "source": "llm",
        "users": 2,
        "liked_in_history": pytest.approx((2 / 3 + 1) / 2),
        "liked_in_top3": pytest.approx((1 / 3 + 1) / 2),
        "disliked_in_history": 0.5,
        "strangers": pytest.approx((0 + 1 / 3) / 2),
    }


def test_genres_of_several_answers_are_put_together() -> None:
    failed = row(0, None, question="a")
    asked = [row(0, {"liked_genres": ["Drama"]}, question="b"), row(0, {"liked_genres": ["Action"]}, question="c")]
    found = consistency(records([failed, *asked]), HISTORIES)
    together = consistency(records([row(0, {"liked_genres": ["Drama", "Action"]})]), HISTORIES)
    assert found == together
    assert found is not None
    assert found.liked_in_history == 0.5


def test_those_who_tie_with_the_third_are_among_the_commonest() -> None:
    assert commonest(Counter(a=5, b=4, c=3, d=3, e=2)) == {"a", "b", "c", "d"}
    assert commonest(Counter(a=1)) == {"a"}


def test_a_source_that_names_no_genres_has_no_consistency() -> None:
    assert consistency(prose(["likes dramas"]), HISTORIES) is None
    assert consistency(records([row(0, {"liked_genres": "Drama"})]), HISTORIES) is None
    alone = consistency(records([row(1, {"liked_genres": ["Action", 3, None]})]), HISTORIES)
    assert alone is not None
    assert (alone.liked_in_history, alone.strangers) == (1.0, None)


def edge(user: int, positive: int, negative: int, shown: list[int] | None) -> dict[str, object]:
    return row(user, {"positive": positive, "negative": negative}, shown_candidates=shown)


def test_places_are_those_in_the_list_that_was_shown() -> None:
    found = position(
        records(
            [
                edge(0, 7, 9, [7, 8, 9]),
                edge(1, 5, 4, [5, 4, 1]),
                edge(2, 3, 1, [1, 2, 3]),
                edge(3, 1, 2, [1, 2]),  # another number of candidates
                edge(4, 6, 9, [7, 8, 9]),  # not one that was shown
                edge(5, 7, 8, None),
                row(6, None, shown_candidates=[1, 2, 3]),
            ],
            task="edges",
        )
    )
    assert found.users == 3
    assert (found.labels, found.positive, found.negative) == (3, (2, 0, 1), (1, 1, 1))
    assert found.first_share == pytest.approx(2 / 3)
    # chi-square of 2, 0, 1 against 1, 1, 1 is 2, of two degrees of freedom: p = exp(-1)
    assert found.p_positive == pytest.approx(np.exp(-1))
    assert found.p_negative == pytest.approx(1.0)


def test_a_favourite_place_is_told_from_chance() -> None:
    rng = np.random.default_rng(1)
    shown = [rng.permutation(40)[:10].tolist() for _ in range(500)]
    fair = [edge(u, one[rng.integers(5)], one[5 + rng.integers(5)], one) for u, one in enumerate(shown)]
    lazy = [edge(u, one[0], one[9], one) for u, one in enumerate(shown)]
    assert position(records(lazy, task="edges")).p_positive < 1e-6
    halves = position(records(fair, task="edges"))
    assert sum(halves.positive[:5]) == 500
    assert stats.chisquare(halves.positive[:5]).pvalue > 0.001
    nothing = position(records([], task="edges"))
    assert (nothing.users, nothing.labels, nothing.p_positive, nothing.first_share) == (0, 0, None, None)
