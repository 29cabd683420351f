"""Full ranking evaluation: every user with truth, all items as candidates, exact top-k, float64 metrics."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from augrec.artefacts.errors import AugrecError
from recsys.data.dataset import Dataset
from recsys.evaluation.masking import masked, masked_positions, writable
from recsys.evaluation.metrics.ranking import per_user_metrics
from recsys.evaluation.result import Evaluation
from recsys.evaluation.top_items import TieBreak, Top, top_items

Scores = Callable[[Tensor], Tensor]
Split = tuple[np.ndarray, np.ndarray]  # the items in user order, and where each user's begin
NEVER = torch.iinfo(torch.int64).max
SCORES_PER_CHUNK = 2**22  # 16 MiB of float32: the allocator hands out the same memory again, which is a fifth faster
SMALLEST_CHUNK = 64  # users; fewer at a time make the product of embeddings slow
USERS_PER_METRIC = 2**13


def evaluate(
    scores: Scores,
    dataset: Dataset,
    split: str,
    *,
    cutoffs: Sequence[int],
    mask_train: bool = True,
    mask_valid_at_test: bool = False,
    tie_seed: int = 0,
    chunk: int | None = None,
    official: bool = False,
    device: torch.device | str = "cpu",
    users: np.ndarray | None = None,
) -> Evaluation:
    """Ranks all items for every user with truth in `split` and scores the lists, on the device.

    The largest thing in memory is one chunk of scores, twice where the scorer's result is part of a larger tensor.

    Args:
        scores: users int64 [b] -> [b, n_items], called once per chunk. An item it gives -inf is not recommended.
        split: "valid" or "test".
        cutoffs: values of k.
        mask_train: takes a user's training items out of the candidates.
        mask_valid_at_test: at test, takes the validation items out as well; raises recall, so say which was used.
        tie_seed: orders items with exactly equal scores (see `TieBreak`).
        chunk: users per call; a matter of memory only, the result is the same. None chooses.
        official: LLMRec's own protocol: its NDCG, and ties by lower item id. For comparison with its tables only.
        device: where the users handed to `scores` lie.
        users: int64, only these are judged (those of them with truth), in this order; None judges everyone.

    Raises:
        AugrecError: the scores of a user hold NaN, or have the wrong shape.
    """
    if not cutoffs or min(cutoffs) < 1:
        raise ValueError(f"cutoffs are positive and there is at least one, not {list(cutoffs)}")
    n_positives = np.diff(dataset.starts(split))
    users = np.flatnonzero(n_positives) if users is None else users[n_positives[users] > 0]
    tally = Tally(dataset, split, cutoffs, official=official, device=device)
    lists = recommended(
        *(scores, dataset, users, max(cutoffs)),
        hidden=hidden_splits(split, mask_train, mask_valid_at_test),
        tie_seed=tie_seed,
        chunk=chunk,
        official=official,
        device=device,
    )
    for batch, top in lists:
        tally.add(batch, top.items)
    return tally.result(users)


def recommended(
    scores: Scores,
    dataset: Dataset,
    users: np.ndarray,
    length: int,
    *,
    hidden: Sequence[str],
    tie_seed: int = 0,
    chunk: int | None = None,
    official: bool = False,
    device: torch.device | str = "cpu",
) -> Iterator[tuple[np.ndarray, Top]]:
    """The lists that `evaluate` looks at, chunk by chunk: (int64 [b] users, their best items and scores).

    Args:
        users: int64 [n], whose lists are wanted, in this order.
        length: of the lists; cut to the number of items.
        hidden: the splits whose items are no candidates, see `hidden_splits`.
        (the others as in `evaluate`)
    """
    n_users, n_items = dataset.n_users, dataset.n_items
    masks = [(dataset.pairs(name)[:, 1], dataset.starts(name)) for name in hidden]
    ties = TieBreak.lower_id_first(n_users, n_items) if official else TieBreak.seeded(n_users, n_items, tie_seed)
    chunk = chunk or default_chunk(n_items)
    for start in range(0, len(users), chunk):
        batch = users[start : start + chunk]
        ids = torch.from_numpy(batch).to(device)
        yield batch, _recommend(scores, batch, ids, n_items, min(length, n_items), masks, ties)


def default_chunk(n_items: int) -> int:
    """Users per chunk where nobody says otherwise."""
    return max(SMALLEST_CHUNK, SCORES_PER_CHUNK // max(n_items, 1))


class Tally:
    """Adds up the metrics of recommended lists, chunk by chunk, on the device.

    Args:
        dataset, split: whose truth counts.
        cutoffs: values of k.
        official: see `evaluate`.
        device: where the lists lie.
    """

    def __init__(
        self, dataset: Dataset, split: str, cutoffs: Sequence[int], *, official: bool, device: torch.device | str
    ) -> None:
        self.n_items, self.device = dataset.n_items, device
        self.n_positives = np.diff(dataset.starts(split))
        # Sorted, as the pairs are.
        self.known = torch.from_numpy(dataset.pairs(split) @ np.array([dataset.n_items, 1])).to(device)
        named = per_user_metrics(official).items()
        self.metrics = {f"{name}@{k}": (metric, k) for k in cutoffs for name, metric in named}
        self.values = np.full((len(self.metrics), dataset.n_users), np.nan)
        self.first_rank = torch.full((self.n_items + 1,), NEVER, device=device)  # the last one is the empty place's
        self._waiting: list[tuple[np.ndarray, Tensor]] = []  # users and their hits, for which metrics are due

    def add(self, users: np.ndarray, top: Tensor) -> None:
        """Counts the lists `top` (int64 [b, m], best first, -1 for none) of `users` (int64 [b], each with truth)."""
        self._waiting.append((users, _hits(top, torch.from_numpy(users).to(self.device), self.known, self.n_items)))
        ranks = torch.arange(top.shape[1], device=self.device).expand_as(top)
        self.first_rank.scatter_reduce_(0, top.where(top >= 0, self.n_items).flatten(), ranks.flatten(), "amin")
        if sum(len(users) for users, _ in self._waiting) >= USERS_PER_METRIC:
            self._count()

    def _count(self) -> None:
        """The metrics of the waiting users: many small operations, so not for every few users."""
        if not self._waiting:
            return
        users, hits = np.concatenate([users for users, _ in self._waiting]), torch.cat([h for _, h in self._waiting])
        self._waiting.clear()
        totals = torch.from_numpy(self.n_positives[users]).to(self.device)
        values = torch.stack([metric(hits, totals, k) for metric, k in self.metrics.values()])
        self.values[:, users] = values.cpu().numpy()

    def result(self, users: np.ndarray) -> Evaluation:
        """The evaluation of `users`, in this order; their lists were added."""
        self._count()
        return Evaluation.of(
            dict(zip(self.metrics, self.values, strict=True)), users, self.first_rank[:-1].cpu().numpy()
        )


@torch.no_grad()
def _recommend(
    scores: Scores, batch: np.ndarray, ids: Tensor, n_items: int, k: int, masks: list[Split], ties: TieBreak
) -> Top:
    """[b, k]."""
    matrix = scores(ids)
    if matrix.shape != (len(batch), n_items):
        raise AugrecError(
            f"the model scored {tuple(matrix.shape)}, expected {(len(batch), n_items)} (users, items)",
            remedy="scores(users) must return one score per item of the data set",
        )
    matrix = writable(matrix.to(ids.device))
    places = [rows * n_items + items for rows, items in (masked_positions(batch, *mask) for mask in masks)]
    with masked(matrix, torch.from_numpy(np.concatenate([*places, np.empty(0, np.int64)])).to(ids.device)) as before:
        top = top_items(matrix, ids, k, ties)
    # NaN comes first in a list, so the matrix need not be searched.
    if top.values[:, 0].isnan().any() | before.isnan().any():
        refuse_nan(matrix, batch)
    return top


def refuse_nan(matrix: Tensor, batch: np.ndarray) -> None:
    """Raises the error that names the users whose scores [b, m] hold NaN."""
    bad = matrix.isnan().any(dim=1)
    raise AugrecError(
        f"the model's scores hold NaN for {int(bad.sum())} of {len(batch)} users",
        where=f"user {int(batch[int(bad.nonzero()[0, 0])])}",
        remedy="the training diverged: lower the learning rate, or check the features for NaN",
    )


def _hits(top: Tensor, users: Tensor, known: Tensor, n_items: int) -> Tensor:
    """bool [b, k]: which of the recommended items are in the truth, given as sorted user * n_items + item."""
    keys = users[:, None] * n_items + top
    found = torch.searchsorted(known, keys).clamp(max=len(known) - 1)
    return (known[found] == keys) & (top >= 0)


def hidden_splits(split: str, mask_train: bool, mask_valid_at_test: bool) -> list[str]:
    """The splits whose items are no candidates in an evaluation on `split`."""
    if split not in ("valid", "test"):
        raise ValueError(f"split is valid or test, not {split!r}")
    return ["train"] * mask_train + ["valid"] * (mask_valid_at_test and split == "test")
