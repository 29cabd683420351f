"""DeepFM: a factorisation machine and a network that read the same embeddings.

Paper: Guo et al., "DeepFM: A Factorization-Machine based Neural Network for CTR Prediction", IJCAI 2017.
Equations: with the embeddings v_f of the pair's fields,
    y = b + sum_f w_f + sum_{f < g} v_f . v_g + h . network([v_1; v_2; ...]).
Deviations: it predicts ratings by squared error, where the paper predicts clicks; the network's output layer has no
bias beside b.
Relations: without the network (`hidden: []`) it is Rendle's factorisation machine (ICDM 2010), and with ids alone as
fields that is matrix factorisation with biases.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from recsys.fields.fields import EntityFields
from recsys.models.ctr.factorisation import sum_of_products
from recsys.models.ctr.field_model import FieldModel
from recsys.models.ctr.layers import Layers, Weighted

if TYPE_CHECKING:
    from recsys.models.options.deepfm import DeepFmOptions


class DeepFM(FieldModel):
    """See the module, and `FieldModel` for the arguments."""

    def __init__(self, fields: EntityFields, mean: float, options: DeepFmOptions, generator: torch.Generator) -> None:
        super().__init__(fields, mean, options, generator)
        self.network = Layers(self.width * options.dim, options.hidden, options.dropout, generator)
        self.output = Weighted(self.network.outputs, generator) if options.hidden else None

    def interaction(self, embedded: Tensor) -> Tensor:
        """See `FieldModel.interaction`."""
        products = sum_of_products(embedded).sum(dim=1)
        return products if self.output is None else products + self.output(self.network(embedded.flatten(1)))
