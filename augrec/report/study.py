"""A study (several runs) as its pages see it: what was run, what was searched, and what did not work out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal


@dataclass(frozen=True)
class Failure:
    """Something that did not work out; `variant` and `seed` are None where it concerns a whole stage."""

    dataset: str
    setting: str
    stage: str
    reason: str
    variant: str | None = None
    seed: int | None = None


@dataclass(frozen=True)
class Tried:
    """Options that were tried, what became of that, and the value on validation of a complete trial."""

    options: Mapping[str, Any]
    state: Literal["complete", "running", "fail", "waiting"]
    value: float | None


@dataclass(frozen=True)
class SearchResult:
    """What a search chose for one model: the options of its best trial, or why there is none.

    Attributes:
        model: its name in the config.
        options: those chosen, by dotted key.
        value: the monitored metric on validation, the mean over the search's seeds.
        trials, failed: how many there were, and how many came to nothing.
        problem: why nothing was chosen.
        note: why nothing was searched.
        tried: every trial, in order.
    """

    model: str
    options: dict[str, Any] = field(default_factory=dict)
    value: float | None = None
    trials: int = 0
    failed: int = 0
    problem: str | None = None
    note: str | None = None
    tried: tuple[Tried, ...] = ()


@dataclass(frozen=True)
class StudyVariant:
    """One variant of a run.

    Attributes:
        model, family: the name of its model, and the family.
        group: the kind of the family, e.g. "general", by which tables may group their rows.
        seeds: its training seeds.
        finished: those whose results on disk are of this very config.
        reranked: whether it is a row that re-ranking made of a variant.
        draws: the variants it is trained as, one for each draw of its source; empty: itself alone.
    """

    model: str
    family: str
    group: str
    seeds: tuple[int, ...]
    finished: tuple[int, ...]
    reranked: bool = False
    draws: tuple[str, ...] = ()


@dataclass(frozen=True)
class StudyRun:
    """One run: a data set with a setting.

    Attributes:
        dataset, setting: their names.
        folder: the run folder.
        seeds: training seeds of the run.
        variants: by name, those of sweeps too.
        data: a hash of the prepared data; runs with the same have the same users. None where there are none.
        seconds: what its finished stages took.
        searched: what a search chose.
        failures: what did not work out.
    """

    dataset: str
    setting: str
    folder: Path
    seeds: tuple[int, ...]
    variants: Mapping[str, StudyVariant]
    data: str | None
    seconds: float
    searched: tuple[SearchResult, ...]
    failures: tuple[Failure, ...]

    def budget(self, model: str) -> int:
        """How many trials of the search chose a model's options; 0 where they are those of the config."""
        return next((result.trials for result in self.searched if result.model == model), 0)

    def why_missing(self, variant: str) -> str:
        """The reason a variant has no results, or lacks a seed; the first line of it."""
        own = [failure for failure in self.failures if failure.variant == variant]
        whole = [failure for failure in self.failures if failure.variant is None and failure.stage != "report"]
        for failure in (*own, *whole):
            return failure.reason.splitlines()[0]
        return "it was not trained"


@dataclass(frozen=True)
class Named:
    """A data set or a setting: its title, and of a data set the published figures it may be compared with."""

    title: str
    paper: str | None = None


@dataclass(frozen=True)
class Swept:
    """One option over several values.

    Attributes:
        title: of the option on the plot.
        option: its dotted key.
        metrics: what is drawn.
        lines: the variant that is varied -> value and the variant that has it, in order.
    """

    title: str
    option: str
    metrics: tuple[str, ...]
    lines: Mapping[str, tuple[tuple[Any, str], ...]]


@dataclass(frozen=True)
class Study:
    """Several runs and what is shown of them."""

    name: str
    title: str
    folder: Path
    datasets: Mapping[str, Named]
    settings: Mapping[str, Named]
    sweeps: Mapping[str, Swept]
    searches: bool
    """Whether options were searched."""
    runs: tuple[StudyRun, ...]

    @property
    def failures(self) -> list[Failure]:
        """Those of all runs."""
        return [failure for run in self.runs for failure in run.failures]

    def swept(self) -> set[str]:
        """The names of the variants that sweeps make; at its own value the varied one stands in a line itself."""
        lines = [line for sweep in self.sweeps.values() for line in sweep.lines.items()]
        return {made for varied, points in lines for _, made in points if made != varied}
