"""Pairs and picks: what is asked about, in which orders, with which hints, and what becomes of the answers."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from augment.answers.scoring import label_answer
from augment.catalog import Catalog
from augment.entities import UserEntity
from augment.hints import Hints
from augment.messages import Completion, Draft, Request
from augment.tasks import TASKS
from augment.tasks.base import Context, Contradiction, Impossible
from augment.tasks.pair import Pair, PairOptions
from augment.tasks.pick import PickOptions
from augment.unseen import UnseenItems
from augrec.artefacts.interactions import UserItems
from tests.kit.fake_engine import FakeEngine
from tests.kit.prepared_data import N_ITEMS, N_USERS

CHOICES = {"pair": 2, "pick": 10}


def task_of(context: Context, name: str, **options: Any) -> Any:
    return TASKS[name](context, TASKS[name].Options(**options))


def hinted(catalog: Catalog, user: int) -> UserEntity:
    """A user with a similar one, and scores that rise with the item's number."""
    similar = catalog.user((user + 1) % N_USERS).history[::-1]
    return replace(catalog.user(user), similar=similar, scores={item: float(item) for item in range(N_ITEMS)})


def text(draft: Draft) -> str:
    return draft.messages[1].content


@pytest.mark.parametrize("name", CHOICES)
def test_questions_are_about_items_without_a_training_interaction(context: Context, name: str) -> None:
    task, asked = task_of(context, name), set()
    for user in range(N_USERS):
        draft = task.draft(context.catalog.user(user))
        train = {(user + k) % N_ITEMS for k in range(5)}
        assert len(set(draft.shown_candidates)) == CHOICES[name]
        assert not train & set(draft.shown_candidates)
        asked |= {(item - user) % N_ITEMS for item in draft.shown_candidates}
    assert asked >= ({5, 6} if name == "pick" else set()), "held-out items are drawn like any"


@pytest.mark.parametrize("source", ["random", "top2", "top_m"])
def test_more_pairs_share_no_item_and_begin_with_the_same(context: Context, source: str) -> None:
    listing(context.catalog, [[(user + k) % N_ITEMS for k in range(7, 17)] for user in range(N_USERS)])
    user = context.catalog.user(0)
    one, three = (
        list(task_of(context, "pair", pair_source=source, pairs_per_user=count).questions(user)) for count in (1, 3)
    )
    assert [draft.question for draft in one] == [""]
    assert [draft.question for draft in three] == ["pair-1", "pair-2", "pair-3"]
    assert three[0].messages == one[0].messages
    assert len({item for draft in three for item in draft.shown_candidates}) == 6
    most = list(task_of(context, "pair", pair_source=source, pairs_per_user=100).questions(user))
    assert len(most) == (5 if source != "random" else (N_ITEMS - 5) // 2), "as many as there are"


@pytest.mark.parametrize("name", CHOICES)
def test_both_orders_show_the_same_items_under_other_letters(context: Context, name: str) -> None:
    draft = task_of(context, name).draft(context.catalog.user(3))
    first, second = draft.orders
    assert second.shown_candidates == first.shown_candidates[::-1]
    for order in draft.orders:
        assert order.labels == tuple("ABCDEFGHIJ"[: CHOICES[name]])
        assert order.answer is label_answer(order.labels)
        for label, item in zip(order.labels, order.shown_candidates, strict=True):
            assert f"\n{label}. Title {item:02d}" in text(order)
    beginning = text(first).partition("\nA. ")[0]
    assert text(second).startswith(beginning), "the orders share all that stands before the items"
    assert text(first).startswith("Movies a person liked, oldest first:\n- Title 03")


@pytest.mark.parametrize("name", CHOICES)
def test_without_hints_a_prompt_shows_none(context: Context, name: str) -> None:
    draft = task_of(context, name).draft(hinted(context.catalog, 3))
    assert draft.messages == task_of(context, name).draft(context.catalog.user(3)).messages
    assert draft.shown_similar == ()
    assert "similar" not in text(draft)
    assert "recommender" not in text(draft)


@pytest.mark.parametrize("name", CHOICES)
def test_hints_are_shown_where_they_are_wanted(context: Context, name: str) -> None:
    task = task_of(context, name, similar_user=True, similar_items=2, prediction=True)
    assert task.options.needs_hints
    for order in task.draft(hinted(context.catalog, 3)).orders:
        assert order.shown_similar == (8, 7)
        similar = text(order).partition("similar taste liked, latest first:\n")[2].partition("\n\n")[0]
        assert [line.partition(" (")[0].partition(",")[0] for line in similar.split("\n")] == [
            "- Title 08",
            "- Title 07",
        ]
        best = sorted(order.labels, key=lambda label: -order.shown_candidates[order.labels.index(label)])
        assert f"in this order, best first: {', '.join(best)}." in text(order)


@pytest.mark.parametrize("name", CHOICES)
def test_a_prediction_needs_a_score_of_every_item(context: Context, name: str) -> None:
    task = task_of(context, name, prediction=True)
    user = hinted(context.catalog, 3)
    shown = task.draft(user).shown_candidates
    scores = {item: score for item, score in user.scores.items() if item != shown[0]}
    assert "recommender" not in text(task.draft(replace(user, scores=scores)))


@pytest.mark.parametrize("name", CHOICES)
def test_who_teaches_says_what_is_asked_about(context: Context, name: str) -> None:
    catalog = context.catalog
    given = tuple(catalog.item(item) for item in (19, 17))
    draft = task_of(context, name).draft(replace(catalog.user(3), asked=given))
    assert set(draft.shown_candidates) == {19, 17}
    assert set(draft.others[0].shown_candidates) == {19, 17}


@pytest.mark.parametrize("name", CHOICES)
def test_users_who_cannot_be_asked_are_refused(context: Context, name: str) -> None:
    user = context.catalog.user(3)
    with pytest.raises(Impossible, match="no_history"):
        task_of(context, name).draft(replace(user, history=()))
    with pytest.raises(Impossible, match="too_few_items: the user has 1"):
        task_of(context, name).draft(replace(user, asked=user.candidates[:1]))


def listing(catalog: Catalog, lists: list[list[int]]) -> Catalog:
    """The catalogue with a base recommender that lists these items."""
    users = np.repeat(np.arange(len(lists)), [len(one) for one in lists])
    items = UserItems.build(users, np.array([item for one in lists for item in one]), catalog.n_users)
    catalog.hints = Hints(lambda user: None, lambda user: {}, items, "")
    return catalog


def test_pairs_may_come_from_the_head_of_the_list(context: Context) -> None:
    listing(context.catalog, [[(user + k) % N_ITEMS for k in range(7, 17)] for user in range(N_USERS)])
    top = task_of(context, "pair", pair_source="top2")
    some = task_of(context, "pair", pair_source="top_m", top=4)
    seen: Counter[int] = Counter()
    for user in range(N_USERS):
        entity = context.catalog.user(user)
        assert {(item - user) % N_ITEMS for item in top.draft(entity).shown_candidates} == {7, 8}
        drawn = {(item - user) % N_ITEMS for item in some.draft(entity).shown_candidates}
        assert drawn <= {7, 8, 9, 10}
        seen.update(drawn)
    assert len(seen) == 4
    assert all(PairOptions(pair_source=source).needs_hints for source in ("top2", "top_m"))
    assert not PairOptions().needs_hints


def logs(*probabilities: float) -> list[float]:
    return [math.log(probability) for probability in probabilities]


def pair_of(context: Context) -> tuple[Pair, Draft]:
    task = task_of(context, "pair")
    return task, task.draft(context.catalog.user(3))


def test_the_pair_is_what_both_orders_prefer(context: Context) -> None:
    task, draft = pair_of(context)
    first, second = draft.shown_candidates
    fields = task.check({"label_logprobs": [logs(0.9, 0.1), logs(0.4, 0.6)]}, draft).fields
    assert (fields["positive"], fields["negative"]) == (first, second)
    odds = math.sqrt(0.9 / 0.1 * 0.6 / 0.4)  # the mean of the logarithms
    assert dict(fields["scores"])[first] == pytest.approx(odds / (1 + odds), abs=1e-5)
    assert fields["confidence"] == pytest.approx((odds - 1) / (odds + 1), abs=1e-5)
    assert fields["disagreement"] == pytest.approx(0.3, abs=1e-5)


@pytest.mark.parametrize(
    ("logprobs", "complaint"),
    [
        ([logs(0.9, 0.1), logs(0.9, 0.1)], "the first item is preferred in both orders"),
        ([logs(0.2, 0.8), logs(0.4, 0.6)], "the second item is preferred in both orders"),
        ([logs(0.5, 0.5), logs(0.5, 0.5)], "neither item is preferred"),
    ],
)
def test_orders_that_disagree_give_no_pair(context: Context, logprobs: list[list[float]], complaint: str) -> None:
    task, draft = pair_of(context)
    with pytest.raises(Contradiction, match=complaint) as failed:
        task.check({"label_logprobs": logprobs}, draft)
    assert failed.value.code == "orders_disagree"


def test_orders_that_disagree_may_be_averaged(context: Context) -> None:
    task = task_of(context, "pair", disagreeing="average")
    draft = task.draft(context.catalog.user(3))
    fields = task.check({"label_logprobs": [logs(0.9, 0.1), logs(0.8, 0.2)]}, draft).fields
    assert fields["positive"] == draft.shown_candidates[0], "the first letter loses more where the other item has it"
    assert fields["confidence"] == pytest.approx(0.2, abs=1e-5)  # odds of sqrt(9 / 4)
    with pytest.raises(Contradiction, match="neither"):
        task.check({"label_logprobs": [logs(0.5, 0.5)] * 2}, draft)


def test_an_order_that_cannot_tell_leaves_it_to_the_other(context: Context) -> None:
    task, draft = pair_of(context)
    fields = task.check({"label_logprobs": [logs(0.5, 0.5), logs(0.2, 0.8)]}, draft).fields
    assert fields["positive"] == draft.shown_candidates[0]


def test_one_order_is_enough_where_that_is_asked_for(context: Context) -> None:
    task = task_of(context, "pair", both_orders=False)
    draft = task.draft(context.catalog.user(3))
    assert draft.others == ()
    fields = task.check({"label_logprobs": [logs(0.3, 0.7)]}, draft).fields
    assert (fields["positive"], fields["negative"]) == draft.shown_candidates[::-1]
    assert fields["disagreement"] == 0


def test_the_pick_is_the_likeliest_over_the_orders(context: Context) -> None:
    task = task_of(context, "pick", choices=3)
    draft = task.draft(context.catalog.user(3))
    fields = task.check({"label_logprobs": [logs(0.2, 0.7, 0.1), logs(0.5, 0.4, 0.1)]}, draft).fields
    shown = draft.shown_candidates
    means = {shown[0]: 0.2 * 0.1, shown[1]: 0.7 * 0.4, shown[2]: 0.1 * 0.5}
    assert fields["item"] == max(means, key=means.__getitem__) == shown[1]
    assert [item for item, _ in fields["scores"]] == sorted(means, key=lambda item: -means[item])
    assert set(fields) == {"item", "confidence", "disagreement", "scores"}


def test_what_is_taught_is_the_letter_of_the_truth(context: Context) -> None:
    pair, pick = task_of(context, "pair"), task_of(context, "pick", choices=3)
    for task in (pair, pick):
        for order in task.draft(context.catalog.user(3)).orders:
            for liked in order.shown_candidates:
                truth = {item: float(item == liked) for item in order.shown_candidates}
                taught = task.taught(order, truth)
                assert taught == {"label": order.labels[order.shown_candidates.index(liked)]}
            assert task.taught(order, dict.fromkeys(order.shown_candidates, 4.0)) is None
            assert task.taught(order, {order.shown_candidates[0]: 1.0}) is None
    order = pick.draft(context.catalog.user(3))
    known = {order.shown_candidates[2]: 5.0, order.shown_candidates[0]: 3.0}
    assert pick.taught(order, known) == {"label": "C"}


@pytest.mark.parametrize("name", CHOICES)
def test_every_choice_has_a_letter_that_the_engine_is_told_of(name: str) -> None:
    options = TASKS[name].Options()
    assert isinstance(options, PairOptions | PickOptions)
    assert len(options.labels) == CHOICES[name]


def test_disagreement_is_counted_and_not_asked_again(
    run: Callable[..., dict[str, Any]], records: Callable[..., Any], generation: Any
) -> None:
    """An engine that always prefers the first letter agrees with itself on no pair."""

    class Scoring(FakeEngine):
        def check_labels(self, labels: Sequence[str]) -> None:
            assert labels in (("A", "B"), tuple("ABCDEFGHIJ"))

    def first_letter(request: Request, company: Sequence[Request]) -> Completion:
        values = tuple(-float(place) for place in range(len(request.draft.labels)))
        return Completion(request, "", "stop", request.draft.answer, label_logprobs=values)

    source = generation.sources["fake"].model_copy(update={"tasks": ("pair", "pick")})
    summary = run(Scoring(first_letter), sources={"fake": source})
    assert summary["tasks"]["pair"]["ok"] == 0
    assert summary["tasks"]["pair"]["failed"] == N_USERS
    assert summary["tasks"]["pair"]["failed_by_reason"] == {"orders_disagree": N_USERS}
    assert all(record["attempt"] == 1 for record in records()["pair"]), "another attempt would say the same"
    assert summary["tasks"]["pick"]["ok"] == N_USERS
    for record in records()["pick"]:
        assert record["shown_similar"] == []


def test_draws_of_unseen_items_follow_from_names(catalog: Catalog) -> None:
    unseen = UnseenItems(catalog, "s")
    assert unseen.draw(3, 99) != sorted(unseen.draw(3, 99))
    assert sorted(unseen.draw(3, 99)) == sorted(set(range(N_ITEMS)) - {3, 4, 5, 6, 7})
    assert unseen.draw(3, 4) == unseen.draw(3, 99)[:4]
    assert unseen.draw(3, 4) != UnseenItems(catalog, "t").draw(3, 4)
    counts: Counter[int] = Counter()
    for stream in range(400):
        counts.update(UnseenItems(catalog, str(stream)).draw(0, 3))
    assert set(counts) == set(range(5, N_ITEMS))
    assert max(counts.values()) < 80 + 5 * math.sqrt(80)
    assert min(counts.values()) > 80 - 5 * math.sqrt(80)
