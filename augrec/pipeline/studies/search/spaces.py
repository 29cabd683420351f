"""Search spaces: one small YAML file per model family, `option: how it may vary`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, ValidationError, model_validator

from augrec.artefacts.errors import UsageError
from augrec.artefacts.options import Options
from augrec.pipeline.config.explain import explain
from augrec.pipeline.config.sections import read_sections, validated
from augrec.pipeline.studies.sections import merged
from recsys.models.registry import FAMILIES

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution


class FloatRange(Options):
    """A real number between two bounds."""

    kind: Literal["float"] = "float"
    low: float
    high: float
    log: bool = False
    """Whether its logarithm is drawn uniformly."""

    @model_validator(mode="after")
    def _ordered(self) -> FloatRange:
        if not self.low < self.high or (self.log and self.low <= 0):
            raise ValueError("low must lie below high, and above 0 for log: true")
        return self

    def ends(self) -> list[Any]:
        """The values that a model must accept for the space to be valid."""
        return [self.low, self.high]

    def distribution(self) -> BaseDistribution:
        """For the sampler."""
        from optuna.distributions import FloatDistribution

        return FloatDistribution(self.low, self.high, log=self.log)


class IntRange(Options):
    """A whole number between two bounds, both included."""

    kind: Literal["int"]
    low: int
    high: int
    log: bool = False
    """Whether its logarithm is drawn uniformly."""

    @model_validator(mode="after")
    def _ordered(self) -> IntRange:
        if not self.low < self.high or (self.log and self.low < 1):
            raise ValueError("low must lie below high, and above 0 for log: true")
        return self

    def ends(self) -> list[Any]:
        """See `FloatRange.ends`."""
        return [self.low, self.high]

    def distribution(self) -> BaseDistribution:
        """For the sampler."""
        from optuna.distributions import IntDistribution

        return IntDistribution(self.low, self.high, log=self.log)


class Choice(Options):
    """One of a few values."""

    kind: Literal["choice"]
    values: list[str | bool | int | float | None] = Field(min_length=2)

    def ends(self) -> list[Any]:
        """See `FloatRange.ends`."""
        return list(self.values)

    def distribution(self) -> BaseDistribution:
        """For the sampler."""
        from optuna.distributions import CategoricalDistribution

        return CategoricalDistribution(self.values)


class Space(Options):
    """What a search may vary of one family."""

    family: str
    """The family; the file is named after it."""
    space: dict[str, Annotated[FloatRange | IntRange | Choice, Field(discriminator="kind")]]
    """By option, dotted where nested (`training.lr`). Empty: there is nothing to tune."""


def read_space(path: Path) -> Space:
    """Reads one file and checks that the family accepts the ends of every range and every choice.

    Raises:
        UsageError: naming the file and the option.
    """
    space = validated(read_sections(path), Space, path)
    options = FAMILIES.find(space.family).options
    if path.stem != space.family:
        raise UsageError(f"the space of family '{space.family}' must be called {space.family}.yaml", where=path)
    for option, spec in space.space.items():
        for value in spec.ends():
            tried = merged({"family": space.family}, {option: value})
            try:
                options.model_validate(tried)
            except ValidationError as error:
                raise UsageError(f"space.{option}: {explain(error, options, tried)[0]}", where=path) from None
    return space


def read_spaces(folder: Path) -> dict[str, Space]:
    """All spaces of a folder by family."""
    paths = sorted(folder.glob("*.yaml")) if folder.is_dir() else []
    if not paths:
        raise UsageError("search.spaces: no search space here", where=folder, remedy="e.g. search.spaces: ../spaces")
    return {space.family: space for space in map(read_space, paths)}
