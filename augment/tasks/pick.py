"""Pick: which of some items without an interaction fits a user's sequence best (Llama4Rec, sequential augmentation).

The item is put into the user's training sequence, where a sequence model learns from it. The choices are drawn without
a look at validation and test items. Deviations from the authors' prompt, which is not published: items carry letters,
whose probabilities are read over several orders of the choices.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from augment.answers.scoring import labels_for
from augment.messages import Draft
from augment.tasks.base import Checked, Context, Impossible, TaskOptions, require_history
from augment.tasks.hinted_choice import HintedChoice
from augment.tasks.hints import HintOptions
from augment.tasks.scored_question import checked_scores
from augment.tasks.shown_order import drawn, several
from augrec.artefacts import tasks as kinds
from augrec.artefacts.tasks import About, Gives

if TYPE_CHECKING:
    from augment.entities import UserEntity


class PickOptions(HintOptions):
    """Asking for the best of some items."""

    choices: int = Field(default=10, ge=2, le=50)
    """How many items without an interaction are shown."""
    permutations: int = Field(default=2, ge=1, le=8)
    """In how many orders they are shown, each a prompt of its own; averaged. Even numbers pair each order with its
    reverse."""

    @property
    def labels(self) -> tuple[str, ...]:
        """See TaskOptions."""
        return labels_for(self.choices)


class Pick(HintedChoice):
    """Stored fields: {"item": item id, "confidence", "disagreement", "scores": [[item id, probability], ...]}.

    `scores` are of all choices, likeliest first; `confidence` is how surely the first is preferred to the last.
    """

    name: ClassVar[str] = "pick"
    about: ClassVar[About] = "user"
    gives: ClassVar[Gives] = kinds.Insertions()
    Options: ClassVar[type[TaskOptions]] = PickOptions
    template: ClassVar[str] = "pick.j2"

    def __init__(self, context: Context, options: PickOptions) -> None:
        from augment.unseen import UnseenItems  # brings numpy, which reading a config shall not wait for

        self.options: PickOptions = options
        self._context = context
        self._unseen = UnseenItems(context.catalog, f"{context.seed}/pick")

    def draft(self, entity: UserEntity, drop: int = 0) -> Draft:
        """See Task. A user without history, or without two items to choose from, cannot be asked about."""
        require_history(entity)
        catalog, seed = self._context.catalog, self._context.seed
        choices = entity.asked[: self.options.choices] or tuple(
            catalog.item(item) for item in self._unseen.draw(entity.user, self.options.choices)
        )
        if len(choices) < 2:
            raise Impossible(f"too_few_items: the user has {len(choices)} to choose from")
        shown = drawn(choices, entity.user, seed, catalog.ids)
        orders = several(shown, self.options.permutations, entity.user, seed, catalog.ids)
        return self.choice(entity, orders, drop)

    def check(self, answer: dict[str, Any], draft: Draft) -> Checked:
        """The likeliest item over all orders."""
        checked = checked_scores(answer["label_logprobs"], draft)
        fields = {name: value for name, value in checked.fields.items() if name not in ("positive", "negative")}
        return Checked({"item": checked.fields["positive"], **fields})

    def taught(self, draft: Draft, truth: Mapping[int, float]) -> dict[str, Any] | None:
        """The letter of the item that the user likes most; None where several are, or nothing is known."""
        known = {
            label: truth[item]
            for label, item in zip(draft.labels, draft.shown_candidates, strict=True)
            if item in truth
        }
        best = [label for label, worth in known.items() if worth == max(known.values())]
        return {"label": best[0]} if len(best) == 1 and len(known) > 1 else None
