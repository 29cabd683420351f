"""Options of item-kNN."""

from __future__ import annotations

from typing import Literal

from pydantic import NonNegativeFloat, PositiveInt

from recsys.models.options.base import FamilyOptions


class ItemKnnOptions(FamilyOptions):
    """Item-kNN: the cosine of items over the users they share."""

    family: Literal["item_knn"] = "item_knn"
    neighbours: PositiveInt | None = None
    """How many nearest items each item of a user votes for; null lets it vote for all."""
    shrink: NonNegativeFloat = 0.0
    """Added to the denominator of the cosine: similarities that rest on few users count less."""
