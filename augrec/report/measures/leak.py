"""Whether profiles know items that no prompt showed: where a user's items rank by likeness to the user's profile.

The percentile of an item is the share of the items that the user does not have in training whose vectors are less like
the profile than the item's; equal ones count half. One set of rivals for all splits: training items would push each
other, and those held out, down by their number, and the splits could not be compared. An item held out is no rival of
its own. 0.5 is chance.

What may be known of held-out items is what training tells of them: interests last. A profile made of training alone
says how much that is: the mean of the vectors of the user's training items, of all or of those that the prompt showed,
whichever ranks held-out items higher. It ranks its own items as far above those held out as being shown is worth. A
source is suspicious when two things are shown, each by the end of an interval and so with enough users to show it: it
ranks held-out items above that profile by more than `SHARE` of this worth, and as high as the training items
themselves, within that margin. A difference that is merely not found is no evidence of either. Texts that only knew
training, TF-IDF of the history among them, say no more of held-out items than the history itself; those that rank them
higher, but still below training items, know the world, or a few held-out items, and are said to.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from augrec.artefacts.interactions import SPLITS
from augrec.report.measures.directions import Vectors, present, unit_rows
from augrec.report.measures.resampled_means import ResampledMean

CELLS = 2**22  # user-item cosines in memory at a time, float64: 32 MiB, and as much again to sort them
ROUNDED = 12  # decimals of a cosine: vectors that are equally alike tie, in whatever order products are summed
USERS = 5000  # so many are drawn where there are more; intervals are narrow by then
SHARE = 0.25
LEAST = 0.02  # of a percentile, taken for the worth of being shown where that is less


@dataclass(frozen=True)
class Leak:
    """Where the items of each split rank by likeness to their user's profile, in percentiles of 0 to 1.

    Attributes:
        source: who wrote the profiles.
        users: those with items in every split.
        items_by: what the vectors of items are: "embedding" or "tf-idf".
        train, valid, test: percentiles of the items in the split.
        gap, gap_low, gap_high: how far training items stand above test items.
        explained: split -> the percentile that a profile made of training alone gives.
        excess: how far test items stand above that.
        verdict: what the figures say, by a fixed rule.
    """

    source: str
    users: int
    items_by: str
    train: ResampledMean
    valid: ResampledMean
    test: ResampledMean
    gap: float | None
    gap_low: float | None
    gap_high: float | None
    explained: dict[str, float | None]
    excess: ResampledMean
    verdict: str


def leak(
    source: str,
    profiles: Vectors,
    items: Vectors,
    splits: dict[str, np.ndarray],
    *,
    shown: np.ndarray | None = None,
    items_by: str = "embedding",
    seed: int = 0,
) -> Leak:
    """Whether one source's profiles know items that were held out.

    Items and users without a vector take no part. Intervals are of 95 %, by resampling users; the gap is over users
    with items in both splits, the excess over what training explains over users with test items.

    Args:
        source: who wrote the profiles.
        profiles: [n_users, d], a row of zeros where there is none; dense or CSR.
        items: [n_items, d], likewise, of the same space.
        splits: "train", "valid", "test" -> int64 [m, 2] of (user, item).
        shown: int64 [m, 2] of (user, item), what the source was shown; None where that is not known.
        items_by: what the vectors are.
        seed: of the resampling, and of the users where there are many.
    """
    rng = np.random.default_rng([seed, 0x1EA])
    asked = np.flatnonzero(present(unit_rows(profiles)))
    asked = np.sort(rng.choice(asked, USERS, replace=False)) if len(asked) > USERS else asked
    means = percentiles(profiles, items, splits, asked)
    explained = _explained(profiles.shape[0], items, splits, shown, asked)
    percentile = {name: ResampledMean.of_known(means[name], rng) for name in SPLITS}
    both = means["train"] - means["test"]
    gap = ResampledMean.of_known(both, rng)
    excess, beyond, room, behind = _beyond(means, explained, rng)
    known = ~np.isnan(np.stack([means[name] for name in SPLITS])).all(axis=0)
    return Leak(
        source=source,
        users=int(known.sum()),
        items_by=items_by,
        train=percentile["train"],
        valid=percentile["valid"],
        test=percentile["test"],
        gap=gap.mean,
        gap_low=gap.low,
        gap_high=gap.high,
        explained={name: ResampledMean.of_known(explained[name], rng).mean for name in SPLITS},
        excess=excess,
        verdict=verdict(percentile["train"], gap, beyond, room, behind),
    )


def _explained(
    n_users: int, items: Vectors, splits: dict[str, np.ndarray], shown: np.ndarray | None, asked: np.ndarray
) -> dict[str, np.ndarray]:
    """The percentiles of the profile that training alone gives, of its two kinds the one that foretells more."""
    train = splits["train"]
    kinds = [train]
    if shown is not None:
        n_items = items.shape[0]
        kinds.append(shown[np.isin(shown @ [n_items, 1], train @ [n_items, 1])])
    by_training = [percentiles(_mean_of(pairs, n_users, items), items, splits, asked) for pairs in kinds if len(pairs)]
    nothing = {name: np.full(n_users, np.nan) for name in SPLITS}
    return max(by_training, key=_test_percentile, default=nothing)


def _test_percentile(means: dict[str, np.ndarray]) -> float:
    known = means["test"][~np.isnan(means["test"])]
    return float(known.mean()) if len(known) else 0.0


def _mean_of(pairs: np.ndarray, n_users: int, items: Vectors) -> Vectors:
    """[n_users, d], the sum of the directions of each user's items, which has that of their mean."""
    owns = sp.csr_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(n_users, items.shape[0]))
    total = owns @ unit_rows(items)
    return sp.csr_array(total) if sp.issparse(total) else total


def _beyond(
    means: dict[str, np.ndarray], explained: dict[str, np.ndarray], rng: np.random.Generator
) -> tuple[ResampledMean, list[ResampledMean], ResampledMean, list[ResampledMean]]:
    """How far test items stand above what training explains; the same less the margin, for test and valid items; how
    far, less the margin, training items stand above what is explained of test items; and how far, less the margin,
    training items stand above test and valid items."""
    margins = {}
    for name in ("test", "valid"):
        worth = explained["train"] - explained[name]
        worth = worth[~np.isnan(worth)]
        margins[name] = max(LEAST, SHARE * float(worth.mean())) if len(worth) else LEAST
    excess = {name: means[name] - explained[name] for name in margins}
    room = means["train"] - explained["test"] - margins["test"]
    beyond = [ResampledMean.of_known(values - margins[name], rng) for name, values in excess.items()]
    behind = [means["train"] - means[name] - margin for name, margin in margins.items()]
    return (
        ResampledMean.of_known(excess["test"], rng),
        beyond,
        ResampledMean.of_known(room, rng),
        [ResampledMean.of_known(values, rng) for values in behind],
    )


def percentiles(
    profiles: Vectors, items: Vectors, splits: dict[str, np.ndarray], asked: np.ndarray | None = None
) -> dict[str, np.ndarray]:
    """split -> float64 [n_users], the mean percentile of the user's items in it; NaN where there are none.

    `asked` are the users it is wanted for; NaN for the others.
    """
    n_users = profiles.shape[0]
    users, goods = unit_rows(profiles), unit_rows(items)
    there = present(goods)
    goods = goods[np.flatnonzero(there)]
    place = np.cumsum(there) - 1
    owned = {name: _by_user(splits[name], n_users, there, place) for name in SPLITS}
    means = {name: np.full(n_users, np.nan) for name in SPLITS}
    known = np.flatnonzero(present(users))
    asked = known if asked is None else np.intersect1d(known, asked)
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


def verdict(
    train: ResampledMean,
    gap: ResampledMean,
    beyond: Sequence[ResampledMean],
    room: ResampledMean,
    behind: Sequence[ResampledMean],
) -> str:
    """What the figures say, by a fixed rule on their intervals.

    Args:
        train: percentile of training items.
        gap: train minus test.
        beyond: how far held-out items stand above what training explains and the margin, by split.
        room: how far training items do, which is how far a leak could lift the others.
        behind: how far training items stand above held-out ones and the margin, in the order of `beyond`.
    """
    if train.low is None:
        return "Too few users to tell."
    higher = [above.low is not None and above.low > 0 for above in beyond]
    as_high = [below.high is not None and below.high < 0 for below in behind]
    if any(both == (True, True) for both in zip(higher, as_high, strict=True)):
        return (
            "Suspicious: held-out items rank as high as training items, and higher than the training items of their "
            "users can explain, as they would if prompts had shown them."
        )
    if any(higher):
        return (
            "More than training explains, less than being shown: held-out items rank higher than training histories "
            "alone would rank them, and are not shown to rank as high as training items. A model that knows the items "
            "does that; so would prompts that showed a few of them."
        )
    if train.low <= 0.5:
        return "No signal: training items rank no higher than chance, so these vectors cannot show a leak."
    if gap.low is None:
        return "Training items rank above chance; there are too few users with test items to look for a leak."
    if room.low is None or room.low <= 0:
        return (
            "Too coarse to show a leak: even training items rank no higher than training histories alone would rank "
            "test items."
        )
    return (
        f"No sign of a leak: test items rank no higher than training histories explain, and training items rank "
        f"{gap.mean:.3f} above them."
    )


def _by_user(pairs: np.ndarray, n_users: int, there: np.ndarray, place: np.ndarray) -> list[np.ndarray]:
    """The items of each user that have a vector, by their place among those."""
    pairs = pairs[there[pairs[:, 1]]]
    pairs = pairs[np.argsort(pairs[:, 0], kind="stable")]
    cuts = np.searchsorted(pairs[:, 0], np.arange(1, n_users))
    return np.split(place[pairs[:, 1]], cuts)
