"""What may be told to a language model: items, and the training history of users. Nothing else is ever read.

Validation and test interactions cannot reach a prompt, because they are dropped while the file is read and no method
here can name them.
"""

from __future__ import annotations

import copy
import hashlib
import math
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property, lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from augment.entities import Item, Texts, UserEntity
from augment.hints import Hints
from augment.item_numbers import Ratings
from augment.prompts.domains import Domain, domain_named
from augment.prompts.presentation import Presentation, beginning, numbers, without_title
from augment.prompts.safe_text import LONGEST_TEXT, plain
from augment.reviews import Reviews
from augment.source_ids import SourceIds
from augrec.artefacts.base_folder import BaseFolder
from augrec.artefacts.errors import DataError, UsageError
from augrec.artefacts.files import digest, read_json, sha256_file
from augrec.artefacts.interactions import PREPARE_AGAIN, UserItems, read_histories
from augrec.artefacts.ranked_lists import read_ranked_lists
from augrec.artefacts.run_folder import DatasetFolder, RunFolder
from augrec.artefacts.side_tables import count_rows, read_side_table
from augrec.artefacts.sorted_rows import among
from augrec.artefacts.tasks import About

if TYPE_CHECKING:
    from augment.store.answers import Answers

ITEMS_KEPT = 65536
"""Items that a catalogue keeps as prompts show them."""


class Catalog:
    """Items and users of a prepared data set, built one by one when asked for.

    Attributes:
        n_users, n_items: counts of contiguous ids.
        genres: the vocabulary, sorted; empty when the data set has none.
        domain: words for the prompts.
        presentation: what prompts say of an item.
        identity: one hash of the files it was read from; None for one that was made in memory.
        reviews: what users wrote about their training items.
        ratings: what users gave their training items.
        hints: what a recommender says of users; None where there is none.
        answers: the answers that prompts may quote, by task: those that the task at hand reads.
        listed_only: whether nobody is asked about without a list of candidates, see `listing`.
    """

    answers: Mapping[str, Answers] = MappingProxyType({})

    def __init__(
        self,
        items: pa.Table,
        history: UserItems,
        candidates: UserItems | None,
        domain: Domain,
        genres: tuple[str, ...],
        users: Path | None = None,
        presentation: Presentation = Presentation(),  # noqa: B008 - frozen
        identity: str | None = None,
        reviews: Reviews | None = None,
        ratings: Ratings | None = None,
        hints: Hints | None = None,
    ) -> None:
        self.n_users = len(history.starts) - 1
        self.n_items = items.num_rows
        self.domain, self.genres, self.presentation, self.identity = domain, genres, presentation, identity
        self.reviews = reviews or Reviews(None, self.n_users, self.n_items)
        self.ratings = ratings or Ratings(None, self.n_users, self.n_items)
        self.hints = hints
        self.listed_only = False
        self._list_scores: np.ndarray | None = None
        self._source_ids: dict[str, list[str]] = {}
        self._items, self._history, self._candidates, self._users = items, history, candidates, users
        known = ("item", "source_id", "title", "year", "genres")
        self._text = [
            column.name
            for column in items.schema
            if column.name not in known and (pa.types.is_string(column.type) or pa.types.is_large_string(column.type))
        ]
        self.item = lru_cache(maxsize=ITEMS_KEPT)(self._item)

    @classmethod
    def load(cls, dataset: Path, candidates: Path | None = None, base: BaseFolder | None = None) -> Catalog:
        """Reads R/dataset and, if given, R/candidates/candidates.parquet and the hints of R/base.

        Raises:
            DataError: on anything inconsistent.
        """
        there = DatasetFolder(dataset)
        meta = read_json(there.about, remedy=PREPARE_AGAIN)
        items, n_users = read_side_table(there.items, "item"), count_rows(there.users)
        history = read_histories(there.interactions, "train", n_users, items.num_rows)
        shown = None if candidates is None else _candidates(candidates, n_users, items.num_rows, history)
        genres = tuple(sorted({plain(genre) for genre in meta.get("genres", [])} - {""}))
        files = [*there.files, *([] if candidates is None else [candidates])]
        hints = None if base is None else Hints.load(base, n_users, items.num_rows)
        identity = digest([*(sha256_file(path) for path in files), *([] if hints is None else [hints.identity])])
        domain = domain_named(meta.get("domain"))
        reviews = Reviews(there.interactions, n_users, items.num_rows)
        return cls(
            items,
            history,
            shown,
            domain,
            genres,
            users=there.users,
            identity=identity,
            reviews=reviews,
            ratings=Ratings(there.interactions, n_users, items.num_rows),
            hints=hints,
        )

    @property
    def has_candidates(self) -> bool:
        """Whether every user has a list of candidates."""
        return self._candidates is not None

    @cached_property
    def genre_counts(self) -> dict[str, int]:
        """How many items have each genre of the vocabulary, in the vocabulary's order."""
        counts = dict.fromkeys(self.genres, 0)
        if "genres" in self._items.column_names:
            for entry in pc.value_counts(pc.list_flatten(self._items["genres"])).to_pylist():
                if (genre := plain(entry["values"] or "")) in counts:
                    counts[genre] += entry["counts"]
        return counts

    def commonest_genres(self, most: int) -> tuple[str, ...]:
        """The vocabulary, sorted; of a larger one the `most` genres that the most training interactions have.

        Ties go to the genre that more items have, then by name.
        """
        if len(self.genres) <= most or "genres" not in self._items.column_names:
            return self.genres
        lists = self._items["genres"].combine_chunks()
        lengths = pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False)
        trained = np.repeat(np.bincount(self._history.items, minlength=self.n_items), lengths)
        counts = dict.fromkeys(self.genres, 0)
        table = (
            pa.table({"genre": pc.list_flatten(lists), "trained": trained})
            .group_by("genre")
            .aggregate([("trained", "sum")])
        )
        for row in table.to_pylist():
            if (genre := plain(row["genre"] or "")) in counts:
                counts[genre] += row["trained_sum"]
        items = self.genre_counts
        chosen = sorted(self.genres, key=lambda genre: (-counts[genre], -items[genre], genre))[:most]
        return tuple(sorted(chosen))

    def user(self, user: int) -> UserEntity:
        """One user with history and candidates, and with hints where there are any."""
        candidates = () if self._candidates is None else self._candidates.of(user)
        similar = None if self.hints is None else self.hints.similar(user)
        return UserEntity(
            user,
            self._shown(self._history.of(user)),
            self._shown(candidates),
            () if similar is None else self._shown(self._history.of(similar)[::-1]),
            self._scores(user),
            self.ratings.of(user),
            {} if similar is None else self.ratings.of(similar),
        )

    def _shown(self, items: Iterable[int]) -> tuple[Item, ...]:
        return tuple(self.item(int(item)) for item in items)

    def _scores(self, user: int) -> Mapping[int, float]:
        if self._list_scores is not None and self._candidates is not None:
            own = slice(*self._candidates.starts[user : user + 2])
            return dict(zip(self._candidates.items[own].tolist(), self._list_scores[own].tolist(), strict=True))
        return {} if self.hints is None else self.hints.scores(user)

    def listing(self, lists: UserItems, scores: np.ndarray | None = None) -> Catalog:
        """The same items and users with other candidates, and a recommender's scores of them as hints.

        Args:
            lists: the candidates of every user, best first. Who has none is not asked about.
            scores: float [m], of each of them; None leaves the hints as they are.
        """
        other = copy.copy(self)
        other._candidates, other._list_scores, other.listed_only = lists, scores, True
        if self.identity is not None:
            total = hashlib.sha256(self.identity.encode())
            for part in (lists.starts, lists.items, *([] if scores is None else [scores])):
                total.update(np.ascontiguousarray(part).tobytes())
            other.identity = total.hexdigest()
        return other

    def presented(self, presentation: Presentation) -> Catalog:
        """The same items and users, with items shown this way.

        Raises:
            UsageError: a text column, or a title to hide, is not there.
        """
        for name in presentation.text.columns if presentation.text else ():
            if name not in self._text:
                raise UsageError(
                    f"the items have no text column '{name}'",
                    where="generation.item_text.columns",
                    remedy=f"they have: {', '.join(self._text)}" if self._text else "leave item_text out",
                )
        if presentation.titles == "anonymous" and "title" not in self._items.column_names:
            raise UsageError("the items have no titles to hide", remedy="leave out `titles: anonymous`")
        shown = copy.copy(self)
        shown.presentation = presentation
        shown.item = lru_cache(maxsize=ITEMS_KEPT)(shown._item)  # that of this catalogue shows them in another way
        return shown

    def quoting(self, answers: Mapping[str, Answers]) -> Catalog:
        """The same items and users, with answers that prompts may quote."""
        with_answers = copy.copy(self)
        with_answers.answers = answers
        return with_answers

    def require_titles(self) -> None:
        """Raises DataError when items have neither titles nor a text that is shown: there is nothing to tell."""
        if "title" not in self._items.column_names and self.presentation.text is None:
            remedy = None
            if self._text:
                remedy = f"name a text column to show, e.g. generation.item_text.columns=[{self._text[0]}]"
            raise DataError(
                "the items have no column 'title', so there is nothing to tell a model",
                where=RunFolder(Path()).items,
                remedy=remedy,
            )

    @property
    def history_lengths(self) -> np.ndarray:
        """int64 [n_users], training items of every user."""
        return self._history.lengths

    @property
    def askable(self) -> np.ndarray:
        """bool [n_users], who may be asked about: with a history and, where lists were given, with one."""
        known = self._history.lengths > 0
        return known & (self._candidates.lengths > 0) if self.listed_only and self._candidates is not None else known

    def train_items(self, user: int) -> np.ndarray:
        """Ids of a user's training items, oldest first."""
        return self._history.of(user)

    def source_ids(self, about: About) -> list[str]:
        """What the data's own source calls every user or item, row = contiguous id; its place, for data without one."""
        if about not in self._source_ids:
            self._source_ids[about] = self._read_source_ids(about)
        return self._source_ids[about]

    @cached_property
    def ids(self) -> SourceIds:
        """Between contiguous ids and the source's."""
        return SourceIds(self.source_ids("user"), self.source_ids("item"))

    def _read_source_ids(self, about: About) -> list[str]:
        if self._users is None:
            return [str(number) for number in range(self.n_users if about == "user" else self.n_items)]
        table = self._items if about == "item" else read_side_table(self._users, "user", columns=["source_id"])
        if "source_id" not in table.column_names:
            raise DataError(f"the {about}s have no column 'source_id'", where=self._users, remedy=PREPARE_AGAIN)
        return [str(value) for value in table["source_id"].to_pylist()]

    def users(self) -> Iterator[UserEntity]:
        """All users by id, each made when it is asked for."""
        return (self.user(user) for user in range(self.n_users))

    def items(self) -> Iterator[Item]:
        """All items by id, each made when it is asked for."""
        return (self.item(item) for item in range(self.n_items))

    def documents(self) -> Iterator[str]:
        """The whole text of every item: title, genres, and the text columns that are shown; titles only if shown."""
        shown, anonymous = self.presentation.text, self.presentation.titles == "anonymous"
        for item in range(self.n_items):
            genres = [plain(genre) for genre in self._value(item, "genres") or ()]
            title = "" if anonymous else self.title(item)
            columns = shown.columns if shown else ()
            yield " ".join([title, *genres, *(self.text(item, name) for name in columns)])

    def title(self, item: int) -> str:
        """What an item is called in prompts; "" where the data do not say."""
        title = plain(self._value(item, "title") or "")
        anonymous = self.presentation.titles == "anonymous" and title
        return f"{self.domain.one} {self._numbers[item]}" if anonymous else title

    def text(self, item: int, column: str) -> str:
        """The text of a column, without the item's own title where titles are hidden; "" where there is none."""
        return self._without_title(item, self._value(item, column) or "")

    def review(self, user: int, item: int) -> str:
        """What a user wrote about a training item, as `text` shows it; "" where they wrote nothing."""
        return self._without_title(item, self.reviews.text(user, item) or "")

    def attribute(self, item: int, column: str) -> str | int | float | list[str] | None:
        """The value of a column of any type as prompts show it; None where it is missing or empty."""
        value = self._value(item, column)
        if isinstance(value, list):
            texts = (plain(self._without_title(item, str(entry))) for entry in value)
            return [text for text in dict.fromkeys(texts) if text] or None
        if isinstance(value, str):
            return plain(self.text(item, column)) or None
        return value if isinstance(value, int | float) and math.isfinite(value) else None

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the items beside their ids."""
        return tuple(name for name in self._items.column_names if name not in ("item", "source_id"))

    def _value(self, item: int, column: str) -> Any:
        return self._items[column][item].as_py() if column in self._items.column_names else None

    def _item(self, item: int) -> Item:
        genres = tuple(dict.fromkeys(plain(genre) for genre in self._value(item, "genres") or ()))
        title, shown = self.title(item), self.presentation.text
        excerpt = beginning((self.text(item, name) for name in shown.columns), shown.words) if shown else ""
        return Item(
            item,
            title or excerpt or f"untitled {self.domain.one}",
            self._value(item, "year"),
            tuple(genre for genre in genres if not self.genres or genre in self.genres),
            excerpt if title else "",
            Texts(self._text, lambda name: plain(self.text(item, name), longest=1000)),
        )

    @cached_property
    def _numbers(self) -> list[int]:
        return numbers(self.presentation.seed, self.source_ids("item"))

    def _without_title(self, item: int, text: str) -> str:
        """A text about an item on one line, without its title where titles are hidden."""
        text = plain(text, longest=LONGEST_TEXT)
        if self.presentation.titles == "anonymous":
            title = plain(self._value(item, "title") or "", longest=LONGEST_TEXT)
            return without_title(text, title, self.title(item))
        return text


def _candidates(path: Path, n_users: int, n_items: int, history: UserItems) -> UserItems:
    remedy = "run the candidates stage again"
    lists = read_ranked_lists(path, n_users, n_items, remedy=remedy)
    if lists.any_twice(n_items, history):  # neither does by itself
        known = among(lists.users * n_items + lists.items, history.users * n_items + history.items)
        row = int(np.argmax(known))
        what = f"a candidate of user {lists.users[row]} is known from training (item {lists.items[row]})"
        raise DataError(what, where=path, remedy=remedy)
    return lists
