"""Splits and time: a cut of all interactions at two moments, and how far any split lets training see the future."""

from __future__ import annotations

import numpy as np
import pandas as pd

from augrec.artefacts.errors import DataError
from recsys.data.options import GlobalTemporalSplit, LeaveLastOut, Split, TemporalSplit
from recsys.data.readers.times import day_span
from recsys.data.splits import TEST, TRAIN, VALID, require_times

IGNORED = "ignored: training sees what came after test interactions"
EARLY, LATE = 631_152_000, 4_102_444_800
"""1990 and 2100 in seconds since 1970."""
YEAR = 31_536_000
"""In seconds."""
MANY_TIES = 0.05
"""Share of the users of whom it is said that time does not order what they did last."""
PER_USER = "per user: a user's training comes before his test, and others' training may come after it"


def cut_in_time(
    interactions: pd.DataFrame, split: GlobalTemporalSplit, source: str
) -> tuple[pd.DataFrame, dict[str, int]]:
    """The interactions with their split as a column, without held-out ones of users and items that come later.

    A user or an item without an interaction before the first moment is unknown to every model that is trained, so that
    its held-out interactions are dropped and counted, and never moved into train, which would show training the future
    (Meng et al., RecSys 2020; Ji et al., TOIS 2023). Training interactions all stay.

    Args:
        interactions: user, item and timestamp.
        split: the options. The first moment is the time of the floor(n a / t)-th interaction in order of time, the
            second that of the floor(n (a + b) / t)-th, t = a + b + c; interactions of one time are never parted.
        source: names the data in errors.

    Returns:
        The rows that stay, with their order, and how many held-out ones were dropped, by reason.

    Raises:
        DataError: the interactions have no times, or too many have the first one.
    """
    require_times(interactions, split, source)
    times = interactions["timestamp"].to_numpy()
    in_order, (train, valid, _) = np.sort(times), split.ratios
    moments = [in_order[len(times) * part // sum(split.ratios)] for part in (train, train + valid)]
    parts = (TRAIN + (times >= moments[0]) + (times >= moments[1])).astype(np.uint8)
    if not (parts == TRAIN).any():
        raise DataError(
            f"the {split.kind} split leaves nothing for train: {int((times == times.min()).sum()):,} of {len(times):,} "
            "interactions have the earliest time",
            where=f"{source}, dataset.split",
            remedy="set dataset.split.kind: random, or give times that tell interactions apart",
        )
    known = {name: np.isin(interactions[name], interactions[name][parts == TRAIN]) for name in ("user", "item")}
    dropped = {
        "users_not_in_train": int((~known["user"]).sum()),
        "items_not_in_train": int((known["user"] & ~known["item"]).sum()),
    }
    kept = interactions.assign(split=parts)[known["user"] & known["item"]]
    return kept.reset_index(drop=True), dropped


def order_in_time(interactions: pd.DataFrame) -> str | None:
    """How a split stands to time, as the data show it; None where times are unknown or nothing is held out.

    Args:
        interactions: user, split, and where known timestamp in seconds since 1970.
    """
    if "timestamp" not in interactions:
        return None
    users, times, parts = (interactions[name].to_numpy() for name in ("user", "timestamp", "split"))
    train, test = parts == TRAIN, parts == TEST
    if not test.any() or not train.any():
        return None
    if times[train].max() < times[parts != TRAIN].min() and times[parts != TEST].max() < times[test].min():
        last = {part: np.datetime64(int(times[parts == part].max()), "s") for part in (TRAIN, VALID) if part in parts}
        days = [moment.astype("datetime64[D]") for moment in last.values()]
        return f"global: training ends {days[0]}" + (f", validation {days[1]}" if len(days) > 1 else "")
    n = int(users.max()) + 1
    latest = np.full(n, times.min())
    np.maximum.at(latest, users[train], times[train])
    return PER_USER if (times[test] >= latest[users[test]]).all() else IGNORED


def tie_notes(interactions: pd.DataFrame, split: Split) -> list[str]:
    """A line where time does not tell what many users did last: what is held out is then a matter of `ties`.

    Args:
        interactions: user, split, and where known timestamp in seconds since 1970.
        split: the options.
    """
    if not isinstance(split, LeaveLastOut | TemporalSplit) or "timestamp" not in interactions:
        return []
    users, times, parts = (interactions[name].to_numpy() for name in ("user", "timestamp", "split"))
    n, train, held = int(users.max()) + 1, parts == TRAIN, parts != TRAIN
    latest, earliest = np.full(n, times.min() - 1), np.full(n, times.max() + 1)
    np.maximum.at(latest, users[train], times[train])
    np.minimum.at(earliest, users[held], times[held])
    of, tied = int((earliest <= times.max()).sum()), int((latest == earliest).sum())
    if tied < MANY_TIES * of or not tied:
        return []
    order = {"id": "the larger id is", "hashed": "a draw says which is", "file": "the later row is"}[split.ties]
    return [
        f"{tied:,} of {of:,} users have training and held-out interactions at one and the same time: {order} taken for "
        "the later one (split.ties)"
    ]


def span_notes(interactions: pd.DataFrame) -> list[str]:
    """A line on times that are far from the others: zeros that stand for none, and clocks that were wrong. And on times
    that are all of 1970, when nothing that is recommended now was clicked on: days since then, hours, or plain counts.

    Args:
        interactions: where known timestamp in seconds since 1970.
    """
    if "timestamp" not in interactions or not len(interactions):
        return []
    times = interactions["timestamp"].to_numpy()
    if (times >= EARLY).mean() < 0.5:  # a time of its own, counted from somewhere
        if times.min() < 0 or times.max() >= YEAR:
            return []
        return [
            f"all times are of 1970 ({day_span(times)}), read as seconds: if they count days, hours or steps, "
            "their order is used and dates and spans of time mean nothing"
        ]
    odd = (times < EARLY) | (times > LATE)
    if not odd.any():
        return []
    first = np.datetime64(int(times[odd][0]), "s")
    return [
        f"{int(odd.sum()):,} of {len(times):,} interactions have times before 1990 or after 2100, e.g. {first}Z: if "
        "these stand for unknown ones, leave their rows out"
    ]


def time_notes(order: str | None) -> list[str]:
    """A line for whoever reads figures of a split that ignores time."""
    if order != IGNORED:
        return []
    return [
        "the interactions have times, and the split ignores them: training sees what came after test interactions, so "
        "figures say how well gaps are filled, and not what will come; dataset.split.kind: global_temporal forecasts"
    ]
