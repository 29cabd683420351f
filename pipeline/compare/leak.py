"""Whether profiles know items that no prompt showed: where a user's items rank by likeness to the user's profile.

The percentile of an item is the share of the items that the user does not have in training whose vectors are less like
the profile than the item's; equal ones count half. One set of rivals for all splits: training items would push each
other, and those held out, down by their number, and the splits could not be compared. An item held out is no rival of
its own. 0.5 is chance.

A profile written from training alone mirrors it: training items stand clearly above test items, which stand above
chance as far as tastes carry on. Where test items stand as high as those that were shown, prompts showed them too.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp

from pipeline.compare.agreement import unit_rows
from pipeline.report.statistics import bootstrap_intervals

CELLS = 2**22  # user-item cosines in memory at a time, float64: 32 MiB, and as much again to sort them
ROUNDED = 12  # decimals of a cosine: vectors that are equally alike tie, in whatever order products are summed
SAMPLES = 2000
ALPHA = 0.05
SPLITS = ("train", "valid", "test")

Vectors = Any  # a dense array, or a sparse one in rows: TF-IDF has too many columns to be dense


def leak(
    source: str,
    profiles: Vectors,
    items: Vectors,
    splits: dict[str, np.ndarray],
    *,
    items_by: str = "embedding",
    seed: int = 0,
) -> dict[str, Any]:
    """The entry `leak` of compare.json for one source of profiles.

    Items and users without a vector take no part. Intervals are of 95 %, by resampling users; the gap is over users
    with items in both splits.

    Args:
        source: who wrote the profiles.
        profiles: [n_users, d], a row of zeros where there is none; dense or CSR.
        items: [n_items, d], likewise, of the same space.
        splits: "train", "valid", "test" -> int64 [m, 2] of (user, item).
        items_by: what the vectors are.
        seed: of the resampling.
    """
    means = percentiles(profiles, items, splits)
    rng = np.random.default_rng([seed, 0x1EA])
    told = {name: _estimate(means[name][~np.isnan(means[name])], rng) for name in SPLITS}
    both = means["train"] - means["test"]
    gap = _estimate(both[~np.isnan(both)], rng)
    known = ~np.isnan(np.stack([means[name] for name in SPLITS])).all(axis=0)
    return {
        "source": source,
        "users": int(known.sum()),
        "items_by": items_by,
        **told,
        "gap": gap["mean"],
        "gap_low": gap["low"],
        "gap_high": gap["high"],
        "verdict": verdict(told["train"], told["test"], gap),
    }


def percentiles(profiles: Vectors, items: Vectors, splits: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """split -> float64 [n_users], the mean percentile of the user's items in it; NaN where there are none."""
    n_users = profiles.shape[0]
    users, goods = _unit(profiles), _unit(items)
    there = _present(goods)
    goods = goods[np.flatnonzero(there)]
    place = np.cumsum(there) - 1
    owned = {name: _by_user(splits[name], n_users, there, place) for name in SPLITS}
    means = {name: np.full(n_users, np.nan) for name in SPLITS}
    asked = np.flatnonzero(_present(users))
    step = max(1, CELLS // max(1, int(there.sum())))
    for start in range(0, len(asked), step):
        chunk = asked[start : start + step]
        scores = users[chunk] @ goods.T
        scores = np.round(scores.toarray() if sp.issparse(scores) else scores, ROUNDED)
        for row, user in zip(scores, chunk.tolist(), strict=True):
            train = owned["train"][user]
            rivals = np.sort(np.delete(row, train))
            for name in SPLITS:
                if len(mine := owned[name][user]):
                    means[name][user] = _ranked(row[mine], rivals, among=name != "train").mean()
    return means


def _ranked(scores: np.ndarray, rivals: np.ndarray, *, among: bool) -> np.ndarray:
    """Percentiles of scores; `among` where they are rivals themselves and do not count against themselves."""
    below, upto = np.searchsorted(rivals, scores, "left"), np.searchsorted(rivals, scores, "right")
    number = len(rivals) - among
    return (below + upto - among) / 2 / number if number else np.full(len(scores), 0.5)


def verdict(train: dict[str, Any], test: dict[str, Any], gap: dict[str, Any]) -> str:
    """What the figures say, by a fixed rule on their intervals."""
    if train["low"] is None:
        return "Too few users to tell."
    if train["low"] <= 0.5:
        return "No signal: training items rank no higher than chance, so these vectors cannot show a leak."
    if gap["low"] is None:
        return "Training items rank above chance; there are too few users with test items to look for a leak."
    if gap["low"] <= 0:
        return (
            "Suspicious: test items rank as high as the training items that prompts showed, as they would if prompts "
            "had shown them too."
        )
    return f"No sign of a leak: training items rank above test items by {gap['mean']:.3f}, as prompts of training do."


def _estimate(values: np.ndarray, rng: np.random.Generator) -> dict[str, float | None]:
    """Mean and interval; no interval for fewer than two users."""
    if not len(values):
        return {"mean": None, "low": None, "high": None}
    low, high = bootstrap_intervals(values[:, None], SAMPLES, ALPHA, rng)
    if len(values) < 2:
        return {"mean": float(values.mean()), "low": None, "high": None}
    return {"mean": float(values.mean()), "low": float(low[0]), "high": float(high[0])}


def _unit(vectors: Vectors) -> Vectors:
    if not sp.issparse(vectors):
        return unit_rows(np.asarray(vectors))
    size = np.sqrt(np.asarray(vectors.multiply(vectors).sum(axis=1)).ravel())
    inverse = np.divide(1.0, size, out=np.zeros_like(size, dtype=np.float64), where=size > 0)
    return sp.csr_array(sp.diags_array(inverse) @ vectors)


def _present(vectors: Vectors) -> np.ndarray:
    found: np.ndarray = np.diff(vectors.indptr) > 0 if sp.issparse(vectors) else vectors.any(axis=1)
    return found


def _by_user(pairs: np.ndarray, n_users: int, there: np.ndarray, place: np.ndarray) -> list[np.ndarray]:
    """The items of each user that have a vector, by their place among those."""
    pairs = pairs[there[pairs[:, 1]]]
    pairs = pairs[np.argsort(pairs[:, 0], kind="stable")]
    cuts = np.searchsorted(pairs[:, 0], np.arange(1, n_users))
    return np.split(place[pairs[:, 1]], cuts)
