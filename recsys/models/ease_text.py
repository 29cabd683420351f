"""EASE with text: items that read alike explain each other, and what a user's profile says explains its items.

Papers: Jeunen, Van Balen, Goethals, "Closed-Form Models for Collaborative Filtering with Side-Information", RecSys 2020
(collective EASE for the items; side information appended to X for the users); of one family with L3AE (CIKM 2025),
which brings language-model vectors of items into EASE.
Equations, items: `ease` with X^T X + alpha K in place of X^T X, where K_ij is the cosine of the vectors of items i and
j after their mean is subtracted. That is EASE on X with the rows sqrt(alpha) T below it, T [d, n_items] being the unit
vectors: B also has to rebuild each item's vector from those of other items.
Users: minimise |X - X B - P C|^2 + lambda (|B|^2 + |C|^2) with diag(B) = 0, where P [n_users, d] holds sqrt(profile)
times the unit vectors of the users' profiles after their mean is subtracted. With Q the inverse of
[X P]^T [X P] + lambda I (alpha K added to its upper left block), column j of B over C is -Q_j / Q_jj, and B_jj = 0.
score(u, .) = X_u B + P_u C. With the options `activity` and `diagonal` of `ease`, the product is [X P]^T V [X P] and
the divisor a power of Q_jj; `diagonal` 0 ranks as EASE among users with cosines of profiles added to X X^T.
Deviations: one B is solved for at once; `l3ae` first solves one for the text alone and then pulls B towards it. Several
modalities have the mean of their K. An item or user without a vector has zeros in T or P, and no part in the mean.
Cost: as `ease`, plus n_items^2 d for either, less where vectors are mostly zeros. Q is had by its Schur complement from
the inverse that has no P, which is kept between fits (see `KeptInverse`): trying other profiles, weights of them or
powers of the diagonal costs n_items^2 d alone.
Relations: alpha 0 and profile 0, or no profiles, is `ease`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from recsys.batches.base import Queries
from recsys.models.ease import ZeroDiagonalRidge
from recsys.models.parts.cosines import add_sparse_cosines, centred_unit_rows, is_sparse, side_by_side
from recsys.models.parts.definite_inverse import ROWS
from recsys.models.parts.item_item import incidence
from recsys.models.parts.modalities import modalities_of

if TYPE_CHECKING:
    import scipy.sparse as sp

    from recsys.augmentation import FeatureMatrix, SideInformation
    from recsys.data.dataset import Dataset
    from recsys.models.options.ease_text import EaseTextOptions


class EaseText(ZeroDiagonalRidge):
    """See the module, and `ZeroDiagonalRidge`.

    Args:
        alpha: weight of K.
        features: the item modalities, one row per item each; none is as `alpha` 0.
        profile: weight of the users' vectors.
        profiles: the users' vectors, one row per user each; none is as `profile` 0.
        activity, diagonal: see `ZeroDiagonalRidge`.

    Attributes:
        sparse: the modalities whose vectors are mostly zeros; their part of K is summed without them.
        share: the part that each modality has in K.
        vectors: float64 [n_items, d], T transposed, of the others.
        users: float32 [n_users, d], P.
        loadings: float32 [d, n_items], C.
    """

    vectors: Tensor
    users: Tensor
    loadings: Tensor

    def __init__(
        self,
        edges: np.ndarray,
        n_users: int,
        n_items: int,
        *,
        l2: float,
        alpha: float = 0.0,
        features: Iterable[FeatureMatrix] = (),
        profile: float = 0.0,
        profiles: Iterable[FeatureMatrix] = (),
        activity: float = 0.0,
        diagonal: float = 1.0,
    ) -> None:
        super().__init__(edges, n_users, n_items, l2, activity=activity, diagonal=diagonal)
        self.alpha = alpha
        features = list(features)
        self.sparse = [matrix for matrix in features if is_sparse(matrix)]
        self.share = 1 / max(len(features), 1)
        dense = [centred_unit_rows(matrix) for matrix in features if not is_sparse(matrix)]
        vectors = side_by_side(dense, n_items)
        if self.sparse:
            vectors *= (len(dense) * self.share) ** 0.5
        self.register_buffer("vectors", vectors, persistent=False)
        rows = map(centred_unit_rows, profiles if profile else ())
        users = profile**0.5 * side_by_side(rows, n_users)
        self.register_buffer("users", users.float(), persistent=False)
        self.register_buffer("loadings", torch.zeros(users.shape[1], n_items), persistent=users.shape[1] > 0)

    @classmethod
    def build(
        cls, dataset: Dataset, side: SideInformation, options: EaseTextOptions, generator: torch.Generator
    ) -> EaseText:
        """See `recsys.models.build`.

        Raises:
            DataError: `alpha` is above 0 and there are no item features, or there is not one row of features per item
                or user.
        """
        features = modalities_of(options.family, side, options) if options.alpha else {}
        side.check(dataset.n_users, dataset.n_items)
        return cls(
            dataset.train,
            dataset.n_users,
            dataset.n_items,
            l2=options.l2,
            alpha=options.alpha,
            features=features.values(),
            profile=options.profile,
            profiles=side.user.values(),
            activity=options.activity,
            diagonal=options.diagonal,
        )

    @torch.no_grad()
    def compute(self, dataset: Dataset) -> None:
        """See `ClosedFormRecommender.compute`."""
        x = incidence(dataset)
        inverse = KEPT.of(self._identity(x), lambda: self.inverse(x))
        if not len(self.loadings):
            self.weigh(inverse)
            return
        p = self.users.double()
        counted = torch.from_numpy(self.importance(x) @ p.cpu().numpy()).to(p) if self.activity else p  # V P
        across = torch.from_numpy(x.T @ counted.cpu().numpy()).to(p)  # X^T V P
        spread = inverse @ across
        schur = p.T @ counted - across.T @ spread
        schur.diagonal().add_(self.l2)
        root = torch.linalg.cholesky(schur)
        half = torch.linalg.solve_triangular(root, spread.T, upper=False)  # half^T half joins the inverse, to make Q
        scale = (inverse.diagonal() + half.square().sum(dim=0)).pow(self.diagonal)
        for start in range(0, self.n_items, ROWS):
            part = slice(start, start + ROWS)
            rows = torch.addmm(inverse[part], half[:, part].T, half)
            self.weights[part] = rows.div_(-scale).to(self.weights)
        self.weights.fill_diagonal_(0.0)
        self.loadings.copy_(torch.linalg.solve_triangular(root.T, half, upper=True) / scale)

    def _identity(self, x: sp.csr_array) -> str:
        """Of all that the inverse without P is made of."""
        about = hashlib.blake2b(
            f"{x.shape} {self.l2!r} {self.alpha!r} {self.activity!r} {self.weights.device}".encode()
        )
        given = [part for matrix in self.sparse for part in (matrix.values, matrix.index, matrix.mask)]
        text = (self.vectors.cpu().numpy(), *given) if self.alpha else ()
        for array in (x.indptr, x.indices, x.data, *text):
            about.update(np.ascontiguousarray(array).data)
        return about.hexdigest()

    def regularise(self, gram: Tensor) -> None:
        """See `ZeroDiagonalRidge.regularise`."""
        super().regularise(gram)
        vectors = self.vectors.to(gram)
        gram.addmm_(vectors, vectors.T, alpha=self.alpha)
        for matrix in self.sparse:
            add_sparse_cosines(gram, matrix, self.alpha * self.share, centred=True)

    def scores(self, queries: Queries) -> Tensor:
        """See `Recommender.scores`. A user without training items has the scores of its profile alone."""
        scores = super().scores(queries)
        return scores.addmm_(self.users[queries.users], self.loadings) if len(self.loadings) else scores


class KeptInverse:
    """The last inverse, for the next fit of the same interactions: a search tries many profiles on them.

    It occupies 8 n_items^2 bytes until another takes its place or the process ends.
    """

    def __init__(self) -> None:
        self._identity: str | None = None
        self._inverse = torch.empty(0)

    def of(self, identity: str, compute: Callable[[], Tensor]) -> Tensor:
        """The inverse of this identity, which nobody may change."""
        if identity != self._identity:
            self._identity, self._inverse = None, torch.empty(0)  # gives its memory to the next one
            self._inverse = compute()
            self._identity = identity
        return self._inverse


KEPT = KeptInverse()
