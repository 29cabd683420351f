"""BERT4Rec in the structure of published code: what `benchmarks.bert4rec_epoch` is compared with.

Sequences are put together user by user in Python, padded in front, and items are hidden one by one; the blocks are
torch's `TransformerEncoderLayer` with padding hidden from what looks; logits of all items are computed at every
position, and those where nothing is hidden are left out of the loss. The arithmetic is the same as here.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recsys.models.sequential.bert4rec import BERT4Rec

IGNORED = 0
"""The target of places at which nothing is hidden, and of padding."""


class PublishedBert4Rec(nn.Module):
    """The network; items are counted from 1, 0 is padding and n_items + 1 stands for what is hidden.

    Args:
        n_items, dim, length, blocks, dropout: the sizes.
    """

    def __init__(self, n_items: int, dim: int, length: int, blocks: int, dropout: float) -> None:
        super().__init__()
        self.items = nn.Embedding(n_items + 2, dim, padding_idx=0)
        self.positions = nn.Embedding(length, dim)
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(dim, 1, 4 * dim, dropout, activation="gelu", batch_first=True)
            for _ in range(blocks)
        )
        self.head = nn.Linear(dim, dim)
        self.bias = nn.Parameter(torch.zeros(n_items + 1))

    def forward(self, shown: np.ndarray) -> Tensor:
        """Logits of all items at every place, of sequences padded in front: int64 [b, w] -> [b, w, n_items + 1]."""
        ids = torch.from_numpy(shown)
        rows = self.dropout(self.items(ids) + self.positions(torch.arange(shown.shape[1])))
        for block in self.blocks:
            rows = block(rows, src_key_padding_mask=ids == 0)
        return F.gelu(self.head(rows)) @ self.items.weight[:-1].T + self.bias

    def loss(self, shown: np.ndarray, targets: np.ndarray) -> Tensor:
        """Of a batch; int64 [b, w] each."""
        logits = self(shown)
        logits[..., 0] = -torch.inf  # padding is no item
        return F.cross_entropy(logits.flatten(0, 1), torch.from_numpy(targets).flatten(), ignore_index=IGNORED)

    def take(self, model: BERT4Rec) -> None:
        """The weights of ours."""
        with torch.no_grad():
            self.items.weight[1:-1] = model.item_embedding
            self.items.weight[0] = 0
            assert model.hidden_item is not None
            assert model.item_bias is not None
            self.items.weight[-1] = model.hidden_item
            self.positions.weight.copy_(model.position_embedding)
            self.bias[1:] = model.item_bias
            self.head.load_state_dict(model.head.state_dict())
            for theirs, block in zip(self.blocks, model.get_submodule("blocks").children(), strict=True):
                own = block.state_dict()
                maps = [
                    torch.cat([own[f"attention.{name}.{part}"] for name in ("query", "key", "value")])
                    for part in ("weight", "bias")
                ]
                given = {
                    "self_attn.in_proj_weight": maps[0],
                    "self_attn.in_proj_bias": maps[1],
                    **{f"self_attn.out_proj.{part}": own[f"attention.output.{part}"] for part in ("weight", "bias")},
                }
                for name, ours in (
                    ("linear1", "inner"),
                    ("linear2", "outer"),
                    ("norm1", "attention_norm"),
                    ("norm2", "network_norm"),
                ):
                    given |= {f"{name}.{part}": own[f"{ours}.{part}"] for part in ("weight", "bias")}
                theirs.load_state_dict(given)


def published_batches(
    sequences: list[list[int]], n_items: int, length: int, batch_size: int, rate: float, rng: np.random.Generator
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """An epoch's batches: what is shown, and what is hidden there; int64 [b, length], from 1.

    Args:
        sequences: the items of every user, from 1, oldest first.
        rate: the chance that an item is hidden.
    """
    order = rng.permutation(len(sequences))
    for batch in range(math.ceil(len(sequences) / batch_size)):
        rows = [
            _hidden(sequences[user], n_items, length, rate, rng)
            for user in order[batch * batch_size : (batch + 1) * batch_size]
        ]
        shown, targets = (np.array(part) for part in zip(*rows, strict=True))
        yield shown, targets


def _hidden(
    items: list[int], n_items: int, length: int, rate: float, rng: np.random.Generator
) -> tuple[list[int], list[int]]:
    shown, targets = list[int](), list[int]()
    for item in items[-length:]:
        hidden = rng.random() < rate
        shown.append(n_items + 1 if hidden else item)
        targets.append(item if hidden else IGNORED)
    padding = [0] * (length - len(shown))
    return padding + shown, padding + targets
