"""Item attributes: facts about an item that the data set lacks (LLMRec, section 3.2).

Llama4Rec asks for other facts (a movie's director and star, a book's genre and length) and shows worked examples:
`fields` and `examples`. Each is an attribute like any, so that a model of ratings has it for a field. A movie's
genre is one of the data's own; a question about a genre shows none, and pages hold the answers against the data's.

Nothing here can check a fact. What can be checked is that the answer is a name and not a placeholder, the echo of
the field's own name or the item's title, all of which the published data hold; those become "unknown".
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, create_model, field_validator

from augment.answers.answer import Answer, AnswerModel
from augment.messages import Control, Draft
from augment.prompts.domains import Example, Fact
from augment.tasks.base import Checked, Context, NamingOptions, Task, TaskOptions
from augment.tasks.naming import UNKNOWN, known_or_missing, name_type
from augrec.artefacts.errors import UsageError
from augrec.artefacts.tasks import About, Attributes, Gives

if TYPE_CHECKING:
    from augment.entities import Item


GENRE = "genre"


class ItemAttributesOptions(NamingOptions):
    """Asking for facts about an item."""

    fields: tuple[str, ...] = ()
    """What is asked for, e.g. [director, star] of movies or [genre, pages] of books, as Llama4Rec does. By default who
    made an item, where, and in which language, as LLMRec does. A movie's `genre` is one of the data's."""
    examples: int = Field(0, ge=0, le=3)
    """Worked examples before the question; of the last of three nothing is known, and the answer says so. Of movies and
    books there are some."""

    @field_validator("fields")
    @classmethod
    def _distinct(cls, fields: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(fields)) < len(fields):
            raise ValueError("a field is named twice")
        return fields


class ItemAttributes(Task):
    """Stored fields: those that are asked for; of movies director, country, language unless others are named."""

    name: ClassVar[str] = "item_attributes"
    about: ClassVar[About] = "item"
    gives: ClassVar[Gives] = Attributes()
    Options: ClassVar[type[TaskOptions]] = ItemAttributesOptions

    def __init__(self, context: Context, options: ItemAttributesOptions) -> None:
        self.options: ItemAttributesOptions = options
        self._context, self._domain = context, context.catalog.domain
        self._facts = self._asked()
        self._examples = self._shown()
        fields: dict[str, Any] = {name: (self._type(name, fact), ...) for name, fact in self._facts.items()}
        self._answer = Answer(create_model("Attributes", __base__=AnswerModel, **fields))
        self._nothing = dict.fromkeys(fields, UNKNOWN)

    def _asked(self) -> dict[str, Fact]:
        """The facts that are asked for. Raises UsageError for one that nobody can be asked for."""
        known = self._domain.known_facts
        for name in self.options.fields:
            if name not in known:
                raise UsageError(
                    f"nobody knows how to ask for the {name!r} of a {self._domain.one}",
                    where="generation.tasks.item_attributes.fields",
                    remedy=f"choose from {', '.join(known)}",
                )
        wanted = self.options.fields or (self._domain.creator, "country", "language")
        facts = {name: known[name] for name in wanted}
        genres = self._context.catalog.genres
        return {name: replace(fact, choices=genres) if fact.of_data else fact for name, fact in facts.items()}

    def _shown(self) -> list[Example]:
        """The worked examples, with what is asked for of each."""
        if self.options.examples and not self._domain.examples:
            raise UsageError(
                f"there are no worked examples of {self._domain.many}",
                where="generation.tasks.item_attributes.examples",
                remedy="set it to 0",
            )
        chosen = self._domain.examples[-self.options.examples :] if self.options.examples else ()
        return [
            Example(
                one.shown(genres=GENRE not in self._facts), {n: self._answered(n, one.known[n]) for n in self._facts}
            )
            for one in chosen
        ]

    def _answered(self, name: str, value: str) -> str:
        """A fact of a worked example as it may be answered here."""
        choices = self._facts[name].choices
        return value if not choices or value in choices else UNKNOWN

    def _type(self, name: str, fact: Fact) -> Any:
        if fact.choices:
            return Literal[(*fact.choices, UNKNOWN)]
        return name_type(self.options, digits=self._domain.digits and name == self._domain.creator)

    def draft(self, entity: Item, drop: int = 0) -> Draft:
        """See Task. There is no history to drop."""
        if GENRE in self._facts:
            entity = replace(entity, genres=())
        if self.options.fields or self._examples:
            told = {"facts": self._facts, "examples": self._examples}
            messages = self._context.prompts.messages("item_facts.j2", domain=self._domain, item=entity, **told)
        else:
            messages = self._context.prompts.messages("item_attributes.j2", domain=self._domain, item=entity)
        return Draft(entity.item, messages, self._answer, Control(lambda: self._nothing, self._answer))

    def check(self, answer: dict[str, Any], draft: Draft) -> Checked:
        """Placeholders, and the item's own title in place of a name, become "unknown"."""
        repairs: list[str] = []
        fields = {field: known_or_missing(value, field, repairs) for field, value in answer.items()}
        title = self._context.catalog.item(draft.entity).title.casefold()
        for name, value in fields.items():
            if self._facts[name].named and value.casefold() == title:
                fields[name] = UNKNOWN
                repairs.append(f"{name}: echoes the title")
        return Checked(fields, tuple(repairs))
