"""Ranking: the candidates of a user in the order in which they would be liked (Llama4Rec, the listwise prompt).

Deviations from the authors' prompts, which are not published: candidates carry labels 1..n and the answer is an order
of labels, so that a title outside the list cannot occur and nothing is repeated (see `augment.answers.permutations`);
and candidates are shown in an order drawn per user, where a later project of the authors shows them as retrieved, which
lets a model that copies its prompt pass for one that ranks.

`mode: score` asks for the favourite alone, as one letter, and takes the probabilities of all letters for the order.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from augment.answers.permutations import permutation_answer
from augment.answers.scoring import labels_for
from augment.messages import Control, Draft, Messages, Sampling
from augment.tasks.base import Checked, Context, Impossible, Task, require_history
from augment.tasks.hints import HintOptions, hint_values, similar_of
from augment.tasks.scored_question import checked_scores, likeness_to, scored_draft
from augment.tasks.shown_order import drawn, several
from augrec.artefacts import tasks as kinds
from augrec.artefacts.tasks import About, Gives

if TYPE_CHECKING:
    from augment.catalog import Item, UserEntity


class RankingOptions(HintOptions):
    """Asking for an order of candidates."""

    sampling: Sampling = Sampling(temperature=0.0)
    """How tokens are drawn; greedy unless given, as published."""
    candidates: int = Field(default=10, ge=2, le=50)
    """How many of a user's best candidates are shown. Up to 10 no label can be repeated; of longer lists a repeated
    label keeps its first place, and those that are missing come last."""
    mode: Literal["order", "score"] = "order"
    """order: the model writes all labels, best first. score: it is asked for one letter, and the probabilities of all
    of them are the order; `sampling` then plays no part."""
    order: Literal["shuffled", "retrieved"] = "shuffled"
    """How candidates are shown: in an order drawn with the seed, or as the recommender lists them, best first."""
    permutations: int = Field(default=1, ge=1, le=8)
    """In how many orders the candidates are shown, each a prompt of its own. Even numbers pair each order with its
    reverse. Places are averaged over them, with `mode: score` the logarithms of probabilities."""

    @property
    def labels(self) -> tuple[str, ...]:
        """See TaskOptions."""
        return labels_for(self.candidates) if self.mode == "score" else ()


class Ranking(Task):
    """Stored fields: {"order": [item id, ...]}, best first; one record for each order in which they were shown.

    With `mode: score` one record for all orders, with two fields more: "scores", [[item id, probability], ...],
    likeliest first, and the "disagreement" of the orders.
    """

    name: ClassVar[str] = "ranking"
    about: ClassVar[About] = "user"
    gives: ClassVar[Gives] = kinds.Ranking()
    Options: ClassVar[type[HintOptions]] = RankingOptions

    def __init__(self, context: Context, options: RankingOptions) -> None:
        self.options: RankingOptions = options
        self._context = context
        self.most_questions = 1 if options.mode == "score" else options.permutations

    def questions(self, entity: UserEntity, drop: int = 0) -> Iterator[Draft]:
        """See Task: one for each order of the candidates, or one for all that is scored.

        A user without history or with fewer than two candidates cannot be asked about.
        """
        require_history(entity)
        if len(entity.candidates) < 2:
            raise Impossible(f"too_few_candidates: the user has {len(entity.candidates)}")
        history = entity.history[-self._context.max_history :][drop:]
        orders = self._orders(entity)
        if self.options.mode == "score":
            first, *others = (self._scored(entity, history, shown, drop) for shown in orders)
            yield replace(first, others=tuple(others))
            return
        for number, shown in enumerate(orders, start=1):
            question = f"order-{number}" if self.options.permutations > 1 else ""
            answer = permutation_answer(len(shown))
            yield Draft(
                entity.user,
                self._messages("ranking.j2", entity, history, {str(n): item for n, item in enumerate(shown, start=1)}),
                answer,
                Control(lambda shown=shown: _by_content(history, shown), answer),  # type: ignore[misc]
                shown_history=tuple(item.item for item in history),
                shown_candidates=tuple(item.item for item in shown),
                dropped_history=drop,
                question=question,
                shown_similar=self._similar(entity),
            )

    def _orders(self, entity: UserEntity) -> Iterator[tuple[Item, ...]]:
        best, user = entity.candidates[: self.options.candidates], entity.user
        seed, ids = self._context.seed, self._context.catalog.ids
        first = best if self.options.order == "retrieved" else drawn(best, user, seed, ids)
        return several(first, self.options.permutations, user, seed, ids)

    def _scored(self, entity: UserEntity, history: tuple[Item, ...], shown: tuple[Item, ...], drop: int) -> Draft:
        """One order of a scored question."""
        asked = dict(zip(labels_for(len(shown)), shown, strict=True))
        messages, similar = self._messages("ranking_score.j2", entity, history, asked), similar_of(entity, self.options)
        return scored_draft(entity.user, messages, history, shown, drop=drop, similar=similar)

    def _similar(self, entity: UserEntity) -> tuple[int, ...]:
        return tuple(item.item for item in similar_of(entity, self.options))

    def _messages(
        self, template: str, entity: UserEntity, history: tuple[Item, ...], asked: dict[str, Item]
    ) -> Messages:
        domain, hints = self._context.catalog.domain, hint_values(entity, self.options, asked)
        return self._context.prompts.messages(template, domain=domain, history=history, asked=asked, **hints)

    def check(self, answer: dict[str, Any], draft: Draft) -> Checked:
        """Labels back to item ids. A label that is repeated counts where it stands first."""
        if draft.labels:
            return _checked_scores(answer["label_logprobs"], draft)
        labels = dict.fromkeys(answer["order"])
        repeated = len(answer["order"]) - len(labels)
        order = [draft.shown_candidates[label - 1] for label in labels]
        return Checked({"order": order}, (f"order: {repeated} repeated",) if repeated else ())

    def taught(self, draft: Draft, truth: Mapping[int, float]) -> dict[str, Any] | None:
        """See Task: labels by falling truth, ties as they are shown; candidates without one come after the others.

        None where all are alike, which teaches nothing, and of a scored question where none is better than all others.
        """
        worth = [truth.get(item, float("-inf")) for item in draft.shown_candidates]
        if len(set(worth)) < 2:
            return None
        if draft.labels:
            best = [label for label, value in zip(draft.labels, worth, strict=True) if value == max(worth)]
            return {"label": best[0]} if len(best) == 1 else None
        return {"order": sorted(range(1, len(worth) + 1), key=lambda label: -worth[label - 1])}


def _checked_scores(logprobs: list[list[float]], draft: Draft) -> Checked:
    """The candidates by their probabilities over all orders."""
    fields = checked_scores(logprobs, draft).fields
    order = [item for item, _ in fields["scores"]]
    return Checked({"order": order, "scores": fields["scores"], "disagreement": fields["disagreement"]})


def _by_content(history: tuple[Item, ...], shown: tuple[Item, ...]) -> dict[str, Any]:
    """The control: the candidates by their likeness to the history; ties keep shown order."""
    likeness = likeness_to(history, shown)
    return {"order": sorted(range(1, len(shown) + 1), key=lambda label: -likeness[label - 1])}
