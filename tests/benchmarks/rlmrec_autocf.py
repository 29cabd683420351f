"""AutoCF a second time: dense matrices for both of its graphs, and sets of nodes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tests.benchmarks.rlmrec_models import Arrays, Model


class AutoCf(Model):
    """See `Model`. The graphs of a step are kept for those after it."""

    token = "gene_masker.mask_token"
    aligned = 2

    def _own_shapes(self, d: int) -> dict[str, tuple[int, ...]]:
        return {f"gtLayers.{layer}.{name}Trans": (d, d) for layer in range(self.hyper["gt_layer"]) for name in "qkv"}

    def drawn(self, number: int) -> dict[str, np.ndarray]:
        """What `step` draws; how many nodes are masked follows from the first of it."""
        draws: dict[str, np.ndarray] = {}
        if number % self.hyper["fix_steps"] == 0:
            rng, nodes, entries = self.world.rng, self.world.nodes, int(self.ones.sum())
            draws["gumbel_uniform"] = rng.random(nodes).astype(np.float32)
            draws["random_nodes"] = rng.integers(0, nodes, int(nodes * self.hyper["keep_rate"]))
            count = len(self._masked(draws)[2])
            draws |= {name: rng.integers(0, count, entries) for name in ("pair_rows", "pair_cols")}
        return draws | super().drawn(number)

    @property
    def ones(self) -> np.ndarray:
        """The pattern of the graph."""
        return (self.world.graph != 0).astype(np.float64)

    def _scores(self, uniform: np.ndarray) -> Tensor:
        table, ones = self.table(), torch.from_numpy(self.ones)
        first = ones @ table - table
        second = ones @ first - first - ones.sum(1, keepdim=True) * table
        cosine = torch.nn.functional.cosine_similarity(first + second, table)
        return torch.log(torch.sigmoid(cosine)) - torch.from_numpy(np.log(-np.log(uniform.astype(np.float64))))

    def _masked(self, draws: Mapping[str, np.ndarray]) -> tuple[list[int], np.ndarray, list[int]]:
        """The seeds, what is left of the pattern, and the masked nodes."""
        seeds = self._scores(draws["gumbel_uniform"]).detach().topk(self.hyper["seed_num"]).indices.tolist()
        left, current, masked = self.ones, set(seeds), set(seeds)
        for depth in range(self.hyper["mask_depth"]):
            gone = {(r, c) for r, c in zip(*np.nonzero(left), strict=True) if r in current or c in current}
            for place in gone:
                left[place] = 0
            current = {int(node) for place in gone for node in place}
            if depth + 1 < self.hyper["mask_depth"]:
                masked |= current
        return seeds, left, sorted(masked | set(draws["random_nodes"].tolist()))

    def _new_graphs(self, number: int, draws: Mapping[str, np.ndarray]) -> None:
        seeds, left, masked = self._masked(draws)
        degree = np.maximum(left.sum(1), 1)
        self.encoder = left / np.sqrt(degree[:, None] * degree[None, :])
        self.decoder = left + np.eye(self.world.nodes)
        for a, b in zip(draws["pair_rows"], draws["pair_cols"], strict=True):
            self.decoder[masked[a], masked[b]] = self.decoder[masked[b], masked[a]] = 1
        row, column, value = self.world.entries(self.encoder)
        rows, columns = np.nonzero(self.decoder)
        scores = self._scores(draws["gumbel_uniform"]).detach().numpy()
        found = {"scores": scores, "seeds": np.array(seeds), "encoder_row": row, "encoder_col": column}
        found |= {"encoder_value": value, "decoder_row": rows, "decoder_col": columns}
        self.derived |= {f"derived/{number}/{name}": array for name, array in found.items()}

    def final(self, draws: Mapping[str, np.ndarray] | None = None) -> tuple[Tensor, list[Any]]:
        """The final embeddings; there are no views."""
        whole = self.world.graph, self.ones
        encoder, decoder = (
            torch.from_numpy(matrix) for matrix in (whole if draws is None else (self.encoder, self.decoder))
        )
        x = total = self.start(draws)
        for _ in range(self.hyper["gcn_layer"]):
            x = encoder @ x
            total = total + x
        for layer in range(self.hyper["gt_layer"]):
            x = torch.cat([self._head(layer, head, x, (decoder != 0).double()) for head in range(2)], 1)
            total = total + x
        return total, []

    def _head(self, layer: int, head: int, x: Tensor, pattern: Tensor) -> Tensor:
        own = slice(2 * head, 2 * head + 2)
        query, key, value = ((x @ self.parameters[f"gtLayers.{layer}.{name}Trans"])[:, own] for name in "qkv")
        powers = torch.exp(torch.clamp(query @ key.T, -10, 10)) * pattern
        return powers @ value / (powers.sum(1, keepdim=True) + 1e-8)

    def step(self, number: int, batch: np.ndarray, draws: Mapping[str, np.ndarray]) -> tuple[Arrays, Arrays, Tensor]:
        """See `Model.step`."""
        infomax = torch.zeros(()).double()
        if "gumbel_uniform" in draws:
            self._new_graphs(number, draws)
            infomax = -self._scores(draws["gumbel_uniform"]).mean()
        e, _ = self.final(draws)
        nodes = self.nodes(batch)
        users, items = e.split([self.world.users, self.world.items])

        def among(rows: Tensor, others: Tensor) -> Tensor:
            return torch.log(torch.exp(e[rows] @ others.T).sum(1)).mean()

        contrast = [among(nodes[0].unique(), users), among(nodes[1].unique(), items), among(nodes[0], items)]
        squares = self.squares()
        terms: Arrays = {
            "rec": -(e[nodes[0]] * e[nodes[1]]).sum(1).mean(),
            "reg": self.hyper["reg_weight"] * squares,
            "cl": self.hyper["ssl_reg"] * (contrast[0] + contrast[1]) + contrast[2],
            "infomax": infomax,
        }
        added, parts = self.alignment(e, nodes, draws)
        return {**terms, **added}, {"reg": [squares], "contrast": contrast, **parts}, e
