"""Evaluation of the next item: for every user one item is right, the one that came next, among all items.

What a model knows when it is asked is the user's context: the training interactions in a query of "valid", those and
the validation interactions in a query of "test". Of several held-out interactions the first in time is the next one
(the lower item id where times are equal and the data have no order of these) and the later ones are items like any
other. With one right item per user recall@k is the hit rate, and so only that is given.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from augrec.artefacts.errors import DataError
from recsys.data.dataset import Dataset
from recsys.evaluation.ranking import Scores, evaluate
from recsys.evaluation.result import Evaluation
from recsys.options import NEXT_ITEM_METRICS


def evaluate_next_item(
    scores: Scores,
    dataset: Dataset,
    split: str,
    *,
    cutoffs: Sequence[int],
    mask_known: bool = True,
    tie_seed: int = 0,
    chunk: int | None = None,
    device: torch.device | str = "cpu",
    users: np.ndarray | None = None,
) -> Evaluation:
    """Ranks all items for every user with a next item, and looks where it is: `hit_rate`, `ndcg` and `mrr` at k.

    Users without a next item are left out: NaN, and no part of the means. The largest thing in memory is one chunk of
    scores.

    Args:
        scores: see `recsys.evaluation.ranking.evaluate`.
        split: "valid" or "test".
        cutoffs: values of k.
        mask_known: takes the items of a user's context out of the candidates. Published code for sequences often
            leaves them in, which makes every figure lower; say which was used.
        tie_seed: orders items with exactly equal scores.
        chunk: users per call; a matter of memory only. None chooses.
        device: where the queries lie.
        users: int64, only these are judged; None judges everyone.

    Raises:
        DataError: somebody has several held-out interactions and there are no times.
        AugrecError: the scores of a user hold NaN, or have the wrong shape.
    """
    whole = evaluate(
        scores,
        with_next_items(dataset, split),
        split,
        cutoffs=cutoffs,
        mask_train=mask_known,
        mask_valid_at_test=mask_known,
        tie_seed=tie_seed,
        chunk=chunk,
        device=device,
        users=users,
    )
    return of_next_item(whole, cutoffs, mask_known=mask_known)


def with_next_items(dataset: Dataset, split: str) -> Dataset:
    """The data with the next item of every user as all that is in `split`."""
    right = next_items(dataset, split)
    return replace(dataset, valid=right) if split == "valid" else replace(dataset, test=right)


def of_next_item(whole: Evaluation, cutoffs: Sequence[int], *, mask_known: bool) -> Evaluation:
    """What an evaluation of ranked lists says of a next item, as `evaluate_next_item` gives it."""
    names = [f"{name}@{k}" for k in cutoffs for name in NEXT_ITEM_METRICS]
    return replace(
        whole,
        per_user={name: whole.per_user[name] for name in names},
        mean={name: value for name, value in whole.mean.items() if name in names or name.startswith("coverage@")},
        settings={"known_items": "masked" if mask_known else "candidates"},
    )


def next_items(dataset: Dataset, split: str) -> np.ndarray:
    """int64 [n, 2] (user, item), sorted: the first interaction in time of every user who has one in `split`.

    Raises:
        DataError: somebody has several, and there are no times to say which is the first.
    """
    if split not in ("valid", "test"):
        raise ValueError(f"split is valid or test, not {split!r}")
    pairs = dataset.pairs(split)
    later = np.append(False, pairs[1:, 0] == pairs[:-1, 0])[: len(pairs)]
    if later.any() and dataset.clock(split) is None:
        raise DataError(
            f"user {int(pairs[np.argmax(later), 0])} has several {split} interactions and there are no times, so "
            "nothing says which item is the next one",
            where="dataset.split",
            remedy="set dataset.split.kind: leave_last_out for data with times, or bring a split with one each",
        )
    return pairs[dataset.by_time(split)][~later]
