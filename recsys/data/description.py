"""What a data set is before anything is filtered: counts, degrees, ratings, times, texts, what thresholds leave."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from recsys.data.filters import k_core, without_duplicates
from recsys.data.options import DatasetOptions
from recsys.data.readers.base import RawData
from recsys.data.source_ids import ranked_ids

QUANTILES = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 1.0)
CORES = (0, 5, 10, 20)
MOST_VALUES = 20
"""Different ratings that are counted one by one; of more there are quantiles."""
MOST_THRESHOLDS = 3
SECONDS_OF_A_DAY = 86_400


@dataclass(frozen=True)
class Degrees:
    """Interactions of a user, or of an item: the values at `QUANTILES`, and the mean."""

    quantiles: tuple[float, ...]
    mean: float
    alone: int
    """How many have one."""


@dataclass(frozen=True)
class Ratings:
    """Ratings of all rows: how many have none, and how often each value occurs, or quantiles of many values."""

    missing: int
    counts: dict[str, int]
    quantiles: tuple[float, ...]


@dataclass(frozen=True)
class Times:
    """When the interactions were: days in ISO 8601, UTC."""

    missing: int
    first: str
    last: str
    days: float
    median: str
    at_once: float
    """Share of a user's interactions in the second of another one of theirs: their order is not known."""


@dataclass(frozen=True)
class Texts:
    """One text of items, of users, or of interactions."""

    about: str
    column: str
    covered: float
    """Share of those with an interaction that have one."""
    words: tuple[float, ...]
    """At `QUANTILES`, of those that have one."""


@dataclass(frozen=True)
class Described:
    """Whether those who have an interaction have a row in their table, and the other way round."""

    about: str
    with_row: int
    without_row: int
    without_interaction: int


@dataclass(frozen=True)
class Left:
    """What thresholds would leave; nothing where `interactions` is 0."""

    min_rating: float | None
    k_core: int
    users: int
    items: int
    interactions: int
    own: bool = False
    """Whether these are the config's."""


@dataclass(frozen=True)
class Description:
    """A data set as its source has it, of all rows; degrees and density are of distinct pairs.

    Args:
        rows: of interactions.
        pairs: of a user and an item that are different.
        density: pairs among all that there could be.
    """

    rows: int
    pairs: int
    users: int
    items: int
    density: float
    user_degrees: Degrees
    item_degrees: Degrees
    ratings: Ratings | None
    times: Times | None
    texts: tuple[Texts, ...]
    described: tuple[Described, ...]
    left: tuple[Left, ...]
    notes: tuple[str, ...]


def describe(raw: RawData, options: DatasetOptions | None = None) -> Description:
    """What a source holds.

    Args:
        raw: as it was read.
        options: of the config, whose thresholds are among those that are tried.
    """
    frame = raw.interactions
    users, user_ids = ranked_ids(frame["user"])
    items, item_ids = ranked_ids(frame["item"])
    coded = frame.assign(user=users, item=items)
    distinct = without_duplicates(coded)
    sides = {about: ids.to_numpy(False) for about, ids in (("user", user_ids), ("item", item_ids))}
    texts, described, notes = _sides(raw, sides)
    return Description(
        rows=len(frame),
        pairs=len(distinct),
        users=len(user_ids),
        items=len(item_ids),
        density=len(distinct) / max(1, len(user_ids) * len(item_ids)),
        user_degrees=_degrees(distinct["user"]),
        item_degrees=_degrees(distinct["item"]),
        ratings=_ratings(frame["rating"]) if "rating" in frame else None,
        times=_times(coded) if "timestamp" in frame and frame["timestamp"].notna().any() else None,
        texts=(*texts, *_reviews(frame)),
        described=described,
        left=tuple(_left(distinct, options)),
        notes=(*raw.notes, *notes),
    )


def _degrees(column: pd.Series) -> Degrees:
    counts = np.bincount(column.to_numpy())
    return Degrees(_quantiles(counts), float(counts.mean()), int((counts == 1).sum()))


def _quantiles(values: np.ndarray | Sequence[float]) -> tuple[float, ...]:
    return tuple(round(float(value), 4) for value in np.quantile(values, QUANTILES)) if len(values) else ()


def _ratings(column: pd.Series) -> Ratings:
    known = column.dropna().astype(float)
    values = known.value_counts().sort_index()
    few = len(values) <= MOST_VALUES
    counts = {f"{value:g}": int(count) for value, count in values.items()} if few else {}  # type: ignore[str-format]
    return Ratings(int(column.isna().sum()), counts, _quantiles(known.to_numpy()))


def _times(frame: pd.DataFrame) -> Times:
    known = frame[frame["timestamp"].notna()]
    seconds = known["timestamp"].to_numpy(np.int64)
    same = known.duplicated(["user", "timestamp"], keep=False)
    first, middle, last = int(seconds.min()), int(np.median(seconds)), int(seconds.max())
    return Times(
        missing=len(frame) - len(known),
        first=_day(first),
        last=_day(last),
        days=round((last - first) / SECONDS_OF_A_DAY, 2),
        median=_day(middle),
        at_once=round(float(same.mean()), 4),
    )


def _day(seconds: int) -> str:
    return str(np.datetime64(seconds, "s").astype("datetime64[D]"))  # as years that datetime does not know, too


def _sides(raw: RawData, ids: dict[str, np.ndarray]) -> tuple[list[Texts], tuple[Described, ...], list[str]]:
    """The texts, whom their tables describe, and what a person should know of how these were read."""
    texts: list[Texts] = []
    described: list[Described] = []
    notes: list[str] = []
    for about, seen in ids.items():
        side = raw.side(about, seen)
        notes += side.notes
        if not len(side.ids):
            continue
        known = int(pd.Index(seen).isin(pd.Index(side.ids)).sum())
        described.append(Described(about, known, len(seen) - known, len(side.ids) - known))
        frame = side.frame[side.frame[about].isin(seen)]
        for name in frame.columns:
            words = _words(frame[name]) if name != about else None
            if words is not None:
                texts.append(Texts(about, str(name), len(words) / len(seen), _quantiles(words)))
    return texts, tuple(described), notes


def _words(column: pd.Series) -> list[int] | None:
    """Words of every text of a column, or values of every list; None for a column of anything else."""
    known: list[Any] = [value for value in column if isinstance(value, str | list | np.ndarray) and len(value)]
    if not known and not pd.api.types.is_string_dtype(column):
        return None
    return [len(value.split()) if isinstance(value, str) else len(value) for value in known]


def _reviews(frame: pd.DataFrame) -> list[Texts]:
    if "written" in frame:  # they are read when the filters have left who stays
        return [Texts("interaction", "review", float((frame["written"] != 0).mean()), ())]
    if "review" not in frame:
        return []
    words = _words(frame["review"]) or []
    return [Texts("interaction", "review", len(words) / max(1, len(frame)), _quantiles(words))]


def _left(distinct: pd.DataFrame, options: DatasetOptions | None) -> list[Left]:
    """What every pair of thresholds leaves, and those of the config."""
    own = None if options is None else (options.min_rating, options.k_core)
    tried = {(threshold, k): False for threshold in _thresholds(distinct) for k in CORES}
    if own is not None and (own[0] is None or "rating" in distinct):
        tried[own] = True
    found = []
    for (threshold, k), is_own in sorted(tried.items(), key=lambda entry: (entry[0][0] or -np.inf, entry[0][1])):
        kept = distinct if threshold is None else distinct[distinct["rating"] >= threshold]
        kept = k_core(kept.reset_index(drop=True), k)
        found.append(Left(threshold, k, kept["user"].nunique(), kept["item"].nunique(), len(kept), is_own))
    return found


def _thresholds(distinct: pd.DataFrame) -> list[float | None]:
    """No threshold, and the highest few ratings that somebody gave, in steps that leave different amounts."""
    if "rating" not in distinct or not distinct["rating"].notna().any():
        return [None]
    values = np.unique(distinct["rating"].dropna().to_numpy(float))[1:]
    whole = values[values == np.trunc(values)]
    chosen = whole if len(whole) else values
    if len(chosen) > MOST_THRESHOLDS * 4:
        chosen = np.quantile(values, [0.25, 0.5, 0.75], method="nearest")
    return [None, *(float(value) for value in chosen[-MOST_THRESHOLDS:])]
