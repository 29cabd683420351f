"""What the things being recommended are called: the only place that knows movies from books."""

from __future__ import annotations

from dataclasses import dataclass

from augrec.artefacts.domains import DomainName


@dataclass(frozen=True)
class Domain:
    """Words for the prompts and names for the answer fields.

    Args:
        one, many: "movie", "movies".
        liked: what a user did to them, past tense: "liked".
        creator: the person or company an item is known by; also the answer field ("director", "liked_directors").
        digits: whether creators' names may hold digits.
    """

    one: str
    many: str
    liked: str
    creator: str
    digits: bool = False

    @property
    def creators(self) -> str:
        """The creator's plural."""
        return f"{self.creator}s"

    @property
    def liked_creators(self) -> str:
        """The profile field of creators, e.g. "liked_directors"."""
        return f"liked_{self.creators}"


DOMAINS: dict[DomainName, Domain] = {
    "movies": Domain("movie", "movies", "liked", "director"),
    "books": Domain("book", "books", "liked", "author"),
    "games": Domain("game", "games", "liked to play", "developer", digits=True),
    "music": Domain("album", "albums", "liked", "artist", digits=True),
    "businesses": Domain("place", "places", "liked to visit", "brand", digits=True),
}
ANYTHING = Domain("item", "items", "liked", "maker", digits=True)


def domain_named(name: str | None) -> Domain:
    """The domain of a data set; an unknown one is spoken of as items and makers."""
    return next((domain for known, domain in DOMAINS.items() if known == name), ANYTHING)
