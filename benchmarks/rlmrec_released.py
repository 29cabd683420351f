"""RLMRec's models in the structure of the published code, as something to be faster than.

Written here, with the same arithmetic and the same work: coalesced COO products, one pass over the graph for each view,
a new sparse matrix for each dropped graph, similarities of every row of a batch at once, the network of RLMRec-Con over
the texts of all users and items in every step, a Python loop that draws negatives, and a `DataLoader` that collects a
batch from single triplets.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

BACKBONES = ("gccf", "lightgcn", "sgl", "simgcl")
ALIGNERS = ("none", "con", "gen")
LAYERS, DIM, LR, BATCH = 3, 32, 1e-3, 4096
KEEP, NOISE, PENALTY = 0.8, 0.1, 1e-6
CONTRAST, CONTRAST_T, CON, CON_T, GEN, GEN_T, HIDDEN = 0.1, 0.2, 0.01, 0.2, 0.1, 0.2, 0.15


class Pairs(Dataset):
    """Training pairs with a negative each, drawn anew for an epoch in a loop of Python."""

    def __init__(self, edges: np.ndarray, n_users: int, n_items: int) -> None:
        self.rows, self.columns, self.n_items = edges[:, 0], edges[:, 1], n_items
        matrix = sp.coo_matrix((np.ones(len(edges), np.float32), edges.T), shape=(n_users, n_items))
        self.owned = matrix.todok()
        self.negatives = np.zeros(len(edges), dtype=np.int32)

    def draw(self, rng: np.random.Generator) -> None:
        """A negative for every pair."""
        for row, user in enumerate(self.rows):
            while True:
                item = rng.integers(self.n_items)
                if (user, item) not in self.owned:
                    break
            self.negatives[row] = item

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, row: int) -> tuple[int, int, int]:
        return self.rows[row], self.columns[row], self.negatives[row]

    def batches(self) -> Iterator[list[Tensor]]:
        """Shuffled batches without an end, of the negatives as they are."""
        while True:
            yield from DataLoader(self, batch_size=BATCH, shuffle=True)


class ReleasedModel(nn.Module):
    """One backbone with or without an aligner; a call is the loss of a batch.

    Args:
        backbone, aligner: of `BACKBONES` and `ALIGNERS`.
        edges: int64 [m, 2] of training (user, item) pairs.
        users, items: vectors of texts [n_users, s] and [n_items, s].
    """

    def __init__(self, backbone: str, aligner: str, edges: np.ndarray, users: Tensor, items: Tensor) -> None:
        super().__init__()
        self.backbone, self.aligner, self.sizes = backbone, aligner, (len(users), len(items))
        self.texts = torch.cat([users, items])
        self.graph = joint_graph(edges, *self.sizes, loops=backbone == "gccf" and aligner == "none")
        self.user_embeds, self.item_embeds = (
            nn.Parameter(nn.init.xavier_uniform_(torch.empty(rows, DIM))) for rows in self.sizes
        )
        final, text = DIM * (LAYERS + 1 if backbone == "gccf" else 1), users.shape[1]
        if aligner != "none":
            ends = (text, final) if aligner == "con" else (final, text)
            hidden = (text + final) // 2
            self.mlp = nn.Sequential(nn.Linear(ends[0], hidden), nn.LeakyReLU(), nn.Linear(hidden, ends[1]))
        if aligner == "gen":
            self.token = nn.Parameter(torch.zeros(1, DIM))

    def before_step(self, number: int) -> None:
        """Called before each step of an epoch, which are counted from 0."""

    def forward(self, batch: list[Tensor]) -> Tensor:
        """The sum of all terms for a batch of users, positives and negatives."""
        user, positive, negative = (ids.long() for ids in batch)
        start, hidden = self._start()
        users, items, views = self._passes(start)
        rows = users[user], items[positive], items[negative]
        loss = F.softplus((rows[0] * rows[2]).sum(1) - (rows[0] * rows[1]).sum(1)).mean() + self._penalty()
        if views:
            loss = loss + self._contrasted(views, user, positive, negative)
        return loss + self._aligned(users, items, (user, positive, negative), hidden)

    def _penalty(self) -> Tensor:
        return PENALTY * torch.stack([weight.norm(2).square() for weight in self.parameters()]).sum()

    def _contrasted(self, views: list[Any], user: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
        (u1, i1), (u2, i2) = views
        told = nce(u1[user], u2[user], u2, CONTRAST_T) + nce(i1[positive], i2[positive], i2, CONTRAST_T)
        if self.backbone == "sgl":
            told = told + nce(i1[negative], i2[negative], i2, CONTRAST_T)
        return CONTRAST * told / len(user)

    def _aligned(self, users: Tensor, items: Tensor, batch: tuple[Tensor, ...], hidden: Tensor) -> Tensor:
        """The aligner's term; `con` is of the batch's users and of each group of items after them."""
        user, *groups = batch
        if self.aligner == "con":
            of_users, of_items = self.mlp(self.texts[: self.sizes[0]]), self.mlp(self.texts[self.sizes[0] :])
            told = nce(users[user], of_users[user], of_users, CON_T)
            for ids in groups:
                told = told + nce(items[ids], of_items[ids], of_items[ids], CON_T)
            return CON * told / len(user)
        if self.aligner == "gen":
            return GEN * self._rebuilt(torch.cat([users, items])[hidden], self.texts[hidden])
        return torch.zeros(())

    def _start(self) -> tuple[Tensor, Tensor]:
        start = torch.cat([self.user_embeds, self.item_embeds])
        if self.aligner != "gen":
            return start, torch.empty(0, dtype=torch.int64)
        hidden = torch.randperm(len(start))[: max(int(HIDDEN * len(start)), 1)]
        start = start.clone()
        start[hidden] = self.token.expand(len(hidden), -1)
        return start, hidden

    def _passes(self, start: Tensor) -> tuple[Tensor, Tensor, list[Any]]:
        views: list[Tensor] = []
        if self.backbone == "gccf":
            final = torch.cat(self._layers(start, self.graph), 1)
        elif self.backbone == "lightgcn":
            final = sum(self._layers(start, _dropped(self.graph)))  # type: ignore[assignment]
        else:
            dropped = self.backbone == "sgl"
            for _ in range(2):
                graph = _dropped(self.graph) if dropped else self.graph
                views.append(sum(self._layers(start, graph, noisy=not dropped)))  # type: ignore[arg-type]
            final = sum(self._layers(start, self.graph))  # type: ignore[assignment]
        users, items = final.split(self.sizes)
        return users, items, [view.split(self.sizes) for view in views]

    @staticmethod
    def _layers(x: Tensor, graph: Tensor, *, noisy: bool = False) -> list[Tensor]:
        found = [x]
        for _ in range(LAYERS):
            x = torch.spmm(graph, x)
            if noisy:
                x = x + NOISE * F.normalize(torch.rand(x.shape)) * x.sign()
            found.append(x)
        return found

    def _rebuilt(self, rows: Tensor, texts: Tensor) -> Tensor:
        told, texts = F.normalize(self.mlp(rows)), F.normalize(texts)
        right = torch.exp((told * texts).sum(1) / GEN_T)
        return -torch.log(right / (torch.exp(told @ texts.T / GEN_T).sum(1) + 1e-8) + 1e-8).mean()


def nce(a: Tensor, b: Tensor, candidates: Tensor, temperature: float) -> Tensor:
    """The sum of InfoNCE over rows, all similarities at once and without a shift."""
    a, b, candidates = (x / torch.sqrt(1e-8 + x.square().sum(-1, keepdim=True)) for x in (a, b, candidates))
    right = -(a * b / temperature).sum(-1)
    return (right + torch.log(torch.sum(torch.exp(a @ candidates.T / temperature), dim=-1))).sum()


def joint_graph(edges: np.ndarray, n_users: int, n_items: int, *, loops: bool) -> Tensor:
    """D^-1/2 A D^-1/2 as a coalesced COO tensor, with A + I in the place of A where there are `loops`."""
    ones = sp.coo_matrix((np.ones(len(edges)), edges.T), shape=(n_users, n_items))
    joint = sp.bmat([[None, ones], [ones.T, None]]).tocoo()
    joint = (joint + sp.eye(joint.shape[0])).tocoo() if loops else joint
    power = sp.diags(np.maximum(np.asarray(joint.sum(1)).ravel(), 1) ** -0.5)
    scaled = (power @ joint @ power).tocoo()
    places = torch.from_numpy(np.vstack([scaled.row, scaled.col]).astype(np.int64))
    values = torch.from_numpy(scaled.data.astype(np.float32))
    return torch.sparse_coo_tensor(places, values, scaled.shape, check_invariants=False).coalesce()


def _dropped(graph: Tensor) -> Tensor:
    values, places = graph.values(), graph.indices()
    kept = (torch.rand(len(values)) + KEEP).floor().bool()
    return torch.sparse_coo_tensor(places[:, kept], values[kept], graph.shape, check_invariants=False)
