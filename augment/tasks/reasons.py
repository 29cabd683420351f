"""Reasons: why a user took each of some training items, in a few words (after TAGCF, arXiv 2602.21099).

A reason belongs to the user and to the item: in a graph it is a node between both, and the same words of other users
and items are the same node. Only training items are asked about, several of a user's in one question; the authors'
prompt is not published.
"""

from __future__ import annotations

import re
from functools import cache, cached_property
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field, StringConstraints, create_model

from augment.answers.answer import Answer, AnswerModel
from augment.messages import Control, Draft
from augment.tasks.base import Checked, Context, Impossible, NamingOptions, Task, TaskOptions, require_history
from augment.tasks.naming import UNKNOWN, known_or_missing, list_of
from augrec.artefacts.tasks import About, Attributes, Gives

if TYPE_CHECKING:
    from augment.entities import Item, UserEntity
    from augment.tasks.tfidf import MeanTerms


SMALL = "a-zß-öø-ÿ"
ORDINALS = "first|second|third|fourth|fifth|sixth|seventh|eighth|ninth|tenth|last|next"
"""What small models write that number a list in place of answering."""


class ReasonsOptions(NamingOptions):
    """Asking what drew a user to items."""

    items: int = Field(default=5, ge=1, le=30)
    """How many of a user's latest training items are asked about."""


class Reasons(Task):
    """Stored fields: {"reasons": [words or "unknown", ...]}, one for each item of `shown_history`, in its order."""

    name: ClassVar[str] = "reasons"
    about: ClassVar[About] = "user"
    gives: ClassVar[Gives] = Attributes(of_shown=True)
    Options: ClassVar[type[TaskOptions]] = ReasonsOptions

    def __init__(self, context: Context, options: ReasonsOptions) -> None:
        self.options: ReasonsOptions = options
        self._context = context
        one = re.escape(context.catalog.domain.one)
        self._counting = re.compile(f"(the )?({ORDINALS})( one| {one})?")

    def draft(self, entity: UserEntity, drop: int = 0) -> Draft:
        """See Task. A user without history cannot be asked about."""
        require_history(entity)
        history = entity.history[-min(self._context.max_history, self.options.items) :][drop:]
        if not history:
            raise Impossible("no_history: no item fits into the prompt")
        catalog = self._context.catalog
        answer = reasons_answer(len(history), self.options.name_words, self.options.word_letters)
        return Draft(
            entity.user,
            self._context.prompts.messages("reasons.j2", domain=catalog.domain, history=history, options=self.options),
            answer,
            Control(lambda: {"reasons": [self._by_rule(item) for item in history]}, answer),
            shown_history=tuple(item.item for item in history),
            dropped_history=drop,
        )

    def check(self, answer: dict[str, Any], draft: Draft) -> Checked:
        """Placeholders, places in the list and titles become "unknown"; every reason keeps its place."""
        repairs: list[str] = []
        titles = {self._context.catalog.item(item).title.casefold() for item in draft.shown_history}
        reasons = []
        for said in answer["reasons"]:
            reason = known_or_missing(said, "reasons", repairs)
            a_title = reason.casefold() in titles
            if a_title or self._counting.fullmatch(reason):
                repairs.append("reasons: a title" if a_title else "reasons: counts")
                reason = UNKNOWN
            reasons.append(reason)
        return Checked({"reasons": reasons}, tuple(repairs))

    def _by_rule(self, item: Item) -> str:
        """The control: the item's first genre, or what its title and text are about."""
        terms = (term.lower() for term in [*item.genres, *self._terms.of(item.item)])
        return next((term for term in terms if self._fits(term)), UNKNOWN)

    def _fits(self, term: str) -> bool:
        words = term.split(" ")
        return len(words) <= self.options.name_words and all(
            word.isalpha() and len(word) <= self.options.word_letters for word in words
        )

    @cached_property
    def _terms(self) -> MeanTerms:
        from augment.tasks.tfidf import MeanTerms  # brings scipy, which reading a config shall not wait for

        catalog = self._context.catalog
        return MeanTerms(catalog, catalog.n_items, lambda item: [item], self._context.terms)


@cache
def reasons_answer(count: int, words: int, letters: int) -> Answer:
    """As many reasons as items were shown, in lower case, as titles are not. One grammar for all users with as many."""
    word = f"[{SMALL}][{SMALL}'-]{{0,{letters - 1}}}"
    reason = Annotated[str, StringConstraints(pattern=f"^{word}( {word}){{0,{words - 1}}}$")]
    return Answer(create_model("Reasons", __base__=AnswerModel, reasons=(list_of(reason, count, count), ...)))
