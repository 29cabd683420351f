"""What a task asks about and what its answers are: `augment/<source>/<task>/task.json`, beside the records.

Whoever comes after generation (embedding, side information, audit, report, replay) goes by these kinds, never by the
name of a task.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field, ValidationError

from augrec.artefacts.errors import DataError
from augrec.artefacts.files import read_json, write_json
from augrec.artefacts.names import FieldName
from augrec.artefacts.options import Options

About = Literal["user", "item"]
Shown = Literal["latest", "sample"]


class Kind(Options):
    """What the answers to a task are for; `kind` in the classes below tells them apart."""

    items: ClassVar[tuple[str, ...]] = ()
    """Fields of an answer that hold an item each."""
    lists: ClassVar[tuple[str, ...]] = ()
    """Fields of an answer that hold several items each."""
    scores: ClassVar[str | None] = None
    """A field that may hold [[item, number], ...]."""

    kind: str

    @property
    def embedded(self) -> bool:
        """Whether answers become vectors."""
        return False


class Text(Kind):
    """One text about each entity; it is embedded as one matrix, named like the task."""

    kind: Literal["text"] = "text"
    field: str | None = None
    """The field of the answer that is the text; None: all fields, as one text."""

    @property
    def embedded(self) -> bool:
        """See `Kind.embedded`."""
        return True


class Attributes(Kind):
    """Several short values about each entity; each field is embedded as a matrix of its own."""

    kind: Literal["attributes"] = "attributes"
    of_shown: bool = False
    """Whether the entries of a list are also about the items that a user's prompt showed, the first about the first.
    They join both as nodes of a graph, and are not embedded."""

    @property
    def embedded(self) -> bool:
        """See `Kind.embedded`."""
        return not self.of_shown


class Edges(Kind):
    """Pairs of a liked and a disliked item for each user: further triplets to train on."""

    items: ClassVar[tuple[str, ...]] = ("positive", "negative")
    scores: ClassVar[str | None] = "scores"

    kind: Literal["edges"] = "edges"
    among: Literal["candidates", "unseen"] = "candidates"
    """What a prompt offers: candidates of the base recommender, or any items without an interaction in training."""


class Insertions(Kind):
    """Items put into each user's sequence."""

    items: ClassVar[tuple[str, ...]] = ("item",)
    scores: ClassVar[str | None] = "scores"

    kind: Literal["insertions"] = "insertions"


class Ranking(Kind):
    """An order of each user's candidates, best first; those that are not in it come after the others."""

    lists: ClassVar[tuple[str, ...]] = ("order",)
    scores: ClassVar[str | None] = "scores"

    kind: Literal["ranking"] = "ranking"


class Rating(Kind):
    """A predicted rating of each asked pair of user and item."""

    kind: Literal["rating"] = "rating"


class Entry(Kind):
    """What a model knows by heart of an item; it is judged, and no recommender is given it."""

    kind: Literal["entry"] = "entry"
    lines: int = Field(5, ge=1)
    """How many other lines of the catalogue a prompt shows."""

    def shown(self, item: int, n_items: int) -> list[int]:
        """The items whose lines a prompt about this one shows: those before it, for the first items the first ones."""
        first = max(0, min(item - self.lines, n_items - self.lines - 1))
        places = [place for place in range(first, min(first + self.lines + 1, n_items)) if place != item]
        return places[: self.lines]


Gives = Annotated[Text | Attributes | Edges | Insertions | Ranking | Rating | Entry, Field(discriminator="kind")]


class TaskCard(Options):
    """What later stages know of a task."""

    name: FieldName
    about: About
    """What its entities are."""
    reads: tuple[str, ...] = ()
    """Tasks whose records its prompt quotes."""
    gives: Gives
    shows: Shown = "latest"
    """Which training items of a user its prompts show: the latest in their order, or some, drawn with the seed."""

    @property
    def feature(self) -> str:
        """What its text is called among the features of users or of items: its name without what it is about."""
        return self.name.removeprefix(f"{self.about}_")


def read_card(path: Path) -> TaskCard:
    """The card of a task.

    Raises:
        DataError: the file is missing or says something else.
    """
    remedy = "run the stage `augment` again"
    try:
        return TaskCard.model_validate(read_json(path, remedy=remedy))
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in problem["loc"])
        raise DataError(f"this is no description of a task ({where}: {problem['msg']})", where=path,
                        remedy=remedy) from None  # fmt: skip


def write_card(path: Path, card: TaskCard) -> None:
    """Writes a card, atomically."""
    write_json(path, card.model_dump(mode="json"))
