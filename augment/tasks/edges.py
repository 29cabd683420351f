"""User-item edges: which of the base recommender's candidates a user would like most and least (LLMRec, section 3.1).

Deviations from the authors' prompts: candidates carry labels 1..n instead of item ids, in an order drawn per user, so
an answer outside the list cannot occur and position bias averages out over users; and the two labels differ by
construction, because the grammar is a choice over the first label whose second excludes it.

`mode: score` is not LLMRec's: it asks for the favourite alone, as one letter, and reads the probabilities of all
letters (see `augment.answers.scoring`). The least likely favourite stands for the least liked.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Union

from pydantic import Field, create_model

from augment.answers.answer import Answer, AnswerModel
from augment.answers.scoring import labels_for
from augment.messages import Control, Draft
from augment.tasks.base import Checked, Context, Impossible, Task, TaskOptions, require_history
from augment.tasks.scored_question import checked_scores, likeness_to, scored_draft
from augment.tasks.shown_order import drawn, several
from augrec.artefacts import tasks as kinds
from augrec.artefacts.tasks import About, Gives

if TYPE_CHECKING:
    from augment.entities import Item, UserEntity


class EdgesOptions(TaskOptions):
    """Asking for a favourite and a least favourite among candidates."""

    candidates: int = Field(default=10, ge=2, le=50)
    """How many of a user's best candidates are shown."""
    mode: Literal["choose", "score"] = "choose"
    """choose: the model writes the two labels. score: it is asked for one letter, and the probabilities of all of them
    are read, which gives every candidate a score and every edge a confidence; `sampling` then plays no part."""
    permutations: int = Field(default=2, ge=1, le=8)
    """With `mode: score`: in how many orders the candidates are shown, each a prompt of its own; averaged. Even numbers
    pair each order with its reverse."""

    @property
    def labels(self) -> tuple[str, ...]:
        """See TaskOptions."""
        return labels_for(self.candidates) if self.mode == "score" else ()


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


class Edges(Task):
    """Stored fields: {"positive": item id, "negative": item id}.

    With `mode: score` three more: "confidence" of this pair (see `augment.answers.scoring`), "disagreement" of
    the orders, and "scores", [[item id, probability], ...] of all candidates, likeliest first.
    """

    name: ClassVar[str] = "edges"
    about: ClassVar[About] = "user"
    gives: ClassVar[Gives] = kinds.Edges()
    Options: ClassVar[type[TaskOptions]] = EdgesOptions

    def __init__(self, context: Context, options: EdgesOptions) -> None:
        self.options: EdgesOptions = options
        self._context = context

    def draft(self, entity: UserEntity, drop: int = 0) -> Draft:
        """See Task. A user without history or with fewer than two candidates cannot be asked about."""
        require_history(entity)
        if len(entity.candidates) < 2:
            raise Impossible(f"too_few_candidates: the user has {len(entity.candidates)}")
        history = entity.history[-self._context.max_history :][drop:]
        best = entity.candidates[: self.options.candidates]
        seed, ids = self._context.seed, self._context.catalog.ids
        shown = drawn(best, entity.user, seed, ids)
        if self.options.mode == "score":
            orders = several(shown, self.options.permutations, entity.user, seed, ids)
            first, *others = (self._scored(entity.user, history, order, drop) for order in orders)
            return replace(first, others=tuple(others))
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

    def _scored(self, user: int, history: tuple[Item, ...], shown: tuple[Item, ...], drop: int) -> Draft:
        """One order of a scored question."""
        messages = self._context.prompts.messages(
            "edges_score.j2",
            domain=self._context.catalog.domain,
            history=history,
            candidates=list(zip(labels_for(len(shown)), shown, strict=True)),
        )
        return scored_draft(user, messages, history, shown, drop=drop)

    def check(self, answer: dict[str, Any], draft: Draft) -> Checked:
        """Labels back to item ids; the grammar already made them different."""
        if draft.labels:
            return checked_scores(answer["label_logprobs"], draft)
        labels = draft.shown_candidates
        return Checked({"positive": labels[answer["most_likely"] - 1], "negative": labels[answer["least_likely"] - 1]})


def _by_content(history: tuple[Item, ...], shown: tuple[Item, ...]) -> dict[str, Any]:
    """The control: the candidates most and least like the history; ties keep shown order."""
    likeness = likeness_to(history, shown)
    most = likeness.index(max(likeness))
    others = [label for label in range(len(shown)) if label != most]
    least = min(others, key=lambda label: likeness[label])
    return {"most_likely": most + 1, "least_likely": least + 1}
