"""The `search` section of an experiment. Imports nothing heavy."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, PositiveInt

from augrec.artefacts.options import Options
from augrec.pipeline.config.seeds import Seed


class Search(Options):
    """Hyper-parameter search on validation with the same number of trials for every variant, controls included."""

    trials: PositiveInt
    """Trials per variant: of a model that several variants use, each searches its own options."""
    seed: Seed = 0
    """Of the sampler (TPE)."""
    seeds: list[Seed] = Field(default=[1001], min_length=1)
    """Training seeds of every trial, none of which is reported; a trial's value is their mean."""
    spaces: Path
    """A folder with one file per family, named after it, relative to this file."""
    models: tuple[str, ...] | None = None
    """The models to search, for every variant that uses them; all unless given. Those without a space keep their
    options."""
