"""What a table of an experiment shows: an entry of its `tables` section. Imports nothing heavy."""

from __future__ import annotations

from pydantic import Field, model_validator

from augrec.artefacts.metrics import MetricName
from augrec.artefacts.options import Options
from augrec.report.options import Margin


class TableOptions(Options):
    """One table: rows are variants, settings or both; columns are metrics."""

    title: str
    """Its heading."""
    datasets: tuple[str, ...] | None = None
    """Which data sets, a table each; all unless given."""
    settings: tuple[str, ...] | None = None
    """Which settings; all unless given."""
    rows: tuple[str, ...] | None = Field(None, min_length=1)
    """Which variants, in this order; all but those of sweeps unless given."""
    labels: dict[str, str] = Field(default_factory=dict)
    """What variants are called in this table."""
    metrics: tuple[MetricName, ...] = Field(("recall@10", "ndcg@10", "recall@20", "ndcg@20"), min_length=1)
    """The columns."""
    baseline: str | None = None
    """The variant every row is compared with, in its own setting unless `baseline_setting` is given."""
    against: dict[str, str] = Field(default_factory=dict)
    """Rows that are compared with a variant of their own, e.g. `lattice+llm: lattice`."""
    baseline_setting: str | None = None
    """The setting whose baseline every row is compared with."""
    groups: bool = False
    """Whether rows stand in the groups of their families (general, side information, ...)."""
    paper: str | None = None
    """A table of the data set's published figures (see paper_numbers.yaml), shown beside ours."""
    paper_rows: dict[str, str] = Field(default_factory=dict)
    """Our row -> the published row, where variant, setting, model and family all have other names."""
    alpha: float = Field(0.05, gt=0, lt=0.5)
    """Significance level; intervals cover 1 - alpha."""
    bootstrap: int = Field(2000, ge=100)
    """Resamples of the users and seeds behind each interval."""
    equivalence_margin: Margin = 0.02
    """The smallest difference that matters, as a share of the mean of what a row is compared with."""
    seed: int = Field(0, ge=0)
    """Of the resamples."""
    times: bool = False
    """Whether a second table shows what an epoch and a training of each row cost, as multiples of the row that it is
    compared with."""
    plot: bool = True
    """Whether the table is also drawn as bars."""

    @model_validator(mode="after")
    def _compares(self) -> TableOptions:
        if self.baseline is None and not self.against:
            raise ValueError("baseline: missing; name the variant to compare with, or pairs of variants in `against`")
        return self
