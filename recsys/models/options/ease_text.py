"""Options of EASE with item text."""

from __future__ import annotations

from typing import Literal

from pydantic import NonNegativeFloat, PositiveFloat

from recsys.models.options.base import FamilyOptions, ModalityOptions


class EaseTextOptions(FamilyOptions, ModalityOptions):
    """EASE whose item-item weights also have to fit the items' text vectors."""

    family: Literal["ease_text"] = "ease_text"
    l2: PositiveFloat = 100.0
    """The ridge penalty lambda; tune on validation, together with `alpha`."""
    alpha: NonNegativeFloat = 50.0
    """Weight of the cosines of item vectors beside the co-occurrence counts; 0 is EASE."""
