"""MMSSL's second player: tells a user's interactions from what modalities make of them.

Source: Wei et al., WWW 2023, equations 4 to 7; the penalty is WGAN-GP's (Gulrajani et al., NeurIPS 2017).
    D(a) = c sigmoid(w3 . B(LeakyReLU(W2 B(LeakyReLU(W1 a)))))   for a row a of length 1, B a batch norm with dropout
    it minimises  mean D(generated) - mean D(observed) + p mean (|grad D(x)| - 1)^2,  x between the two kinds of rows.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from recsys.models.options.mmssl import AdversaryOptions

BETAS = (0.5, 0.9)


class Discriminator(nn.Module):
    """See the module. Weights start Kaiming-normal, biases at zero.

    Args:
        n_items: length of a row.
        options: of the adversary.
        generator: draws the initial weights.
    """

    def __init__(self, n_items: int, options: AdversaryOptions, generator: torch.Generator) -> None:
        super().__init__()
        self.options = options
        layers: list[nn.Module] = []
        size = n_items
        for width, dropout in zip(_widths(n_items, options), options.dropout, strict=True):
            layers += [_kaiming_linear(size, width, generator), nn.LeakyReLU(options.slope)]
            layers += [nn.BatchNorm1d(width) if options.batch_norm else nn.Identity(), nn.Dropout(dropout)]
            size = width
        self.layers = nn.Sequential(*layers, _kaiming_linear(size, 1, generator), nn.Sigmoid())

    def forward(self, rows: Tensor) -> Tensor:
        """The judgement [b] of rows [b, n_items]: high for observed ones."""
        return self.options.scale * self.layers(rows)[:, 0]

    def fixed(self, rows: Tensor) -> Tensor:
        """The same for the other player: the gradient reaches the rows, not the weights."""
        constants = {name: parameter.detach() for name, parameter in self.named_parameters()}
        return functional_call(self, constants, (rows,))

    def terms(self, generated: Tensor, observed: Tensor) -> dict[str, Tensor]:
        """`discriminator` and `gradient_penalty` for rows [b, n_items] of either kind, without a gradient to them."""
        generated, observed = generated.detach(), observed.detach()
        terms = {"discriminator": self(generated).mean() - self(observed).mean()}
        if self.options.gradient_penalty:
            share = torch.rand(len(observed), 1, device=observed.device, dtype=observed.dtype)
            between = (share * observed + (1 - share) * generated).requires_grad_()
            with torch.autocast(between.device.type, enabled=False):
                slopes = torch.autograd.grad(self(between).sum(), between, create_graph=True)[0]
                penalty = (slopes.norm(dim=1) - 1).square().mean()
            terms["gradient_penalty"] = self.options.gradient_penalty * penalty
        return terms


def observed_rows(interactions: Tensor, similarities: Tensor, options: AdversaryOptions) -> Tensor:
    """What passes for observed [b, n_items]: interactions as a softened, noisy choice, plus similarities; length 1.

    Args:
        interactions: 0 or 1, [b, n_items].
        similarities: of the final embeddings, [b, n_items], rows of length 1.
        options: of the adversary. Noise is drawn from torch's global generator of the device.
    """
    chance = torch.rand_like(interactions).clamp(1e-8, 1 - 1e-7)
    noise = -torch.log(-torch.log(chance))
    choice = (interactions / options.relation_temperature + options.gumbel * noise).softmax(1)
    return F.normalize(choice + options.similarity * similarities)


def _widths(n_items: int, options: AdversaryOptions) -> tuple[int, int]:
    return options.hidden_dims or (max(n_items // 4, 1), max(n_items // 8, 1))


def _kaiming_linear(inputs: int, outputs: int, generator: torch.Generator) -> nn.Linear:
    layer = nn.utils.skip_init(nn.Linear, inputs, outputs)
    nn.init.kaiming_normal_(layer.weight, generator=generator)
    nn.init.zeros_(layer.bias)
    return layer
