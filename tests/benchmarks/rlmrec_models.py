"""RLMRec's models written a second time: dense matrices, float64, every row of every batch for itself.

Written from the description of the published code's arithmetic, without a look at ours.
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor
from torch.nn.functional import leaky_relu

Arrays = dict[str, Any]
COMMON = {"embedding_size": 4, "reg_weight": 0.02}
PLUS = {"kd_weight": 0.3, "kd_temperature": 0.4}
GENE = {"mask_ratio": 0.2, "recon_weight": 0.5, "re_temperature": 0.6}
BACKBONES: dict[str, dict[str, Any]] = {
    "gccf": {"layer_num": 2, "keep_rate": 0.8},
    "dccf": {"layer_num": 2, "intent_num": 3, "cl_weight": 0.3, "temperature": 0.3},
    "autocf": {
        "gcn_layer": 2,
        "gt_layer": 2,
        "head_num": 2,
        "seed_num": 1,
        "mask_depth": 2,
        "keep_rate": 0.3,
        "fix_steps": 2,
        "ssl_reg": 0.5,
    },
    "lightgcn": {"layer_num": 3, "keep_rate": 0.7},
    "sgl": {"layer_num": 2, "keep_rate": 0.6, "cl_weight": 0.2, "temperature": 0.3},
    "simgcl": {"layer_num": 3, "keep_rate": 1.0, "eps": 0.3, "cl_weight": 0.2, "temperature": 0.4},
}


class World:
    """Users, items, splits, vectors, and the two dense graphs."""

    def __init__(self, seed: int, users: int = 13, items: int = 11, text: int = 7) -> None:
        self.rng = np.random.default_rng(seed)
        self.users, self.items, self.text = users, items, text
        interactions = np.array([(u, i) for u in range(users) for i in self.rng.choice(items, 6, replace=False)])
        part = np.tile([0, 0, 0, 0, 1, 2], users)
        self.splits = {name: interactions[part == code] for code, name in enumerate(("trn", "val", "tst"))}
        missing = sorted(set(range(items)) - set(self.splits["trn"][:, 1]))
        assert not missing, "choose another seed: an item has no training edge"
        self.vectors = {"usr": self._unit(users), "itm": self._unit(items)}
        self.texts = torch.from_numpy(np.concatenate([*self.vectors.values()]).astype(np.float32)).double()
        self.graph, self.looped = self._dense(loops=False), self._dense(loops=True)

    @property
    def nodes(self) -> int:
        return self.users + self.items

    def _unit(self, rows: int) -> np.ndarray:
        vectors = self.rng.normal(size=(rows, self.text))
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    def _dense(self, *, loops: bool) -> np.ndarray:
        matrix = np.eye(self.nodes) if loops else np.zeros((self.nodes, self.nodes))
        for user, item in self.splits["trn"]:
            matrix[user, self.users + item] = matrix[self.users + item, user] = 1
        degree = matrix.sum(1)
        return (matrix / np.sqrt(degree[:, None] * degree[None, :])).astype(np.float32).astype(np.float64)

    def entries(self, matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Column by column."""
        column, row = np.nonzero(matrix.T)
        return row.astype(np.int32), column.astype(np.int32), matrix[row, column].astype(np.float32)

    def write(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        for name, pairs in self.splits.items():
            ones = np.ones(len(pairs))
            matrix = sp.coo_matrix((ones, pairs.T.astype(np.int32)), shape=(self.users, self.items))
            (folder / f"{name}_mat.pkl").write_bytes(pickle.dumps(matrix, protocol=4))
        for name, vectors in self.vectors.items():
            (folder / f"{name}_emb_np.pkl").write_bytes(pickle.dumps(vectors, protocol=4))


def nce(a: Tensor, b: Tensor, candidates: Tensor, temperature: float) -> Tensor:
    def unit(rows: Tensor) -> Tensor:
        return rows / (1e-8 + (rows**2).sum(1, keepdim=True)) ** 0.5

    a, b, candidates = unit(a), unit(b), unit(candidates)
    rows = [
        torch.log(sum(torch.exp(row @ other / temperature) for other in candidates)) - row @ own / temperature
        for row, own in zip(a, b, strict=True)
    ]
    return sum(rows)  # type: ignore[return-value]


class Model:
    """One of the code's models in a world: parameters under its names, and what a step makes of them.

    Attributes:
        derived: arrays that follow from the draws, by name.
    """

    token = "masker.mask_token"
    aligned = 3
    """How many of a batch's users, positive and negative items `_plus` aligns."""

    def __init__(self, name: str, world: World) -> None:
        self.name, self.world = name, world
        self.backbone, _, self.aligner = name.partition("_")
        self.derived: Arrays = {}
        self.hyper = {**COMMON, **BACKBONES[self.backbone]}
        self.hyper |= {"plus": PLUS, "gene": GENE, "": {}}[self.aligner]
        if self.aligner and "temperature" in self.hyper:
            self.hyper["cl_temperature"] = self.hyper.pop("temperature")
        d = self.hyper["embedding_size"]
        self.parameters = {
            name: torch.from_numpy(self._draw(shape)).double().requires_grad_()
            for name, shape in self._shapes(d).items()
        }

    def _draw(self, shape: tuple[int, ...]) -> np.ndarray:
        return (0.4 * self.world.rng.normal(size=shape)).astype(np.float32)

    def _shapes(self, d: int) -> dict[str, tuple[int, ...]]:
        final = d * (self.hyper["layer_num"] + 1) if self.backbone == "gccf" else d
        hidden, text = (self.world.text + final) // 2, self.world.text
        shapes: dict[str, tuple[int, ...]] = {
            "user_embeds": (self.world.users, d),
            "item_embeds": (self.world.items, d),
        }
        shapes |= self._own_shapes(d)
        ends = {"plus": (text, final), "gene": (final, text)}.get(self.aligner)
        if self.aligner == "gene":
            shapes[self.token] = (1, d)
        if ends:
            shapes |= {"mlp.0.weight": (hidden, ends[0]), "mlp.0.bias": (hidden,)}
            shapes |= {"mlp.2.weight": (ends[1], hidden), "mlp.2.bias": (ends[1],)}
        return shapes

    def _own_shapes(self, d: int) -> dict[str, tuple[int, ...]]:
        """Of parameters beside the tables and those of aligners."""
        layers = range(self.hyper["layer_num"]) if self.backbone == "gccf" else ()
        return {f"gcnLayers.{layer}.W": (d, d) for layer in layers}

    def drawn(self, number: int) -> dict[str, np.ndarray]:
        rng, world = self.world.rng, self.world
        entries = len(world.entries(world.graph)[0])
        views = {"lightgcn": 1, "sgl": 2}.get(self.backbone, 0)
        draws = {"edge_keep": rng.random((views, entries)) < self.hyper["keep_rate"]} if views else {}
        if self.backbone == "simgcl":
            d = self.hyper["embedding_size"]
            draws["noise"] = rng.random((2, self.hyper["layer_num"], world.nodes, d)).astype(np.float32)
        if self.aligner == "gene":
            count = max(int(world.nodes * self.hyper["mask_ratio"]), 1)
            draws["masked_nodes"] = rng.permutation(world.nodes)[:count]
        return draws

    def mlp(self, rows: Tensor) -> Tensor:
        p = self.parameters
        hidden = leaky_relu(rows @ p["mlp.0.weight"].T + p["mlp.0.bias"], 0.01)
        return hidden @ p["mlp.2.weight"].T + p["mlp.2.bias"]

    def table(self) -> Tensor:
        return torch.cat([self.parameters["user_embeds"], self.parameters["item_embeds"]])

    def nodes(self, batch: np.ndarray) -> Tensor:
        """[3, b] of users, positive and negative items."""
        return torch.from_numpy(batch + np.array([[0], [self.world.users], [self.world.users]]))

    def squares(self) -> Tensor:
        return sum((value**2).sum() for value in self.parameters.values())  # type: ignore[return-value]

    def start(self, draws: Mapping[str, np.ndarray] | None) -> Tensor:
        rows = list(self.table())
        for node in (draws or {}).get("masked_nodes", ()):
            rows[node] = self.parameters[self.token][0]
        return torch.stack(rows)

    def thinned(self, kept: np.ndarray) -> Tensor:
        matrix = torch.from_numpy(self.world.graph).clone()
        row, column, _ = self.world.entries(self.world.graph)
        for r, c, keep in zip(row, column, kept, strict=True):
            matrix[r, c] *= bool(keep)
        return matrix

    def layers(self, x: Tensor, matrix: Tensor, noise: np.ndarray | None = None) -> list[Tensor]:
        found = [x]
        for layer in range(self.hyper["layer_num"]):
            x = matrix @ x
            if noise is not None:
                u = torch.from_numpy(noise[layer]).double()
                x = x + self.hyper["eps"] * torch.sign(x) * u / u.norm(dim=1, keepdim=True)
            found.append(x)
        return found

    def final(self, draws: Mapping[str, np.ndarray] | None = None) -> tuple[Tensor, list[Tensor]]:
        """The embeddings that BPR reads and the two views; without draws at inference."""
        x, whole = self.start(draws), torch.from_numpy(self.world.graph)
        if self.backbone == "gccf":
            matrix = torch.from_numpy(self.world.looped if self.name == "gccf" else self.world.graph)
            return torch.cat(self.layers(x, matrix), 1), []
        if draws is None:
            return sum(self.layers(x, whole)), []  # type: ignore[return-value]
        if self.backbone == "lightgcn":
            return sum(self.layers(x, self.thinned(draws["edge_keep"][0]))), []  # type: ignore[return-value]
        if self.backbone == "sgl":
            views = [sum(self.layers(x, self.thinned(kept))) for kept in draws["edge_keep"]]
        else:
            views = [sum(self.layers(x, whole, noise)) for noise in draws["noise"]]
        return sum(self.layers(x, whole)), views  # type: ignore[return-value]

    def step(self, number: int, batch: np.ndarray, draws: Mapping[str, np.ndarray]) -> tuple[Arrays, Arrays, Tensor]:
        """The terms as they enter the total, the parts of them, and the embeddings."""
        size, nodes = batch.shape[1], self.nodes(batch)
        e, views = self.final(draws)
        u, p, n = (e[rows] for rows in nodes)
        bpr = sum(
            torch.log(1 + torch.exp(row_u @ row_n - row_u @ row_p)) for row_u, row_p, row_n in zip(u, p, n, strict=True)
        )
        squares = self.squares()
        terms: Arrays = {"bpr": bpr / size, "reg": self.hyper["reg_weight"] * squares}
        parts: Arrays = {"bpr": [bpr], "reg": [squares]}
        for more_terms, more_parts in (self.contrast(nodes, views), self.alignment(e, nodes, draws)):
            terms |= more_terms
            parts |= {name: [*parts.get(name, []), *values] for name, values in more_parts.items()}
        return terms, parts, e

    def contrast(self, nodes: Tensor, views: list[Any]) -> tuple[Arrays, Arrays]:
        """The term of the views, and what it weights."""
        if not views:
            return {}, {}
        hyper, users = self.hyper, self.world.users
        temperature = hyper.get("cl_temperature", hyper.get("temperature"))
        first, second = views
        sides = [slice(0, users), slice(users, None), slice(users, None)]
        count = 3 if self.backbone == "sgl" else 2
        found = [
            nce(first[rows], second[rows], second[side], temperature)
            for rows, side in list(zip(nodes, sides, strict=True))[:count]
        ]
        return {"cl": hyper["cl_weight"] / nodes.shape[1] * sum(found)}, {"infonce": found}

    def alignment(self, e: Tensor, nodes: Tensor, draws: Mapping[str, np.ndarray]) -> tuple[Arrays, Arrays]:
        """The aligner's term, and what it weights."""
        world, hyper = self.world, self.hyper
        if self.aligner == "plus":
            told = self.mlp(world.texts)
            candidates = [told[: world.users], told[nodes[1]], told[nodes[2]]]
            found = [
                nce(e[rows], told[rows], others, hyper["kd_temperature"])
                for rows, others in list(zip(nodes, candidates, strict=True))[: self.aligned]
            ]
            return {"kd": hyper["kd_weight"] / nodes.shape[1] * sum(found)}, {"infonce": found}
        if self.aligner == "gene":
            masked = torch.from_numpy(draws["masked_nodes"])
            told, texts = self.mlp(e[masked]), world.texts[masked]
            cosines = (told / told.norm(dim=1, keepdim=True)) @ (texts / texts.norm(dim=1, keepdim=True)).T
            powers = torch.exp(cosines / hyper["re_temperature"])
            recon = torch.stack(
                [-torch.log(powers[k, k] / (powers[k].sum() + 1e-8) + 1e-8) for k in range(len(masked))]
            ).mean()
            return {"recon": hyper["recon_weight"] * recon}, {"recon": [recon]}
        return {}, {}
