"""What can be configured about generation. Importable without vLLM and torch."""

from __future__ import annotations

from operator import attrgetter
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from augment.engines.options import EngineOptions
from augment.engines.registry import ENGINES, EngineKind
from augment.prompts.presentation import ItemTextOptions, Titles
from augment.replay.options import ReplayOptions
from augment.samples import UsersBy
from augment.tasks import LLMREC, TASKS
from augment.tasks.base import TaskOptions
from augment.tasks.order import waves
from augrec.artefacts.names import Named, field_problem
from augrec.artefacts.options import Options
from augrec.artefacts.registry import OneOf, SectionsOf

MOST_DRAWS = 20
ENGINES.register(EngineKind(ReplayOptions, "augment.replay.replay"))


class SourceOptions(Options):
    """One source of augmentation: an engine and what it is asked."""

    engine: Annotated[EngineOptions, OneOf(ENGINES, "kind")]
    """What answers."""
    tasks: tuple[str, ...] = LLMREC
    """What it is asked while augmenting: edges, user_profile, item_attributes, item_profile, reasons, pair, pick,
    ranking, rating, catalogue_entry. A replayed source: whatever its records answer. None for a source that re-ranks
    and does nothing else."""
    users: int | None = Field(default=None, ge=1)
    """Asked about so many users only, drawn with the run's seed among those with a history; the others have no record.
    The same users for every source with this number, and some of those with a larger one. null: all users."""
    users_by: UsersBy = "random"
    """Which users those are. random: drawn; tail: those with the fewest training interactions first, of whom a text can
    tell a graph the most; head: those with the most. More users add to fewer."""
    titles: Titles = "as-is"
    """anonymous: prompts show "movie 483920" for a title, an arbitrary number per item, and inside the item's own
    text too; genres and years stay. What a model knows of the items by heart is then of no use to it."""

    draws: int = Field(default=1, ge=1, le=MOST_DRAWS)
    """How often the language model is asked everything again with other seeds. Each draw has records of its own, and
    every variant of the source is trained on each, so that intervals and tests are over what it might have written."""
    draw: int = Field(default=1, ge=1)
    """Which draw this is. Sources that differ in it alone are asked the same prompts with other seeds; `draws` makes
    them."""

    @property
    def brings_vectors(self) -> bool:
        """Whether its vectors are copied with its records, so that nothing of it is embedded."""
        return self.engine.brings_vectors

    @field_validator("tasks")
    @classmethod
    def _known(cls, tasks: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        if len(set(tasks)) < len(tasks):
            raise ValueError("name tasks, and none twice")
        replayed = isinstance(info.data.get("engine"), ReplayOptions)
        for task in tasks:
            if task not in TASKS and (not replayed or field_problem(task)):
                raise ValueError(f"unknown task {task!r}; known are {', '.join(TASKS)}")
        return (*(task for task in TASKS if task in tasks), *(task for task in tasks if task not in TASKS))


class TasksOptions(Options):
    """Settings of each task: sampling, and bounds on its answer."""

    def of(self, task: str) -> TaskOptions:
        """One task's settings; the defaults for one that is replayed and that nothing here asks for."""
        found: TaskOptions = getattr(self, task, TaskOptions())
        return found

    def __reduce__(self) -> tuple[Any, ...]:
        """What another process makes it of: the class is built from the registry and has no name there."""
        return _settings, ({name: getattr(self, name) for name in type(self).model_fields},)


_EACH_TASK = SectionsOf(TASKS, TasksOptions, attrgetter("Options"))


def _settings(each: dict[str, TaskOptions]) -> TasksOptions:
    made: TasksOptions = _EACH_TASK.annotation.model_construct(None, **each)  # type: ignore[assignment]
    return made


class GenerationOptions(Options):
    """The augmentation stage."""

    sources: Named[SourceOptions]
    """Sources by a name of your own; each gets a folder of that name."""
    tasks: Annotated[TasksOptions, _EACH_TASK] = Field(default_factory=_EACH_TASK)
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

    @property
    def asked(self) -> dict[str, SourceOptions]:
        """The sources that are asked something while augmenting; the others only re-rank."""
        return {name: source for name, source in self.sources.items() if source.tasks}

    def task_options(self, task: str, source: SourceOptions) -> TaskOptions:
        """What a source is told of a task: the same for all, but terms are prose."""
        options = self.tasks.of(task)
        prose = source.engine.prose_profiles and "style" in type(options).model_fields
        return options.model_copy(update={"style": "prose"}) if prose else options

    def waves(self, source: SourceOptions) -> list[tuple[str, ...]]:
        """A source's tasks in the order in which they are asked, `augment.tasks.order`; a replayed one asks nothing."""
        return [source.tasks] if source.engine.replays else waves(self._reads(source))

    def _reads(self, source: SourceOptions) -> dict[str, tuple[str, ...]]:
        return {task: TASKS[task].reads_with(self.task_options(task, source)) for task in source.tasks}

    @model_validator(mode="after")
    def _draws_differ(self) -> Self:
        for name, source in self.sources.items():
            if max(source.draws, source.draw) == 1:
                continue
            if source.engine.replays or not source.engine.writes_text:
                raise ValueError(
                    f"sources.{name}.draws: {source.draws}, and nothing is drawn: only a language model that is asked "
                    "here may answer otherwise the next time; leave it out"
                )
            tasks = [self.task_options(task, source) for task in source.tasks]
            if not any(options.sampling.temperature > 0 for options in tasks):
                raise ValueError(
                    f"sources.{name}.draws: {source.draws}, and every task has temperature 0, with which each draw is "
                    "the same; raise generation.tasks.TASK.sampling.temperature, or leave it out"
                )
        return self

    @model_validator(mode="after")
    def _what_is_read_is_asked(self) -> Self:
        for name, source in self.sources.items():
            if source.engine.replays:
                continue
            reads = self._reads(source)
            for task, wanted in reads.items():
                lacking = [read for read in wanted if read not in reads]
                if lacking:
                    raise ValueError(
                        f"sources.{name}.tasks: {task} quotes the answers to {lacking[0]}, which is not asked; add it"
                    )
            waves(reads)
        return self

    @field_validator("sources")
    @classmethod
    def _nameable(cls, sources: dict[str, SourceOptions]) -> dict[str, SourceOptions]:
        if not sources:
            raise ValueError("name at least one source")
        for name in sources:
            if name.casefold() in ("data", "features"):
                raise ValueError(f'the source name "{name}" is taken by what the data set brings itself')
        return sources
