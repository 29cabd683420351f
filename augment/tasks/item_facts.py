"""What a prompt about an item shows: its description, or what is known of it and what users wrote.

RLMRec, section 3.2: title and description where there is one; else title, attributes and a sample of reviews, of
training interactions alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from augment.hashes import reviews_sha256
from augment.prompts.presentation import beginning
from augment.samples import sample
from augrec.artefacts.errors import UsageError

if TYPE_CHECKING:
    from augment.catalog import Catalog

DESCRIPTION = ("description",)
"""Columns that describe an item."""
ATTRIBUTES = ("year", "genres", "categories", "authors", "brand", "publisher", "developer", "tags", "city")
"""Columns of items that tell what an item is; links, prices and names of pictures do not."""
MOST_VALUES = 10
"""Values that are shown of a list, such as tags."""


@dataclass(frozen=True)
class Facts:
    """What is shown of one item.

    Args:
        values: by name, in the order in which they are shown.
        authors: the users whose reviews are among them.
        reviews_sha256: of these reviews, see `augment.hashes`.
    """

    values: dict[str, Any]
    authors: tuple[int, ...] = ()
    reviews_sha256: str = ""


class ItemFacts:
    """What is shown of every item.

    Args:
        catalog: the items.
        seed: the run's; fixes whose reviews are shown.
        description: the columns that describe an item; None for those that prompts show, or else `DESCRIPTION`.
        description_words: how many words of them are shown.
        attributes: the columns that are shown of an item without a description; None for those of `ATTRIBUTES`.
        reviews: how many reviews are shown of an item without a description, and how many words of each.

    Raises:
        UsageError: a column is named that is not there.
    """

    def __init__(
        self,
        catalog: Catalog,
        seed: int,
        description: tuple[str, ...] | None,
        description_words: int,
        attributes: tuple[str, ...] | None,
        reviews: tuple[int, int],
    ) -> None:
        self._catalog, self._seed, self._words = catalog, seed, description_words
        self._most, self._review_words = reviews
        _require(catalog, "description", description or ())
        _require(catalog, "attributes", attributes or ())
        text = catalog.presentation.text
        described = description if description is not None else text.columns if text else DESCRIPTION
        self._described = [name for name in described if name in catalog.columns]
        known = ATTRIBUTES if attributes is None else attributes
        self._attributes = [name for name in known if name in catalog.columns]

    def of(self, item: int, drop: int = 0) -> Facts:
        """What is shown of an item, without the last `drop` of its reviews."""
        heading = {"title": title} if (title := self._catalog.title(item)) else {}
        if description := beginning([self._description(item)], self._words):
            return Facts({**heading, "description": description})
        authors = self._authors(item)
        authors = authors[: len(authors) - drop]
        known = {name: value for name in self._attributes if (value := self._catalog.attribute(item, name)) is not None}
        values = {**heading, **{name: _short(value) for name, value in known.items()}}
        if authors:
            written = (self._catalog.review(user, item) for user in authors)
            values["reviews"] = [beginning([review], self._review_words) for review in written]
        stored = (self._catalog.reviews.text(user, item) or "" for user in authors)
        return Facts(values, tuple(authors), reviews_sha256(stored))

    def documents(self) -> Iterator[str]:
        """All that could be shown of every item as one text, uncut; hidden titles are left out."""
        hidden = self._catalog.presentation.titles == "anonymous"
        for item in range(self._catalog.n_items):
            title = "" if hidden else self._catalog.title(item)
            if description := self._description(item):
                yield f"{title} {description}"
                continue
            values = (self._catalog.attribute(item, name) for name in self._attributes)
            said = [" ".join(map(str, value)) if isinstance(value, list) else str(value or "") for value in values]
            yield " ".join([title, *said, *(self._catalog.review(user, item) for user in self._authors(item))])

    def _description(self, item: int) -> str:
        return " ".join(text for name in self._described if (text := self._catalog.text(item, name)))

    def _authors(self, item: int) -> list[int]:
        if not self._most or not self._catalog.reviews.exist:
            return []
        users, stream = self._catalog.source_ids("user"), self._catalog.source_ids("item")[item]
        written = self._catalog.reviews.authors(item)
        return sample(written, self._most, users.__getitem__, f"{self._seed}/reviews/{stream}")


def _require(catalog: Catalog, option: str, columns: tuple[str, ...]) -> None:
    for name in columns:
        if name not in catalog.columns:
            raise UsageError(
                f"the items have no column '{name}'",
                where=f"generation.tasks.item_profile.{option}",
                remedy=f"they have: {', '.join(catalog.columns)}",
            )


def _short(value: Any) -> Any:
    return value[:MOST_VALUES] if isinstance(value, list) else value
