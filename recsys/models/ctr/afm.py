"""AFM: a factorisation machine that attends to some products of fields more than to others.

Paper: Xiao et al., "Attentional Factorization Machines: Learning the Weight of Feature Interactions via Attention
Networks", IJCAI 2017.
Equations: with the embeddings v_f of the pair's fields and e_fg = v_f * v_g element by element, for all f < g,
    a = softmax over (f, g) of h . ReLU(W e_fg + d),    y = b + sum_f w_f + p . sum_{f < g} a_fg e_fg.
Deviations: the paper penalises W alone by its squares; here `l2` is of embeddings and weights, as in all these models.
Relations: with equal attention and p = 1 it is the factorisation machine, divided by the number of products.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from recsys.fields.fields import EntityFields
from recsys.linear_layer import xavier_linear
from recsys.models.ctr.factorisation import products
from recsys.models.ctr.field_model import FieldModel
from recsys.models.ctr.layers import Weighted

if TYPE_CHECKING:
    from recsys.models.options.afm import AfmOptions


class AFM(FieldModel):
    """See the module, and `FieldModel` for the arguments."""

    def __init__(self, fields: EntityFields, mean: float, options: AfmOptions, generator: torch.Generator) -> None:
        super().__init__(fields, mean, options, generator)
        self.hidden = xavier_linear(options.dim, options.attention, generator)
        self.attention = Weighted(options.attention, generator)
        self.dropout = nn.Dropout(options.dropout)
        self.output = Weighted(options.dim, generator)

    def interaction(self, embedded: Tensor) -> Tensor:
        """See `FieldModel.interaction`."""
        pairs = products(embedded)
        attention = self.attention(torch.relu(self.hidden(pairs))).softmax(dim=1)
        pooled = torch.einsum("bp,bpd->bd", attention, pairs)
        return self.output(self.dropout(pooled))
