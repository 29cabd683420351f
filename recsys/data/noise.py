"""False training interactions: how much a recommender suffers from clicks that mean nothing.

Source: Figure 5 of RLMRec (Ren et al., WWW 2024), where 5 to 25 % of random interactions that do not exist join the
training graph and texts and held-out interactions stay as they are.

How they are drawn: generator `np.random.default_rng([seed, STREAM])` gives 65,536 users and then as many items at a
time, uniformly; a pair counts unless it is a training interaction or was drawn before, until floor(share x training
interactions) count. So with one seed a smaller share is the beginning of a larger one.
What is held out is not looked at while they are drawn. A pair that turns out to be held out would be a true
interaction, and the answer of the test: it is left out afterwards, and none is drawn in its place. How many there were
is written down. Data that are sealed, as those of a search are, do not say what the test interactions are: there a
drawn pair that is one of them stays.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from augrec.artefacts.errors import UsageError
from augrec.artefacts.files import read_parquet, remove_file, write_parquet
from recsys.data.dataset import Dataset

STREAM = 0xFA15E
DRAWN_AT_ONCE = 65_536
DENSEST = 0.5
"""Of the pairs that are no training interactions: the most that are drawn."""


@dataclass(frozen=True, eq=False)
class Noise:
    """False interactions of one training."""

    pairs: np.ndarray
    """int64 [k, 2] of (user, item), in the order of the draw."""
    held_out: int
    """How many more were drawn, and left out for being held out."""


NO_NOISE = Noise(np.zeros((0, 2), np.int64), 0)


def false_interactions(dataset: Dataset, share: float, seed: int) -> Noise:
    """See the module.

    Args:
        dataset: `valid` and `test` (unless it is sealed) are looked at when everything is drawn.
        share: of the training interactions, so many more are drawn.
        seed: of the draw.

    Raises:
        UsageError: so many pairs that are no interactions there are not.
    """
    wanted = int(share * len(dataset.train))
    if not wanted:
        return NO_NOISE
    room = dataset.n_users * dataset.n_items - len(dataset.train)
    if wanted > DENSEST * room:
        raise UsageError(
            f"training.noise {share:g} asks for {wanted:,} false interactions, and only {room:,} pairs of a user and "
            "an item are no training interactions",
            remedy="take a smaller share",
        )
    rng = np.random.default_rng([seed, STREAM])
    taken = _keys(dataset, dataset.train)
    drawn = np.zeros(0, np.int64)
    while len(drawn) < wanted:
        users, items = (rng.integers(size, size=DRAWN_AT_ONCE) for size in (dataset.n_users, dataset.n_items))
        keys = np.concatenate([drawn, users * dataset.n_items + items])
        _, first = np.unique(keys, return_index=True)
        keys = keys[np.sort(first)]
        drawn = keys[~np.isin(keys, taken)]
    drawn = drawn[:wanted]
    held_out = np.concatenate([_keys(dataset, dataset.pairs(split)) for split in dataset.splits[1:]])
    false = drawn[~np.isin(drawn, held_out)]
    return Noise(np.stack([false // dataset.n_items, false % dataset.n_items], axis=1), wanted - len(false))


def with_false_interactions(dataset: Dataset, pairs: np.ndarray) -> Dataset:
    """The data set with more training interactions; they have no rating, and reviews of the data set are left out.

    Where interactions have times, a false one has that of its user's latest training interaction, or of the earliest
    of all where the user has none; so it is with places.

    Args:
        dataset: without them.
        pairs: int64 [k, 2] of (user, item).

    Raises:
        DataError: one of them is an interaction already, or names nobody.
    """
    if not len(pairs):
        return dataset
    ratings, times, places = (
        [getattr(dataset, of)(split) for split in dataset.splits] for of in ("ratings", "timestamps", "places")
    )
    if ratings[0] is not None:
        ratings[0] = np.append(ratings[0], np.full(len(pairs), np.nan, np.float32))
    for clock in (times, places):
        if clock[0] is not None:
            latest = np.full(dataset.n_users, clock[0].min(initial=np.iinfo(clock[0].dtype).max))
            np.maximum.at(latest, dataset.train[:, 0], clock[0])
            clock[0] = np.append(clock[0], latest[pairs[:, 0]])
    nothing = np.zeros((0, 2), np.int64)
    if dataset.is_sealed:
        ratings, times, places = ([*columns, nothing[:, 0]] for columns in (ratings, times, places))
    with_false = Dataset.from_arrays(
        dataset.n_users,
        dataset.n_items,
        np.concatenate([dataset.train, pairs]),
        dataset.valid,
        nothing if dataset.is_sealed else dataset.test,
        ratings=None if ratings[0] is None else ratings,
        timestamps=None if times[0] is None else times,
        places=None if places[0] is None else places,
        items=dataset.items,
        users=dataset.users,
        meta=dataset.meta,
    )
    return with_false.sealed() if dataset.is_sealed else with_false


def write_noise(path: Path, pairs: np.ndarray) -> None:
    """Writes what a model was trained on beside the training interactions; no file where there is nothing."""
    if len(pairs):
        columns = {name: pa.array(pairs[:, place], pa.int32()) for place, name in enumerate(("user", "item"))}
        write_parquet(path, pa.table(columns))
    else:
        remove_file(path)


def read_noise(path: Path) -> np.ndarray:
    """The pairs that `write_noise` wrote, int64 [k, 2]; none where there is no file."""
    if not path.exists():
        return NO_NOISE.pairs
    table = read_parquet(path, remedy="train the model again")
    return np.stack([table[name].to_numpy().astype(np.int64) for name in ("user", "item")], axis=1)


def _keys(dataset: Dataset, pairs: np.ndarray) -> np.ndarray:
    return pairs[:, 0] * dataset.n_items + pairs[:, 1]
