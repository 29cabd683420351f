"""Options of EASE with text of items and users."""

from __future__ import annotations

from typing import Literal

from pydantic import NonNegativeFloat, PositiveFloat

from recsys.models.options.base import FamilyOptions, ModalityOptions


class EaseTextOptions(FamilyOptions, ModalityOptions):
    """EASE whose item-item weights also have to fit the items' text vectors, and which also reads user profiles."""

    family: Literal["ease_text"] = "ease_text"
    l2: PositiveFloat = 100.0
    """The ridge penalty lambda; tune on validation, together with `alpha`."""
    alpha: NonNegativeFloat = 50.0
    """Weight of the cosines of item vectors beside the co-occurrence counts; 0 reads no item features."""
    profile: NonNegativeFloat = 0.0
    """Weight of the users' profile vectors as columns beside the interactions, each of which weighs 1; 0 reads none. It
    has no effect where there are no profiles."""

    @property
    def reads_features(self) -> bool:
        """See `FamilyOptions.reads_features`; without any it is EASE."""
        return max(self.alpha, self.profile) > 0
