"""Scored edges: probabilities from the log-probabilities of labels, orders that cancel position bias, one record."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from augment.answers.answer import Malformed
from augment.answers.scoring import averaged, confidence, disagreement, labels_for, parsed, ranked, written
from augment.completions import records_of
from augment.engines.heuristic import HeuristicEngine
from augment.entities import UserEntity
from augment.messages import Completion, Record, Request
from augment.options import GenerationOptions
from augment.requests import ask
from augment.tasks.base import Context
from augment.tasks.edges import Edges, EdgesOptions
from augrec.artefacts.errors import UsageError
from tests.kit.fake_engine import FakeEngine, Killed, honest

Logits = Callable[[int, int], float]
"""(item, place in the list) -> what the engine's model says."""


def orders_of(rng: random.Random, items: int, orders: int) -> list[dict[int, float]]:
    """Log-probabilities, not normalised, of the same items in orders of their own."""
    return [{item: rng.gauss(0, 3) - 5 for item in rng.sample(range(100, 100 + items), items)} for _ in range(orders)]


@pytest.mark.parametrize("seed", range(20))
def test_probabilities_sum_to_one_and_no_order_of_anything_matters(seed: int) -> None:
    rng = random.Random(seed)
    orders = orders_of(rng, rng.randint(2, 26), rng.randint(1, 4))
    probabilities = averaged(orders)
    assert math.isclose(sum(probabilities.values()), 1, abs_tol=1e-12)
    assert all(value > 0 for value in probabilities.values())
    shuffled = [dict(rng.sample(list(order.items()), len(order))) for order in rng.sample(orders, len(orders))]
    assert ranked(averaged(shuffled)) == ranked(probabilities)
    assert math.isclose(disagreement(shuffled), disagreement(orders), abs_tol=1e-12)


def test_averages_are_geometric_means_by_hand() -> None:
    orders = [
        {1: math.log(0.5), 2: math.log(0.25), 3: math.log(0.25)},
        {1: math.log(0.2), 2: math.log(0.4), 3: math.log(0.4)},
    ]
    roots = [math.sqrt(0.5 * 0.2), math.sqrt(0.25 * 0.4), math.sqrt(0.25 * 0.4)]
    assert list(averaged(orders).values()) == pytest.approx([root / sum(roots) for root in roots])
    assert disagreement(orders) == pytest.approx(0.3)
    assert disagreement(orders[:1]) == 0
    assert disagreement([*orders, orders[0]]) == pytest.approx((0.3 + 0.0 + 0.3) / 3)
    unnormalised = [{choice: value - 7 for choice, value in order.items()} for order in orders]
    assert averaged(unnormalised) == pytest.approx(averaged(orders))


def test_log_probabilities_far_apart_do_not_overflow() -> None:
    assert averaged([{1: 0.0, 2: -2000.0}]) == {1: 1.0, 2: 0.0}


def test_ties_go_to_the_lower_item() -> None:
    assert [item for item, _ in ranked(averaged([{7: -1.0, 3: -1.0, 5: -1.0, 9: -0.5}]))] == [9, 3, 5, 7]
    nearly = ranked({8: 0.3 + 1e-12, 4: 0.3, 2: 0.4 - 1e-12})
    assert [item for item, _ in nearly] == [2, 4, 8]


def test_small_probabilities_keep_their_order() -> None:
    assert [item for item, _ in ranked({1: 3e-12, 2: 5e-12, 3: 1 - 8e-12})] == [3, 2, 1]


def test_confidence() -> None:
    assert confidence(0.5, 0.5) == 0
    assert confidence(0.6, 0.2) == pytest.approx(0.5)
    assert confidence(1.0, 0.0) == 1
    assert confidence(0.0, 0.0) == 0


def test_labels_are_letters_and_end() -> None:
    assert labels_for(3) == ("A", "B", "C")
    assert len(set(labels_for(52))) == 52
    with pytest.raises(UsageError, match="53 candidates"):
        labels_for(53)


def test_what_is_stored_reads_back() -> None:
    orders = [{"A": -0.1, "B": -2.345678}, {"A": -1e9, "B": -0.0000001}]
    assert parsed(written(orders), ("A", "B"), 2) == [[-0.1, -2.345678], [-50.0, -0.0]]
    for text, count in (("[]", 1), ('[{"A":-1}]', 1), ('[{"A":-1,"B":NaN}]', 1), ("no", 1), (written(orders), 3)):
        with pytest.raises(Malformed):
            parsed(text, ("A", "B"), count)


@pytest.mark.parametrize(("permutations", "pairs"), [(1, 0), (2, 1), (4, 2), (5, 2), (8, 4)])
def test_orders_come_in_pairs_of_opposites(context: Context, permutations: int, pairs: int) -> None:
    task = Edges(context, EdgesOptions(mode="score", permutations=permutations))
    draft = task.draft(context.catalog.user(2))
    orders = [order.shown_candidates for order in draft.orders]
    assert len(orders) == permutations
    assert all(sorted(order) == sorted(orders[0]) for order in orders)
    assert sum(orders[2 * n + 1] == orders[2 * n][::-1] for n in range(pairs)) == pairs
    assert len(set(orders)) == permutations
    assert draft.shown_candidates == Edges(context, EdgesOptions()).draft(context.catalog.user(2)).shown_candidates


def test_prompts_share_everything_before_the_candidates(context: Context) -> None:
    user = context.catalog.user(2)
    draft = Edges(context, EdgesOptions(mode="score")).draft(user)
    chosen = Edges(context, EdgesOptions()).draft(user)
    heads = {order.messages[1].content.split("Candidates:")[0] for order in (*draft.orders, chosen)}
    assert len(heads) == 1
    assert len({order.messages[0] for order in (*draft.orders, chosen)}) == 1
    for order in draft.orders:
        lines = order.messages[1].content.split("Candidates:\n")[1].splitlines()
        for place, (label, item) in enumerate(zip(order.labels, order.shown_candidates, strict=True)):
            assert lines[place].startswith(f"{label}. Title {item:02d}")


def test_one_key_covers_all_orders_and_nothing_that_plays_no_part(context: Context) -> None:
    def key(seed: int = 0, user: int = 0, **options: Any) -> str:
        whom = replace(context.catalog.user(0), user=user)
        return next(ask(Edges(context, EdgesOptions(**options)), user, whom, FakeEngine(), seed)).key

    scored = key(mode="score")
    assert scored == key(mode="score", seed=1) == key(mode="score", sampling={"temperature": 0.1})
    others = [key(), key(mode="score", permutations=1), key(mode="score", permutations=4), key(mode="score", user=1)]
    assert len({scored, *others}) == 5


def test_keys_of_chosen_edges_are_what_they_were(context: Context) -> None:
    """Written by the code before there were scores."""
    task = Edges(context, EdgesOptions(candidates=4))
    request = next(ask(task, 3, context.catalog.user(3), FakeEngine(), 5))
    assert request.name == f"{request.key}/1"
    assert request.key == GOLDEN_KEY


GOLDEN_KEY = "328e328cf0a6b6e11aa45b0947fb0b57974bfecc39a68289d9885d69bbeea313"


@pytest.fixture
def score(context: Context) -> Callable[..., tuple[list[Record], list[Request]]]:
    """score(logits) asks about five users, an item's logit depending on its place in the list."""

    def call(logits: Logits, **options: Any) -> Any:
        def answer(request: Request, company: Sequence[Request]) -> Completion:
            draft = request.draft
            said = [logits(item, place) for place, item in enumerate(draft.shown_candidates)]
            return Completion(request, "A", "stop", draft.answer, 100, 1, 50, label_logprobs=tuple(said))

        engine = FakeEngine(answer)
        task = Edges(context, EdgesOptions(mode="score", **options))
        questions = [next(ask(task, user, context.catalog.user(user), engine, seed=0)) for user in range(5)]
        records = [record for record, _ in records_of(engine, {task.name: task}, questions, 2)]
        return sorted(records, key=lambda record: record.entity), engine.asked

    return call


def taste(item: int, place: int) -> float:
    return math.sin(item)


def test_a_record_holds_the_pair_its_confidence_and_all_scores(score: Any) -> None:
    records, asked = score(taste)
    assert len(asked) == 10
    assert len({request.name for request in asked}) == 10
    for record in records:
        fields = json.loads(record.fields)
        likes = {item: math.exp(math.sin(item)) for item in record.shown_candidates}
        expected = sorted(likes, key=lambda item: -likes[item])
        assert [item for item, _ in fields["scores"]] == expected
        assert [value for _, value in fields["scores"]] == pytest.approx(
            [likes[item] / sum(likes.values()) for item in expected], rel=1e-5
        )
        most, least = fields["scores"][0][1], fields["scores"][-1][1]
        assert (fields["positive"], fields["negative"]) == (expected[0], expected[-1])
        assert fields["confidence"] == pytest.approx((most - least) / (most + least), abs=1e-5)
        assert fields["disagreement"] == 0
        assert record.status == "ok"
        assert record.finish_reason == "stop"
        assert (record.prompt_tokens, record.completion_tokens, record.cached_tokens) == (200, 2, 100)
        assert [list(order) for order in json.loads(record.text)] == [list("ABCDEF")] * 2


def biased(item: int, place: int) -> float:
    """The first place is worth far more than any taste, in even steps."""
    return taste(item, place) - 2.5 * place


def test_opposite_orders_remove_a_preference_for_places(score: Any) -> None:
    fair, one, two = (
        [json.loads(record.fields) for record in score(logits, permutations=count)[0]]
        for logits, count in ((taste, 1), (biased, 1), (biased, 2))
    )
    for truth, first_only, both in zip(fair, one, two, strict=True):
        assert dict(both["scores"]) == pytest.approx(dict(truth["scores"]), rel=1e-4)
        assert both["positive"] == truth["positive"]
        assert both["disagreement"] > 0.9 > truth["disagreement"]
        assert dict(first_only["scores"]) != pytest.approx(dict(truth["scores"]), rel=1e-1)
    assert [fields["positive"] for fields in one] != [fields["positive"] for fields in fair]


def test_a_model_that_sees_only_places_is_sure_of_nothing(score: Any) -> None:
    for record in score(lambda item, place: -3.0 * place)[0]:
        fields = json.loads(record.fields)
        assert fields["confidence"] == 0
        assert [item for item, _ in fields["scores"]] == sorted(record.shown_candidates)


def test_one_order_that_fails_fails_the_record(context: Context) -> None:
    def answer(request: Request, company: Sequence[Request]) -> Completion:
        if request.order == 1 and request.attempt == 1:
            return Completion(request, "", "error", request.draft.answer, 10, error="engine_error: abort")
        said = tuple(-float(n) for n in range(len(request.draft.labels)))
        return Completion(request, "A", "stop", request.draft.answer, 10, 1, label_logprobs=said, notes=("noted",))

    engine = FakeEngine(answer)
    task = Edges(context, EdgesOptions(mode="score"))
    question = next(ask(task, 0, context.catalog.user(0), engine, seed=0))
    ((failed, _),) = records_of(engine, {"edges": task}, [question], 1)
    assert (failed.status, failed.reason, failed.fallback) == ("failed", "engine_error: abort", "masked")
    ((record, _),) = records_of(engine, {"edges": task}, [question], 2)
    assert (record.status, record.attempt, record.prompt_tokens) == ("ok", 2, 40)
    assert record.repairs == ("noted", "noted")


@pytest.mark.parametrize("said", [(), (-1.0, -2.0), (float("nan"),) * 6])
def test_scores_that_are_none_fail(context: Context, said: tuple[float, ...]) -> None:
    def answer(request: Request, company: Sequence[Request]) -> Completion:
        return Completion(request, "A", "stop", request.draft.answer, label_logprobs=said)

    engine = FakeEngine(answer)
    task = Edges(context, EdgesOptions(mode="score"))
    ((record, _),) = records_of(engine, {"edges": task}, [next(ask(task, 0, context.catalog.user(0), engine, 0))], 1)
    assert record.reason.startswith("malformed: not ")


def test_every_order_must_fit_the_context(context: Context) -> None:
    task = Edges(context, EdgesOptions(mode="score"))
    user = context.catalog.user(0)
    roomy = FakeEngine()
    longest = max(roomy.count_tokens(order.messages) for order in task.draft(user).orders)
    room = task.draft(user).answer.max_tokens
    assert next(ask(task, 0, user, FakeEngine(context=longest + room), 0)).draft.dropped_history == 0
    assert next(ask(task, 0, user, FakeEngine(context=longest + room - 1), 0)).draft.dropped_history == 1


def test_fewer_candidates_have_fewer_labels(context: Context) -> None:
    user = context.catalog.user(0)
    draft = Edges(context, EdgesOptions(mode="score")).draft(UserEntity(0, user.history, user.candidates[:2]))
    assert draft.labels == ("A", "B")
    assert Edges(context, EdgesOptions(mode="score", candidates=4)).options.labels == ("A", "B", "C", "D")


@pytest.mark.parametrize("wrong", [{"permutations": 0}, {"permutations": 9}, {"mode": "guess"}])
def test_options_that_make_no_sense(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        EdgesOptions(**wrong)


def test_the_control_scores_by_likeness(context: Context) -> None:
    """Softmax of ten times the cosine of genres, in any order of the candidates, by a slow sum."""
    user = context.catalog.user(1)
    task = Edges(context, EdgesOptions(mode="score"))
    question = next(ask(task, 1, user, HeuristicEngine(), 0))
    ((record, _),) = records_of(HeuristicEngine(), {"edges": task}, [question], 1)
    genres = {genre for item in context.catalog.items() for genre in item.genres}
    taste = {genre: sum(genre in item.genres for item in user.history) for genre in genres}
    length = math.sqrt(sum(count**2 for count in taste.values()))
    odds = {
        item.item: math.exp(10 * sum(taste[g] for g in item.genres) / (length * math.sqrt(len(item.genres))))
        for item in user.candidates
    }
    fields = json.loads(record.fields)
    assert dict(fields["scores"]) == pytest.approx({i: odd / sum(odds.values()) for i, odd in odds.items()}, rel=1e-5)
    assert fields["disagreement"] == pytest.approx(0, abs=1e-5)
    assert 0 < fields["confidence"] < 1


def test_a_source_is_scored_resumed_and_merged(
    run: Callable[..., dict[str, Any]], records: Any, generation: GenerationOptions
) -> None:
    def answer(request: Request, company: Sequence[Request]) -> Any:
        if not request.draft.labels:
            return honest(request, company)
        said = tuple(math.sin(item) for item in request.draft.shown_candidates)
        return Completion(request, "A", "stop", request.draft.answer, 10, 1, label_logprobs=said)

    class Checked(FakeEngine):
        checked: list[str] = []  # noqa: RUF012

        def check_labels(self, labels: Sequence[str]) -> None:
            self.checked.extend(labels)

    tasks = generation.tasks.model_copy(update={"edges": EdgesOptions(mode="score", candidates=4)})
    whole = run(Checked(answer), "whole", tasks=tasks)
    assert Checked.checked == list("ABCD")
    with pytest.raises(Killed):
        run(Checked(answer, lives=9), "cut", tasks=tasks)
    run(Checked(answer), "cut", tasks=tasks)
    rows, resumed = records("whole")["edges"], records("cut")["edges"]
    assert [row["fields"] for row in rows] == [row["fields"] for row in resumed]
    assert whole["tasks"]["edges"]["ok"] == len(rows) > 0
    assert whole["tasks"]["edges"]["completion_tokens"] == 2 * len(rows)


def test_labels_that_cannot_be_scored_are_refused_before_the_engine_starts(
    run: Callable[..., Any], generation: GenerationOptions
) -> None:
    class Refusing(FakeEngine):
        def check_labels(self, labels: Sequence[str]) -> None:
            raise UsageError("labels must be one token each")

    engine = Refusing()
    with pytest.raises(UsageError, match="one token"):
        run(engine, tasks=generation.tasks.model_copy(update={"edges": EdgesOptions(mode="score")}))
    assert engine.starts == 0
