"""Interactions divided into train (0), valid (1) and test (2), user by user or as a whole.

Frames have columns user and item, whole numbers, one row per pair, sorted by (user, item), so the result depends on the
interactions and the seed only, not on the order of any file; unless a split asks for it (`ties: file`).
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from augrec.artefacts.counts import counted
from augrec.artefacts.errors import DataError
from augrec.artefacts.hashed_numbers import hashed_names, mixed
from augrec.artefacts.sorted_rows import order_by
from recsys.data.options import (
    GivenSplit,
    GlobalTemporalSplit,
    HashedSplit,
    InteractionSplit,
    LeaveLastOut,
    RandomSplit,
    Split,
    TemporalSplit,
)

TRAIN, VALID, TEST = 0, 1, 2
FEW_USERS = 20
"""With fewer users to judge by, a line says that differences between models are mostly luck."""


def split_interactions(
    interactions: pd.DataFrame,
    split: Split,
    rng: np.random.Generator,
    source: str,
    source_ids: tuple[np.ndarray, np.ndarray],
) -> tuple[np.ndarray, int]:
    """uint8 [m] split of each row, and how many held-out interactions were moved to train to give somebody one.

    Every user keeps at least one training interaction, and a user with two has no valid item, except in given splits,
    which are taken as they are, and in those by interaction, where two may be held out in any way.

    Args:
        interactions: user, item and, for splits by time, timestamp; split for given ones and those cut in time already;
            place, where equal times are not in order of items (`places_in_time`).
        split: the options.
        rng: decides random splits; not drawn from otherwise.
        source: names the data in errors.
        source_ids: what the source calls every user and every item, str by id; only hashed splits look at them.

    Raises:
        DataError: a split by time of data without timestamps, or a given split of data that have none.
    """
    if isinstance(split, GivenSplit):
        if "split" not in interactions:
            raise DataError(
                "a given split needs a source that comes with one, and this one does not",
                where=source,
                remedy="set dataset.split.kind: random, leave_last_out or temporal",
            )
        given = interactions["split"].to_numpy(dtype=np.uint8)
        return (given, 0) if split.valid is None else _cut_validation(interactions, given, split.valid, rng, source)
    if isinstance(split, GlobalTemporalSplit):
        return interactions["split"].to_numpy(), 0
    users, items = (interactions[name].to_numpy() for name in ("user", "item"))
    if isinstance(split, InteractionSplit):
        return _by_interaction(users, items, rng.random(len(interactions)), split.ratios)
    if isinstance(split, RandomSplit | HashedSplit):
        hashed = isinstance(split, HashedSplit)
        keys = hashed_pairs(users, items, source_ids, rng.bytes(16)) if hashed else rng.random(len(interactions))
        parts = _by_ratio(_rank_within(users, keys), _counts(users), split.ratios)
        return _items_into_train(parts, items, keys)
    require_times(interactions, split, source)
    times, counts = interactions["timestamp"].to_numpy(), _counts(users)
    ranks = interactions["place"].to_numpy() if "place" in interactions else _rank_within(users, times)
    return (_by_ratio(ranks, counts, split.ratios) if isinstance(split, TemporalSplit) else _last_out(ranks, counts)), 0


def places_in_time(
    interactions: pd.DataFrame,
    split: LeaveLastOut | TemporalSplit,
    rng: np.random.Generator,
    source: str,
    source_ids: tuple[np.ndarray, np.ndarray],
) -> np.ndarray:
    """int32 [m]: each interaction's place among its user's in order of time, from 0; equal times as `split.ties` says.

    Args:
        interactions: user, item and timestamp; file_row, where equal times follow the file.
        split: the options.
        rng: decides `hashed`; not drawn from otherwise.
        source, source_ids: see `split_interactions`.

    Raises:
        DataError: the interactions have no times.
    """
    require_times(interactions, split, source)
    users, items, times = (interactions[name].to_numpy() for name in ("user", "item", "timestamp"))
    if split.ties == "file":
        times = _ordered_by(times, interactions["file_row"].to_numpy())
    elif split.ties == "hashed":
        times = _ordered_by(times, hashed_pairs(users, items, source_ids, rng.bytes(16)))
    return _rank_within(users, times).astype(np.int32)


def require_times(interactions: pd.DataFrame, split: Split, source: str) -> None:
    """Refuses interactions without timestamps.

    Raises:
        DataError: they have none.
    """
    if "timestamp" not in interactions:
        raise DataError(
            f"a {split.kind} split needs timestamps and the interactions have none",
            where=source,
            remedy="name the column that holds them, or set dataset.split.kind: random",
        )


def require_parts(parts: np.ndarray, users: np.ndarray, split: Split, source: str) -> list[str]:
    """A line for each of validation and test that is tiny.

    Args:
        parts: [m] split of each interaction.
        users: [m] its user.
        split: the options, for what would help.
        source: names the data in errors.

    Raises:
        DataError: one of the two is empty; a model could not be selected, or not be judged.
    """
    held_out = [(VALID, "validation"), (TEST, "test")]
    empty = [name for part, name in held_out if not (parts == part).any()]
    if empty:
        longest = int(np.bincount(users, minlength=1).max(initial=0))
        having = counted(len(np.unique(users)), "user has", "users have")
        raise DataError(
            f"the {split.kind} split leaves nothing for {' and '.join(empty)}: {having} "
            f"{counted(len(users), 'interaction')}, the most active has {longest:,}",
            where=f"{source}, dataset.split",
            remedy=_more_held_out(split, empty, longest),
        )
    notes = []
    for part, name in held_out:
        judged = len(np.unique(users[parts == part]))
        if judged < FEW_USERS:
            notes.append(f"{name} has interactions of {counted(judged, 'user')} only: metrics over so few say little")
    return notes


def _more_held_out(split: Split, empty: list[str], longest: int) -> str:
    """What would help; `longest` is how many interactions the most active user has."""
    if isinstance(split, GivenSplit):
        cut = "set dataset.split.valid: 0.05 to cut one from training, " if empty == ["validation"] else ""
        return (
            f"the split that the source brings has none left: {cut}lower dataset.k_core, or set dataset.split.kind: "
            "random, leave_last_out or temporal"
        )
    if isinstance(split, LeaveLastOut):
        needed = 2 if empty == ["test"] else 3
        return (
            f"a user needs {needed} interactions to have {' and '.join(empty)}: use data with more of them per user, "
            "or less strict dataset.min_rating"
        )
    if isinstance(split, GlobalTemporalSplit):
        return (
            "nothing is left of users and items that were there before: use data whose users stay over time, other "
            "dataset.split.ratios, or dataset.split.kind: temporal, which cuts each user's own time"
        )
    if isinstance(split, InteractionSplit):
        return (
            f"with ratios {':'.join(map(str, split.ratios))}, and one interaction of each user and item in train, "
            "there are too few for the others: use data with more per user, or raise dataset.k_core"
        )
    lengths = np.arange(1, sum(split.ratios) + 1)
    enough = []
    for name in empty:
        place = VALID if name == "validation" else TEST
        shares = [np.bincount(_by_ratio(np.arange(n), np.full(n, n), split.ratios), minlength=3) for n in lengths]
        enough.append(
            next((int(n) for n, share in zip(lengths, shares, strict=True) if share[place]), int(lengths[-1]))
        )
    if longest >= max(enough):  # what was held out went back
        return (
            "every item keeps an interaction in train, and hardly one has a second: use data whose users have items in "
            "common, raise dataset.k_core, or set dataset.split.kind: leave_last_out, which may hold out an item that "
            "train lacks"
        )
    return (
        f"with ratios {':'.join(map(str, split.ratios))} a user needs {max(enough)} interactions to have "
        f"{' and '.join(empty)}: use data with more of them per user, a larger part in dataset.split.ratios, or "
        "dataset.split.kind: leave_last_out (three interactions)"
    )


def hashed_pairs(
    users: np.ndarray, items: np.ndarray, source_ids: tuple[np.ndarray, np.ndarray], salt: bytes
) -> np.ndarray:
    """uint64 [m]: for each interaction a number that looks random and depends on the salt and its two names alone."""
    of_user, of_item = (
        hashed_names(names, salt + about) for names, about in zip(source_ids, (b"user", b"item"), strict=True)
    )
    return mixed(of_user[users] + mixed(of_item[items]))


def _rank_within(users: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """int64 [m]: each row's place among its user's rows in order of their keys.

    Args:
        users, keys: [m] of rows in order of (user, item): those with the same key stay in the order of their items.
    """
    order = order_by(users, keys)
    first = np.flatnonzero(np.append(True, np.diff(users) != 0)[: len(users)])
    starts = np.repeat(first, np.diff(np.append(first, len(users))))  # users are sorted, and stay so under this order
    ranks = np.empty(len(users), dtype=np.int64)
    ranks[order] = np.arange(len(users)) - starts
    return ranks


def _ordered_by(times: np.ndarray, ties: np.ndarray) -> np.ndarray:
    """int64 [m]: each row's place in order of (time, tie)."""
    places = np.empty(len(times), dtype=np.int64)
    places[np.lexsort((ties, times))] = np.arange(len(times))
    return places


def _counts(users: np.ndarray) -> np.ndarray:
    return np.bincount(users, minlength=1)[users]


def _by_ratio(ranks: np.ndarray, counts: np.ndarray, ratios: tuple[int, int, int]) -> np.ndarray:
    """The first floor(n a / t) are train, up to floor(n (a + b) / t) valid, the rest test; t = a + b + c."""
    train_end = np.maximum(counts * ratios[0] // sum(ratios), 1)
    valid_end = np.maximum(counts * (ratios[0] + ratios[1]) // sum(ratios), train_end)
    return (TRAIN + (ranks >= train_end) + (ranks >= valid_end)).astype(np.uint8)


def _by_interaction(
    users: np.ndarray, items: np.ndarray, keys: np.ndarray, ratios: tuple[int, int, int]
) -> tuple[np.ndarray, int]:
    """The floor(n a / t) interactions with the lowest keys are train, those up to floor(n (a + b) / t) valid.

    Before that, each user's lowest is put into train, and that of each item which then has none. They are train already
    for nearly all; for the others they take the place of the highest ones, so the sizes stay what the ratios say,
    unless there are more users and items than that.

    Returns:
        The split of each row, and how many came to train this way.
    """
    order = np.argsort(keys, kind="stable")
    train_end, valid_end = len(order) * ratios[0] // sum(ratios), len(order) * (ratios[0] + ratios[1]) // sum(ratios)
    needed = np.zeros(len(order), dtype=bool)  # by place in the order of keys
    _, first = np.unique(users[order], return_index=True)
    needed[first] = True
    with_train = np.unique(items[order][needed])
    alone = np.flatnonzero(~np.isin(items[order], with_train))
    needed[alone[np.unique(items[order][alone], return_index=True)[1]]] = True
    ranks = np.empty(len(order), dtype=np.int64)
    ranks[np.argsort(~needed, kind="stable")] = np.arange(len(order))
    moved, train_end = int(needed[train_end:].sum()), max(train_end, int(needed.sum()))
    parts = np.empty(len(order), dtype=np.uint8)
    parts[order] = TRAIN + (ranks >= train_end) + (ranks >= max(valid_end, train_end))
    return parts, moved


def _cut_validation(
    interactions: pd.DataFrame, given: np.ndarray, share: float, rng: np.random.Generator, source: str
) -> tuple[np.ndarray, int]:
    """A share of a given split's training interactions becomes validation; each user and item of training keeps one."""
    if (given == VALID).any():
        raise DataError(
            f"the source brings {np.count_nonzero(given == VALID):,} validation interactions of its own",
            where=f"{source}, dataset.split.valid",
            remedy="leave `valid` out: it is for sources without validation",
        )
    train = np.flatnonzero(given == TRAIN)
    users, items = (interactions[name].to_numpy()[train] for name in ("user", "item"))
    cut = round(share * len(train))
    parts, moved = _by_interaction(users, items, rng.random(len(train)), (len(train) - cut, cut, 0))
    found = given.copy()
    found[train] = parts
    return found, moved


def _last_out(ranks: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The last is test from two interactions on, the one before it valid from three on."""
    parts = np.where((ranks == counts - 2) & (counts >= 3), VALID, TRAIN)
    return np.where((ranks == counts - 1) & (counts >= 2), TEST, parts).astype(np.uint8)


def _items_into_train(parts: np.ndarray, items: np.ndarray, keys: np.ndarray) -> tuple[np.ndarray, int]:
    """Moves one held-out interaction (the one with the lowest key) of each item that has none in train."""
    trained = np.bincount(items, weights=parts == TRAIN, minlength=1) > 0
    orphans = np.flatnonzero(~trained[items])
    by_item = orphans[np.lexsort((keys[orphans], items[orphans]))]
    _, first = np.unique(items[by_item], return_index=True)
    moved = parts.copy()
    moved[by_item[first]] = TRAIN
    return moved, len(first)
