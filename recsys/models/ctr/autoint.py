"""AutoInt: fields attend to each other, layer upon layer, beside a network.

Paper: Song et al., "AutoInt: Automatic Feature Interaction Learning via Self-Attentive Neural Networks", CIKM 2019.
Equations: E_0 [fields, dim] holds the embeddings v_f of the pair's fields; in each layer, for each head h,
    A_h = softmax(E Q_h (E K_h)^T),    E' = ReLU([A_1 E V_1; A_2 E V_2; ...] + E R),
    y = b + sum_f w_f + h . [E_L, flattened; network([v_1; v_2; ...])].
Deviations: the sum of w_f, which published code has and the paper has not (`linear: false`). With the network it is the
paper's AutoInt+, without (`hidden: []`) its AutoInt. Heads share the dim numbers of a field.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from recsys.fields.fields import EntityFields
from recsys.models.ctr.field_model import FieldModel
from recsys.models.ctr.layers import Layers, Weighted

if TYPE_CHECKING:
    from recsys.models.options.autoint import AutoIntOptions


class FieldAttention(nn.Module):
    """One layer: [b, fields, dim] to the same shape.

    Args:
        options: of the family.
        generator: draws Q, K, V and R, Xavier-uniform, in one matrix [dim, 3 or 4 times dim].
    """

    def __init__(self, options: AutoIntOptions, generator: torch.Generator) -> None:
        super().__init__()
        dim, self.heads = options.dim, options.heads
        self.scale = (dim // self.heads) ** -0.5 if options.scaled else 1.0
        drawn = range(4 if options.residual else 3)
        parts = [nn.init.xavier_uniform_(torch.empty(dim, dim), generator=generator) for _ in drawn]
        self.projection = nn.Parameter(torch.cat(parts, dim=1))

    def forward(self, embedded: Tensor) -> Tensor:
        """The next layer."""
        size, fields, dim = embedded.shape
        query, key, value, *own = (embedded @ self.projection).split(dim, dim=2)
        query, key, value = (
            part.view(size, fields, self.heads, dim // self.heads).transpose(1, 2) for part in (query, key, value)
        )  # [b, heads, fields, size of a head]
        attention = (self.scale * query @ key.transpose(2, 3)).softmax(dim=3)
        heard = (attention @ value).transpose(1, 2).reshape(size, fields, dim)
        return torch.relu(heard + own[0] if own else heard)


class AutoInt(FieldModel):
    """See the module, and `FieldModel` for the arguments."""

    def __init__(self, fields: EntityFields, mean: float, options: AutoIntOptions, generator: torch.Generator) -> None:
        super().__init__(fields, mean, options, generator)
        self.attention = nn.Sequential(*(FieldAttention(options, generator) for _ in range(options.layers)))
        size = self.width * options.dim
        self.network = Layers(size, options.hidden, options.dropout, generator)
        self.output = Weighted(size + self.network.outputs, generator)

    def interaction(self, embedded: Tensor) -> Tensor:
        """See `FieldModel.interaction`."""
        parts = self.attention(embedded).flatten(1), self.network(embedded.flatten(1))
        return self.output(torch.cat(parts, dim=1))
