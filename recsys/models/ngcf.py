"""NGCF: neural graph collaborative filtering.

Paper: Wang et al., "Neural Graph Collaborative Filtering", SIGIR 2019.
Equations, with L = D^-1/2 A D^-1/2 and * the product by elements:
    E_{l+1} = LeakyReLU((L + I) E_l W1 + (L E_l * E_l) W2)   (7), slope 0.2
    E = E_0 || E_1 || .. || E_L   (9),   score = E_u . E_i   (10)
Loss: BPR plus `l2` times a penalty on rows of the batch.
Deviations: the published code differs from the paper in the graph, the place of the activation, the normalisation of
layers, biases, node dropout and penalty; each is an option. The weights W have no penalty (the published code). Weights
start Xavier-uniform, biases at zero.
Relations: no layers is `mf_bpr`; without weights, activations and products it is `lightgcn` with a concatenation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse as sp
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recsys.aligners.base import Embeddings
from recsys.batches.triplets import Triplets
from recsys.draws import Draws
from recsys.gather import lookup
from recsys.graph.adjacency import adjacency, row_mean_with_self
from recsys.graph.weighted import Pattern
from recsys.models.base import embedding_table
from recsys.models.parts.graph_recommender import GraphRecommender, Propagated
from recsys.objectives.bpr import batch_l2, bpr

if TYPE_CHECKING:
    from recsys.augmentation import SideInformation
    from recsys.data.dataset import Dataset
    from recsys.models.options.ngcf import NgcfOptions

SLOPE = 0.2  # TensorFlow's default, which the paper's code uses


class NGCF(GraphRecommender):
    """See the module.

    Args:
        edges: int64 [m, 2] of training (user, item) pairs.
        n_users, n_items: the sizes.
        options: of the family.
        generator: draws the initial parameters: users, items, then each layer's W1 and W2.
    """

    entries: Tensor

    def __init__(
        self, edges: np.ndarray, n_users: int, n_items: int, options: NgcfOptions, generator: torch.Generator
    ) -> None:
        super().__init__()
        self.sizes, self.options = (n_users, n_items), options
        start_dim = options.aligner.start_dim(options.dim)
        self.embedding_dim = start_dim + sum(options.layer_dims)
        self.user_embedding = embedding_table(n_users, options.dim, generator)
        self.item_embedding = embedding_table(n_items, options.dim, generator)
        self.sums, self.products = nn.ModuleList(), nn.ModuleList()
        for inputs, outputs in zip((start_dim, *options.layer_dims), options.layer_dims, strict=False):
            self.sums.append(_layer(inputs, outputs, options.bias, generator))
            self.products.append(_layer(inputs, outputs, options.bias, generator))
        self.graph = {"symmetric": adjacency, "row-mean": row_mean_with_self}[options.graph](edges, *self.sizes)
        self.pattern: Pattern | None = None
        if options.node_dropout and options.node_dropout_kind == "entries":
            matrix = self.graph.matrix()
            parts = (part.numpy() for part in (matrix.values(), matrix.col_indices(), matrix.crow_indices()))
            self.pattern, entries = Pattern.of(sp.csr_array(tuple(parts), shape=self.graph.shape))
            self.register_buffer("entries", torch.from_numpy(entries), persistent=False)

    @classmethod
    def build(cls, dataset: Dataset, side: SideInformation, options: NgcfOptions, generator: torch.Generator) -> NGCF:
        """See `recsys.models.build`."""
        return cls(dataset.train, dataset.n_users, dataset.n_items, options, generator)

    def propagate(self, start: Embeddings, draw: Draws) -> Propagated:
        """See `GraphRecommender.propagate`; dropout is drawn by torch itself."""
        options, drop = self.options, self.options.message_dropout
        x = torch.cat([start.users, start.items])
        values = self.kept_entries()
        outputs = [x]
        for sums, products in zip(self.sums, self.products, strict=True):
            messages = self.messages(x, values)
            own = x if options.graph == "symmetric" else 0.0
            first, second = sums(messages + own), products(messages * x)
            if options.activation == "sum":
                x = F.leaky_relu(first + second, SLOPE)
            else:
                x = F.leaky_relu(first, SLOPE) + F.leaky_relu(second, SLOPE)
            x = F.dropout(x, drop, self.training)
            outputs.append(F.normalize(x) if options.normalise else x)
        users, items = torch.cat(outputs, dim=1).split(self.sizes)
        return Propagated(Embeddings(users, items))

    def messages(self, x: Tensor, values: Tensor | None) -> Tensor:
        """What arrives from the neighbours, [n, d]."""
        if values is not None and self.pattern is not None:
            return self.pattern.product(values, x)
        if self.training and self.options.node_dropout:
            x = x * F.dropout(x.new_ones(len(x), 1), self.options.node_dropout)
        return self.graph @ x

    def kept_entries(self) -> Tensor | None:
        """The graph's values of this training step, if single entries are dropped."""
        if self.pattern is None or not self.training:
            return None
        return F.dropout(self.entries, self.options.node_dropout)

    def terms(self, passed: Propagated, batch: Triplets) -> dict[str, Tensor]:
        """Terms `bpr` and `l2`; see `GraphRecommender.terms`."""
        *_, penalty = batch_l2(*(self.table() if self.options.l2_rows == "initial" else passed.final), batch)
        users, items = self.with_side(*passed.final)
        rows = lookup(users, batch.user), lookup(items, batch.positive), lookup(items, batch.negative)
        return {"bpr": bpr(*rows, batch.weight), "l2": self.options.l2 * penalty}


def _layer(inputs: int, outputs: int, bias: bool, generator: torch.Generator) -> nn.Linear:
    layer = nn.utils.skip_init(nn.Linear, inputs, outputs, bias=bias)
    layer.weight = embedding_table(outputs, inputs, generator)
    if bias:
        nn.init.zeros_(layer.bias)
    return layer
