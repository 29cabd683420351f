"""What a question is about: an item, or a user, as a prompt may show them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Item:
    """One item as a prompt sees it; every string has passed `augment.prompts.safe_text.plain`."""

    item: int
    title: str
    """The title; where there is none, the beginning of the text, if texts are shown."""
    year: int | None = None
    genres: tuple[str, ...] = ()
    excerpt: str = ""
    """The beginning of the text, if texts are shown and `title` is not that already."""
    text: Mapping[str, str] = field(default_factory=dict, compare=False)
    """Other text columns, e.g. description; for user templates. Made when it is asked for: built-in ones show none."""


class Texts(Mapping[str, str]):
    """The text columns of an item, each cleaned when a template shows it."""

    def __init__(self, names: Sequence[str], clean: Callable[[str], str]) -> None:
        self._names, self._clean = names, clean

    def __getitem__(self, name: str) -> str:
        if name not in self._names:
            raise KeyError(name)
        return self._clean(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


@dataclass(frozen=True, slots=True)
class UserEntity:
    """One user as a prompt may show them.

    Attributes:
        user: contiguous id.
        history: liked items of the training split, oldest first.
        candidates: items to judge, best first.
        similar: training items of the user who is most like this one, the latest first; a prompt shows the first few.
        scores: a recommender's scores by item id, higher is better, or its predicted ratings. Of a model that has not
            seen the answer: the hint that a prompt may show.
        ratings: what the user gave the items of the history, by item id; of those that are known.
        similar_ratings: what the other user gave the similar items.
        asked: items that a question is to be about in place of those that the task itself would draw.
    """

    user: int
    history: tuple[Item, ...]
    candidates: tuple[Item, ...] = ()
    similar: tuple[Item, ...] = ()
    scores: Mapping[int, float] = field(default_factory=dict)
    ratings: Mapping[int, float] = field(default_factory=dict)
    similar_ratings: Mapping[int, float] = field(default_factory=dict)
    asked: tuple[Item, ...] = ()
