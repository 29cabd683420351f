"""What can be configured about instructions."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import Field, field_validator, model_validator

from augment.prompts.presentation import Titles
from augment.tasks import TASKS
from augment.tasks.base import Task
from augrec.artefacts.options import Options


class InstructionOptions(Options):
    """What a language model is taught with: the prompts of tasks, with answers that training interactions give.

    An instruction is about interactions that some fold of the stage `base` held out: the history of its prompt is
    without them, and so is what the hints were computed from.
    """

    tasks: tuple[str, ...] = ()
    """Whose prompts, e.g. [ranking, pair]. Their settings are those of `generation.tasks`: what is taught is what is
    asked later."""
    count: int = Field(default=5000, ge=1)
    """Most instructions of each task, drawn among all; published are 5,000 of each task and data set."""
    per_fold: int = Field(default=1, ge=1, le=100)
    """Most instructions of a task that one user gives for one fold: other draws of what is asked about."""
    least_history: int = Field(default=3, ge=1)
    """Users with fewer training interactions teach nothing and are left out."""
    list_size: int = Field(default=10, ge=2, le=50)
    """Items that a prompt with a list asks about: held-out ones, filled up with drawn ones. A pair is one of each."""
    positives: int = Field(default=5, ge=1, le=49)
    """Most held-out items among them. Where one item is asked for, there is one."""
    titles: Titles = "as-is"
    """How prompts name items, see `generation.sources`."""
    also: tuple[Path, ...] = ()
    """Files of instructions of other runs, which are mixed in; `augrec instructions CONFIG --out FILE` writes them."""

    @field_validator("tasks")
    @classmethod
    def _teach(cls, tasks: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(tasks)) < len(tasks):
            raise ValueError("a task is named twice")
        able = [name for name, task in TASKS.items() if teaches(task)]
        for task in tasks:
            if task not in able:
                raise ValueError(f"{task!r} is no task with an answer that interactions give; those are "
                                 f"{', '.join(able) or 'none'}")  # fmt: skip
        return tasks

    @model_validator(mode="after")
    def _something_is_taught(self) -> Self:
        if not self.tasks and not self.also:
            raise ValueError("name the tasks that are taught in `tasks`, or files of instructions in `also`")
        if self.positives >= self.list_size:
            raise ValueError("positives must be less than list_size: what is to be told apart needs drawn items too")
        return self


def teaches(task: type[Task]) -> bool:
    """Whether a task knows the answer where the truth is known."""
    return task.taught is not Task.taught
