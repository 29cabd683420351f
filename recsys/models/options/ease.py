"""Options of EASE."""

from __future__ import annotations

from typing import Literal

from pydantic import NonNegativeFloat, PositiveFloat

from recsys.models.options.base import FamilyOptions


class EaseOptions(FamilyOptions):
    """EASE: an item-item linear model in closed form."""

    family: Literal["ease"] = "ease"
    l2: PositiveFloat = 500.0
    """The ridge penalty lambda; hundreds for dense data, tune on validation."""
    activity: NonNegativeFloat = 0.0
    """Power of the number of a user's items by which the user's row is divided in what is minimised: with 0 whoever has
    many items decides most, with 1 every user counts alike. The average interaction counts 1 whatever it is."""
    diagonal: NonNegativeFloat = 1.0
    """Power of the inverse's diagonal by which weights are divided: 1 is EASE; 0 is ridge regression, which ranks as
    EASE among users does. A smaller one favours popular items."""
