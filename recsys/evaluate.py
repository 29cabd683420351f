"""Full ranking evaluation: every user with truth, all items as candidates, exact top-k, float64 metrics."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from artefacts.errors import AugrecError
from recsys.data.dataset import Dataset
from recsys.metrics.ranking import per_user_metrics
from recsys.ranking import TieBreak, top_items

Scores = Callable[[Tensor], Tensor]
NEVER = np.iinfo(np.int64).max


@dataclass(frozen=True)
class Evaluation:
    """The metrics of one model on one split; names are like "recall@20"."""

    per_user: dict[str, np.ndarray]
    """float64 [n_users] per metric, NaN for users without truth."""
    mean: dict[str, float]
    """Mean over the users with truth, and "coverage@k", which has no value per user. NaN when nobody has truth."""
    n_users: int
    """How many users were averaged."""
    first_rank: np.ndarray
    """int64 [n_items], the best rank (from 0) at which anyone is shown the item, `NEVER` for none."""

    @classmethod
    def of(cls, per_user: dict[str, np.ndarray], users: np.ndarray, first_rank: np.ndarray) -> Evaluation:
        """Adds the means over `users` (int64 [n], in order) to values per user, and the coverage at each of their k."""
        mean = {name: float(values[users].mean()) if len(users) else float("nan") for name, values in per_user.items()}
        for k in sorted({int(name.rpartition("@")[2]) for name in per_user}):
            shown = (first_rank < k).sum() / max(len(first_rank), 1)
            mean[f"coverage@{k}"] = float(shown) if len(users) else float("nan")
        return cls(per_user, mean, len(users), first_rank)


def evaluate(
    scores: Scores,
    dataset: Dataset,
    split: str,
    *,
    cutoffs: Sequence[int],
    mask_train: bool = True,
    mask_valid_at_test: bool = False,
    tie_seed: int = 0,
    chunk: int = 1024,
    official: bool = False,
    device: torch.device | str = "cpu",
    users: np.ndarray | None = None,
) -> Evaluation:
    """Ranks all items for every user with truth in `split` and scores the lists.

    Args:
        scores: users int64 [b] -> [b, n_items], called once per chunk. An item it gives -inf is not recommended.
        split: "valid" or "test".
        cutoffs: values of k.
        mask_train: takes a user's training items out of the candidates.
        mask_valid_at_test: at test, takes the validation items out as well; raises recall, so say which was used.
        tie_seed: orders items with exactly equal scores (see `TieBreak`).
        chunk: users per call; a matter of memory only, the result is the same.
        official: LLMRec's own protocol: its NDCG, and ties by lower item id. For comparison with its tables only.
        device: where the users handed to `scores` lie.
        users: int64, only these are judged (those of them with truth), in this order; None judges everyone.

    Raises:
        AugrecError: the scores of a user hold NaN, or have the wrong shape.
    """
    if not cutoffs or min(cutoffs) < 1:
        raise ValueError(f"cutoffs are positive and there is at least one, not {list(cutoffs)}")
    known = np.diff(dataset.starts(split)) > 0
    users = np.flatnonzero(known) if users is None else users[known[users]]
    masked = _masked_splits(split, mask_train, mask_valid_at_test)
    masks = [(dataset.pairs(name)[:, 1], dataset.starts(name)) for name in masked]
    ties = (TieBreak.lower_id_first if official else _seeded(tie_seed))(dataset.n_users, dataset.n_items)
    longest = min(max(cutoffs), dataset.n_items)
    top = np.full((len(users), longest), -1, dtype=np.int64)
    for start in range(0, len(users), chunk):
        batch = users[start : start + chunk]
        top[start : start + chunk] = _recommend(scores, batch, dataset.n_items, longest, masks, ties, device)
    return judged(top, users, dataset, split, cutoffs=cutoffs, official=official)


def judged(
    top: np.ndarray, users: np.ndarray, dataset: Dataset, split: str, *, cutoffs: Sequence[int], official: bool = False
) -> Evaluation:
    """The metrics of recommended lists.

    Args:
        top: int64 [n, m], item ids, best first, -1 for none; m is the largest cutoff (or the catalogue, if smaller).
        users: int64 [n], whose lists they are; each has truth in `split`.
    """
    truth, n_positives = dataset.pairs(split), np.diff(dataset.starts(split))
    hits = _hits(top, users, truth, dataset.n_items)
    per_user = {}
    for k in cutoffs:
        for name, metric in per_user_metrics(official).items():
            values = np.full(dataset.n_users, np.nan)
            values[users] = metric(hits, n_positives[users], k)
            per_user[f"{name}@{k}"] = values
    first_rank = np.full(dataset.n_items, NEVER, dtype=np.int64)
    for rank in reversed(range(top.shape[1])):
        first_rank[top[top[:, rank] >= 0, rank]] = rank
    return Evaluation.of(per_user, users, first_rank)


def masked_positions(users: np.ndarray, items: np.ndarray, starts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(row, item) of every interaction of `users`, the row being the place in `users`; int64 [m] each.

    Args:
        users: int64 [b].
        items: int64, the items of a split in user order.
        starts: int64 [n_users + 1], user u's items are items[starts[u] : starts[u + 1]].
    """
    lengths = starts[users + 1] - starts[users]
    rows = np.repeat(np.arange(len(users)), lengths)
    offsets = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    return rows, items[starts[users][rows] + offsets]


def _recommend(
    scores: Scores,
    batch: np.ndarray,
    n_items: int,
    k: int,
    masks: list[tuple[np.ndarray, np.ndarray]],
    ties: TieBreak,
    device: torch.device | str,
) -> np.ndarray:
    with torch.no_grad():
        matrix = scores(torch.from_numpy(batch).to(device))
        _check(matrix, batch, n_items)
        matrix = matrix.clone()  # the scorer may have handed out a view of its own table
        for items, starts in masks:
            rows, columns = masked_positions(batch, items, starts)
            matrix[torch.from_numpy(rows).to(matrix.device), torch.from_numpy(columns).to(matrix.device)] = -torch.inf
        return top_items(matrix, torch.from_numpy(batch).to(matrix.device), k, ties).cpu().numpy()


def _check(matrix: Tensor, batch: np.ndarray, n_items: int) -> None:
    if matrix.shape != (len(batch), n_items):
        raise AugrecError(
            f"the model scored {tuple(matrix.shape)}, expected {(len(batch), n_items)} (users, items)",
            remedy="scores(users) must return one score per item of the data set",
        )
    bad = torch.isnan(matrix).any(dim=1)
    if bad.any():
        user = int(batch[int(bad.nonzero()[0, 0])])
        raise AugrecError(
            f"the model's scores hold NaN for {int(bad.sum())} of {len(batch)} users",
            where=f"user {user}",
            remedy="the training diverged: lower the learning rate, or check the features for NaN",
        )


def _hits(top: np.ndarray, users: np.ndarray, truth: np.ndarray, n_items: int) -> np.ndarray:
    keys = users[:, None] * n_items + top
    known = truth[:, 0] * n_items + truth[:, 1]  # sorted, as the pairs are
    found = np.searchsorted(known, keys).clip(max=max(len(known) - 1, 0))
    return (known[found] == keys) & (top >= 0) if len(known) else np.zeros_like(top, dtype=bool)


def _masked_splits(split: str, mask_train: bool, mask_valid_at_test: bool) -> list[str]:
    if split not in ("valid", "test"):
        raise ValueError(f"split is valid or test, not {split!r}")
    return ["train"] * mask_train + ["valid"] * (mask_valid_at_test and split == "test")


def _seeded(seed: int) -> Callable[[int, int], TieBreak]:
    return lambda n_users, n_items: TieBreak.seeded(n_users, n_items, seed)
