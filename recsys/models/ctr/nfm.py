"""NFM: a network over the pooled products of fields.

Paper: He and Chua, "Neural Factorization Machines for Sparse Predictive Analytics", SIGIR 2017.
Equations: with the embeddings v_f of the pair's fields and products taken element by element,
    y = b + sum_f w_f + h . network(sum_{f < g} v_f * v_g).
Deviations: no batch normalisation, which the paper has after the pooling and each layer.
Relations: without the network (`hidden: []`) and with h = 1 it is the factorisation machine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from recsys.fields.fields import EntityFields
from recsys.models.ctr.factorisation import sum_of_products
from recsys.models.ctr.field_model import FieldModel
from recsys.models.ctr.layers import Layers, Weighted

if TYPE_CHECKING:
    from recsys.models.options.nfm import NfmOptions


class NFM(FieldModel):
    """See the module, and `FieldModel` for the arguments."""

    def __init__(self, fields: EntityFields, mean: float, options: NfmOptions, generator: torch.Generator) -> None:
        super().__init__(fields, mean, options, generator)
        self.pooled_dropout = nn.Dropout(options.pooled_dropout)
        self.network = Layers(options.dim, options.hidden, options.dropout, generator) if options.hidden else None
        self.output = Weighted(options.dim if self.network is None else self.network.outputs, generator)

    def interaction(self, embedded: Tensor) -> Tensor:
        """See `FieldModel.interaction`."""
        pooled = self.pooled_dropout(sum_of_products(embedded))
        return self.output(pooled if self.network is None else self.network(pooled))
