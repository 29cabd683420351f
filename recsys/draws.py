"""What a step of training leaves to chance."""

from __future__ import annotations

import torch
from torch import Tensor


class Draws:
    """Draws of one generator, each under a name that says what is drawn.

    Names do not change what is drawn. A source of recorded draws goes by them, so that a step can be replayed.

    Args:
        generator: on the device where the draws are wanted.
    """

    def __init__(self, generator: torch.Generator) -> None:
        self.generator = generator

    def uniform(self, name: str, *shape: int) -> Tensor:
        """float32 of a shape, uniform in [0, 1)."""
        return torch.rand(*shape, generator=self.generator, device=self.generator.device)

    def kept(self, name: str, count: int, rate: float) -> Tensor:
        """bool [count], each true with probability `rate`."""
        return self.uniform(name, count) < rate

    def distinct(self, name: str, count: int, below: int) -> Tensor:
        """int64 [count] of 0 .. below-1, none twice."""
        return torch.randperm(below, generator=self.generator, device=self.generator.device)[:count]

    def repeated(self, name: str, count: int, below: int) -> Tensor:
        """int64 [count] of 0 .. below-1, each drawn from all."""
        return torch.randint(below, (count,), generator=self.generator, device=self.generator.device)
