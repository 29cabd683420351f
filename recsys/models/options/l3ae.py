"""Options of L3AE."""

from __future__ import annotations

from typing import Literal

from pydantic import NonNegativeFloat, PositiveFloat

from recsys.models.options.base import FamilyOptions, ModalityOptions


class L3aeOptions(FamilyOptions, ModalityOptions):
    """L3AE: item-item weights that are drawn to those that the items' text alone has, in closed form."""

    family: Literal["l3ae"] = "l3ae"
    l2: PositiveFloat = 200.0
    """What is added to the diagonal of X^T X: the ridge penalty and `pull` together. Tune on validation."""
    pull: NonNegativeFloat = 100.0
    """How much of `l2` draws the weights to those of the text instead of to zero; 0 is EASE and reads no text."""
    text_l2: PositiveFloat = 10.0
    """The ridge penalty of the weights of the text alone, whose vectors have length 1."""
    centred: bool = False
    """Whether the mean of all vectors is subtracted from each before it is brought to length 1."""
    activity: NonNegativeFloat = 0.0
    """As of `ease`: power of the number of a user's items by which the user's row is divided."""

    @property
    def reads_features(self) -> bool:
        """See `FamilyOptions.reads_features`."""
        return self.pull > 0
