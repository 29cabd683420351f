"""Batches for models that fill in what is hidden in a window."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from recsys.batches.sequences import HIDDEN, TrainingWindows, Windows

BEHIND = 2.0
"""More than any draw."""


@dataclass(frozen=True, eq=False)
class Cloze:
    """Windows in which items are hidden.

    Attributes:
        shown: the windows, with `HIDDEN` where an item is to be found.
        hidden: bool [b, w], where that is.
        targets: int64 [b, w], the windows' items.
    """

    shown: Windows
    hidden: Tensor
    targets: Tensor

    def __len__(self) -> int:
        """Items that are predicted, over which the loss is a mean."""
        return int(self.hidden.sum())

    def to(self, device: torch.device | str) -> Cloze:
        """The batch on another device."""
        return Cloze(self.shown.to(device), self.hidden.to(device), self.targets.to(device))

    def share(self, rank: int, size: int) -> Cloze:
        """Every `size`-th window; a batch of fewer windows than processes is given to each of them whole."""
        if size == 1 or len(self.shown) < size:
            return self
        part = slice(rank, None, size)
        return Cloze(self.shown.rows(part), self.hidden[part], self.targets[part])


class ClozeBatches:
    """The windows of an epoch with items hidden anew.

    Args:
        windows: without overlap.
        rate: the chance that an item is hidden; of a window at least one is.
        newest: the share of windows in which only the newest item is hidden, as when the model is asked.
        generator: of what is hidden, on the device of the windows.
    """

    def __init__(self, windows: TrainingWindows, *, rate: float, newest: float, generator: torch.Generator) -> None:
        self.windows, self.rate, self.newest, self.generator = windows, rate, newest, generator
        self.notes = windows.notes

    def epoch(self) -> Iterator[Cloze]:
        """See `Batches.epoch`."""
        for _, window in self.windows.epoch():
            hidden = self._hidden(window)
            yield Cloze(Windows(window.items.masked_fill(hidden, HIDDEN), window.length), hidden, window.items)

    def _hidden(self, window: Windows) -> Tensor:
        device = self.generator.device
        drawn = torch.rand(window.items.shape, generator=self.generator, device=device)
        drawn = drawn.where(window.real, BEHIND)
        hidden = (drawn < self.rate) | (drawn == drawn.amin(1, keepdim=True))
        only_newest = torch.rand(len(window), 1, generator=self.generator, device=device) < self.newest
        steps = torch.arange(window.items.shape[1], device=device)
        return torch.where(only_newest, steps == window.length[:, None] - 1, hidden)
