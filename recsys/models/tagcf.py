"""TAGCF: what an LLM says of items, and why users take them, as nodes between users and items.

Paper: TAGCF, arXiv 2602.21099. Its equations are taken from the authors' LightGCN variant.
Equations: nodes are users, items and values of attributes, each with an embedding. With the relations r = all edges and
loops, items with attributes, users with attributes, A_r being these entries of D^-1/2 (A + I) D^-1/2:
    h_r = A_r e_l,    e_{l+1} = sum over r of g_r(e_l, h_r) h_r,    g_r(e, h) = sigmoid(w_r . LeakyReLU(W_r [e; h])),
one gate for each relation and all layers; E = mean of e_0 .. e_L; score = e_u . e_i. Loss: BPR and `l2`; with
`contrast`, as in one of the authors' best variants, that of `simgcl` between two passes with noise on each e_{l+1}.
Deviations: the authors' edges come from an LLM that was asked why a user took an item, by a script that is not
published; that only training pairs were asked about cannot be seen. Here values are those of the data's own attributes
and of tasks that give attributes, of items, of users, or (`reasons`) of a user and the training items that were shown.
A user is joined to those that several of the user's training items have, and to its own. Values that hardly anybody or
nearly everybody has are no nodes. Gates start Xavier-uniform.
Options: `released` sums layers, penalises all parameters, gives items and attributes their loops among each other as
well, and a LeakyReLU whose slope is the length of an embedding (64), which is surely not meant. Their variant with
SGL's contrast, which drops edges, is not here; `aligner` may be any.
Relations: with gates of 1 for all edges and of 0 for the others, and without attributes, it is LightGCN on a graph with
loops.
Cost: of the gates, 2 d^2 for each node, layer and relation, beside the propagation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from augrec.artefacts.errors import DataError
from recsys.aligners.base import Embeddings
from recsys.draws import Draws
from recsys.models.base import embedding_table
from recsys.models.parts.attribute_graph import AttributeGraph, joined
from recsys.models.parts.graph_recommender import Propagated
from recsys.models.parts.views import ContrastedModel, Views

if TYPE_CHECKING:
    from recsys.augmentation import AttributeNodes, SideInformation
    from recsys.data.dataset import Dataset
    from recsys.models.options.tagcf import TagcfOptions


class Gate(nn.Module):
    """How much a node listens to what it hears of a relation: [n, 1] in (0, 1) for [n, d] twice.

    Args:
        dim: d.
        slope: of the LeakyReLU below 0.
        generator: draws both layers, which have no bias.
    """

    def __init__(self, dim: int, slope: float, generator: torch.Generator) -> None:
        super().__init__()
        self.hidden, self.out = _without_bias(2 * dim, dim, generator), _without_bias(dim, 1, generator)
        self.slope = slope

    def forward(self, own: Tensor, heard: Tensor) -> Tensor:
        """The gate of each row."""
        hidden = F.leaky_relu(self.hidden(torch.cat([own, heard], dim=1)), self.slope)
        return torch.sigmoid(self.out(hidden))


class TAGCF(ContrastedModel):
    """See the module.

    Args:
        edges: int64 [m, 2] of training (user, item) pairs.
        n_users, n_items: the sizes.
        nodes: the values of attributes, and who has which.
        options: of the family.
        generator: draws the embeddings of users, items and values, then the gates.
    """

    options: TagcfOptions

    def __init__(
        self,
        edges: np.ndarray,
        n_users: int,
        n_items: int,
        nodes: AttributeNodes,
        options: TagcfOptions,
        generator: torch.Generator,
    ) -> None:
        super().__init__(edges, n_users, n_items, options, generator)
        self.options = options
        items, users, count = joined(
            edges,
            nodes,
            n_users,
            n_items,
            attributes=options.attributes,
            least_items=options.least_items,
            most_items=options.most_items,
            least_support=options.least_support,
        )
        self.graph = AttributeGraph(edges, items, users, (n_users, n_items, count), item_loops=options.item_loops)
        self.attribute_embedding = embedding_table(count, self.embedding_dim, generator)
        self.gates = nn.ModuleList(Gate(self.embedding_dim, options.slope, generator) for _ in range(3))

    @classmethod
    def build(cls, dataset: Dataset, side: SideInformation, options: TagcfOptions, generator: torch.Generator) -> TAGCF:
        """See `recsys.models.build`.

        Raises:
            DataError: there are no attributes.
        """
        if side.nodes is None:
            raise DataError(
                "the model 'tagcf' needs values of attributes, and there are none",
                where="attributes",
                remedy="generate the task item_attributes, or take data whose items have genres, categories, authors",
            )
        side.check(dataset.n_users, dataset.n_items)
        return cls(dataset.train, dataset.n_users, dataset.n_items, side.nodes, options, generator)

    def propagate(self, start: Embeddings, draw: Draws) -> Propagated:
        """See `GraphRecommender.propagate`; in training with a contrast, `Views`."""
        nodes = torch.cat([start.users, start.items, self.attribute_embedding])
        final = self._passed(nodes)
        if not self.training or not self.options.contrast:
            return Propagated(final)
        return Views(final, self._passed(nodes, draw), self._passed(nodes, draw))

    def _passed(self, nodes: Tensor, draw: Draws | None = None) -> Embeddings:
        """Users and items after all layers; with noise on each where something draws it."""
        layer = total = nodes
        for _ in range(self.options.layers):
            heard = self.graph(layer)
            parts = [gate(layer, part) * part for gate, part in zip(self.gates, heard, strict=True)]
            layer = torch.stack(parts).sum(dim=0)
            if draw is not None:
                unit = F.normalize(draw.uniform("noise", *layer.shape).to(layer))
                layer = layer + self.options.noise * layer.detach().sign() * unit
            total = total + layer
        if self.options.pooling == "mean":
            total = total / (self.options.layers + 1)
        users, items, _ = total.split(self.graph.sizes)
        return Embeddings(users, items)


def _without_bias(inputs: int, outputs: int, generator: torch.Generator) -> nn.Linear:
    layer = nn.utils.skip_init(nn.Linear, inputs, outputs, bias=False)
    nn.init.xavier_uniform_(layer.weight, generator=generator)
    return layer
