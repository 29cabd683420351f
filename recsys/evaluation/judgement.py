"""What a protocol says of an evaluation: who is judged, by which items, among which candidates, knowing what."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from recsys.batches.base import Split
from recsys.data.dataset import Dataset
from recsys.evaluation.next_item import with_next_items
from recsys.options import EvaluationOptions, Judged


@dataclass(frozen=True, eq=False)
class Judgement:
    """How ranked lists of a split are made and judged.

    Attributes:
        truth: the data; what counts as right is what is in the split.
        users: int64 [n], increasing, those who are judged.
        context: the split of the queries, which says what a model of sequences is told of a user.
        mask_train, mask_valid_at_test: whether these items of a user are no candidates.
        official: see `recsys.evaluation.ranking.evaluate`.
        barred: bool [n_items], items that are nobody's candidates; None for none.
        settings: what of it metrics.json says.
    """

    truth: Dataset
    users: np.ndarray
    context: Split
    mask_train: bool
    mask_valid_at_test: bool
    official: bool = False
    barred: np.ndarray | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)

    def allowed(self, scores: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
        """Scores of users (int64 [b] -> [b, n_items]) in which barred items are never recommended."""
        if self.barred is None:
            return scores
        barred = torch.from_numpy(self.barred)

        def without(users: Tensor) -> Tensor:
            found = scores(users)
            return found.masked_fill(barred.to(found.device), -torch.inf)

        return without


def judgement(dataset: Dataset, split: Split, judged: Judged, options: EvaluationOptions) -> Judgement:
    """What the options say of ranked lists.

    Args:
        dataset: its `split` is read, and nothing that comes later.
        split: "valid" or "test".
        judged: RANKING or NEXT_ITEM.
        options: the protocol.

    Raises:
        DataError: of a next item, that somebody has several and there are no times.
    """
    next_item = judged is Judged.NEXT_ITEM
    truth = with_next_items(dataset, split) if next_item else dataset
    masks = options.masks_known if next_item else True, options.masks_known if next_item else options.masks_validation
    if options.protocol != "llama4rec":
        official = options.protocol == "official" and not next_item
        return Judgement(truth, _with_truth(truth, split), split, *masks, official)
    barred = dataset.popularity == 0
    if next_item:
        several = np.bincount(dataset.train[:, 0], minlength=dataset.n_users) > 1
        users = _with_truth(truth, split)
        users, unknown = users[several[users]], "misses"
    else:
        truth = _of_known_items(truth, split, ~barred)
        users, unknown = _with_truth(truth, split), "left out"
    settings = {"protocol": "llama4rec", "context": "training items", "items unknown in training": unknown}
    return Judgement(truth, users, "valid", *masks, False, barred, settings)


def _with_truth(dataset: Dataset, split: Split) -> np.ndarray:
    return np.flatnonzero(np.diff(dataset.starts(split)))


def _of_known_items(dataset: Dataset, split: Split, known: np.ndarray) -> Dataset:
    """The data without the interactions of a split whose item is none of `known` (bool [n_items])."""
    pairs = dataset.pairs(split)
    pairs = pairs[known[pairs[:, 1]]]
    return replace(dataset, valid=pairs) if split == "valid" else replace(dataset, test=pairs)
