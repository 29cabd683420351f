"""AlphaRec: the vectors of items' texts, mapped by a network and smoothed over the user-item graph.

Paper: Sheng et al., "Language Representations Can be What Recommenders Need: Findings and Potentials", ICLR 2025.
Equations: with t_i the vector of item i's text, t_u the mean of t_i over the user's training items, and one network m
with a hidden layer and LeakyReLU for both: E_0 = m(t), E = mean of the layers of LightGCN from E_0, and
score(u, i) = cos(e_u, e_i).
Loss of a pair (u, p): InfoNCE with negatives n_1 .. n_k that u has not in training,
    -ln( exp(cos(e_u, e_p) / t) / (exp(cos(e_u, e_p) / t) + sum over k of exp(cos(e_u, e_n_k) / t)) ).
Deviations: several modalities are read side by side. An item without a text, and a user none of whose items has one,
start from zeros, and have what their neighbours give them. Negatives are drawn in the step, not in workers; a batch's
own negative is not read. The authors' weight decay is an option of the training (`training.weight_decay`).
Relations: free embeddings in the place of m(t) are LightGCN's. `text_cosine` with `user: history` is t alone.
Cost: of m for all users and items in each step, and of `negatives` inner products for each triplet.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse as sp
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recsys.batches.triplets import Triplets
from recsys.batches.unowned import UnownedItems
from recsys.gather import lookup
from recsys.graph.smoothing import SmoothingGraph
from recsys.linear_layer import xavier_linear
from recsys.models.base import EmbeddingRecommender, Fitted, Newcomer
from recsys.models.parts.inner_products import inner_products
from recsys.models.parts.modalities import modalities_of

if TYPE_CHECKING:
    from recsys.augmentation import FeatureMatrix, SideInformation
    from recsys.data.dataset import Dataset
    from recsys.models.options.alpharec import AlphaRecOptions
    from recsys.training.job import FitJob


class AlphaRec(EmbeddingRecommender):
    """See the module.

    Args:
        edges: int64 [m, 2] of training (user, item) pairs.
        n_users, n_items: the sizes.
        features: of the items, one row each; at least one.
        options: of the family.
        generator: draws the network, its hidden layer first.

    Attributes:
        user_text, item_text: float32 [n, d], t; zeros where there is none.
        draw: for the negatives of a step; in a training, one of the job's.
    """

    user_text: Tensor
    item_text: Tensor

    def __init__(
        self,
        edges: np.ndarray,
        n_users: int,
        n_items: int,
        features: Sequence[FeatureMatrix],
        options: AlphaRecOptions,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.options, self.embedding_dim = options, options.dim
        items = np.concatenate([matrix.dense() for matrix in features], axis=1)
        owners = [_means(edges, n_users, matrix) for matrix in features]
        self.register_buffer("item_text", torch.from_numpy(items), persistent=False)
        self.register_buffer("user_text", torch.from_numpy(np.concatenate(owners, axis=1)), persistent=False)
        width = self.item_text.shape[1]
        hidden = options.hidden or max(width // 2, 1)
        self.network = nn.Sequential(
            xavier_linear(width, hidden, generator), nn.LeakyReLU(), xavier_linear(hidden, options.dim, generator)
        )
        self.graph = SmoothingGraph(edges, n_users, n_items)
        self.unowned = UnownedItems(edges, n_users, n_items)
        self.draw = torch.Generator()

    @classmethod
    def build(
        cls, dataset: Dataset, side: SideInformation, options: AlphaRecOptions, generator: torch.Generator
    ) -> AlphaRec:
        """See `recsys.models.build`.

        Raises:
            DataError: there are no item features, or not one row of them per item.
        """
        features = modalities_of(options.family, side, options)
        side.check(dataset.n_users, dataset.n_items)
        return cls(dataset.train, dataset.n_users, dataset.n_items, list(features.values()), options, generator)

    @property
    def inductive(self) -> frozenset[Newcomer]:
        """See `Recommender.inductive`: items, whose text the network maps and whom no neighbour smooths."""
        return frozenset({"item"})

    def forward(self) -> tuple[Tensor, Tensor]:
        """See `EmbeddingRecommender.forward`: at length 1, so that inner products are cosines."""
        users, items = self.graph(self._mapped(self.user_text), self._mapped(self.item_text), self.options.layers)
        return F.normalize(users.float()), F.normalize(items.float())

    def _mapped(self, texts: Tensor) -> Tensor:
        return self.network(texts) * texts.any(dim=1, keepdim=True)

    def loss(self, batch: Triplets) -> dict[str, Tensor]:
        """The term `info_nce`, a mean over the batch; see `TrainedRecommender.loss`."""
        users, items = self()
        user = lookup(users, batch.user)
        right = (user * lookup(items, batch.positive)).sum(dim=1, keepdim=True)
        wrong = inner_products(user, items, self.negatives(batch.user))
        logits = torch.cat([right, wrong], dim=1) / self.options.temperature
        return {"info_nce": (logits.logsumexp(dim=1) - logits[:, 0]).mean()}

    def negatives(self, user: Tensor) -> Tensor:
        """int64 [b, negatives]. One number is drawn from `draw`, however many rows a process has of a batch."""
        seed = torch.randint(2**62, (1,), generator=self.draw, device=self.draw.device)
        generator = torch.Generator(user.device).manual_seed(int(seed))
        return self.unowned.draw(user[:, None].expand(-1, self.options.negatives), generator)

    def fit(self, job: FitJob) -> Fitted:
        """See `Recommender.fit`."""
        self.draw = job.generator("negatives", "cpu")
        return super().fit(job)


def _means(edges: np.ndarray, n_users: int, matrix: FeatureMatrix) -> np.ndarray:
    """float32 [n_users, d]: the mean vector of each user's items that have one; zeros where none has."""
    told = edges[matrix.mask[edges[:, 1]]]
    owned = sp.coo_array((np.ones(len(told)), told.T), shape=(n_users, matrix.rows)).tocsr()
    count = np.bincount(told[:, 0], minlength=n_users)[:, None]
    return np.asarray(owned @ matrix.dense().astype(np.float64) / np.maximum(count, 1), dtype=np.float32)
