"""What became of a study (several runs): what was searched in them, and what did not work out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


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
class SearchResult:
    """What a search chose for one model: the options of its best trial, or why there is none.

    Attributes:
        model: its name in the config.
        options: those chosen, by dotted key.
        value: the monitored metric on validation, the mean over the search's seeds.
        trials, failed: how many there were, and how many came to nothing.
        problem: why nothing was chosen.
        note: why nothing was searched.
    """

    model: str
    options: dict[str, Any] = field(default_factory=dict)
    value: float | None = None
    trials: int = 0
    failed: int = 0
    problem: str | None = None
    note: str | None = None
