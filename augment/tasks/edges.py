"""User-item edges: which of the base recommender's candidates a user would like most and least (LLMRec, section 3.1).

Deviations from the authors' prompts: candidates carry labels 1..n instead of item ids, in an order drawn per user, so
an answer outside the list cannot occur and position bias averages out over users; and the two labels differ by
construction, because the grammar is a choice over the first label whose second excludes it.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Union

from pydantic import Field, create_model

from augment.answers import Answer, AnswerModel
from augment.shapes import Control, Draft
from augment.tasks.base import Checked, Context, Impossible, TaskOptions

if TYPE_CHECKING:
    from augment.catalog import Item, UserEntity


class EdgesOptions(TaskOptions):
    """Asking for a favourite and a least favourite among candidates."""

    candidates: int = Field(default=10, ge=2, le=50)
    """How many of a user's best candidates are shown."""


@cache
def edge_answer(count: int) -> Answer:
    """Two different labels out of 1..count. One grammar per count, shared by all users with that many candidates."""
    branches = []
    for most in range(1, count + 1):
        others = tuple(label for label in range(1, count + 1) if label != most)
        branches.append(
            create_model(
                f"Edge{most}",
                __base__=AnswerModel,
                **{"most_likely": (Literal[most], ...), "least_likely": (Literal[others], ...)},  # type: ignore[call-overload]
            )
        )
    return Answer(Union[tuple(branches)])  # noqa: UP007 - built from a list


class Edges:
    """Stored fields: {"positive": item id, "negative": item id}."""

    name: ClassVar[str] = "edges"
    about: ClassVar[Literal["user", "item"]] = "user"
    Options: ClassVar[type[TaskOptions]] = EdgesOptions

    def __init__(self, context: Context, options: EdgesOptions) -> None:
        self.options = options
        self._context = context

    def draft(self, entity: UserEntity, drop: int = 0) -> Draft:
        """See Task. A user without history or with fewer than two candidates cannot be asked about."""
        if not entity.history:
            raise Impossible("no_history: the user has no training interaction")
        if len(entity.candidates) < 2:
            raise Impossible(f"too_few_candidates: the user has {len(entity.candidates)}")
        history = entity.history[-self._context.max_history :][drop:]
        best = entity.candidates[: self.options.candidates]
        shown = tuple(sorted(best, key=lambda item: _draw(self._context.seed, entity.user, item.item)))
        messages = self._context.prompts.messages(
            "edges.j2", domain=self._context.catalog.domain, history=history, candidates=shown
        )
        return Draft(
            entity.user,
            messages,
            (answer := edge_answer(len(shown))),
            Control(lambda: _by_content(history, shown), answer),
            shown_history=tuple(item.item for item in history),
            shown_candidates=tuple(item.item for item in shown),
            dropped_history=drop,
        )

    def check(self, answer: dict[str, Any], draft: Draft) -> Checked:
        """Labels back to item ids; the grammar already made them different."""
        labels = draft.shown_candidates
        return Checked({"positive": labels[answer["most_likely"] - 1], "negative": labels[answer["least_likely"] - 1]})


def _draw(seed: int, user: int, item: int) -> bytes:
    """A sort key that permutes a user's candidates; the same on every machine and for every library version."""
    return hashlib.sha256(f"{seed}/{user}/{item}".encode()).digest()


def _by_content(history: tuple[Item, ...], shown: tuple[Item, ...]) -> dict[str, Any]:
    """The control: cosine between a candidate's genres and the genre counts of the history; ties keep shown order."""
    counts = Counter(genre for item in history for genre in item.genres)
    norm = math.sqrt(sum(count**2 for count in counts.values())) or 1.0
    likeness = [sum(counts[g] for g in item.genres) / norm / max(len(item.genres), 1) ** 0.5 for item in shown]
    most = likeness.index(max(likeness))
    others = [label for label in range(len(shown)) if label != most]
    least = min(others, key=lambda label: likeness[label])
    return {"most_likely": most + 1, "least_likely": least + 1}
