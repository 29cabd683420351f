"""EASE: a linear item-item model in closed form.

Paper: Harald Steck, "Embarrassingly Shallow Autoencoders for Sparse Data", WWW 2019.
Equations: minimise |X - X B|^2 + lambda |B|^2 with diag(B) = 0 over the binary X [n_users, n_items]. With
P = (X^T X + lambda I)^-1 (equation 8): B_ij = -P_ij / P_jj off the diagonal. score(u, .) = X_u B.
Options beyond the paper, off by default. `activity` a: X^T V X in place of X^T X, where user u's row weighs V_uu ~
max(|X_u|, 1)^-a, at 1 for the average interaction (the users' side of the normalisation that Park et al., "Why is
Normalization Necessary for Linear Recommenders?", SIGIR 2025, found to matter; there X's items are scaled as well).
`diagonal` g: B_ij = -P_ij / P_jj^g. Ridge regression without a constraint has the scores X P X^T X = X - lambda X P,
and EASE among users in place of items, C X with C_uv = -Q_uv / Q_uu and Q = (X X^T + lambda I)^-1, has X_u - (X P)_u /
Q_uu: among the items that a user does not have both rank as -X P. So g = 0 is either of them, and g = 1 is EASE.
Deviations: none at the defaults. The inverse is taken in float64 by Cholesky; scores are float32.
Cost: time n_items^3, and at the peak 2 matrices of n_items^2 float64 (10,000 items: 1.6 GB; 3 of them on a GPU) beside
the one of float32 that is kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse as sp
import torch
from scipy.linalg import lapack
from torch import Tensor

from augrec.artefacts.errors import AugrecError
from recsys.models.parts.item_item import ItemItem, incidence

if TYPE_CHECKING:
    from recsys.augmentation import SideInformation
    from recsys.data.dataset import Dataset
    from recsys.models.options.ease import EaseOptions

BYTES_PER_PAIR = 3 * 8 + 4
FEWEST_ALONE = 0.1  # share of rows with nothing beside the diagonal from which it pays to leave them out
ROWS = 1024  # of a matrix of n_items^2, worked on at a time


class ZeroDiagonalRidge(ItemItem):
    """Item-item weights learned by ridge regression with a zero diagonal; see `ItemItem`.

    Args:
        l2: lambda.
        activity, diagonal: a and g of the module.
    """

    def __init__(
        self,
        edges: np.ndarray,
        n_users: int,
        n_items: int,
        l2: float,
        *,
        activity: float = 0.0,
        diagonal: float = 1.0,
    ) -> None:
        super().__init__(edges, n_users, n_items, bytes_per_pair=BYTES_PER_PAIR)
        self.l2, self.activity, self.diagonal = l2, activity, diagonal

    @torch.no_grad()
    def compute(self, dataset: Dataset) -> None:
        """See `ClosedFormRecommender.compute`."""
        self.weigh(self.inverse(incidence(dataset)))

    def weigh(self, inverse: Tensor) -> None:
        """B from P, float64 [n_items, n_items], which is left as it is."""
        scale = -inverse.diagonal().pow(self.diagonal)
        for start in range(0, self.n_items, ROWS):
            part = slice(start, start + ROWS)
            self.weights[part] = inverse[part].div(scale).to(self.weights)
        self.weights.fill_diagonal_(0.0)

    def importance(self, x: sp.csr_array) -> sp.dia_array:
        """V, float64 [n_users, n_users]: how much each user's row counts."""
        lengths = np.asarray(x.sum(axis=1)).ravel()
        each = np.maximum(lengths, 1.0) ** -self.activity
        return sp.diags_array(each * (lengths.sum() / (each @ lengths)))

    def inverse(self, x: sp.csr_array) -> Tensor:
        """(X^T V X + what keeps B small)^-1, float64 [n_items, n_items] on the model's device."""
        try:
            rows = self.importance(x) @ x if self.activity else x
            gram = torch.from_numpy((x.T @ rows).toarray()).to(self.weights.device)
            self.regularise(gram)
            return inverted(gram)
        except (MemoryError, RuntimeError, ArithmeticError) as error:
            raise AugrecError(
                f"EASE could not invert a {self.n_items} x {self.n_items} matrix ({error})",
                remedy=f"it needs about {BYTES_PER_PAIR} n_items^2 bytes: raise dataset.k_core, or leave it out",
            ) from error

    def regularise(self, gram: Tensor) -> None:
        """Adds to X^T V X (float64 [n_items, n_items], in place) what keeps B small."""
        gram.diagonal().add_(self.l2)


def inverted(matrix: Tensor) -> Tensor:
    """The inverse of a symmetric, positive definite float64 matrix, which is overwritten on the CPU.

    There LAPACK works in place, in a third of the time that torch takes for its copies. Rows with nothing beside the
    diagonal, such as those of items without training interactions, are inverted by themselves.

    Raises:
        RuntimeError or ArithmeticError: the matrix is not positive definite.
    """
    alone = (matrix.count_nonzero(dim=1) == 1) & (matrix.diagonal() > 0)
    if FEWEST_ALONE * len(matrix) <= alone.sum() < len(matrix):
        met = (~alone).nonzero().ravel()
        block = matrix.index_select(0, met).index_select(1, met)
        result = matrix.diagonal().reciprocal().diag()
        result[met[:, None], met] = inverted(block)
        return result
    if matrix.is_cuda:
        return torch.cholesky_inverse(torch.linalg.cholesky(matrix))
    columns = matrix.numpy().T  # the same matrix, in LAPACK's order
    factor, failed = lapack.dpotrf(columns, lower=1, clean=0, overwrite_a=1)
    if not failed:
        columns, failed = lapack.dpotri(factor, lower=1, overwrite_c=1)
    if failed:
        raise ArithmeticError(f"LAPACK stopped at column {failed}: not positive definite")
    result = torch.from_numpy(columns.T)
    for start in range(0, len(result), ROWS):  # the half that LAPACK left alone
        part = slice(start, start + ROWS)
        own = result[part, part].triu()
        result[part, part] = own + own.triu(1).T
        result[start + ROWS :, part] = result[part, start + ROWS :].T
    return result


class Ease(ZeroDiagonalRidge):
    """See the module."""

    @classmethod
    def build(cls, dataset: Dataset, side: SideInformation, options: EaseOptions, generator: torch.Generator) -> Ease:
        """See `recsys.models.build`."""
        return cls(
            dataset.train,
            dataset.n_users,
            dataset.n_items,
            options.l2,
            activity=options.activity,
            diagonal=options.diagonal,
        )
