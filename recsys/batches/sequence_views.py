"""Disturbed views of windows: a piece of one, one with items hidden, one with a piece in another order.

Source: Xie et al., "Contrastive Learning for Sequential Recommendation", ICDE 2022.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from recsys.batches.next_items import NextItemBatches, NextItems
from recsys.batches.sequences import HIDDEN, Windows
from recsys.batches.unowned import uniform


@dataclass(frozen=True, eq=False)
class ViewedNextItems(NextItems):
    """Next items, and two views of what is shown.

    Attributes:
        views: each with a row for every window.
    """

    views: tuple[Windows, Windows] | None = None

    def to(self, device: torch.device | str) -> ViewedNextItems:
        """The batch on another device."""
        assert self.views is not None
        first, second = (view.to(device) for view in self.views)
        return ViewedNextItems(**vars(super().to(device)) | {"views": (first, second)})

    def share(self, rank: int, size: int) -> ViewedNextItems:
        """See `NextItems.share`; a window's views go with it."""
        own = super().share(rank, size)
        if own is self:
            return self
        assert self.views is not None
        first, second = (view.rows(slice(rank, None, size)) for view in self.views)
        return ViewedNextItems(own.shown, own.targets, own.negatives, (first, second))


class ViewedBatches:
    """Next items with two views of every window, drawn anew; each is cropped, hidden or reordered, by a draw of three.

    Args:
        inner: gives the windows.
        crop, hide, reorder: see the functions.
        generator: of the views, on the device of the windows.
    """

    def __init__(
        self, inner: NextItemBatches, *, crop: float, hide: float, reorder: float, generator: torch.Generator
    ) -> None:
        self.inner, self.notes = inner, inner.notes
        self.shares, self.generator = (crop, hide, reorder), generator

    def epoch(self) -> Iterator[ViewedNextItems]:
        """See `Batches.epoch`."""
        for batch in self.inner.epoch():
            views = self._view(batch.shown), self._view(batch.shown)
            yield ViewedNextItems(batch.shown, batch.targets, batch.negatives, views)

    def _view(self, windows: Windows) -> Windows:
        ways = [
            way(windows, share, self.generator)
            for way, share in zip((cropped, partly_hidden, reordered), self.shares, strict=True)
        ]
        chosen = torch.randint(3, (len(windows),), generator=self.generator, device=self.generator.device)
        rows = torch.arange(len(windows), device=chosen.device)
        items, length = (torch.stack([getattr(way, name) for way in ways]) for name in ("items", "length"))
        return Windows(items[chosen, rows], length[chosen, rows])


def cropped(windows: Windows, share: float, generator: torch.Generator) -> Windows:
    """Of every window a piece of `share` of its items, rounded down but one at least, from a place that is drawn."""
    length = _part(windows, share).clamp(min=1)
    begin = uniform(windows.length - length + 1, generator)
    steps = torch.arange(windows.items.shape[1], device=windows.items.device)
    places = (begin[:, None] + steps).clamp(max=len(steps) - 1)
    return Windows(windows.items.gather(1, places).masked_fill(steps >= length[:, None], 0), length)


def partly_hidden(windows: Windows, share: float, generator: torch.Generator) -> Windows:
    """Every window with `share` of its items hidden, rounded down."""
    drawn = torch.rand(windows.items.shape, generator=generator, device=windows.items.device, dtype=torch.float64)
    order = drawn.masked_fill(~windows.real, 2.0).argsort(1).argsort(1)
    return Windows(windows.items.masked_fill(order < _part(windows, share)[:, None], HIDDEN), windows.length)


def reordered(windows: Windows, share: float, generator: torch.Generator) -> Windows:
    """Every window with a piece of `share` of its items, rounded down, in an order that is drawn."""
    length = _part(windows, share)
    begin = uniform(windows.length - length + 1, generator)[:, None]
    steps = torch.arange(windows.items.shape[1], device=windows.items.device)
    inside = (steps >= begin) & (steps < begin + length[:, None])
    drawn = torch.rand(windows.items.shape, generator=generator, device=windows.items.device, dtype=torch.float64)
    keys = torch.where(inside, begin + drawn * length[:, None], steps.double())
    return Windows(windows.items.gather(1, keys.argsort(1)), windows.length)


def _part(windows: Windows, share: float) -> Tensor:
    """int64 [b], a share of each window's items, rounded down."""
    return (windows.length.double() * share).long()
