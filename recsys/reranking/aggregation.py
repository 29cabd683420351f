"""A language model's word and a recommender's, put together per user (Llama4Rec, section 3.4).

Paper: "Integrating Large Language Models into Recommendation via Mutual Augmentation and Adaptive Aggregation"
(arXiv 2401.13870). Equations, for a user u with N_u training interactions:

    (4)  l_u = ln(N_u + 1)
    (5)  U = alpha_u U_LLM + (1 - alpha_u) U_Rec
    (6)  alpha_u = b1 max((l_max - l_u) / (l_max - l_min), b2)

so that alpha lies in [b1 b2, b1]: users with few interactions trust the language model most. The utility of an item in
place s of a list of k is -s (`linear`); a later project of the authors has 1 / s in the same place (`reciprocal`).

Deviations and what the paper leaves open: (6) is read as above, and `floor` is its other reading, max(b1 x, b2),
in which b2 bounds alpha itself; where all users are alike, alpha is b1; an item that the language model leaves out has
place k + 1; ties stand as the recommender has them; what the language model did not answer is the recommender's alone.
A pointwise judgement of a list has another scale than places: both sides are then stretched to [0, 1] within the list.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

Utility = Literal["linear", "reciprocal"]
Reading = Literal["scaled", "floor"]
UNIFORM = 0.5
"""The weight of everybody where it does not depend on the user: the paper's ablation."""


@dataclass(frozen=True)
class Weights:
    """How much the language model counts: by equation 6, or equally for all users.

    Attributes:
        b1: the most that it counts.
        b2: below which share of that it never falls, or with `floor` below which weight.
        reading: of equation 6.
        everybody: one weight for all users in place of (6); None for (6).
    """

    b1: float = 1.0
    b2: float = 0.0
    reading: Reading = "scaled"
    everybody: float | None = None

    def of(self, interactions: np.ndarray) -> np.ndarray:
        """alpha of every user, float64 [n], from the numbers of training interactions, int64 [n], of all users."""
        if self.everybody is not None:
            return np.full(len(interactions), float(self.everybody))
        logs = np.log(interactions + 1.0)
        spread = logs.max() - logs.min() if len(logs) else 0.0
        scaled = (logs.max() - logs) / spread if spread > 0 else np.ones(len(logs))
        if self.reading == "floor":
            return np.maximum(self.b1 * scaled, self.b2)
        return self.b1 * np.maximum(scaled, self.b2)


def of_places(places: np.ndarray, utility: Utility) -> np.ndarray:
    """The utility of places in a list, which count from 1 and may be means over several lists. NaN stays NaN."""
    return -places if utility == "linear" else 1.0 / places


def stretched(values: np.ndarray) -> np.ndarray:
    """Every row of float64 [n, k] stretched to [0, 1]; NaN stays NaN, and a row of equal values is all 0."""
    known = np.isfinite(values)
    low = np.where(known, values, np.inf).min(axis=1, keepdims=True, initial=np.inf)
    high = np.where(known, values, -np.inf).max(axis=1, keepdims=True, initial=-np.inf)
    spread = np.where(high > low, high - low, 1.0)
    return np.where(known, (values - np.where(np.isfinite(low), low, 0.0)) / spread, np.nan)


def combined(of_llm: np.ndarray, of_recommender: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Equation 5.

    Args:
        of_llm: float64 [n, k] or [n]; NaN where there is no answer, and the recommender's word alone counts.
        of_recommender: the same shape.
        alpha: float64 [n].
    """
    weight = alpha.reshape(-1, *[1] * (of_llm.ndim - 1))
    return np.where(np.isnan(of_llm), of_recommender, weight * of_llm + (1 - weight) * of_recommender)


@dataclass(frozen=True, eq=False)
class Judgement:
    """What somebody says of the first items of lists.

    Attributes:
        values: float64 [n, k], for each item of each list: its place from 1 with `places`, else a number of which
            more is better; NaN where nothing is said of it.
        places: whether the values are places.
    """

    values: np.ndarray
    places: bool

    def of(self, rows: np.ndarray) -> Judgement:
        """The judgement of some of the lists."""
        return Judgement(self.values[rows], self.places)


def reranked(items: np.ndarray, judged: Judgement, alpha: np.ndarray, utility: Utility) -> np.ndarray:
    """Lists whose first items are in the order of equation 5.

    Args:
        items: int64 [n, m], best first; -1 behind the end of a list.
        judged: of the first k <= m items.
        alpha: float64 [n].
        utility: of a place. Values that are no places are stretched, against stretched places of either form.

    Returns:
        int64 [n, m], each row a permutation of the row that was given.
    """
    size = judged.values.shape[1]
    here = items[:, :size] >= 0
    own = of_places(np.broadcast_to(np.arange(1.0, size + 1), here.shape), utility)
    if judged.places:
        theirs = of_places(judged.values, utility)
    else:
        own, theirs = stretched(np.where(here, own, np.nan)), stretched(np.where(here, judged.values, np.nan))
    total = np.where(here, combined(theirs, own, alpha), -np.inf)
    # Sums that differ by rounding alone are ties; a stable sort leaves those as the recommender has them.
    order = np.argsort(-np.round(total, 12), axis=1, kind="stable")
    return np.concatenate([np.take_along_axis(items[:, :size], order, axis=1), items[:, size:]], axis=1)
