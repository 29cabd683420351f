"""DCN: the joined embeddings are crossed with themselves, layer upon layer, beside a network.

Paper: Wang et al., "Deep & Cross Network for Ad Click Predictions", ADKDD 2017.
Equations: with x_0 = [v_1; v_2; ...], the embeddings of the pair's fields,
    x_{l+1} = x_0 (x_l . c_l) + a_l + x_l,    y = b + sum_f w_f + h . [x_L; network(x_0)].
Deviations: the sum of w_f, which published code has and the paper has not (`linear: false`); no batch normalisation;
all embeddings have one length, where the paper's grows with the number of values.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from recsys.fields.fields import EntityFields
from recsys.models.ctr.field_model import FieldModel
from recsys.models.ctr.layers import Layers, Weighted

if TYPE_CHECKING:
    from recsys.models.options.dcn import DcnOptions


class Crosses(nn.Module):
    """The layers that cross: [b, n] to [b, n].

    Args:
        size: n.
        layers: how many.
        generator: draws the c_l, Xavier-uniform; the a_l start at zero.
    """

    def __init__(self, size: int, layers: int, generator: torch.Generator) -> None:
        super().__init__()
        self.weights = nn.ModuleList(Weighted(size, generator) for _ in range(layers))
        self.biases = nn.Parameter(torch.zeros(layers, size))

    def forward(self, first: Tensor) -> Tensor:
        """The last layer."""
        crossed = first
        for weight, bias in zip(self.weights, self.biases, strict=True):
            crossed = torch.addcmul(crossed + bias, first, weight(crossed)[:, None])
        return crossed


class DCN(FieldModel):
    """See the module, and `FieldModel` for the arguments."""

    def __init__(self, fields: EntityFields, mean: float, options: DcnOptions, generator: torch.Generator) -> None:
        super().__init__(fields, mean, options, generator)
        size = self.width * options.dim
        self.crosses = Crosses(size, options.crosses, generator)
        self.network = Layers(size, options.hidden, options.dropout, generator)
        self.output = Weighted(size + self.network.outputs, generator)

    def interaction(self, embedded: Tensor) -> Tensor:
        """See `FieldModel.interaction`."""
        joined = embedded.flatten(1)
        return self.output(torch.cat([self.crosses(joined), self.network(joined)], dim=1))
