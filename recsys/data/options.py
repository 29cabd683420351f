"""What to read and how to cut it: the `dataset` section of a config. Imports nothing heavy."""

from __future__ import annotations

import codecs
import datetime
import math
import re
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PositiveInt, field_validator, model_validator

from augrec.artefacts.domains import Domain
from augrec.artefacts.names import Title, did_you_mean
from augrec.artefacts.options import Options
from recsys.data.formats import READERS


def whole_ratios(value: Any) -> Any:
    """Ratios as whole numbers: [0.8, 0.1, 0.1], ["8/10", "1/10", "1/10"], "80/10/10" and "8:1:1" are 8, 1, 1.

    Whole numbers stay as they are. Raises ValueError for what is no number, and for fractions that do not add up to 1.
    """
    parts = re.split(r"[:,/]", value) if isinstance(value, str) else value
    if not isinstance(parts, (list, tuple)) or len(parts) != 3 or any(isinstance(part, bool) for part in parts):
        raise ValueError("three parts are expected: train, valid and test, e.g. [8, 1, 1] or [0.8, 0.1, 0.1]")
    if all(isinstance(part, int) for part in parts):
        return tuple(parts)
    try:
        fractions = [Fraction(str(part).strip().removesuffix("%")) for part in parts]
    except (ValueError, ZeroDivisionError):
        raise ValueError(f"{parts} are no ratios; write e.g. [8, 1, 1] or [0.8, 0.1, 0.1]") from None
    total = sum(fractions)
    if all(part < 1 for part in fractions) and not 0.98 < float(total) < 1.02:
        raise ValueError(f"the ratios add up to {float(total):g}, not to 1")
    common = math.lcm(*(part.denominator for part in fractions))
    whole = [int(part * common) for part in fractions]
    divisor = math.gcd(*whole) or 1
    return tuple(part // divisor for part in whole)


Ratios = Annotated[tuple[PositiveInt, PositiveInt, PositiveInt], BeforeValidator(whole_ratios)]


class TableOptions(Options):
    """Names of the files and columns of your own data; only `format: table` reads them."""

    interactions: str = "interactions.csv"
    """File with one row per interaction, inside `path`: .csv, .tsv, .txt, .dat, .json, .jsonl or .parquet, text also
    compressed as .gz, .bz2, .xz or .zst."""
    items: str | None = None
    """File with one row per item, if there is one."""
    users: str | None = None
    """File with one row per user, if there is one."""
    user: str = "user_id"
    """Column holding the user's id, in `interactions` and `users`."""
    item: str = "item_id"
    """Column holding the item's id, in `interactions` and `items`."""
    users_id: str | None = None
    """Column holding the user's id in `users`, where it has another name there; None: `user`."""
    items_id: str | None = None
    """Column holding the item's id in `items`, where it has another name there; None: `item`."""
    rating: str | None = None
    """Column holding the rating; without it every interaction counts as a like."""
    review: str | None = None
    """Column holding what the user wrote about the item, if anything."""
    timestamp: str | None = None
    """Column holding the time: seconds, milliseconds, microseconds or nanoseconds since 1970, or ISO 8601 dates, with
    or without a time and a zone (UTC where there is none). Without it temporal splits are refused."""
    timestamp_format: str | None = None
    """How times are written, as Python's strptime names it, e.g. "%d.%m.%Y"; None: see `timestamp`."""
    rename: dict[str, Annotated[str, Field(min_length=1)]] = Field(default_factory=dict)
    """Side columns to rename, source name -> our name, e.g. `Name: title`. Prompts know title, year, genres. A path
    names what lies inside a column, e.g. `details.Brand: brand`; nested columns that nobody names are left out. An id
    may be renamed too, `artist: item_id`."""
    lists: tuple[str, ...] = ("genres",)
    """Side columns (our names) that hold several values, in one string or in a list; genres always do."""
    list_separator: str = Field(default="|", min_length=1)
    """What separates the values of a list column."""
    separator: str | None = Field(default=None, min_length=1, max_length=4)
    """What separates the fields of text files. None: a comma in .csv and a tab in .tsv, or what the header shows."""
    quoting: Literal["auto", "csv", "escaped", "none"] = "auto"
    """csv: a field may stand between quotation marks, doubled inside (RFC 4180); escaped: a mark inside is written
    after a backslash; none: a mark is a character like any other; auto: none where tabs separate, csv elsewhere."""
    quote: Literal['"', "'"] = '"'
    """The mark of quoted fields. An apostrophe is one only where this says so, whatever separates the fields, or where
    every name of the header stands between two: titles begin with it, too ('Til We Meet)."""
    encoding: str = "utf-8"
    """Encoding of text files, e.g. latin-1; a byte order mark is no part of the text."""
    columns: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """Column names of text files without a header, by file: `{ratings.csv: [user_id, item_id, rating, timestamp]}`."""

    def columns_of(self, path: Path) -> tuple[str, ...] | None:
        """The names that `columns` has for a file, by its name or with folders before it; None for no names."""
        called = [key for key in self.columns if path.parts[-len(Path(key).parts) :] == Path(key).parts]
        return self.columns[max(called, key=len)] if called else None

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, value: str) -> str:
        try:
            codecs.lookup(value)
        except LookupError:
            raise ValueError(f"no encoding is called {value!r}; use e.g. utf-8, latin-1, cp1252 or utf-16") from None
        return value

    @model_validator(mode="after")
    def _quote_is_read(self) -> TableOptions:
        if self.quote == "'" and self.quoting == "none":
            raise ValueError("quoting: none reads no mark; leave out quote, or say quoting: csv")
        return self

    @field_validator("separator")
    @classmethod
    def _tab_by_name(cls, value: str | None) -> str | None:
        return "\t" if value in ("\\t", "tab") else value

    @field_validator("columns")
    @classmethod
    def _distinct_columns(cls, value: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        for name, columns in value.items():
            if len(set(columns)) < len(columns):
                raise ValueError(f"two columns of {name} have one name")
        return value


class SourceOptions(Options):
    """Where the raw data lies and in which layout."""

    format: str = Field(json_schema_extra=lambda schema: schema.update(enum=list(READERS)))
    """Layout of the files: RecBole's atomic files, a publisher's own (MovieLens, Amazon, Yelp, Steam, Goodreads,
    BookCrossing), your own tables, RLMRec's release, LightGCN's lists; or `augrec`, a dataset/ folder of an import or
    another run. The last three bring a split (`split.kind: given`)."""
    path: str
    """Folder of the files. `pkg:<distribution>/<path>` names a folder inside an installed package."""
    table: TableOptions | None = None
    """File and column names; required by `format: table`, refused by the others."""

    @field_validator("format")
    @classmethod
    def _is_known(cls, name: str) -> str:
        if name not in READERS:  # a plugin's, or a shipped one
            raise ValueError(f"'{name}' is not one of {', '.join(READERS)}{did_you_mean(name, READERS)}")
        return name

    @model_validator(mode="after")
    def _table_belongs_to_its_format(self) -> SourceOptions:
        if (self.format == "table") != (self.table is not None):
            raise ValueError(
                "source.table is required by `format: table`"
                if self.table is None
                else f"source.table is only read by `format: table`, not by `format: {self.format}`; remove it"
            )
        return self


Share = Annotated[float, Field(gt=0.0, lt=1.0)]


class RandomSplit(Options):
    """Per user at random, every user keeping at least one training interaction.

    Interactions are drawn one after the other, so one more of them in the source changes the split of nearly all, and
    with it every history that a prompt shows; `hashed` changes that of its own user alone.
    """

    kind: Literal["random"]
    """Selects this split."""
    ratios: Ratios = (3, 1, 1)
    """Parts of a user's interactions that go to train, valid and test."""


class HashedSplit(Options):
    """Per user at random, as `random` does, where the draw of an interaction depends on the seed and the source ids of
    its user and its item alone. Data that grow keep their split: an interaction that is added changes the split of no
    other user's, but where it gives an item without training interactions its first one."""

    kind: Literal["hashed"]
    """Selects this split."""
    ratios: Ratios = (3, 1, 1)
    """Parts of a user's interactions that go to train, valid and test."""


class InteractionSplit(Options):
    """All interactions at random and cut as a whole, so users differ in how much of theirs is held out; every user and
    every item has a training interaction (RLMRec, WWW 2024)."""

    kind: Literal["by_interaction"]
    """Selects this split."""
    ratios: Ratios = (3, 1, 1)
    """Parts of all interactions that go to train, valid and test."""


class OrderedSplit(Options):
    """Per user in order of time."""

    ties: Literal["id", "hashed", "file"] = "id"
    """Which of several interactions at one time is the later one: that of the item with the larger id; `hashed`, drawn
    with the seed by the names of user and item; `file`, the one that stands later in the file, as in published code
    that sorts by time. Where ids rise as items are less popular, as MovieLens', `id` holds out the least popular ones:
    every figure is lower. Only with `file` does the order of the rows matter; of another run's data, theirs is kept."""


class LeaveLastOut(OrderedSplit):
    """Per user in order of time: the last interaction is test, the one before it valid."""

    kind: Literal["leave_last_out"]
    """Selects this split."""


class TemporalSplit(OrderedSplit):
    """Per user in order of time, cut by ratios."""

    kind: Literal["temporal"]
    """Selects this split."""
    ratios: Ratios = (8, 1, 1)
    """Parts of a user's interactions that go to train, valid and test, oldest first."""


class GlobalTemporalSplit(Options):
    """All interactions in order of time, cut as a whole at two moments: nothing that is trained on is later than what
    is validated on, nor that than what is tested. Held-out interactions of users and items that are new after the first
    moment are dropped and counted."""

    kind: Literal["global_temporal"]
    """Selects this split."""
    ratios: Ratios = (8, 1, 1)
    """Parts of all interactions that go to train, valid and test, oldest first, before new users and items go."""


class GivenSplit(Options):
    """The split that the source comes with, as it is."""

    kind: Literal["given"]
    """Selects this split; the formats rlmrec, augrec and lightgcn have one, and recbole where it has a file for each
    part."""
    valid: Share | None = None
    """Share of the training interactions that become validation, drawn with the seed, for a source that brings none (or
    one that equals its test). Every user and item that has a training interaction keeps one."""


Split = Annotated[
    RandomSplit | HashedSplit | LeaveLastOut | TemporalSplit | GlobalTemporalSplit | InteractionSplit | GivenSplit,
    Field(discriminator="kind"),
]


def _moment(value: Any) -> Any:
    """Refuses what pydantic would read as seconds since 1970."""
    if isinstance(value, float) and 0 < value < 1:
        return value
    if isinstance(value, str | datetime.date) and not isinstance(value, datetime.datetime):
        return value
    raise ValueError(
        f"{value} is no moment; write a day such as 2018-01-01, or a share of the interactions such as 0.7"
    )


Moment = Annotated[Share | datetime.date, BeforeValidator(_moment)]
"""The beginning of a day (UTC), or the time before which a share of the source's interactions lies."""


class Period(Options):
    """A part of the time that a source tells of. Two that meet in one moment have no interaction in common."""

    since: Moment | None = None
    """Interactions before this moment are dropped: a day, or a share of the source's interactions, the oldest first."""
    until: Moment | None = None
    """Interactions from this moment on are dropped."""

    @model_validator(mode="after")
    def _is_one(self) -> Period:
        if self.since is None and self.until is None:
            raise ValueError("a period has a beginning (`since`), an end (`until`), or both")
        if type(self.since) is type(self.until) and self.since >= self.until:  # type: ignore[operator]
            raise ValueError(f"the period ends ({self.until}) before it begins ({self.since})")
        return self


class DatasetOptions(Options):
    """A data set and the protocol that turns it into train, valid and test."""

    name: Title
    """Name shown in reports."""
    source: SourceOptions
    """Where the raw data lies."""
    domain: Domain = "movies"
    """What the items are, in the words of prompts and in the names of answer fields: movies, books, games, music,
    businesses, clothes, news, recipes, jobs; any other word for many items (`wines`: a wine, wines, liked, maker); or
    `{one: wine, many: wines, liked: liked to drink, creator: winery}`."""
    licence: str | None = None
    """Terms of the data, copied into dataset.json and the report; None takes what the reader knows."""
    period: Period | None = None
    """Only interactions of this time are read; None keeps all. Shares count all of the source's interactions."""
    min_rating: float | None = None
    """Interactions rated below this are dropped; None keeps all."""
    k_core: int = Field(default=0, ge=0)
    """Every user and item keeps at least this many interactions, iterated until stable; 0 is off."""
    sample_users: PositiveInt | Share | None = None
    """Draws this many users with the seed, or this share of them where it is below 1; None keeps all."""
    sampling: Literal["after_k_core", "before_k_core"] = "after_k_core"
    """When users are drawn: from those of the k-core, which then runs again on the sample, or before it runs at all."""
    least_described: float = Field(default=0.5, ge=0.0, le=1.0)
    """Share of the users, and of the items, that their table has to describe where there is one. Fewer look like ids
    of another data set and are refused, none at all always."""
    split: Split
    """How the interactions are divided into train, valid and test."""

    @property
    def needs_time(self) -> bool:
        """Whether the split or the period asks for timestamps."""
        return self.period is not None or self.split.kind in ("leave_last_out", "temporal", "global_temporal")
