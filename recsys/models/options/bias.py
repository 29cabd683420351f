"""Options of the baseline predictor."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import NonNegativeFloat, PositiveInt

from recsys.models.options.base import FamilyOptions
from recsys.options import Judged


class BiasOptions(FamilyOptions):
    """The baseline predictor of ratings: the mean, and how far users and items are from it."""

    judged: ClassVar[Judged] = Judged.RATING

    family: Literal["bias"] = "bias"
    users: bool = True
    """Whether users have a bias."""
    items: bool = True
    """Whether items have one. Without either everybody is given the mean."""
    user_shrinkage: NonNegativeFloat = 10.0
    """Ratings of the mean that are added to a user's own."""
    item_shrinkage: NonNegativeFloat = 25.0
    """Ratings of the mean that are added to an item's own."""
    sweeps: PositiveInt = 1
    """1 estimates items, then users with what is left; more take turns, until the regularised squares are least."""
