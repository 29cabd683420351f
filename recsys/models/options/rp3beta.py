"""Options of RP3beta."""

from __future__ import annotations

from typing import Literal

from pydantic import NonNegativeFloat, PositiveInt

from recsys.models.options.base import FamilyOptions


class Rp3betaOptions(FamilyOptions):
    """RP3beta: a random walk of three steps that holds popular items back."""

    family: Literal["rp3beta"] = "rp3beta"
    alpha: NonNegativeFloat = 1.0
    """Power of the transition probabilities."""
    beta: NonNegativeFloat = 0.3
    """Power of an item's popularity, by which its scores are divided; 0 is the plain walk."""
    neighbours: PositiveInt | None = None
    """How many items each item of a user speaks for; null keeps all that the walk reaches."""
