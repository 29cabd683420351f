"""The section `rerank` of a config. Imports neither torch nor an engine."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field, field_validator

from augment.tasks import TASKS
from augrec.artefacts.metrics import MetricName
from augrec.artefacts.options import Options
from augrec.artefacts.tasks import Ranking, Rating

Control = Literal["random", "popularity", "shuffled", "uniform", "alone"]
WITHOUT_LLM: tuple[Control, ...] = ("random", "popularity")
"""Controls that ask nobody, so that there is one for all tasks."""
WITHOUT_CHOICE: tuple[Control, ...] = ("uniform", "alone")
"""Controls whose weight is given."""


class RerankOptions(Options):
    """A language model ranks or rates what trained variants list, blended with the recommender per user."""

    variants: tuple[str, ...] = Field(min_length=1)
    """Rows of `variants` whose lists (or ratings) are judged."""
    source: str
    """A name from `generation.sources`: what answers. Its `tasks` may be empty where it does nothing else. How prompts
    are made is said in `generation`: `tasks.ranking`, `tasks.rating`, `max_history`, `attempts`, `shards`."""
    tasks: tuple[str, ...] = ("ranking",)
    """What it is asked: `ranking`, a list in order, or `rating`, one number per item; both are rows of their own. Of
    models that predict ratings: `rating`."""
    list_size: int = Field(default=10, ge=2, le=50)
    """How many items of a list are judged; those behind them stay where they are."""
    users: int | None = Field(default=None, ge=1)
    """Only so many users are asked about, drawn with the run's seed; the others keep the recommender's lists. null:
    every user of the split."""
    utility: Literal["linear", "reciprocal"] = "linear"
    """What a place s in a list is worth: -s, or 1 / s, which protects the first places."""
    aggregation: Literal["adaptive", "uniform"] = "adaptive"
    """adaptive: the language model counts most for users with few interactions, b1 max(x, b2) with x from 1 (fewest) to
    0 (most). uniform: a half, for everybody."""
    reading: Literal["scaled", "floor"] = "scaled"
    """Of the adaptive weight: `floor` is max(b1 x, b2)."""
    grid: Annotated[tuple[float, ...], Field(min_length=1)] = (0.1, 0.3, 0.5, 0.7, 0.9)
    """The values of b1 and of b2 among which validation chooses, for every training of its own."""
    monitor: MetricName | None = None
    """The metric on validation that chooses; null: `ndcg@` the list size, or `rmse`. Metrics of longer lists than are
    judged cannot change."""
    controls: tuple[Control, ...] = ("random", "popularity", "shuffled", "uniform")
    """Rows that tell what a difference is due to, blended by the same rule: `random` orders the judged items at random,
    `popularity` by their training interactions, `shuffled` gives every user another's answer, place by place;
    `uniform` is the answer with a half for everybody, `alone` the answer without the recommender. Of ratings: `random`
    draws from the training ratings, `popularity` is the item's mean, `shuffled` gives every pair another's. The
    variant's own row is what copying the hint amounts to."""

    @field_validator("tasks")
    @classmethod
    def _of_lists(cls, tasks: tuple[str, ...]) -> tuple[str, ...]:
        usable = [name for name, task in TASKS.items() if isinstance(task.gives, Ranking | Rating)]
        for task in tasks:
            if task not in usable:
                raise ValueError(f"{task!r} does not judge a list; choose from {', '.join(usable)}")
        if not tasks or len(set(tasks)) < len(tasks):
            raise ValueError("name at least one task, and none twice")
        return tasks

    @field_validator("variants", "controls")
    @classmethod
    def _once(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(names)) < len(names):
            raise ValueError("a name is listed twice")
        return names

    @field_validator("grid")
    @classmethod
    def _weights(cls, grid: tuple[float, ...]) -> tuple[float, ...]:
        if not all(0 <= value <= 1 for value in grid) or list(grid) != sorted(set(grid)):
            raise ValueError("weights lie between 0 and 1, each once and in rising order")
        return grid


@dataclass(frozen=True)
class RerankRow:
    """One row that re-ranking adds to a run's table.

    Attributes:
        variant: whose lists are judged.
        task: what is asked; None for a control that asks nobody.
        control: None for what is claimed.
    """

    variant: str
    task: str | None
    control: Control | None = None

    @property
    def name(self) -> str:
        """E.g. `lightgcn+ranking`, `lightgcn+ranking-shuffled`, `lightgcn+random`."""
        return f"{self.variant}+{'-'.join(part for part in (self.task, self.control) if part)}"


def rows_of(options: RerankOptions | None) -> Iterator[RerankRow]:
    """The rows of a section, variant by variant: what is claimed, its controls, and those that ask nobody."""
    if options is None:
        return
    asking = [control for control in options.controls if control not in WITHOUT_LLM]
    if options.aggregation == "uniform":
        asking = [control for control in asking if control != "uniform"]  # it is the row itself
    for variant in options.variants:
        for task in options.tasks:
            yield RerankRow(variant, task)
            yield from (RerankRow(variant, task, control) for control in asking)
        yield from (RerankRow(variant, None, control) for control in options.controls if control in WITHOUT_LLM)
