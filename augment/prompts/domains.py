"""What the things being recommended are called: the only place that knows movies from books."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from augrec.artefacts.domains import DomainName, DomainWords


@dataclass(frozen=True)
class Fact:
    """Something that may be asked about an item.

    Args:
        asked: how a prompt explains it, after the name of the field.
        choices: the answers there are; none where it is written freely. "unknown" is an answer to everything.
        named: whether the answer is the name of a person or company, which the item's own title is not.
        of_data: whether the answers there are are the genres of the data, where these have some.
    """

    asked: str = ""
    choices: tuple[str, ...] = ()
    named: bool = False
    of_data: bool = False


@dataclass(frozen=True)
class Example:
    """A worked example: an item as prompts show one, what is known of it, and the genres, shown unless asked for."""

    item: str
    known: Mapping[str, str]
    genres: str = ""

    def shown(self, *, genres: bool) -> str:
        """The item as prompts show it."""
        return f"{self.item}, {self.genres}" if genres and self.genres else self.item


@dataclass(frozen=True)
class Domain:
    """Words for the prompts and names for the answer fields.

    Args:
        one, many: "movie", "movies".
        liked: what a user did to them, past tense: "liked".
        creator: the person or company an item is known by; also the answer field ("director", "liked_directors").
        digits: whether creators' names may hold digits.
        facts: what may be asked about an item beside its creator, country and language, by field.
        examples: items with all that may be asked about them; of the last one nothing is known.
    """

    one: str
    many: str
    liked: str
    creator: str
    digits: bool = False
    facts: Mapping[str, Fact] = field(default_factory=dict)
    examples: tuple[Example, ...] = ()

    @property
    def a_one(self) -> str:
        """One of them with its article: "a movie", "an album"."""
        return f"{'an' if self.one[:1].casefold() in set('aeiou') else 'a'} {self.one}"

    @property
    def known_facts(self) -> dict[str, Fact]:
        """Everything that may be asked about an item, by the field of the answer."""
        return {self.creator: Fact("by name", named=True), "country": Fact(), "language": Fact(), **self.facts}

    @property
    def creators(self) -> str:
        """The creator's plural."""
        by_consonant = self.creator.endswith("y") and self.creator[-2:-1] not in "aeiou"
        return f"{self.creator[:-1]}ies" if by_consonant else f"{self.creator}s"

    @property
    def liked_creators(self) -> str:
        """The profile field of creators, e.g. "liked_directors"."""
        return f"liked_{self.creators}"


PAGES = ("1-99", "100-199", "200-299", "300-399", "400-599", "600 or more")
"""Lengths of books: a number of pages differs from edition to edition, a range seldom does."""
MOVIE_EXAMPLES = (
    Example(
        "The Third Man (1949)",
        {
            "director": "Carol Reed",
            "star": "Joseph Cotten",
            "country": "United Kingdom",
            "language": "English",
            "genre": "Thriller",
        },
        genres="Mystery/Thriller",
    ),
    Example(
        "Ikiru (1952)",
        {
            "director": "Akira Kurosawa",
            "star": "Takashi Shimura",
            "country": "Japan",
            "language": "Japanese",
            "genre": "Drama",
        },
        genres="Drama",
    ),
    Example(
        "Holiday Tape 4 (1991)",
        dict.fromkeys(("director", "star", "country", "language", "genre"), "unknown"),
        genres="Comedy",
    ),
)
BOOK_EXAMPLES = (
    Example(
        "The Old Man and the Sea (1952)",
        {
            "author": "Ernest Hemingway",
            "genre": "Literary fiction",
            "pages": "100-199",
            "country": "United States",
            "language": "English",
        },
    ),
    Example(
        "Murder on the Orient Express (1934)",
        {
            "author": "Agatha Christie",
            "genre": "Mystery",
            "pages": "200-299",
            "country": "United Kingdom",
            "language": "English",
        },
    ),
    Example(
        "Notes of a Weekend (1999)",
        dict.fromkeys(("author", "genre", "pages", "country", "language"), "unknown"),
    ),
)
DOMAINS: dict[DomainName, Domain] = {
    "movies": Domain(
        *("movie", "movies", "liked", "director"),
        facts={
            "star": Fact("the best known actor or actress, by name", named=True),
            "genre": Fact("the one that fits best", of_data=True),
        },
        examples=MOVIE_EXAMPLES,
    ),
    "books": Domain(
        *("book", "books", "liked", "author"),
        facts={"genre": Fact("in a word or two"), "pages": Fact("how many there are, as a range", PAGES)},
        examples=BOOK_EXAMPLES,
    ),
    "games": Domain("game", "games", "liked to play", "developer", digits=True),
    "music": Domain("album", "albums", "liked", "artist", digits=True),
    "businesses": Domain("place", "places", "liked to visit", "brand", digits=True),
    "clothes": Domain("garment", "clothes", "liked to wear", "brand", digits=True),
    "news": Domain("news story", "news stories", "read", "publisher", digits=True),
    "recipes": Domain("recipe", "recipes", "liked to cook", "cook", digits=True),
    "jobs": Domain("job", "jobs", "applied for", "employer", digits=True),
}
ANYTHING = Domain("item", "items", "liked", "maker", digits=True)


def domain_named(stored: str | Mapping[str, str] | None) -> Domain:
    """The words for the items of a data set.

    Args:
        stored: what `dataset.json` keeps: a known name; another word for many items, whose singular is guessed; words
            of a config (`augrec.artefacts.domains.DomainWords`); or None, and they are items with makers.
    """
    if stored is None:
        return ANYTHING
    if isinstance(stored, Mapping):
        return Domain(**DomainWords.model_validate(stored).model_dump(), digits=True)
    known = next((domain for name, domain in DOMAINS.items() if name == stored), None)
    return known or Domain(singular(stored), stored, "liked", "maker", digits=True)


def singular(many: str) -> str:
    """One of many, by the commonest rules of English; the word itself where none of them applies."""
    for ending, one in (("ies", "y"), ("sses", "ss"), ("shes", "sh"), ("ches", "ch"), ("xes", "x"), ("ss", "ss")):
        if many.endswith(ending):
            return many.removesuffix(ending) + one
    return many.removesuffix("s")
