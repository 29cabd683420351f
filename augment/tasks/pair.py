"""Pair: which of two items without an interaction a user would like more (Llama4Rec, section on ranking augmentation).

The pair joins the triplets that a ranking model is trained on; a user may be asked about several. Deviations from the
authors' prompt, which is not published: items carry a letter, and the letter's probability is read, which gives the
answer that greedy decoding would give and a confidence beside it. Both orders are asked; where they disagree the model
prefers a place and not an item, and the record fails as `orders_disagree`, which is counted and gives no triplet.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from augment.answers.scoring import labels_for
from augment.messages import Draft
from augment.samples import sample
from augment.tasks.base import Checked, Context, Contradiction, Impossible, TaskOptions, require_history
from augment.tasks.hinted_choice import HintedChoice
from augment.tasks.hints import HintOptions
from augment.tasks.scored_question import checked_scores
from augment.tasks.shown_order import drawn, several
from augrec.artefacts import tasks as kinds
from augrec.artefacts.tasks import About, Gives

if TYPE_CHECKING:
    from augment.entities import Item, UserEntity

LABELS = labels_for(2)


class PairOptions(HintOptions):
    """Asking for the better of two items."""

    pair_source: Literal["random", "top2", "top_m"] = "random"
    """Which two: `random` draws from all items without an interaction in training, as published; `top2` takes the two
    that the base recommender ranks first, as a file that the authors left behind has it; `top_m` draws from its first
    `top`. The last two need a section `base`."""
    top: int = Field(default=10, ge=2, le=1000)
    """Of `pair_source: top_m`: how many of the base recommender's items are drawn from, as far as it lists them."""
    pairs_per_user: int = Field(default=1, ge=1, le=100)
    """How many pairs a user is asked about, of which no two share an item: a question, a record and a triplet each. How
    many the paper has is not said; a file that the authors left behind has one."""
    both_orders: bool = True
    """Whether a pair is asked in both orders, and kept where these agree."""
    disagreeing: Literal["drop", "average"] = "drop"
    """What becomes of a pair whose orders disagree: none, or what the mean over both prefers, in which a preference for
    a place cancels. Small models prefer a letter so much that hardly a pair is left with `drop`."""

    @property
    def labels(self) -> tuple[str, ...]:
        """See TaskOptions."""
        return LABELS

    @property
    def needs_hints(self) -> bool:
        """See TaskOptions."""
        return super().needs_hints or self.pair_source != "random"


class Pair(HintedChoice):
    """Stored fields: {"positive": item id, "negative": item id, "confidence", "disagreement", "scores"}.

    As scored edges have them (`augment.tasks.edges`): the probabilities of both items over the orders, how sure the
    preference is, and how much of the probability lies elsewhere in the other order.
    """

    name: ClassVar[str] = "pair"
    about: ClassVar[About] = "user"
    gives: ClassVar[Gives] = kinds.Edges(among="unseen")
    Options: ClassVar[type[TaskOptions]] = PairOptions
    template: ClassVar[str] = "pair.j2"

    def __init__(self, context: Context, options: PairOptions) -> None:
        from augment.unseen import UnseenItems  # brings numpy, which reading a config shall not wait for

        self.options: PairOptions = options
        self._context = context
        self._unseen = UnseenItems(context.catalog, f"{context.seed}/pair")
        self.most_questions = options.pairs_per_user

    def draft(self, entity: UserEntity, drop: int = 0) -> Draft:
        """The question about the first pair; see `questions`."""
        return next(self.questions(entity, drop))

    def questions(self, entity: UserEntity, drop: int = 0) -> Iterator[Draft]:
        """See Task: one for each pair. A user without history, or without two items to compare, cannot be asked."""
        require_history(entity)
        items = self._items(entity)
        if len(items) < 2:
            raise Impossible(f"too_few_items: the user has {len(items)} to compare")
        seed, ids, alone = self._context.seed, self._context.catalog.ids, self.most_questions == 1
        for number in range(len(items) // 2):
            pair = items[2 * number : 2 * number + 2]
            orders = several(drawn(pair, entity.user, seed, ids), 1 + self.options.both_orders, entity.user, seed, ids)
            yield replace(self.choice(entity, orders, drop), question="" if alone else f"pair-{number + 1}")

    def _items(self, entity: UserEntity) -> tuple[Item, ...]:
        """The items of all pairs, those of a pair side by side; of more pairs the first ones are the same."""
        if entity.asked:
            return entity.asked[:2]
        catalog, source, count = self._context.catalog, self.options.pair_source, 2 * self.options.pairs_per_user
        if source == "random":
            chosen = self._unseen.draw(entity.user, count)
        else:
            listed = [] if catalog.hints is None else catalog.hints.listed.of(entity.user).tolist()
            chosen = listed[:count]
            if source == "top_m":
                whom = catalog.ids.of("user", entity.user)
                name, stream = (lambda item: catalog.ids.of("item", item)), f"{self._context.seed}/pair/{whom}"
                chosen = sample(listed[: self.options.top], count, name, stream)
        return tuple(catalog.item(item) for item in chosen)

    def check(self, answer: dict[str, Any], draft: Draft) -> Checked:
        """The likelier item of both orders; orders that prefer different items are no answer."""
        logprobs = answer["label_logprobs"]
        preferred = {
            order.shown_candidates[values.index(max(values))]
            for order, values in zip(draft.orders, logprobs, strict=True)
            if values[0] != values[1]
        }
        average = self.options.disagreeing == "average" and preferred
        if len(preferred) != 1 and not average:
            place = "first" if logprobs[0][0] > logprobs[0][1] else "second"
            said = f"the {place} item is preferred in both orders" if preferred else "neither item is preferred"
            raise Contradiction(said, code="orders_disagree")
        return checked_scores(logprobs, draft)

    def taught(self, draft: Draft, truth: Mapping[int, float]) -> dict[str, Any] | None:
        """The letter of the item that the user likes more; None where both are alike or one is not known."""
        worth = [truth.get(item) for item in draft.shown_candidates]
        if None in worth or worth[0] == worth[1]:
            return None
        return {"label": LABELS[0] if worth[0] > worth[1] else LABELS[1]}  # type: ignore[operator]
