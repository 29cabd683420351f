"""What every evaluation gives, of ranked lists, of the next item and of ratings: values per user, and their means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from augrec.artefacts.metrics import Metric
from recsys.evaluation.metrics.ranking import coverage


@dataclass(frozen=True)
class Evaluation:
    """The metrics of one model on one split; names are like "recall@20" and "rmse"."""

    per_user: dict[str, np.ndarray]
    """float64 [n_users] per metric, NaN for users without truth."""
    mean: dict[str, float]
    """Mean over the users with truth, and what has no value per user: "coverage@k", and errors pooled over all pairs.
    NaN when nobody has truth."""
    n_users: int
    """How many users were averaged."""
    first_rank: np.ndarray | None = None
    """int64 [n_items], the best rank (from 0) at which anyone is shown the item, `NEVER` for none; None where nothing
    is ranked."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """What has to be said beside the values, such as the range to which predictions were clipped."""

    @classmethod
    def of(cls, per_user: dict[str, np.ndarray], users: np.ndarray, first_rank: np.ndarray) -> Evaluation:
        """Adds the means over `users` (int64 [n], in order) to values per user, and the coverage at each of their k."""
        mean = means(per_user, users)
        for k in sorted({k for name in per_user if (k := Metric.parse(name).k)}):
            mean[f"coverage@{k}"] = coverage(torch.from_numpy(first_rank), k) if len(users) else float("nan")
        return cls(per_user, mean, len(users), first_rank)


def means(per_user: Mapping[str, np.ndarray], users: np.ndarray) -> dict[str, float]:
    """The mean of each metric over `users` int64 [n], added up in this order; NaN over nobody."""
    return {name: float(values[users].mean()) if len(users) else float("nan") for name, values in per_user.items()}
