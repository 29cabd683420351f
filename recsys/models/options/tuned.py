"""Options of a model whose own options are chosen while it is trained."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, PositiveInt, TypeAdapter, ValidationError, field_validator, model_validator

from recsys.models.options.base import FamilyOptions
from recsys.models.options.ease import EaseOptions
from recsys.models.options.families import ModelOptions
from recsys.options import Judged


class TunedOptions(FamilyOptions):
    """A model with the options that validation prefers, found one after the other."""

    family: Literal["tuned"] = "tuned"
    model: ModelOptions = Field(default_factory=EaseOptions)
    """The model, with the options from which the search starts; no blend and none that is tuned itself."""
    space: dict[str, tuple[Any, ...]] = Field(
        default_factory=lambda: {"l2": (10.0, 30.0, 100.0, 300.0, 1000.0)}, min_length=1
    )
    """Values to try, by option, in the order in which options are settled: `training.lr` names one of its training."""
    rounds: PositiveInt = 1
    """How often all options are gone through; it ends early when a round changes nothing."""

    @field_validator("model")
    @classmethod
    def _simple(cls, model: FamilyOptions) -> FamilyOptions:
        if model.components:
            raise ValueError(f"a {model.family} cannot be tuned; tune its members")
        return model

    @model_validator(mode="after")
    def _space_fits(self) -> TunedOptions:
        for key, values in self.space.items():
            if not values:
                raise ValueError(f"space.{key}: name at least one value")
            for value in values:
                try:
                    self.at({key: value})
                except ValidationError as error:
                    raise ValueError(f"space.{key}: {value!r}: {error.errors()[0]['msg']}") from None
        return self

    @property
    def components(self) -> Mapping[str, FamilyOptions]:
        """See `FamilyOptions.components`; the model with everything that it may read."""
        return {"model": self.model}

    @property
    def judged(self) -> Judged:  # type: ignore[override]  # a class says it for all its models, this one has its own
        """See `FamilyOptions.judged`: as the model is."""
        return self.model.judged

    @property
    def reads_features(self) -> bool:
        """See `FamilyOptions.reads_features`."""
        return self.model.reads_features

    def at(self, values: Mapping[str, Any]) -> FamilyOptions:
        """The model's options with these in place.

        Raises:
            ValidationError: the model has no such option, or not with this value.
        """
        given: dict[str, Any] = self.model.model_dump(mode="json")
        for key, value in values.items():
            *sections, last = key.split(".")
            inner = given
            for section in sections:
                inner[section] = inner = dict(inner.get(section) or {})
            inner[last] = value
        found: FamilyOptions = TypeAdapter(type(self.model)).validate_python(given)
        return found
