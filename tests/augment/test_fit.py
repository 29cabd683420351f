"""A prompt that is too long loses its oldest items, and not one more than it must."""

from __future__ import annotations

from typing import Any

import pytest

from augment.entities import UserEntity
from augment.messages import Draft
from augment.requests import fit
from augment.tasks.base import Context, Impossible
from augment.tasks.edges import Edges, EdgesOptions
from augment.tasks.user_profile import UserProfile, UserProfileOptions
from tests.kit.fake_engine import FakeEngine

OPTIONS = {
    "profile": (UserProfile, UserProfileOptions()),
    "prose": (UserProfile, UserProfileOptions(style="prose")),
    "edges": (Edges, EdgesOptions(candidates=4)),
    "scored edges": (Edges, EdgesOptions(candidates=4, mode="score", permutations=3)),
}


def needed(draft: Draft, engine: Any) -> int:
    return max(engine.count_tokens(order.messages) for order in draft.orders) + draft.answer.max_tokens


@pytest.mark.parametrize("history", [1, 2, 5, 9])
@pytest.mark.parametrize("what", OPTIONS)
def test_as_few_items_are_dropped_as_the_context_requires(what: str, history: int, context: Context) -> None:
    """Against a slow reference that drops one after the other, for every context around the prompt's length."""
    kind, options = OPTIONS[what]
    task: Any = kind(context, options)  # type: ignore[arg-type]
    user = context.catalog.user(0)
    items = tuple(context.catalog.item(n) for n in range(history))
    entity = UserEntity(0, items, user.candidates)
    drafts = [task.draft(entity, drop) for drop in range(history)]
    lengths = [needed(draft, FakeEngine()) for draft in drafts]
    assert lengths == sorted(lengths, reverse=True)
    for room in range(lengths[-1] - 2, lengths[0] + 3):
        engine = FakeEngine(context=room)
        fitting = [drop for drop, length in enumerate(lengths) if length <= room]
        if not fitting:
            with pytest.raises(Impossible, match="prompt_too_long"):
                fit(task.draft(entity), lambda drop: task.draft(entity, drop), engine)
            continue
        draft = fit(task.draft(entity), lambda drop: task.draft(entity, drop), engine)
        assert draft.dropped_history == fitting[0]
        assert draft.shown_history == tuple(item.item for item in items[fitting[0] :]), "the latest stay"
        assert all(order.shown_history == draft.shown_history for order in draft.orders)


@pytest.mark.parametrize("mode", ["choose", "score"])
def test_candidates_come_in_an_order_of_each_users_own(mode: Any, context: Context) -> None:
    """Twelve users with the same candidates and history: what stands first, or in any place, is not one for all."""
    task = Edges(context, EdgesOptions(candidates=6, mode=mode, permutations=1))
    some = context.catalog.user(0)
    orders = [task.draft(UserEntity(user, some.history, some.candidates)).shown_candidates for user in range(12)]
    assert len(set(orders)) >= 11
    assert {tuple(sorted(order)) for order in orders} == {tuple(sorted(item.item for item in some.candidates))}
    for place in range(6):
        assert len({order[place] for order in orders}) >= 4, "every place is taken by many"


def test_another_seed_is_another_order(context: Context) -> None:
    from dataclasses import replace

    some = context.catalog.user(0)
    orders = {
        Edges(replace(context, seed=seed), EdgesOptions(candidates=6)).draft(some).shown_candidates for seed in range(8)
    }
    assert len(orders) >= 7
