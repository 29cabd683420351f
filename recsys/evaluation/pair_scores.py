"""What a trained model says of single pairs of user and item, whatever it is judged by."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from augrec.artefacts.errors import AugrecError
from recsys.batches.base import Queries
from recsys.evaluation.ranking import default_chunk
from recsys.evaluation.rating import PAIRS_PER_CHUNK
from recsys.options import Judged

if TYPE_CHECKING:
    from recsys.models.base import Recommender


@torch.no_grad()
def pair_scores(recommender: Recommender, judged: Judged, pairs: np.ndarray, n_items: int) -> np.ndarray:
    """float32 [m]: the score, or the predicted rating, of each of `pairs` int64 [m, 2] of (user, item).

    What is known of a user is the training interactions alone.

    Raises:
        AugrecError: one of them is no finite number.
    """
    scores = np.empty(len(pairs), dtype=np.float32)
    for rows, values in _scored(recommender, judged, pairs, n_items):
        scores[rows] = values.float().cpu().numpy()
    bad = ~np.isfinite(scores)
    if bad.any():
        user, item = pairs[np.argmax(bad)].tolist()
        raise AugrecError(
            f"the base model's scores are not finite for {int(bad.sum())} of {len(pairs)} pairs",
            where=f"user {user}, item {item}",
            remedy="its training diverged: lower its learning rate",
        )
    return scores


def _scored(
    recommender: Recommender, judged: Judged, pairs: np.ndarray, n_items: int
) -> Iterator[tuple[np.ndarray, Tensor]]:
    """Rows and their scores, some at a time."""
    if judged is Judged.RATING:
        for rows in np.split(np.arange(len(pairs)), range(PAIRS_PER_CHUNK, len(pairs), PAIRS_PER_CHUNK)):
            yield rows, recommender.rate(torch.from_numpy(pairs[rows]))
        return
    users, place = np.unique(pairs[:, 0], return_inverse=True)
    order = np.argsort(place, kind="stable")
    chunk = default_chunk(n_items)
    for start in range(0, len(users), chunk):
        batch = users[start : start + chunk]
        rows = order[slice(*np.searchsorted(place[order], [start, start + len(batch)]))]
        matrix = recommender.scores(Queries(torch.from_numpy(batch), "valid"))
        yield rows, matrix[torch.from_numpy(place[rows] - start), torch.from_numpy(pairs[rows, 1])]


def rating_scorer(recommender: Recommender, n_items: int) -> Callable[[Tensor], Tensor]:
    """A scorer of all items, users int64 [b] -> float32 [b, n_items], from the ratings that a model predicts."""
    every = torch.arange(n_items)

    def scores(users: Tensor) -> Tensor:
        pairs = torch.cartesian_prod(users, every)
        parts = [recommender.rate(part) for part in pairs.split(PAIRS_PER_CHUNK)]
        return torch.cat(parts).view(len(users), n_items)

    return scores
