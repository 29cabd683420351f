"""A graph model with text: LightGCN from free embeddings plus projected text, trained to tell an item from the batch's.

Papers: He et al., "LightGCN", SIGIR 2020 (propagation); Wu et al., "On the Effectiveness of Sampled Softmax Loss for
Item Recommendation", TOIS 2024 (the loss, with the items of a batch as negatives); that a linear map of texts serves as
the first layer is a finding of Sheng et al., ICLR 2025 (AlphaRec).
Equations: with T the vectors of the items' texts and W learned, E_0 = E + T W for items, likewise for users that have
texts; E_L = mean of the layers of LightGCN from E_0; score(u, i) = cos(e_u, e_i).
Loss of a pair (u, p), over the distinct items J of the batch: -ln( exp(cos(e_u, e_p) / t) / sum over j in J of
exp(cos(e_u, e_j) / t) ). Other items that u has in training are among J, as in the paper's in-batch form.
Words as vectors (`embedding.model: tfidf`) make of T W a layer of word nodes: the row of W is the word's embedding, and
an item receives those of its words. Vectors that are mostly zeros are multiplied as sparse.
Deviations: no correction by an item's frequency in batches; several modalities are added; dense vectors are centred and
of length 1. The negative of a triplet is not read.
Relations: without text, and with BPR in the place of the softmax, `lightgcn`; without E, and with two layers over T,
`alpharec`. In several processes the negatives are those of a process's share.
Cost: as `lightgcn`, plus the projection and b |J| inner products in each step of b triplets.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recsys.batches.triplets import Triplets
from recsys.gather import lookup
from recsys.graph.reach import Reach
from recsys.graph.smoothing import SmoothingGraph
from recsys.graph.sparse_operator import Operator
from recsys.models.base import EmbeddingRecommender, embedding_table
from recsys.models.parts.cosines import centred_unit_rows, is_sparse, sparse_rows
from recsys.models.parts.modalities import modalities_of, module_name

if TYPE_CHECKING:
    from recsys.augmentation import FeatureMatrix, SideInformation
    from recsys.data.dataset import Dataset
    from recsys.models.options.text_gcn import TextGcnOptions


class Projection(nn.Module):
    """T W for one feature matrix.

    Args:
        matrix: T, n rows; a row that is missing gives zeros.
        dim: columns of W.
        generator: draws W.

    Attributes:
        weight: W, [terms or dimensions, dim].
    """

    vectors: Tensor

    def __init__(self, matrix: FeatureMatrix, dim: int, generator: torch.Generator) -> None:
        super().__init__()
        self.weight = embedding_table(matrix.dim, dim, generator)
        self.words = Operator(sparse_rows(matrix)) if is_sparse(matrix) else None
        dense = torch.zeros(0) if self.words is not None else centred_unit_rows(matrix).float()
        self.register_buffer("vectors", dense, persistent=False)

    def forward(self) -> Tensor:
        """[n, dim]."""
        return self.vectors @ self.weight if self.words is None else self.words(self.weight)


class TextGcn(EmbeddingRecommender):
    """See the module.

    Args:
        edges: int64 [m, 2] of training (user, item) pairs.
        n_users, n_items: the sizes.
        user_text, item_text: features by name, a row per user or item each; there may be none.
        dim, layers, temperature: see `TextGcnOptions`.
        generator: draws the embeddings, users' first, then the projections.
    """

    def __init__(
        self,
        edges: np.ndarray,
        n_users: int,
        n_items: int,
        *,
        user_text: Mapping[str, FeatureMatrix],
        item_text: Mapping[str, FeatureMatrix],
        dim: int,
        layers: int,
        temperature: float,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.embedding_dim, self.layers, self.temperature = dim, layers, temperature
        self.user_embedding = embedding_table(n_users, dim, generator)
        self.item_embedding = embedding_table(n_items, dim, generator)
        self.user_text, self.item_text = (
            nn.ModuleDict({module_name(name): Projection(matrix, dim, generator) for name, matrix in text.items()})
            for text in (user_text, item_text)
        )
        self.graph = SmoothingGraph(edges, n_users, n_items)

    @classmethod
    def build(
        cls, dataset: Dataset, side: SideInformation, options: TextGcnOptions, generator: torch.Generator
    ) -> TextGcn:
        """See `recsys.models.build`.

        Raises:
            DataError: text is read and there are no item features, or not one row of them per item.
        """
        side.check(dataset.n_users, dataset.n_items)
        return cls(
            dataset.train,
            dataset.n_users,
            dataset.n_items,
            user_text=side.user if options.text else {},
            item_text=modalities_of(options.family, side, options) if options.text else {},
            dim=options.dim,
            layers=options.layers,
            temperature=options.temperature,
            generator=generator,
        )

    def forward(self) -> tuple[Tensor, Tensor]:
        """See `EmbeddingRecommender.forward`: at length 1, so that inner products are cosines."""
        return self._smoothed(*self._joined(), None)

    def _joined(self) -> tuple[Tensor, Tensor]:
        """The embeddings with the texts, before they are smoothed."""
        users, items = self.user_embedding, self.item_embedding
        for projection in self.user_text.values():
            users = users + projection()
        for projection in self.item_text.values():
            items = items + projection()
        return users, items

    def _smoothed(self, users: Tensor, items: Tensor, reach: Reach | None) -> tuple[Tensor, Tensor]:
        users, items = self.graph(users, items, self.layers, reach=reach)
        return F.normalize(users.float()), F.normalize(items.float())

    def loss(self, batch: Triplets) -> dict[str, Tensor]:
        """The term `softmax`, a mean over the batch; see `TrainedRecommender.loss`."""
        start, user = self._joined(), batch.user
        candidates, right = torch.unique(batch.positive, return_inverse=True)
        reach = self.graph.reach(start[0], self.layers, user, candidates)
        users, items = self._smoothed(*start, reach)
        if reach is None:
            items = lookup(items, candidates)
        else:  # the items are these candidates already
            user = torch.searchsorted(reach.rows[0], user)
        logits = lookup(users, user) @ items.T / self.temperature
        losses = F.cross_entropy(logits, right, reduction="none")
        return {"softmax": losses.mean() if batch.weight is None else (losses * batch.weight).mean()}
