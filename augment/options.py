"""What can be configured about generation. Importable without vLLM and torch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field, create_model, field_validator

from augment.engines.options import EngineOptions
from augment.engines.registry import ENGINES, EngineKind
from augment.prompts.presentation import ItemTextOptions, Titles
from augment.replay.options import ReplayOptions
from augment.tasks import TASKS
from augment.tasks.base import TaskOptions
from augrec.artefacts.names import Named
from augrec.artefacts.options import Options
from augrec.artefacts.registry import OneOf

ENGINES.register(EngineKind(ReplayOptions, "augment.replay.replay"))


class SourceOptions(Options):
    """One source of augmentation: an engine and what it is asked."""

    engine: Annotated[EngineOptions, OneOf(ENGINES, "kind")]
    """What answers."""
    tasks: tuple[str, ...] = tuple(TASKS)
    """Which of edges, user_profile, item_attributes."""
    users: int | None = Field(default=None, ge=1)
    """Asked about so many users only, drawn with the run's seed among those with a history; the others have no record.
    The same users for every source with this number, and some of those with a larger one. null: all users."""
    titles: Titles = "as-is"
    """anonymous: prompts show "movie 483920" for a title, an arbitrary number per item, and inside the item's own
    text too; genres and years stay. What a model knows of the items by heart is then of no use to it."""

    @property
    def brings_vectors(self) -> bool:
        """Whether its vectors are copied with its records, so that nothing of it is embedded."""
        return self.engine.brings_vectors

    @field_validator("tasks")
    @classmethod
    def _known(cls, tasks: tuple[str, ...]) -> tuple[str, ...]:
        unknown = [task for task in tasks if task not in TASKS]
        if unknown:
            raise ValueError(f"unknown task {unknown[0]!r}; known are {', '.join(TASKS)}")
        if not tasks or len(set(tasks)) < len(tasks):
            raise ValueError("name at least one task, and none twice")
        return tuple(task for task in TASKS if task in tasks)


class _TasksBase(Options):
    """Settings of each task."""

    def of(self, task: str) -> TaskOptions:
        """One task's settings."""
        return getattr(self, task)


TasksOptions: type[_TasksBase] = create_model(
    "TasksOptions",
    __base__=_TasksBase,
    __doc__="Settings of each task: sampling, and bounds on its answer.",
    **{
        name: (task.Options, Field(default=task.Options(), description=task.Options.__doc__))
        for name, task in TASKS.items()
    },  # type: ignore[call-overload]
)


class GenerationOptions(Options):
    """The augmentation stage."""

    sources: Named[SourceOptions]
    """Sources by a name of your own; each gets a folder of that name."""
    tasks: TasksOptions = TasksOptions()  # type: ignore[valid-type]
    """Settings of each task, the same for all sources so that sources can be compared."""
    max_history: int = Field(default=15, ge=1)
    """How many of a user's latest training items a prompt shows."""
    item_text: ItemTextOptions | None = None
    """Which text tells what an item is: shown where an item has no title, and beside the title where profiles in prose
    are asked for. null: no text."""
    attempts: int = Field(default=3, ge=1, le=20)
    """How often a request is asked before it is recorded as failed; each attempt draws with a seed of its own."""
    shards: int = Field(default=4, ge=1, le=99_999)
    """Files per task. Fixed when a source is first run; also the most array tasks that can share the work."""
    templates: Path | None = None
    """A folder of templates that replace the built-in ones of the same names."""

    def task_options(self, task: str, source: SourceOptions) -> TaskOptions:
        """What a source is told of a task: the same for all, but terms are prose."""
        options = self.tasks.of(task)  # type: ignore[attr-defined]
        prose = source.engine.prose_profiles and task == "user_profile"
        return options.model_copy(update={"style": "prose"}) if prose else options

    @field_validator("sources")
    @classmethod
    def _nameable(cls, sources: dict[str, SourceOptions]) -> dict[str, SourceOptions]:
        if not sources:
            raise ValueError("name at least one source")
        for name in sources:
            if name.casefold() in ("data", "features"):
                raise ValueError(f'the source name "{name}" is taken by what the data set brings itself')
        return sources
