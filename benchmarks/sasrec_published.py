"""SASRec in the structure of published code: what `benchmarks.sasrec_epoch` is compared with.

Sequences are put together user by user in Python, padded in front, with a negative that is drawn until it is one that
the user does not have; attention is torch's `MultiheadAttention` with a mask; every position is computed and those that
are padding are left out of the loss. Queries alone are normalised. The arithmetic is the same as here.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recsys.models.sequential.sasrec import SASRec


class PublishedSasRec(nn.Module):
    """The network; items are counted from 1, and 0 is padding.

    Args:
        n_items, dim, length, blocks, dropout: the sizes.
    """

    def __init__(self, n_items: int, dim: int, length: int, blocks: int, dropout: float) -> None:
        super().__init__()
        self.items = nn.Embedding(n_items + 1, dim, padding_idx=0)
        self.positions = nn.Embedding(length, dim)
        self.dropout = nn.Dropout(dropout)
        self.attention = nn.ModuleList(nn.MultiheadAttention(dim, 1, dropout, batch_first=True) for _ in range(blocks))
        self.inner = nn.ModuleList(nn.Conv1d(dim, dim, 1) for _ in range(blocks))
        self.outer = nn.ModuleList(nn.Conv1d(dim, dim, 1) for _ in range(blocks))
        self.attention_norms = nn.ModuleList(nn.LayerNorm(dim) for _ in range(blocks))
        self.network_norms = nn.ModuleList(nn.LayerNorm(dim) for _ in range(blocks))
        self.last_norm = nn.LayerNorm(dim)

    def forward(self, shown: np.ndarray) -> Tensor:
        """The states of sequences, int64 [b, length], padded in front: [b, length, dim]."""
        steps = np.tile(np.arange(shown.shape[1]), [len(shown), 1])
        rows = self.items(self._there(shown)) * self.items.embedding_dim**0.5
        rows = self.dropout(rows + self.positions(self._there(steps)))
        padding = self._there(shown == 0)
        rows = rows * ~padding[..., None]
        itself = torch.eye(shown.shape[1], dtype=torch.bool, device=padding.device)
        later = ~torch.tril(torch.ones_like(itself))
        hidden = (later | padding[:, None]) & ~itself
        parts = (self.attention, self.inner, self.outer, self.attention_norms, self.network_norms)
        for attention, inner, outer, attention_norm, network_norm in zip(*parts, strict=True):
            asking = attention_norm(rows)
            rows = asking + attention(asking, rows, rows, attn_mask=hidden, need_weights=False)[0]
            rows = network_norm(rows)
            made = outer(self.dropout(F.relu(inner(rows.transpose(1, 2))))).transpose(1, 2)
            rows = (rows + self.dropout(made)) * ~padding[..., None]
        return self.last_norm(rows)

    def loss(self, shown: np.ndarray, targets: np.ndarray, negatives: np.ndarray) -> Tensor:
        """Of a batch; int64 [b, length] each."""
        states = self(shown)
        right, wrong = ((states * self.items(self._there(ids))).sum(-1) for ids in (targets, negatives))
        chosen = self._there(targets != 0)
        criterion = nn.BCEWithLogitsLoss()
        return criterion(right[chosen], torch.ones_like(right[chosen])) + criterion(
            wrong[chosen], torch.zeros_like(wrong[chosen])
        )

    def _there(self, ids: np.ndarray) -> Tensor:
        return torch.from_numpy(ids).to(self.items.weight.device)

    def take(self, model: SASRec) -> None:
        """The weights of ours, which has `normalised: queries`; a left-out linear map is the identity."""
        with torch.no_grad():
            self.items.weight[1:] = model.item_embedding
            self.items.weight[0] = 0
            self.positions.weight.copy_(model.position_embedding)
            self.last_norm.load_state_dict(model.last_norm.state_dict())
            for number, block in enumerate(model.get_submodule("blocks").children()):
                own = block.state_dict()
                maps = [own[f"attention.{name}.weight"] for name in ("query", "key", "value")]
                attention = self.attention[number]
                assert isinstance(attention, nn.MultiheadAttention)
                attention.in_proj_weight.copy_(torch.cat(maps))
                attention.in_proj_bias.zero_()
                attention.out_proj.weight.copy_(torch.eye(len(maps[0])))
                attention.out_proj.bias.zero_()
                for theirs, ours in ((self.inner, "inner"), (self.outer, "outer")):
                    theirs[number].load_state_dict(
                        {"weight": own[f"{ours}.weight"][..., None], "bias": own[f"{ours}.bias"]}
                    )
                for norms, ours in ((self.attention_norms, "attention_norm"), (self.network_norms, "network_norm")):
                    norms[number].load_state_dict({part: own[f"{ours}.{part}"] for part in ("weight", "bias")})


def published_batches(
    sequences: list[list[int]], n_items: int, length: int, batch_size: int, rng: np.random.Generator
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """An epoch's batches: what is shown, what comes next, and a negative each; int64 [b, length], from 1.

    Args:
        sequences: the items of every user, from 1, oldest first.
    """
    for _ in range(math.ceil(len(sequences) / batch_size)):
        rows = [_sampled(sequences[rng.integers(len(sequences))], n_items, length, rng) for _ in range(batch_size)]
        shown, targets, negatives = (np.array(part) for part in zip(*rows, strict=True))
        yield shown, targets, negatives


def _sampled(
    items: list[int], n_items: int, length: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    shown, targets, negatives = (np.zeros(length, dtype=np.int64) for _ in range(3))
    following, place, owned = items[-1], length - 1, set(items)
    for item in reversed(items[:-1]):
        shown[place], targets[place] = item, following
        negative = int(rng.integers(1, n_items + 1))
        while negative in owned:
            negative = int(rng.integers(1, n_items + 1))
        negatives[place] = negative
        following, place = item, place - 1
        if place < 0:
            break
    return shown, targets, negatives
