"""Hints in a prompt (Llama4Rec's prompt augmentation): what a similar user liked, and what a recommender predicts.

Where they come from is not a task's business: who makes an entity sees to it that no hint has seen the answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field

from augment.tasks.base import TaskOptions

if TYPE_CHECKING:
    from augment.entities import Item, UserEntity


class HintOptions(TaskOptions):
    """For tasks whose prompts may show hints."""

    similar_user: bool = False
    """Whether prompts show training items of the most similar user. Needs a section `base`."""
    similar_items: int = Field(default=5, ge=1, le=50)
    """How many of them, the latest."""
    prediction: bool = False
    """Whether prompts show what a recommender predicts for the items that are asked about. Needs a section `base`."""

    @property
    def needs_hints(self) -> bool:
        """See TaskOptions."""
        return self.similar_user or self.prediction


def similar_of(entity: UserEntity, options: HintOptions) -> tuple[Item, ...]:
    """The items of a similar user that a prompt shows."""
    return entity.similar[: options.similar_items] if options.similar_user else ()


def predicted_order(entity: UserEntity, options: HintOptions, shown: dict[str, Item]) -> list[str]:
    """The labels of what is asked about, by the recommender's score; none where it does not score all of them.

    Args:
        entity: whose scores.
        options: whether prompts show it.
        shown: the items by label, in the order in which they are shown; ties keep it.
    """
    scores = entity.scores if options.prediction else {}
    if not all(item.item in scores for item in shown.values()):
        return []
    return sorted(shown, key=lambda label: -scores[shown[label].item])


def hint_values(entity: UserEntity, options: HintOptions, shown: dict[str, Item]) -> dict[str, Any]:
    """What the templates `similar.j2` and `prediction.j2` show."""
    return {"similar": similar_of(entity, options), "predicted": predicted_order(entity, options, shown)}
