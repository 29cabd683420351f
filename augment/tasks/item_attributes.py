"""Item attributes: facts about an item that the data set lacks (LLMRec, section 3.2).

Nothing here can check a fact. What can be checked is that the answer is a name and not a placeholder, the echo of
the field's own name or the item's title, all of which the published data hold; those become "unknown".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import create_model

from augment.answers.answer import Answer, AnswerModel
from augment.messages import Control, Draft
from augment.tasks.base import Checked, Context, NamingOptions, Task, TaskOptions
from augment.tasks.naming import UNKNOWN, known_or_missing, name_type
from augrec.artefacts.tasks import About, Attributes, Gives

if TYPE_CHECKING:
    from augment.entities import Item


class ItemAttributesOptions(NamingOptions):
    """Asking who made an item, where, and in which language."""


class ItemAttributes(Task):
    """Stored fields (movies): director, country, language."""

    name: ClassVar[str] = "item_attributes"
    about: ClassVar[About] = "item"
    gives: ClassVar[Gives] = Attributes()
    Options: ClassVar[type[TaskOptions]] = ItemAttributesOptions

    def __init__(self, context: Context, options: ItemAttributesOptions) -> None:
        self.options: ItemAttributesOptions = options
        self._context = context
        domain = context.catalog.domain
        name = name_type(options)
        kinds = {domain.creator: name_type(options, digits=domain.digits), "country": name, "language": name}
        fields: dict[str, Any] = {field: (kind, ...) for field, kind in kinds.items()}
        self._answer = Answer(create_model("Attributes", __base__=AnswerModel, **fields))
        self._nothing = dict.fromkeys(fields, UNKNOWN)

    def draft(self, entity: Item, drop: int = 0) -> Draft:
        """See Task. There is no history to drop."""
        messages = self._context.prompts.messages(
            "item_attributes.j2", domain=self._context.catalog.domain, item=entity
        )
        return Draft(entity.item, messages, self._answer, Control(lambda: self._nothing, self._answer))

    def check(self, answer: dict[str, Any], draft: Draft) -> Checked:
        """Placeholders, and the item's own title in place of its creator, become "unknown"."""
        repairs: list[str] = []
        fields = {field: known_or_missing(value, field, repairs) for field, value in answer.items()}
        creator = self._context.catalog.domain.creator
        if fields[creator].casefold() == self._context.catalog.item(draft.entity).title.casefold():
            fields[creator] = UNKNOWN
            repairs.append(f"{creator}: echoes the title")
        return Checked(fields, tuple(repairs))
