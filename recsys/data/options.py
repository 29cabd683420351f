"""What to read and how to cut it: the `dataset` section of a config. Imports nothing heavy."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, PositiveInt, model_validator

from artefacts.options import Options

Format = Literal["recbole", "ml-100k", "ml-1m", "ml-10m", "ml-latest", "table", "rlmrec", "augrec"]
Domain = Literal["movies", "books", "games", "businesses"]
Ratios = tuple[PositiveInt, PositiveInt, PositiveInt]


class TableOptions(Options):
    """Names of the files and columns of your own data; only `format: table` reads them."""

    interactions: str = "interactions.csv"
    """File with one row per interaction, inside `path`: .csv, .tsv, .json, .jsonl or .parquet."""
    items: str | None = None
    """File with one row per item, if there is one."""
    users: str | None = None
    """File with one row per user, if there is one."""
    user: str = "user_id"
    """Column holding the user's id, in `interactions` and `users`."""
    item: str = "item_id"
    """Column holding the item's id, in `interactions` and `items`."""
    rating: str | None = None
    """Column holding the rating; without it every interaction counts as a like."""
    timestamp: str | None = None
    """Column holding the time, in whole seconds since 1970; without it temporal splits are refused."""
    rename: dict[str, str] = Field(default_factory=dict)
    """Side columns to rename, source name -> our name, e.g. `Name: title`. Prompts know title, year, genres."""
    lists: tuple[str, ...] = ("genres",)
    """Side columns (our names) that hold several values in one string."""
    list_separator: str = Field(default="|", min_length=1)
    """What separates the values of a list column."""


class SourceOptions(Options):
    """Where the raw data lies and in which layout."""

    format: Format
    """Layout of the files: RecBole's atomic files, one of MovieLens' own releases, your own tables, RLMRec's release;
    or `augrec`, a dataset/ folder of an import or another run. The last two bring a split (`split.kind: given`)."""
    path: str
    """Folder of the files. `pkg:<distribution>/<path>` names a folder inside an installed package."""
    table: TableOptions | None = None
    """File and column names; required by `format: table`, refused by the others."""

    @model_validator(mode="after")
    def _table_belongs_to_its_format(self) -> SourceOptions:
        if (self.format == "table") != (self.table is not None):
            raise ValueError(
                "source.table is required by `format: table`"
                if self.table is None
                else f"source.table is only read by `format: table`, not by `format: {self.format}`; remove it"
            )
        return self


class RandomSplit(Options):
    """Per user at random, every user keeping at least one training interaction."""

    kind: Literal["random"]
    """Selects this split."""
    ratios: Ratios = (3, 1, 1)
    """Parts of a user's interactions that go to train, valid and test."""


class LeaveLastOut(Options):
    """Per user in order of time: the last interaction is test, the one before it valid."""

    kind: Literal["leave_last_out"]
    """Selects this split."""


class TemporalSplit(Options):
    """Per user in order of time, cut by ratios."""

    kind: Literal["temporal"]
    """Selects this split."""
    ratios: Ratios = (8, 1, 1)
    """Parts of a user's interactions that go to train, valid and test, oldest first."""


class GivenSplit(Options):
    """The split that the source comes with, as it is."""

    kind: Literal["given"]
    """Selects this split; only the formats rlmrec and augrec have one."""


Split = Annotated[RandomSplit | LeaveLastOut | TemporalSplit | GivenSplit, Field(discriminator="kind")]


class DatasetOptions(Options):
    """A data set and the protocol that turns it into train, valid and test."""

    name: str = Field(min_length=1)
    """Name shown in reports."""
    source: SourceOptions
    """Where the raw data lies."""
    domain: Domain = "movies"
    """What the items are; selects prompts and answer models."""
    licence: str | None = None
    """Terms of the data, copied into dataset.json and the report; None takes what the reader knows."""
    min_rating: float | None = None
    """Interactions rated below this are dropped; None keeps all."""
    k_core: int = Field(default=0, ge=0)
    """Every user and item keeps at least this many interactions, iterated until stable; 0 is off."""
    sample_users: PositiveInt | None = None
    """Draws this many users with the seed after the k-core, which then runs again on the sample; None keeps all."""
    split: Split
    """How each user's interactions are divided into train, valid and test."""

    @property
    def needs_time(self) -> bool:
        """Whether the split asks for timestamps."""
        return self.split.kind in ("leave_last_out", "temporal")
