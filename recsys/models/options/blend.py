"""Options of the blend of several models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field, PositiveInt, field_validator

from augrec.artefacts.names import Named
from recsys.models.options.base import FamilyOptions
from recsys.models.options.ease import EaseOptions
from recsys.models.options.families import ModelOptions
from recsys.models.options.item_knn import ItemKnnOptions
from recsys.options import Judged


class BlendOptions(FamilyOptions):
    """A weighted sum of the scores of several models, with weights chosen on validation."""

    family: Literal["blend"] = "blend"
    members: Named[ModelOptions] = Field(
        default_factory=lambda: {"ease": EaseOptions(), "item_knn": ItemKnnOptions()}, min_length=2
    )
    """The models by name, each with its family and options, as under `models`; also ones that are trained."""
    standardise: bool = True
    """Whether each member's scores are brought to mean 0 and variance 1 over a user's candidates before they are
    summed; without it a member with large scores drowns the others."""
    steps: PositiveInt = 10
    """Weights are multiples of 1 / steps that sum to 1."""

    @field_validator("members")
    @classmethod
    def _flat(cls, members: dict[str, FamilyOptions]) -> dict[str, FamilyOptions]:
        for name, options in members.items():
            if isinstance(options, BlendOptions):
                raise ValueError(f"'{name}' is itself a blend: list its members here instead")
            if options.judged is not Judged.RANKING:
                raise ValueError(f"'{name}' is judged by {options.judged.words}: a blend sums scores of ranked lists")
        return members

    @property
    def components(self) -> Mapping[str, FamilyOptions]:
        """See `FamilyOptions.components`."""
        return {f"members.{name}": options for name, options in self.members.items()}
