"""Options of ranking by the cosine of texts."""

from __future__ import annotations

from typing import Literal

from recsys.models.options.base import FamilyOptions, ModalityOptions


class TextCosineOptions(FamilyOptions, ModalityOptions):
    """The cosine of a user's text and an item's: what an encoder knows without any training."""

    family: Literal["text_cosine"] = "text_cosine"
    user: Literal["profiles", "history"] = "profiles"
    """What stands for a user: the vectors of its profiles, or the mean of those of its training items."""
    modalities: tuple[str, ...] | None = None
    """Which item features are compared, e.g. [profile]. null: all whose vectors are as long as those of the users, as
    those of one encoder are; with `history`, all."""

    @property
    def does_without(self) -> frozenset[str]:
        """See `FamilyOptions.does_without`: profiles, where histories stand for users."""
        return frozenset({"user"}) if self.user == "history" else frozenset()

    @property
    def compared(self) -> dict[str, tuple[str, ...]]:
        """See `FamilyOptions.compared`."""
        return {} if self.user == "history" else {"user": ("user", "item")}
