"""xDeepFM: products of fields of a bounded degree, compressed layer by layer, beside a network.

Paper: Lian et al., "xDeepFM: Combining Explicit and Implicit Feature Interactions for Recommender Systems", KDD 2018.
Equations: X0 [fields, dim] holds the embeddings v_f of the pair's fields. Layer k of the compressed interaction network
(CIN) has H_k maps, each with one weight for every product of a map of the layer before and a field:
    X_k[h] = ReLU(sum_{i, f} W_k[h, i, f] X_{k-1}[i] * X0[f] + d_k[h]),
    y = b + sum_f w_f + c . [sums of the maps over dim, of all layers] + h . network([v_1; v_2; ...]).
Deviations: the paper's equations have no ReLU in the CIN and hand every map both to the output and to the next layer;
published code has a ReLU and hands each half of the maps to one of them. The latter is the default here, and
`split_half: false` hands on all. The network's output layer has no bias beside b.
Cost: dim * H_{k-1} * fields * H_k products for each pair and layer, far more than the other models of its kind.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from recsys.fields.fields import EntityFields
from recsys.linear_layer import xavier_linear
from recsys.models.ctr.field_model import FieldModel
from recsys.models.ctr.layers import Layers, Weighted

if TYPE_CHECKING:
    from recsys.models.options.xdeepfm import XDeepFmOptions


class CompressedInteractions(nn.Module):
    """The CIN: embeddings [b, fields, dim] to sums of maps [b, outputs].

    Args:
        fields: how many.
        sizes: maps of each layer.
        split_half: see `XDeepFmOptions`.
        generator: draws the layers.
    """

    def __init__(self, fields: int, sizes: Sequence[int], *, split_half: bool, generator: torch.Generator) -> None:
        super().__init__()
        given = [size // 2 if split_half else size for size in sizes[:-1]]
        self.handed_on = (*given, 0)
        self.shown = (*((size - on if split_half else size) for size, on in zip(sizes, given, strict=False)), sizes[-1])
        self.outputs = sum(self.shown)
        self.layers = nn.ModuleList(
            xavier_linear(before * fields, size, generator)
            for before, size in zip((fields, *given), sizes, strict=True)
        )
        for layer in self.layers:  # drawn biases, summed over dim and maps, would be most of the first rating
            nn.init.zeros_(layer.get_parameter("bias"))

    def forward(self, embedded: Tensor) -> Tensor:
        """The sums over dim of the maps that are shown, layer by layer."""
        first = embedded.transpose(1, 2)  # [b, dim, fields]: each layer is one product of matrices over rows (b, dim)
        maps, sums = first, []
        for layer, on, shown in zip(self.layers, self.handed_on, self.shown, strict=True):
            products = maps.unsqueeze(3) * first.unsqueeze(2)
            made = torch.relu(layer(products.flatten(2)))
            maps = made[:, :, :on]
            sums.append(made[:, :, made.shape[2] - shown :].sum(dim=1))
        return torch.cat(sums, dim=1)


class XDeepFM(FieldModel):
    """See the module, and `FieldModel` for the arguments."""

    def __init__(self, fields: EntityFields, mean: float, options: XDeepFmOptions, generator: torch.Generator) -> None:
        super().__init__(fields, mean, options, generator)
        self.cin = CompressedInteractions(self.width, options.cin, split_half=options.split_half, generator=generator)
        self.network = Layers(self.width * options.dim, options.hidden, options.dropout, generator)
        self.output = Weighted(self.cin.outputs + self.network.outputs, generator)

    def interaction(self, embedded: Tensor) -> Tensor:
        """See `FieldModel.interaction`."""
        return self.output(torch.cat([self.cin(embedded), self.network(embedded.flatten(1))], dim=1))
