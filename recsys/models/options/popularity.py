"""Options of the popularity baseline."""

from __future__ import annotations

from typing import Literal

from recsys.models.options.base import FamilyOptions


class PopularityOptions(FamilyOptions):
    """Every user gets the most popular items."""

    family: Literal["popularity"] = "popularity"
