"""Vectors of users and items that are made of training interactions alone, for the place of a text's vectors.

They answer whether a model needs the text, or whether any good vectors would do: what the text is compared with knows
nothing that the model does not know already. HetRec (CIKM 2026) puts the vectors of Item2Vec and BERT4Rec there, and
claims that those of a language model are not needed.
Equations: R = D_u^-1/2 X D_i^-1/2 with the binary X [n_users, n_items] of the training interactions and the degrees
D of users and items; R is nearly U S V^T with as many singular values as the text's vectors have numbers, or 512. A
user has its row of U S, an item its row of V S: their inner products are those of R R^T and R^T R, as nearly as can be.
The factors are had by subspace iteration from a random sketch (Halko, Martinsson and Tropp, SIAM Review 2011), whose
draw is always the same: nothing here depends on a training's seed.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import scipy.sparse as sp

from augrec.artefacts.tasks import About
from recsys.augmentation import FeatureMatrix
from recsys.data.dataset import Dataset

SKETCH_SEED = 0
MOST = 512
"""Numbers of a vector that are not zero; texts as words have thousands."""
SPARE, ROUNDS = 32, 4  # further columns of the sketch, and how often it is sharpened
NOTHING = 1e-9  # of the longest vector: what rounding leaves of one that is zero


class Factors(NamedTuple):
    """U S [n_users, k] and V S [n_items, k], float64, the largest singular value first."""

    user: np.ndarray
    item: np.ndarray


class InteractionVectors:
    """The vectors of one data set; factors of one width are computed once.

    Args:
        dataset: of which only the training interactions are read.
    """

    def __init__(self, dataset: Dataset) -> None:
        self._matrix = normalised_interactions(dataset)
        self._factors: dict[int, Factors] = {}

    def like(self, text: FeatureMatrix, about: About) -> FeatureMatrix:
        """Vectors as wide as a text's, each of the mean length of the text's.

        A row has one where the text has one and there is a training interaction. The last columns are zeros where a
        text's vectors have more numbers than there are users or items, or than `MOST`.

        Args:
            text: the vectors in whose place they stand.
            about: whether its rows are users or items.
        """
        width = min(text.dim, MOST)
        if width not in self._factors:
            self._factors[width] = factors(self._matrix, width)
        own: np.ndarray = getattr(self._factors[width], about)
        length = np.linalg.norm(own, axis=1, keepdims=True)
        there = text.mask & (length[:, 0] > NOTHING * length.max())
        mean = np.linalg.norm(text.dense()[text.mask], axis=1).mean() if text.mask.any() else 1.0
        dense = np.zeros((text.rows, text.dim))
        np.divide(own * mean, length, out=dense[:, : own.shape[1]], where=there[:, None])
        return FeatureMatrix.from_dense(dense, missing=np.flatnonzero(~there))


def normalised_interactions(dataset: Dataset) -> sp.csr_array:
    """R [n_users, n_items], float64: 1 / sqrt(d_u d_i) at each training interaction."""
    users, items = dataset.train.T
    values = (np.bincount(users)[users] * np.bincount(items)[items]).astype(np.float64) ** -0.5
    return sp.coo_array((values, (users, items)), shape=(dataset.n_users, dataset.n_items)).tocsr()


def factors(matrix: sp.csr_array, width: int) -> Factors:
    """The leading factors of a sparse matrix, of `width` columns or as many as it has rows and columns.

    The largest number of every column of V is positive, so that the sign is no accident.
    """
    kept = min(width, *matrix.shape)
    sketch = min(kept + SPARE, *matrix.shape)
    basis = np.random.default_rng(SKETCH_SEED).standard_normal((matrix.shape[1], sketch))
    left = _orthonormal(matrix @ basis)
    for _ in range(ROUNDS):
        left = _orthonormal(matrix @ _orthonormal(matrix.T @ left))
    within, values, right = np.linalg.svd((matrix.T @ left).T, full_matrices=False)
    item = right[:kept].T * values[:kept]
    largest = np.take_along_axis(item, np.abs(item).argmax(axis=0)[None], axis=0)
    sign = np.where(largest < 0, -1.0, 1.0)
    return Factors((left @ within)[:, :kept] * values[:kept] * sign, item * sign)


def _orthonormal(columns: np.ndarray) -> np.ndarray:
    return np.linalg.qr(columns)[0]
