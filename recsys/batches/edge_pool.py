"""Suggested triplets among the observed ones: each stands once per epoch, as if both were one pool (Llama4Rec)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import torch
from torch import Tensor

from recsys.augmentation import Edges
from recsys.batches.triplets import Triplets


class EdgePool:
    """Deals every suggested triplet to one batch of an epoch, drawn anew each time; its negative is the suggested one.

    A batch keeps its observed triplets and grows by about its share of the suggestions, so that observed triplets are
    the same with and without them. Suggestions with a user or item id beyond the catalogue are left out.

    Args:
        edges: the suggestions.
        n_users, n_items: the sizes of the catalogue.
        generator: on the device of the batches; not the sampler's.

    Attributes:
        suggested: how many suggestions there are.
        ignored: those of them with a user or item id beyond the catalogue.
    """

    def __init__(self, edges: Edges, n_users: int, n_items: int, *, generator: torch.Generator) -> None:
        inside = (edges.user < n_users) & (np.maximum(edges.positive, edges.negative) < n_items)
        self.suggested, self.ignored, self.generator = len(edges), int((~inside).sum()), generator

        def tensor(array: np.ndarray) -> Tensor:
            return torch.from_numpy(np.ascontiguousarray(array[inside])).to(generator.device)

        self._ids = [tensor(ids) for ids in (edges.user, edges.positive, edges.negative)]
        self._weight = None if (edges.weight[inside] == 1).all() else tensor(edges.weight)

    def joined(self, batches: Iterable[Triplets], count: int) -> Iterator[Triplets]:
        """The batches of an epoch, `count` of them, each followed by the suggestions that it was dealt."""
        device, size = self.generator.device, len(self._ids[0])
        place = torch.randint(max(count, 1), (size,), generator=self.generator, device=device)
        order = place.argsort(stable=True)
        bounds = torch.searchsorted(place[order], torch.arange(1, max(count, 1), device=device))
        for batch, rows in zip(batches, order.tensor_split(bounds.cpu()), strict=True):
            yield self._followed(batch, rows)

    def _followed(self, batch: Triplets, rows: Tensor) -> Triplets:
        weight = batch.weight
        if self._weight is not None:
            observed = torch.ones(len(batch), device=self.generator.device) if weight is None else weight
            weight = torch.cat([observed, self._weight[rows]])
        columns = zip((batch.user, batch.positive, batch.negative), self._ids, strict=True)
        user, positive, negative = (torch.cat([seen, suggested[rows]]) for seen, suggested in columns)
        return Triplets(user, positive, negative, weight, batch.observed)
