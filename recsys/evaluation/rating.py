"""Evaluation of predicted ratings: the errors of a split's ratings, per user and over all pairs.

`rmse` and `mae` are the user's own root mean squared and mean absolute error; their means are means over users, in
which everybody counts the same, and they are what is tested for differences between models. `pooled_rmse` and
`pooled_mae` are over all pairs, in which users with many ratings count more: the RMSE and MAE of most papers. They have
no value per user.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from augrec.artefacts.errors import AugrecError
from recsys.data.dataset import Dataset
from recsys.data.ratings import known_ratings
from recsys.evaluation.result import Evaluation, means

Rate = Callable[[Tensor], Tensor]
PAIRS_PER_CHUNK = 2**16


@torch.no_grad()
def evaluate_ratings(
    rate: Rate,
    dataset: Dataset,
    split: str,
    *,
    clip: bool = False,
    chunk: int | None = None,
    device: torch.device | str = "cpu",
) -> Evaluation:
    """Predicts the ratings of a split and gives their errors, in float64.

    Users without a rating in the split are left out: NaN, and no part of the means.

    Args:
        rate: pairs int64 [b, 2] (user, item) -> predictions [b], called once per chunk.
        dataset: with ratings.
        split: "valid" or "test".
        clip: whether predictions are cut to the range of the training ratings; `settings` of the result says so.
        chunk: pairs per call; a matter of memory only, the result is the same. None chooses.
        device: where the pairs handed to `rate` lie.

    Raises:
        DataError: the data have no ratings, or an interaction has none.
        AugrecError: a prediction is not finite, or their number is not that of the pairs.
    """
    if split not in ("valid", "test"):
        raise ValueError(f"split is valid or test, not {split!r}")
    pairs, ratings = dataset.pairs(split), known_ratings(dataset, split).astype(np.float64)
    limits = rating_range(dataset) if clip else None
    errors = np.empty(len(pairs))
    chunk = chunk or PAIRS_PER_CHUNK
    for start in range(0, len(pairs), chunk):
        rows = slice(start, start + chunk)
        predicted = _predicted(rate, pairs[rows], device)
        errors[rows] = (predicted if limits is None else predicted.clip(*limits)) - ratings[rows]
    return _evaluation(errors, pairs[:, 0], dataset.n_users, limits)


def _evaluation(errors: np.ndarray, users: np.ndarray, n_users: int, limits: tuple[float, float] | None) -> Evaluation:
    """The metrics of `errors` float64 [m] of these `users` int64 [m]."""
    counts = np.bincount(users, minlength=n_users)
    squares, sizes = errors**2, np.abs(errors)
    with np.errstate(invalid="ignore"):  # 0 / 0 is NaN: nobody's error
        per_user = {
            "rmse": np.sqrt(np.bincount(users, squares, n_users) / counts),
            "mae": np.bincount(users, sizes, n_users) / counts,
        }
    judged = np.flatnonzero(counts)
    nothing = float("nan")
    pooled = {
        "pooled_rmse": float(np.sqrt(squares.mean())) if len(errors) else nothing,
        "pooled_mae": float(sizes.mean()) if len(errors) else nothing,
    }
    settings = {"clipped_to": None if limits is None else list(limits)}
    return Evaluation(per_user, means(per_user, judged) | pooled, len(judged), settings=settings)


def _predicted(rate: Rate, pairs: np.ndarray, device: torch.device | str) -> np.ndarray:
    """float64 [b], finite."""
    values = rate(torch.from_numpy(pairs).to(device))
    if values.shape != (len(pairs),):
        raise AugrecError(
            f"the model rated {tuple(values.shape)}, expected {(len(pairs),)}",
            remedy="rate(pairs) must return one number per pair of user and item",
        )
    predicted = values.double().cpu().numpy()
    bad = ~np.isfinite(predicted)
    if bad.any():
        user, item = pairs[np.argmax(bad)].tolist()
        raise AugrecError(
            f"the model's ratings are not finite for {int(bad.sum())} of {len(pairs)} pairs",
            where=f"user {user}, item {item}",
            remedy="the training diverged: lower the learning rate, or check the features for NaN",
        )
    return predicted


def rating_range(dataset: Dataset) -> tuple[float, float]:
    """The lowest and the highest rating of the training interactions."""
    ratings = known_ratings(dataset, "train").astype(np.float64)
    return float(ratings.min(initial=np.inf)), float(ratings.max(initial=-np.inf))
