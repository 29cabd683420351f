"""Which interactions stay: those of the period, no duplicates, those above the rating threshold, those of the sampled
users in the k-core.

By default users are drawn from the k-core, so that none of them is lost to it; a sample is thinner than the whole, so
its items need the k-core again. `sampling: before_k_core` draws from all users, as published preparations do.

Frames have columns user and item (whole numbers in the order of the source ids) and, where known, rating, timestamp and
review. Nothing depends on the order of the rows.
"""

from __future__ import annotations

import datetime

import numpy as np
import pandas as pd

from augrec.artefacts.errors import DataError
from recsys.data.options import DatasetOptions, Moment


def filtered(
    interactions: pd.DataFrame, options: DatasetOptions, rng: np.random.Generator
) -> tuple[pd.DataFrame, dict[str, int]]:
    """The interactions that stay, sorted by (user, item), and how many were dropped by each step.

    Raises:
        DataError: a threshold without ratings, a period without times, or nothing is left.
    """
    dropped: dict[str, int] = {}
    if options.period is not None:
        before, interactions = interactions, in_period(interactions, options)
        dropped["outside_period"] = len(before) - len(interactions)
        if interactions.empty:
            raise DataError(
                f"none of the {len(before)} interactions lies in dataset.period",
                where=options.source.path,
                remedy="widen the period",
            )
    kept = without_duplicates(interactions)
    dropped["duplicates"] = len(interactions) - len(kept)
    before = kept
    if options.min_rating is not None and "rating" in kept and kept["rating"].isna().any():
        kept = kept[kept["rating"].notna()].reset_index(drop=True)
        dropped["without_rating"] = len(before) - len(kept)
    rated, kept = kept, _liked(kept, options)
    dropped["below_min_rating"] = len(rated) - len(kept)
    _refuse_empty(kept, before, options, f"min_rating {options.min_rating} leaves no interactions")
    if options.sampling == "after_k_core":
        before, kept = kept, k_core(kept, options.k_core)
        dropped["k_core"] = len(before) - len(kept)
        _refuse_empty(kept, before, options, f"the {options.k_core}-core is empty")
    before, kept = kept, sampled_users(kept, options.sample_users, rng)
    dropped["users_not_sampled"] = len(before) - len(kept)
    drawn = "" if options.sample_users is None else f" of {kept['user'].nunique()} sampled users"
    again = options.sample_users is not None or options.sampling == "before_k_core"
    before, kept = kept, k_core(kept, options.k_core if again else 0)
    dropped["k_core_of_sample"] = len(before) - len(kept)
    _refuse_empty(kept, before, options, f"the {options.k_core}-core{drawn} is empty")
    return kept, dropped


def in_period(interactions: pd.DataFrame, options: DatasetOptions) -> pd.DataFrame:
    """Those from the beginning of `options.period` on and before its end; rows keep their order.

    Raises:
        DataError: the interactions have no times.
    """
    if options.period is None:
        return interactions
    if "timestamp" not in interactions:
        raise DataError(
            "dataset.period is given but the data has no timestamps",
            where=options.source.path,
            remedy="set dataset.period: null, or name the column that holds the times",
        )
    times = interactions["timestamp"].to_numpy(np.int64)
    keep = np.ones(len(times), dtype=bool)
    if options.period.since is not None:
        keep &= times >= _seconds(options.period.since, times)
    if options.period.until is not None:
        keep &= times < _seconds(options.period.until, times)
    return interactions[keep].reset_index(drop=True)


def _seconds(moment: Moment, times: np.ndarray) -> int:
    """A moment as seconds since 1970; of a share, the time of the first interaction that it does not hold."""
    if isinstance(moment, float):
        place = min(int(moment * len(times)), len(times) - 1)
        return int(np.partition(times, place)[place])
    return int(datetime.datetime.combine(moment, datetime.time(), datetime.UTC).timestamp())


def without_duplicates(interactions: pd.DataFrame) -> pd.DataFrame:
    """One row per (user, item), the latest; at equal or unknown times the higher rating, then the later review in
    order of letters, so that the order of rows never matters."""
    items = interactions["item"].to_numpy()
    pairs = interactions["user"].to_numpy().astype(np.int64)  # in place from here on: large data are held whole
    pairs *= int(items.max(initial=0)) + 1
    pairs += items
    order = np.argsort(pairs, kind="stable")
    same = np.diff(pairs[order]) == 0
    repeated = np.append(same, False) | np.append(False, same)
    if same.any():
        rows = order[repeated]
        known = [interactions[name].iloc[rows] for name in ("rating", "timestamp") if name in interactions]
        keys = [column.astype("float64").fillna(-np.inf) for column in known]  # unknown yields to any known one
        if "review" in interactions:
            keys.insert(0, pd.Series(pd.factorize(interactions["review"].iloc[rows], sort=True)[0]))
        if "written" in interactions:  # a checksum: any order will do that is not the rows'
            keys.insert(0, interactions["written"].iloc[rows])
        order[repeated] = rows[np.lexsort([*keys, pairs[rows]])]
    order = order[np.append(~same, True)[: len(order)]]
    del pairs  # of large data, the frame that follows is the most that is held at once
    return interactions.iloc[order].reset_index(drop=True)


def k_core(interactions: pd.DataFrame, k: int) -> pd.DataFrame:
    """The largest subset where every user and item has at least k interactions; rows keep their order."""
    if k <= 1:
        return interactions
    users, items = (interactions[name].to_numpy() for name in ("user", "item"))
    keep = np.arange(len(interactions))
    while len(keep):
        enough = (np.bincount(users[keep])[users[keep]] >= k) & (np.bincount(items[keep])[items[keep]] >= k)
        if enough.all():
            break
        keep = keep[enough]
    return interactions.iloc[keep].reset_index(drop=True)


def sampled_users(interactions: pd.DataFrame, n: float | None, rng: np.random.Generator) -> pd.DataFrame:
    """The interactions of n users drawn without replacement, or of a share n < 1 of them, one at least; all of them
    when n is None or exceeds the users there."""
    users = np.unique(interactions["user"].to_numpy())
    if n is not None:
        n = max(1, round(n * len(users))) if n < 1 else int(n)
    if n is None or n >= len(users):
        return interactions
    drawn = rng.choice(users, size=n, replace=False)
    return interactions[interactions["user"].isin(drawn)].reset_index(drop=True)


def _liked(interactions: pd.DataFrame, options: DatasetOptions) -> pd.DataFrame:
    if options.min_rating is None:
        return interactions
    if "rating" not in interactions:
        raise DataError(
            f"min_rating is {options.min_rating} but the data has no ratings",
            where=options.source.path,
            remedy="set dataset.min_rating: null, or name the rating column",
        )
    return interactions[interactions["rating"] >= options.min_rating].reset_index(drop=True)


def _refuse_empty(kept: pd.DataFrame, before: pd.DataFrame, options: DatasetOptions, what: str) -> None:
    if kept.empty:
        raise DataError(
            f"{what}; before it there were {before['user'].nunique()} users, {before['item'].nunique()} items "
            f"and {len(before)} interactions",
            where=options.source.path,
            remedy="lower dataset.k_core or dataset.min_rating, or raise dataset.sample_users",
        )
