"""What a model knows by heart of a data set: the entry of an item, asked for by nothing but its number.

A model that was trained on the file of a public data set can complete its lines, and what it then writes about users
rests on more than prompts show. So it is shown a few lines of the catalogue and asked for another one by its number
alone, as Di Palma et al. ask about MovieLens-1M ("Do LLMs memorize recommendation datasets?", SIGIR 2025). Answers are
judged by `augrec.report.measures.coverage`; no model of a run is given them.

Deviations: the answer is held to fields by a grammar, so that a line in another notation counts; the lines shown are
those before it in the catalogue, or the first ones for its first items.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field, StringConstraints, create_model

from augment.answers.answer import Answer, AnswerModel
from augment.messages import Control, Draft, Sampling
from augment.prompts.safe_text import plain
from augment.tasks.base import Checked, Context, Task, TaskOptions
from augment.tasks.naming import LETTERS, list_of
from augrec.artefacts.errors import UsageError
from augrec.artefacts.tasks import About, Entry, Gives

if TYPE_CHECKING:
    from augment.entities import Item

TITLE_WORDS, WORD_LETTERS, MOST_GENRES, GENRES = 12, 16, 3, 500
LOOKED_AT = 50
"""Items that are looked at to see which fields the data have."""


class CatalogueEntryOptions(TaskOptions):
    """Asking for entries of the catalogue."""

    sampling: Sampling = Sampling(temperature=0.0)
    """Greedy: what is asked for is what the model knows best."""
    catalogue: str | None = Field(None, max_length=100)
    """What the data set is called in prompts, e.g. MovieLens-100K; without it the model has to guess that."""
    lines: int = Field(5, ge=1, le=50)
    """Lines of the catalogue that are shown."""


class CatalogueEntry(Task):
    """Stored fields: title and, where the data have them, year and genres."""

    name: ClassVar[str] = "catalogue_entry"
    about: ClassVar[About] = "item"
    gives: ClassVar[Gives] = Entry()
    Options: ClassVar[type[TaskOptions]] = CatalogueEntryOptions

    def __init__(self, context: Context, options: CatalogueEntryOptions) -> None:
        self.options: CatalogueEntryOptions = options
        self._kind = Entry(lines=options.lines)
        self.gives = self._kind  # type: ignore[misc]
        self._context, catalog = context, context.catalog
        if catalog.presentation.titles == "anonymous":
            raise UsageError(
                "catalogue_entry asks what a model knows by name, and this source hides the names",
                where="generation.sources: titles",
                remedy="ask a source with `titles: as-is`",
            )
        looked_at = [catalog.item(item) for item in range(min(LOOKED_AT, catalog.n_items))]
        first = f"{LETTERS}0-9"
        word = f"[{first}][{first}.,:!?&'()-]{{0,{WORD_LETTERS - 1}}}"
        fields: dict[str, Any] = {
            "title": (
                Annotated[str, StringConstraints(pattern=f"^{word}( {word}){{0,{TITLE_WORDS - 1}}}$")],
                ...,
            )
        }
        if any(item.year is not None for item in looked_at):
            fields["year"] = (Annotated[str, StringConstraints(pattern="^[12][0-9]{3}$")], ...)
        if catalog.genres and any(item.genres for item in looked_at):
            fields["genres"] = (list_of(Literal[catalog.commonest_genres(GENRES)], 1, MOST_GENRES), ...)
        self._fields = tuple(fields)
        self._answer = Answer(create_model("Entry", __base__=AnswerModel, **fields))

    def draft(self, entity: Item, drop: int = 0) -> Draft:
        """See Task. Without a language model the entry before is said again, which is what chance looks like."""
        catalog = self._context.catalog
        places = self._kind.shown(entity.item, catalog.n_items)
        shown = [(self._number(place), catalog.item(place)) for place in places]
        before = catalog.item(places[-1] if places else entity.item)
        messages = self._context.prompts.messages(
            "catalogue_entry.j2",
            domain=catalog.domain,
            options=self.options,
            shown=shown,
            number=self._number(entity.item),
            fields=self._fields,
        )
        return Draft(entity.item, messages, self._answer, Control(lambda: self._entry(before), self._answer))

    def check(self, answer: dict[str, Any], draft: Draft) -> Checked:
        """Nothing can be wrong with it: it is what the model says."""
        return Checked(answer)

    def _number(self, item: int) -> str:
        return plain(self._context.catalog.source_ids("item")[item])

    def _entry(self, item: Item) -> dict[str, Any]:
        words = ["".join(letter for letter in word if letter.isalnum())[:WORD_LETTERS] for word in item.title.split()]
        known = {
            "title": " ".join(filter(None, words[:TITLE_WORDS])) or "A",
            "year": f"{item.year or 1000:04d}",
            "genres": list(item.genres[:MOST_GENRES]) or list(self._context.catalog.genres[:1]),
        }
        return {name: known[name] for name in self._fields}
