"""What an experiment is made of: the sections of its YAML file. Imports nothing heavy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import Field, field_validator, model_validator

from augrec.artefacts.metrics import MetricName
from augrec.artefacts.names import Folder, Name, Named
from augrec.artefacts.options import Options
from augrec.artefacts.study_folder import OWN_FOLDERS
from augrec.pipeline.config.seeds import Seed
from augrec.pipeline.studies.search.options import Search
from augrec.report.pages.experiment.options import TableOptions


class Variation(Options):
    """One data set or one setting: what it changes in the run config."""

    title: str | None = None
    """Its name in tables and plots; the key unless given."""
    paper: str | None = None
    """Of a data set: the published figures it may be compared with, e.g. `llmrec-netflix`. Only for the same data."""
    change: dict[str, Any] = Field(default_factory=dict)
    """Sections of the run config, or dotted keys (`candidates.size: 30`); null removes a section of the base."""


class Sweep(Options):
    """One option of one model over several values: a variant for each value, drawn as a line."""

    variant: str | None = None
    """The variant whose model is varied; it need not be listed among the results itself."""
    variants: tuple[str, ...] = ()
    """Several variants instead, whose models are varied alike: a line each in one plot."""
    option: str
    """The model's option, dotted where nested, e.g. `prune_rate` or `training.lr`."""
    values: list[Any] = Field(min_length=1)
    """The values, in the order of the plot."""
    own: Any = None
    """The value that the variants have as they stand: the first point of their lines, for which nothing is trained
    again. Null leaves it out."""
    title: str | None = None
    """The name of the option on the plot."""
    metrics: tuple[MetricName, ...] = Field(("recall@20", "ndcg@20"), min_length=1)
    """What is drawn, a panel each."""

    @model_validator(mode="after")
    def _varies_something(self) -> Sweep:
        if (self.variant is None) == (not self.variants):
            raise ValueError("a sweep varies the model of one `variant`, or those of several `variants`")
        if len(set(self.variants)) < len(self.variants):
            raise ValueError("variants: one is listed twice")
        if self.own is not None and self.own in self.values:
            raise ValueError(
                f"own: {self.own!r} is among the `values`, for which variants are made; name it in one place"
            )
        return self

    def lines(self, name: str) -> dict[str, str]:
        """The variants that are varied in a sweep of this name, and what the names of those made of each begin with."""
        if self.variant is not None:
            return {self.variant: name}
        return {variant: f"{name}-{variant}" for variant in self.variants}


class Experiment(Options):
    """Variants x seeds x data sets x settings, and what is shown of them."""

    name: Name
    """The name; also that of its folder under `runs/`."""
    title: str | None = None
    """Heading of the page."""
    output: Folder | None = None
    """The folder; `runs/<name>` unless given."""
    base: Path | dict[str, Any]
    """The run config everything starts from: a file, relative to this one, or its sections."""
    change: dict[str, Any] = Field(default_factory=dict)
    """Changes to the base for all data sets and settings."""
    datasets: Named[Variation] = Field(default_factory=lambda: {"data": Variation()}, min_length=1)
    """Data sets by name."""
    settings: Named[Variation] = Field(default_factory=lambda: {"base": Variation()}, min_length=1)
    """Run-level variations by name (temperature, candidates.size): each is a run with its own augmentation."""
    models: Named[dict[str, Any]] = Field(default_factory=dict)
    """Models that join those of the base, as in a run config."""
    variants: Named[dict[str, Any]] | None = None
    """Variants as in a run config; they replace those of the base."""
    sweeps: Named[Sweep] = Field(default_factory=dict)
    """Sweeps by name; the variants they make are called `<sweep>=<value>`, of several `<sweep>-<variant>=<value>`."""
    seeds: list[Seed] | None = Field(None, min_length=1)
    """Training seeds; those of the base unless given."""
    search: Search | None = None
    """Hyper-parameter search before the reported trainings."""
    tables: Named[TableOptions] = Field(default_factory=dict)
    """Tables by name."""
    reuse: tuple[Path, ...] = ()
    """Folders of other runs or experiments. Their finished stages and trainings are copied when they are the same."""

    @field_validator("datasets")
    @classmethod
    def _free(cls, datasets: dict[str, Variation]) -> dict[str, Variation]:
        for name in datasets:
            if name.casefold() in OWN_FOLDERS:
                raise ValueError(
                    f"the name '{name}' is taken by a folder of the experiment; call the data set otherwise"
                )
        return datasets

    @property
    def folder(self) -> Path:
        """The experiment's folder."""
        return self.output or Path("runs") / self.name

    @model_validator(mode="after")
    def _shows_something(self) -> Experiment:
        if not self.tables and not self.sweeps:
            raise ValueError("tables: an experiment without tables and sweeps shows nothing")
        return self
