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
    activity: NonNegativeFloat = 0.0
    """Power of the number of a user's items by which the user's row is divided in what is minimised: with 0 whoever has
    many items decides most, with 1 every user counts alike. The average interaction counts 1 whatever it is."""
    diagonal: NonNegativeFloat = 1.0
    """Power of the inverse's diagonal by which weights are divided: 1 is EASE; 0 is ridge regression, which ranks as
    EASE among users does. A smaller one favours popular items."""

    @property
    def reads_features(self) -> bool:
        """See `FamilyOptions.reads_features`; without any it is EASE."""
        return max(self.alpha, self.profile) > 0
