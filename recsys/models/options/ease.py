"""Options of EASE."""

from __future__ import annotations

from typing import Literal

from pydantic import PositiveFloat

from recsys.models.options.base import FamilyOptions


class EaseOptions(FamilyOptions):
    """EASE: an item-item linear model in closed form."""

    family: Literal["ease"] = "ease"
    l2: PositiveFloat = 500.0
    """The ridge penalty lambda; hundreds for dense data, tune on validation."""
