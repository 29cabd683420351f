"""What a task is: one thing a language model is asked about every user or every item."""

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
    from augment.prompts.rendering import Prompts


class TaskOptions(Options):
    """What every task can be told."""

    sampling: Sampling = Sampling()
    """How tokens are drawn."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels whose log-probabilities the task reads; none where it reads text."""
        return ()

    @property
    def needs_hints(self) -> bool:
        """Whether prompts show what a base recommender says, for which the run needs a section `base`."""
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
    """This entity cannot be asked about; the text is the recorded reason, `code: detail`."""


@dataclass
class Contradiction(Exception):
    """The answer fits the grammar but not itself or what was asked; `narrower` is a grammar that rules this out.

    Args:
        reason: what contradicts what.
        narrower: the answer type for the next attempt, a subset of the task's own; None to ask the same again.
        note: what the narrower grammar did, recorded among the repairs.
        code: the kind of failure that is counted.
    """

    reason: str
    narrower: Answer | None = None
    note: str = ""
    code: str = "contradiction"


@dataclass(frozen=True)
class Checked:
    """An accepted answer in its stored form, and what had to be mended for it."""

    fields: dict[str, Any]
    repairs: tuple[str, ...] = field(default=())


class Task(ABC):
    """One file in this folder and one template in `augment/prompts`.

    A task with one question about an entity writes `draft`; one with several writes `questions` instead.
    """

    name: ClassVar[str]
    about: ClassVar[About]
    reads: ClassVar[tuple[str, ...]] = ()
    """Tasks whose records its prompt quotes; they are answered before."""
    gives: ClassVar[Gives]
    """What its answers are for."""
    shows: ClassVar[Shown] = "latest"
    """Which training items of a user its prompts show."""
    Options: ClassVar[type[TaskOptions]]
    options: TaskOptions
    most_questions: int = 1
    """How many questions there are about an entity at most; progress counts with it until all were made."""

    @abstractmethod
    def __init__(self, context: Context, options: Any) -> None: ...

    @property
    def shows_candidates(self) -> bool:
        """Whether its prompts show a user's candidates, which somebody has to have listed."""
        of_candidates = isinstance(self.gives, Edges) and self.gives.among == "candidates"
        return of_candidates or isinstance(self.gives, Ranking | Rating)

    @classmethod
    def reads_with(cls, options: TaskOptions) -> tuple[str, ...]:
        """The tasks whose records its prompts quote with these options; `reads` where these change nothing of it."""
        return cls.reads

    def draft(self, entity: Any, drop: int = 0) -> Draft:
        """The question about one entity without its `drop` oldest history items. Raises Impossible."""
        raise NotImplementedError(f"the task {self.name} asks by `questions`")

    def questions(self, entity: Any, drop: int = 0) -> Iterator[Draft]:
        """The questions about one entity, in an order and with names (`Draft.question`) that `drop` changes nothing of.

        Raises Impossible where there is none.
        """
        yield self.draft(entity, drop)

    def taught(self, draft: Draft, truth: Mapping[int, float]) -> dict[str, Any] | None:
        """The answer that an instruction teaches to a question; None where the truth leaves open what it is.

        Args:
            draft: the question, or one order of a scored one.
            truth: of items that the prompt asks about, how much the user likes them: the rating, or 1 for an
                interaction and 0 for none. Not every item of the prompt need be known.

        Returns:
            The fields of the answer as its grammar would have them; of a scored draft {"label": one of its labels}.
        """
        return None

    @abstractmethod
    def check(self, answer: dict[str, Any], draft: Draft) -> Checked:
        """What a grammar cannot say, and the stored form. Raises Contradiction."""


def card_of(task: Task | type[Task]) -> TaskCard:
    """What later stages know of a task."""
    return TaskCard(name=task.name, about=task.about, reads=task.reads, gives=task.gives, shows=task.shows)
