"""A choice with hints: prompts show a user's history and hints, and ask for the letter of one of some items."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from augment.answers.scoring import labels_for
from augment.messages import Draft
from augment.tasks.base import Context, Task
from augment.tasks.hints import HintOptions, hint_values, similar_of
from augment.tasks.scored_question import scored_draft

if TYPE_CHECKING:
    from augment.entities import Item, UserEntity


class HintedChoice(Task):
    """A task that asks for the letter of an item, whose probabilities are read over one or more orders."""

    template: ClassVar[str]
    """The file of its template in `augment/prompts`."""
    options: HintOptions
    _context: Context

    def choice(self, entity: UserEntity, orders: Iterable[tuple[Item, ...]], drop: int) -> Draft:
        """The question which item the user would like best, in each of the orders.

        Args:
            entity: the user.
            orders: the same items in several orders; the first is the question's own.
            drop: how many of the oldest items of the history are left out.
        """
        history = entity.history[-self._context.max_history :][drop:]
        first, *others = (self._in_order(entity, history, shown, drop) for shown in orders)
        return replace(first, others=tuple(others))

    def _in_order(self, entity: UserEntity, history: tuple[Item, ...], shown: tuple[Item, ...], drop: int) -> Draft:
        asked = dict(zip(labels_for(len(shown)), shown, strict=True))
        messages = self._context.prompts.messages(
            self.template,
            domain=self._context.catalog.domain,
            history=history,
            asked=asked,
            **hint_values(entity, self.options, asked),
        )
        similar = similar_of(entity, self.options)
        return scored_draft(entity.user, messages, history, shown, drop=drop, similar=similar)
