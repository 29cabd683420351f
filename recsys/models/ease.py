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
Deviations: none at the defaults. The inverse is taken by Cholesky, of more than 10,000 items by tiles. On the CPU, from
2,048 items on, in float32 and in the memory of B, and in float64 where a product with vectors shows that float32 does
not do (see `ZeroDiagonalRidge`); else in float64. Scores are float32.
Cost: time n_items^3. Memory 4 n_items^2 bytes (10,000 items: 0.4 GB) in float32, and 8,192 n_items beside them where it
goes by tiles; in float64 at the peak 2 matrices of n_items^2 (1.6 GB; 3 of them on a GPU) beside the one of float32
that is kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

from augrec.artefacts.errors import AugrecError
from recsys.models.parts.definite_inverse import ROWS, inverted
from recsys.models.parts.item_item import ItemItem, incidence

if TYPE_CHECKING:
    from recsys.augmentation import SideInformation
    from recsys.data.dataset import Dataset
    from recsys.models.options.ease import EaseOptions

BYTES_PER_PAIR = 3 * 8 + 4  # in float64; float32 needs B alone
SINGLE = 2048  # items from which float32 is tried: fewer are inverted in float64 within a second
PROBES = 8  # vectors that P (X^T X + lambda I) has to leave as they are
OFF = 1e-3  # of a probe's deviation, by which an entry may move; float32 gives 1e-5 where lambda is of use


class ZeroDiagonalRidge(ItemItem):
    """Item-item weights learned by ridge regression with a zero diagonal; see `ItemItem`.

    float32 keeps as many digits of P as the matrix is well conditioned. Whether they are enough is not guessed: random
    vectors are multiplied by the matrix before, and by P after, and have to come back.

    Args:
        l2: lambda.
        activity, diagonal: a and g of the module.
        bytes_per_pair: see `ItemItem`.
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
        bytes_per_pair: int = BYTES_PER_PAIR,
    ) -> None:
        super().__init__(edges, n_users, n_items, bytes_per_pair=bytes_per_pair)
        self.l2, self.activity, self.diagonal = l2, activity, diagonal

    @torch.no_grad()
    def compute(self, dataset: Dataset) -> None:
        """See `ClosedFormRecommender.compute`."""
        x = incidence(dataset)
        if not self.weights.is_cuda and self.n_items >= SINGLE and self.inverted_in_place(x):
            self.weigh(self.weights)
            return
        self.require(BYTES_PER_PAIR * self.n_items**2)
        self.weigh(self.inverse(x))

    def weigh(self, inverse: Tensor) -> None:
        """B from P [n_items, n_items]: float64, which is left as it is, or `weights` itself."""
        scale = -inverse.diagonal().pow(self.diagonal)
        for start in range(0, self.n_items, ROWS):
            part = slice(start, start + ROWS)
            torch.div(inverse[part], scale, out=self.weights[part])
        self.weights.fill_diagonal_(0.0)

    def inverted_in_place(self, x: sp.csr_array) -> bool:
        """Makes `weights` P in float32; False where P is off, or the matrix not positive definite in float32."""
        by_item, rows = sp.csr_array(x.T), self.weighed(x)
        for start in range(0, self.n_items, ROWS):
            part = slice(start, start + ROWS)
            self.weights[part] = torch.from_numpy((by_item[part] @ rows).toarray())
        self.regularise(self.weights)
        probes = torch.randn(self.n_items, PROBES, generator=torch.Generator().manual_seed(0))
        images = self.weights @ probes
        try:
            inverted(self.weights)
        except ArithmeticError:
            return False
        off = (self.weights @ images).sub_(probes).square_().mean(dim=1).sqrt_()  # of each row, as the probes' are 1
        return bool(off.max() <= OFF)  # NaN is off

    def weighed(self, x: sp.csr_array) -> sp.csr_array:
        """V X."""
        return sp.csr_array(self.importance(x) @ x) if self.activity else x

    def importance(self, x: sp.csr_array) -> sp.dia_array:
        """V, float64 [n_users, n_users]: how much each user's row counts."""
        lengths = np.asarray(x.sum(axis=1)).ravel()
        each = np.maximum(lengths, 1.0) ** -self.activity
        return sp.diags_array(each * (lengths.sum() / (each @ lengths)))

    def inverse(self, x: sp.csr_array) -> Tensor:
        """(X^T V X + what keeps B small)^-1, float64 [n_items, n_items] on the model's device."""
        try:
            gram = torch.from_numpy((sp.csr_array(x.T) @ self.weighed(x)).toarray()).to(self.weights.device)
            self.regularise(gram)
            return inverted(gram)
        except (MemoryError, RuntimeError, ArithmeticError) as error:
            raise AugrecError(
                f"EASE could not invert a {self.n_items} x {self.n_items} matrix ({error})",
                remedy=f"it needs about {BYTES_PER_PAIR} n_items^2 bytes: raise dataset.k_core, or leave it out",
            ) from error

    def regularise(self, gram: Tensor) -> None:
        """Adds to X^T V X ([n_items, n_items], in place) what keeps B small."""
        gram.diagonal().add_(self.l2)


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
            bytes_per_pair=4,
        )
