"""DCCF in the structure of the published code: a vector for each end of each edge, whole matrices of similarities."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.rlmrec_released import CONTRAST, CONTRAST_T, DIM, LAYERS, ReleasedModel, nce

INTENTS = 128


class ReleasedDccf(ReleasedModel):
    """See `ReleasedModel`."""

    def __init__(self, backbone: str, aligner: str, edges: np.ndarray, users: Tensor, items: Tensor) -> None:
        super().__init__(backbone, aligner, edges, users, items)
        self.user_intents, self.item_intents = (
            nn.Parameter(nn.init.xavier_uniform_(torch.empty(DIM, INTENTS))) for _ in range(2)
        )
        self.row, self.column = self.graph.indices()

    def _passes(self, start: Tensor) -> tuple[Tensor, Tensor, list[Any]]:
        outputs, layers = [start], []
        for _ in range(LAYERS):
            h = outputs[-1]
            local = torch.spmm(self.graph, h)
            users, items = h.split(self.sizes)
            intents = torch.cat(
                [
                    torch.softmax(users @ self.user_intents, dim=1) @ self.user_intents.T,
                    torch.softmax(items @ self.item_intents, dim=1) @ self.item_intents.T,
                ]
            )
            parts = [local, intents, self._adaptive(local, h), self._adaptive(intents, h)]
            outputs.append(sum(parts) + h)
            layers.append([part.split(self.sizes) for part in parts])
        users, items = torch.stack(outputs, dim=1).sum(dim=1).split(self.sizes)
        return users, items, layers

    def _adaptive(self, compared: Tensor, h: Tensor) -> Tensor:
        head, tail = F.normalize(compared[self.row]), F.normalize(compared[self.column])
        weight = ((head * tail).sum(1) + 1) / 2
        sums = torch.zeros(len(h)).scatter_add(0, self.row, weight)
        inverse = sums.pow(-1)
        inverse = inverse.masked_fill(inverse == torch.inf, 0.0)
        messages = h.index_select(0, self.column) * (inverse[self.row] * weight)[:, None]
        return torch.zeros_like(h).scatter_add(0, self.row[:, None].expand_as(messages), messages)

    def _contrasted(self, views: list[Any], user: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
        own, told = (torch.unique(user), torch.unique(positive)), torch.zeros(())
        for local, *others in views:
            for other in others:
                for side, ids in enumerate(own):
                    told = told + nce(local[side][ids], other[side][ids], other[side][ids], CONTRAST_T) / len(own[0])
        return CONTRAST * told
