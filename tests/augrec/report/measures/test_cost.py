"""Tokens, prices, gain per cost and energy, by hand; what names add to profiles."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import asdict

import numpy as np
import pytest

from augrec.report.measures.agreement import Agreement
from augrec.report.measures.cost import Charge, Cost, Price, cost, per_cost, price_list, writing_prices
from augrec.report.measures.downstream import Judgement, MetricValue
from augrec.report.measures.memorisation import memorisation, verdict
from augrec.report.measures.source_records import SourceRecords
from tests.augrec.report.measures.written import prose, records, row

CHEAP = Price("cheap", "2024-01-01", input=0.5, output=1.5, source="a shop", batch=0.5)


def test_the_list_is_of_dated_prices_with_their_sources() -> None:
    listed = price_list()
    assert len({(price.model, price.dated) for price in listed}) == len(listed) > 0
    for price in listed:
        assert datetime.date.fromisoformat(price.dated).year >= 2022
        assert price.input > 0
        assert price.source
        assert price.batch is None or 0 < price.batch < 1
    assert all("embedding" not in price.model for price in writing_prices())
    turbo = next(price for price in listed if price.model == "gpt-3.5-turbo-0613")
    assert turbo.usd(1_000_000, 500_000) == pytest.approx(2.5)
    assert CHEAP.usd(2_000_000, 1_000_000) == 2.5
    assert CHEAP.usd(2_000_000, 1_000_000, batch=True) == 1.25


def test_recorded_tokens_over_tasks() -> None:
    tasks = [
        records([row(0, {"a": "b"}, prompt_tokens=300, completion_tokens=100), row(1, None, prompt_tokens=100)]),
        records([row(0, {"a": "b"}, prompt_tokens=600, completion_tokens=100)], task="edges"),
    ]
    found = cost("llm", tasks, model="m", device="gpu", devices=4, engine_seconds=50.0, prices=[CHEAP], count=len)
    assert asdict(found) == {
        "source": "llm",
        "model": "m",
        "requests": 3,
        "prompt_tokens": 1000,
        "completion_tokens": 200,
        "estimated": False,
        "device": "gpu",
        "devices": 4,
        "device_seconds": 200.0,
        "energy_joules": None,
        "prices": ({"model": "cheap", "dated": "2024-01-01", "usd": pytest.approx(0.0008)},),
    }


def test_tokens_that_nobody_recorded_are_counted_or_unknown() -> None:
    published = records([row(0, {"profile": "abc"}, text="abc"), row(1, None, text=None)])
    unknown = cost("gpt", [published])
    assert (unknown.prompt_tokens, unknown.estimated, unknown.prices) == (None, False, ())
    partly = cost("gpt", [published], count=len)
    assert (partly.prompt_tokens, partly.completion_tokens, partly.prices) == (None, 3, ())
    assert partly.estimated


def result(arm: str, mean: float | None, recommender: str = "ease", metric: str = "recall@20") -> Judgement:
    groups = {} if mean is None else {"all": {metric: MetricValue(mean, None, None, None, {})}}
    return Judgement(arm, recommender, (1,), None, (), None, groups)


def spending(source: str, seconds: float | None, *usd: float) -> Cost:
    """What a source took, at prices of one model."""
    charges = tuple(Charge("cheap", "d", amount) for amount in usd)
    return Cost(source, None, 1, None, None, False, None, None, seconds, None, charges)


def test_gain_for_each_hour_and_dollar() -> None:
    spent = {
        "ours": spending("llm", 7200.0, 4.0),
        "some": spending("llm", 7200.0, 4.0).part(0.25),
        "theirs": spending("gpt", None, 0.0),
        "rule": spending("rule", None),
    }
    ease = [
        result("ours", 0.11),
        result("some", 0.11),
        result("theirs", 0.09),
        result("rule", 0.1),
        result("none", 0.1),
    ]
    gcn = [result("ours", None, "gcn"), result("none", 0.0, "gcn")]
    rows = per_cost([*ease, *gcn], spent, baseline="none", metrics=["recall@20"])
    of = [("ours", "ease"), ("some", "ease"), ("theirs", "ease"), ("ours", "gcn")]
    assert [(gain.arm, gain.recommender) for gain in rows] == of
    assert asdict(rows[0]) == {
        "arm": "ours",
        "recommender": "ease",
        "metric": "recall@20",
        "improvement_percent": pytest.approx(10.0),
        "device_hours": 2.0,
        "usd": 4.0,
        "price_model": "cheap",
        "percent_per_device_hour": pytest.approx(5.0),
        "percent_per_usd": pytest.approx(2.5),
    }
    assert (rows[1].device_hours, rows[1].usd) == (0.5, 1.0)
    assert rows[1].percent_per_usd == pytest.approx(10.0)
    assert rows[2].improvement_percent == pytest.approx(-10.0)
    assert rows[2].percent_per_usd is rows[2].percent_per_device_hour is None
    assert rows[3].improvement_percent is None


def test_less_of_an_error_is_a_gain() -> None:
    judged = [result("ours", 0.9, metric="rmse"), result("none", 1.0, metric="rmse")]
    (gain,) = per_cost(judged, {"ours": spending("llm", None, 2.0)}, baseline="none", metrics=["rmse"])
    assert gain.improvement_percent == pytest.approx(10.0)
    assert gain.percent_per_usd == pytest.approx(5.0)


def test_what_names_add_is_told_by_genres_where_there_are_some() -> None:
    histories = {user: [("Drama",)] for user in range(40)}
    named = records([row(user, {"liked_genres": ["Drama"]}) for user in range(40)], source="named")
    blind = records([row(user, {"liked_genres": ["War"]}) for user in range(40)], source="blind")
    found = memorisation(named, blind, np.eye(40), np.eye(40), histories)
    assert (found.named, found.anonymous, found.entities, found.exact) == ("named", "blind", 40, 0.0)
    assert (found.consistency_named, found.consistency_anonymous) == (1.0, 0.0)
    assert (found.cosine, found.cosine_strangers) == (1.0, 0.0)
    assert found.verdict.startswith("Names matter: without them 100 points")
    assert memorisation(named, named, histories=histories).verdict.startswith("Names hardly matter")
    assert memorisation(blind, named, histories=histories).verdict.startswith("Names mislead")
    few = memorisation(prose(["a"]), prose(["a"]))
    assert (few.entities, few.exact) == (1, 1.0)
    assert few.verdict.startswith("Too few")


def edges(source: str, choice: Callable[[int, list[int]], int]) -> SourceRecords:
    """Forty users who are shown the same four items, first one, then another in front."""
    shown = [np.roll([5, 6, 7, 8], user).tolist() for user in range(40)]
    rows = [
        row(user, {"positive": choice(user, items), "negative": 8}, shown_candidates=items)
        for user, items in enumerate(shown)
    ]
    return records(rows, source=source, task="edges")


@pytest.mark.parametrize(
    ("kept", "told"),
    [
        (40, "Names hardly matter to the edges: without them 100 % of users"),
        (16, "Names matter to the edges: without them 40 % of users"),
        (12, "Edges do not tell what names add: without them 30 % of users"),
    ],
)
def test_what_names_add_to_edges_is_told_by_the_choice_beside_chance(kept: int, told: str) -> None:
    found = memorisation(edges("named", lambda *_: 5), edges("blind", lambda user, _: 5 if user < kept else 6))
    assert (found.task, found.same_choice) == ("edges", kept / 40)
    assert found.chance_of_choice == pytest.approx(0.25)
    assert found.verdict.startswith(told)
    assert found.verdict.endswith("by place alone gives 25 %.")


def test_choices_by_place_are_not_taken_for_what_names_add() -> None:
    found = memorisation(edges("named", lambda _, items: items[0]), edges("blind", lambda _, items: items[0]))
    assert (found.same_choice, found.chance_of_choice) == (1.0, 1.0)
    assert found.verdict.startswith("Edges do not tell")


@pytest.mark.parametrize(
    ("own", "strange", "told"),
    [
        (0.9, 0.5, "Names hardly matter"),
        (0.6, 0.5, "Names matter"),
        (0.51, 0.5, "Names are all"),
        (None, None, "Nothing to compare by"),
    ],
)
def test_what_names_add_is_told_by_vectors_otherwise(own: float | None, strange: float | None, told: str) -> None:
    alike = Agreement("named", "blind", "user_profile", 40, None, {}, own, strange)
    assert verdict(alike, None, None).startswith(told)
