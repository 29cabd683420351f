"""Ranked lists that are there before they are judged: those of a model, and what somebody made of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from augrec.artefacts.errors import AugrecError
from recsys.batches.base import Split
from recsys.data.dataset import Dataset
from recsys.evaluation.judgement import judgement
from recsys.evaluation.next_item import of_next_item
from recsys.evaluation.ranking import Tally, hidden_splits, recommended
from recsys.evaluation.result import Evaluation
from recsys.options import EvaluationOptions, Judged


@dataclass(frozen=True, eq=False)
class RankedLists:
    """The best items of some users, best first.

    Attributes:
        users: int64 [n], increasing.
        items: int64 [n, m]; -1 behind the end of a list that is shorter.
        scores: float64 [n, m], falling; -inf beside -1.
    """

    users: np.ndarray
    items: np.ndarray
    scores: np.ndarray

    def __len__(self) -> int:
        return len(self.users)


def ranked_lists(
    scores: Callable[[Tensor], Tensor],
    dataset: Dataset,
    split: Split,
    length: int,
    *,
    judged: Judged,
    options: EvaluationOptions,
    device: torch.device | str = "cpu",
) -> RankedLists:
    """A model's lists for every user with truth in `split`: those that its evaluation looks at, of any length.

    Args:
        scores: users int64 [b] -> [b, n_items]; asked with the `context` of `recsys.evaluation.judgement`.
        split: "valid" or "test".
        length: of the lists.
        judged: RANKING or NEXT_ITEM; which items are no candidates depends on it.
        options: the protocol.
        device: where the users handed to `scores` lie.

    Raises:
        AugrecError: the scores of a user hold NaN, or nobody has truth in the split.
    """
    how = judgement(dataset, split, judged, options)
    if not len(how.users):
        raise AugrecError(f"no user has a {split} interaction", remedy="check dataset.split and dataset.k_core")
    chunks = recommended(
        *(how.allowed(scores), dataset, how.users, length),
        hidden=hidden_splits(split, how.mask_train, how.mask_valid_at_test),
        official=how.official,
        tie_seed=options.tie_seed,
        chunk=options.chunk,
        device=device,
    )
    tops = [top for _, top in chunks]
    return RankedLists(
        how.users,
        np.concatenate([top.items.cpu().numpy() for top in tops]),
        np.concatenate([top.values.double().cpu().numpy() for top in tops]),
    )


def evaluate_lists(
    lists: RankedLists,
    dataset: Dataset,
    split: Split,
    *,
    cutoffs: Sequence[int],
    judged: Judged,
    options: EvaluationOptions,
) -> Evaluation:
    """Judges lists as `recsys.training.judge` judges the model that makes them; users without a list have no value.

    Args:
        lists: of users with truth in `split`, at least as long as the largest cutoff or as there are items.
        split: "valid" or "test".
        cutoffs: values of k.
        judged: RANKING or NEXT_ITEM.
        options: the protocol.
    """
    how = judgement(dataset, split, judged, options)
    tally = Tally(how.truth, split, cutoffs, official=how.official, device="cpu")
    longest = max(cutoffs)  # what is behind it must not count where an ideal is made of the hits
    tally.add(lists.users, torch.from_numpy(lists.items[:, :longest]))
    found = tally.result(lists.users)
    if judged is Judged.NEXT_ITEM:
        found = of_next_item(found, cutoffs, mask_known=how.mask_train)
    return replace(found, settings={**found.settings, **how.settings})
