"""Item profiles: which people would like an item, and why (RLMRec, section 3.2).

Deviations from the authors' prompts: one prompt for every domain instead of one for each data set, in words of our own;
attributes and reviews are in one object of JSON, and reviews are cut. For the answer's form see
`augment.tasks.reasoning`.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from augment.messages import Control, Draft
from augment.tasks.base import Checked, Context, Impossible, Task, TaskOptions
from augment.tasks.item_facts import ItemFacts
from augment.tasks.prose import OPENING, TERMS
from augment.tasks.reasoning import check_reasoned, reasoned_answer
from augrec.artefacts.tasks import About, Gives, Text

if TYPE_CHECKING:
    from augment.entities import Item
    from augment.tasks.tfidf import MeanTerms


class ItemProfileOptions(TaskOptions):
    """Asking which people would like an item."""

    words: int = Field(default=200, ge=10, le=300)
    """Most words of the profile. A small model writes better within 50."""
    reasoning_words: int = Field(default=200, ge=10, le=300)
    """Most words of the reasoning, which is stored and not embedded."""
    letters: int = Field(default=24, ge=8, le=60)
    """Most characters in a word."""
    opening: str = Field(default="", pattern=OPENING)
    """What every profile begins with, such as "People who enjoy", to keep a small model to the question. Empty: they
    begin as they like."""
    description: tuple[str, ...] | None = None
    """Text columns that describe an item. An item that has such a text is shown by title and text; one without, or all
    where there are no such columns, by title, attributes and reviews. null: those of `item_text`; without them
    description."""
    description_words: int = Field(default=300, ge=1, le=1000)
    """Words shown of a description."""
    attributes: tuple[str, ...] | None = None
    """Columns shown of an item without a description. null: year, genres, categories, authors, brand, publisher,
    developer, tags and city, those that there are."""
    reviews: int = Field(default=6, ge=0, le=100)
    """How many of an item's training reviews are shown where it has no description, drawn with the run's seed."""
    review_words: int = Field(default=200, ge=1, le=1000)
    """Words shown of each review."""


class ItemProfile(Task):
    """Stored fields: profile, reasoning."""

    name: ClassVar[str] = "item_profile"
    about: ClassVar[About] = "item"
    gives: ClassVar[Gives] = Text(field="profile")
    Options: ClassVar[type[TaskOptions]] = ItemProfileOptions

    def __init__(self, context: Context, options: ItemProfileOptions) -> None:
        self.options: ItemProfileOptions = options
        self._context = context
        self._facts = ItemFacts(
            context.catalog,
            context.seed,
            options.description,
            options.description_words,
            options.attributes,
            (options.reviews, options.review_words),
        )
        self._answer = reasoned_answer(options.words, options.reasoning_words, options.letters, options.opening)

    def draft(self, entity: Item, drop: int = 0) -> Draft:
        """See Task; reviews can be dropped. An item of which nothing is known cannot be asked about."""
        facts = self._facts.of(entity.item, drop)
        if not facts.values:
            raise Impossible("nothing_known: the item has no title, description, attribute or review")
        domain = self._context.catalog.domain
        return Draft(
            entity.item,
            self._context.prompts.messages("item_profile.j2", domain=domain, facts=facts.values, options=self.options),
            self._answer,
            Control(lambda: {"profile": ", ".join(self._terms.of(entity.item))}, TERMS),
            dropped_history=drop,
            shown_reviews=facts.authors,
            reviews_sha256=facts.reviews_sha256,
        )

    def check(self, answer: dict[str, Any], draft: Draft) -> Checked:
        """See `check_reasoned`."""
        options = self.options
        return check_reasoned(answer, draft, options.words, options.reasoning_words, options.opening)

    @cached_property
    def _terms(self) -> MeanTerms:
        from augment.tasks.tfidf import MeanTerms  # brings scipy, which reading a config shall not wait for

        catalog = self._context.catalog
        return MeanTerms(catalog, catalog.n_items, lambda item: [item], self._context.terms, self._facts.documents)
