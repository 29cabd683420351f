"""What the report compares, and how sure it has to be. Imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from augrec.artefacts.metrics import MetricName
from augrec.artefacts.options import Options


@dataclass(frozen=True)
class Inference:
    """How sure is sure enough, and how much is too little to matter.

    Attributes:
        alpha: the level; intervals cover 1 - alpha.
        bootstrap: resamples behind each interval.
        seed: of the resamples.
        margin: the smallest difference that matters, as a share of the mean of what is compared with.
        flips: draws behind each sign-flip randomisation test.
    """

    alpha: float = 0.05
    bootstrap: int = 2000
    seed: int = 0
    margin: float = 0.02
    flips: int = 9_999


Margin = Annotated[float, Field(gt=0, lt=1)]
"""Of equivalence, as a share of the mean of what is compared with."""


class ReportOptions(Options):
    """The `report` section of a run's config."""

    baseline: str
    """Variant that every other variant is compared to."""

    primary: MetricName = "recall@20"
    """Metric of the headline, of the Holm-corrected tests and of the plots."""

    secondary: tuple[MetricName, ...] = ("ndcg@20", "precision@20", "coverage@20")
    """Further metrics in the main table."""

    claim: str | None = None
    """Variant the headline is about; by default the first one named after an LLM source."""

    controls: tuple[str, ...] | None = None
    """Variants the claim has to beat; by default those of its model that are named shuffled, heuristic, without..."""

    examples: int = Field(default=4, ge=0, le=100)
    """Users and items shown side by side, drawn with `seed`."""

    hide_users: bool = False
    """Keep the source's ids of users, their histories and what the data say of them from pages, which then call them by
    pseudonyms. What a language model wrote of a user stays, and may name what they liked."""

    alpha: float = Field(default=0.05, gt=0, lt=0.5)
    """Significance level; intervals cover 1 - alpha."""

    bootstrap: int = Field(default=2000, ge=100)
    """Resamples of the users and seeds behind each interval."""

    equivalence_margin: Margin = 0.02
    """The smallest difference that matters, as a share of the mean of what is compared with: .02 is 2 % of the
    baseline's primary metric. Two variants are called equivalent when they are shown to differ by less. Declare it
    before the run; the page prints it."""

    co2_g_per_kwh: float | None = Field(default=None, gt=0)
    """Grams of CO2 equivalent for a kilowatt-hour of the grid that the devices ran on, e.g. 250, by which energy is
    told as emissions; null tells energy alone. It differs by country and hour: take your grid's own figure."""

    seed: int = Field(default=0, ge=0)
    """Seed of the resamples and of the choice of examples."""

    title: str = "Does the LLM's augmentation help?"
    """Heading of the page."""

    @property
    def inference(self) -> Inference:
        """How sure a difference has to be."""
        return Inference(self.alpha, self.bootstrap, self.seed, self.equivalence_margin)
