"""The base class of tasks. A task is one thing that a language model is asked about every user or every item."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from augment.answers.answer import Answer
from augment.messages import Draft, Sampling
from augrec.artefacts.options import Options
from augrec.artefacts.tasks import About, Edges, Gives, Ranking, Rating, Shown, TaskCard

if TYPE_CHECKING:
    from augment.catalog import Catalog
    from augment.entities import UserEntity
    from augment.prompts.rendering import Prompts


class TaskOptions(Options):
    """The options that all tasks have."""

    sampling: Sampling = Sampling()
    """How tokens are sampled."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels whose log-probabilities the task reads; none if it reads text."""
        return ()

    @property
    def needs_hints(self) -> bool:
        """Whether prompts show hints by a base recommender, so that the run needs a section `base`."""
        return False


class NamingOptions(TaskOptions):
    """For tasks whose answers hold names of people, companies, countries or languages."""

    name_words: int = Field(default=3, ge=1, le=8)
    """Most words in a name."""
    word_letters: int = Field(default=14, ge=1, le=40)
    """Most characters in a word of a name."""


@dataclass(frozen=True)
class Context:
    """What tasks are built from.

    Args:
        max_history: how many of a user's latest training items are shown.
        seed: the run's seed; fixes the order in which candidates are shown.
        terms: most terms in a profile by TF-IDF, the rule's answer in prose.
    """

    catalog: Catalog
    prompts: Prompts
    max_history: int
    seed: int
    terms: int = 20


class Impossible(Exception):
    """Nothing can be asked about this entity; the message is the recorded reason, `code: detail`."""


def require_history(user: UserEntity) -> None:
    """Raises Impossible for a user of whom a prompt has nothing to show."""
    if not user.history:
        raise Impossible("no_history: the user has no training interaction")


@dataclass
class Contradiction(Exception):
    """The answer fits the grammar, but contradicts itself or the question.

    Args:
        reason: what contradicts what.
        narrower: the answer type of the next attempt, a subset of the task's own that rules this contradiction out;
            None to ask the same again.
        note: what the narrower grammar rules out, recorded among the repairs.
        code: the kind of failure, under which it is counted.
    """

    reason: str
    narrower: Answer | None = None
    note: str = ""
    code: str = "contradiction"


@dataclass(frozen=True)
class Checked:
    """An accepted answer as it is stored, and the repairs that this took."""

    fields: dict[str, Any]
    repairs: tuple[str, ...] = field(default=())


class Task(ABC):
    """A task: one file in this folder and one template in `augment/prompts`.

    A task that asks one question about an entity implements `draft`; one that asks several implements `questions`.
    """

    name: ClassVar[str]
    about: ClassVar[About]
    reads: ClassVar[tuple[str, ...]] = ()
    """The tasks whose answers its prompts quote; they are asked first."""
    gives: ClassVar[Gives]
    """The kind of its answers, which says what later stages do with them."""
    shows: ClassVar[Shown] = "latest"
    """Which of a user's training items its prompts show."""
    Options: ClassVar[type[TaskOptions]]
    options: TaskOptions
    most_questions: int = 1
    """The most questions about one entity; the progress display assumes it until all questions were made."""

    @abstractmethod
    def __init__(self, context: Context, options: Any) -> None: ...

    @property
    def shows_candidates(self) -> bool:
        """Whether its prompts show a user's candidates, which somebody has to have listed."""
        of_candidates = isinstance(self.gives, Edges) and self.gives.among == "candidates"
        return of_candidates or isinstance(self.gives, Ranking | Rating)

    @classmethod
    def reads_with(cls, options: TaskOptions) -> tuple[str, ...]:
        """The tasks whose answers its prompts quote with these options; by default `reads`."""
        return cls.reads

    def draft(self, entity: Any, drop: int = 0) -> Draft:
        """The question about one entity, without the `drop` oldest items of its history. Raises Impossible."""
        raise NotImplementedError(f"the task {self.name} asks by `questions`")

    def questions(self, entity: Any, drop: int = 0) -> Iterator[Draft]:
        """The questions about one entity; their order and names (`Draft.question`) do not depend on `drop`.

        Raises Impossible if there is none.
        """
        yield self.draft(entity, drop)

    def taught(self, draft: Draft, truth: Mapping[int, float]) -> dict[str, Any] | None:
        """The answer that instruction tuning teaches for a question; None if the truth does not decide it.

        Args:
            draft: the question, or one order of a scored question.
            truth: how much the user likes items of the prompt: the rating, or 1 for an interaction and 0 for none.
                It need not know every item of the prompt.

        Returns:
            The fields of the answer, as its grammar has them; for a scored draft {"label": one of its labels}.
        """
        return None

    @abstractmethod
    def check(self, answer: dict[str, Any], draft: Draft) -> Checked:
        """Checks what a grammar cannot express, and returns the stored form. Raises Contradiction."""


def card_of(task: Task | type[Task]) -> TaskCard:
    """What later stages know of a task."""
    return TaskCard(name=task.name, about=task.about, reads=task.reads, gives=task.gives, shows=task.shows)
