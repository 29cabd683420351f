"""RLMRec's models written a second time: dense matrices, float64, every row of every batch for itself.

Written from the description of the published code's arithmetic, without a look at ours. It makes a folder in the
released layout and a file of figures, as `benchmarks.parity_rlmrec` takes them, of any size.
"""

from __future__ import annotations

import json
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor
from torch.nn.functional import leaky_relu

CUTOFFS = (3, 5)
STEPS = 3
Arrays = dict[str, Any]
COMMON = {"embedding_size": 4, "reg_weight": 0.02}
PLUS = {"kd_weight": 0.3, "kd_temperature": 0.4}
GENE = {"mask_ratio": 0.2, "recon_weight": 0.5, "re_temperature": 0.6}
BACKBONES: dict[str, dict[str, Any]] = {
    "gccf": {"layer_num": 2, "keep_rate": 0.8},
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
    """One of the code's models in a world: parameters under its names, and what a step makes of them."""

    def __init__(self, name: str, world: World) -> None:
        self.name, self.world = name, world
        self.backbone, _, self.aligner = name.partition("_")
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
        if self.backbone == "gccf":
            shapes |= {f"gcnLayers.{layer}.W": (d, d) for layer in range(self.hyper["layer_num"])}
        ends = {"plus": (text, final), "gene": (final, text)}.get(self.aligner)
        if self.aligner == "gene":
            shapes["masker.mask_token"] = (1, d)
        if ends:
            shapes |= {"mlp.0.weight": (hidden, ends[0]), "mlp.0.bias": (hidden,)}
            shapes |= {"mlp.2.weight": (ends[1], hidden), "mlp.2.bias": (ends[1],)}
        return shapes

    def drawn(self) -> dict[str, np.ndarray]:
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

    def start(self, draws: Mapping[str, np.ndarray] | None) -> Tensor:
        rows = list(torch.cat([self.parameters["user_embeds"], self.parameters["item_embeds"]]))
        for node in (draws or {}).get("masked_nodes", ()):
            rows[node] = self.parameters["masker.mask_token"][0]
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

    def step(self, batch: np.ndarray, draws: Mapping[str, np.ndarray]) -> tuple[Arrays, Arrays, Tensor]:
        """The terms as they enter the total, the parts of them, and the embeddings."""
        world, hyper, size = self.world, self.hyper, batch.shape[1]
        e, views = self.final(draws)
        nodes = batch + np.array([[0], [world.users], [world.users]])
        u, p, n = (e[rows] for rows in nodes)
        bpr = sum(
            torch.log(1 + torch.exp(row_u @ row_n - row_u @ row_p)) for row_u, row_p, row_n in zip(u, p, n, strict=True)
        )
        squares = sum((value**2).sum() for value in self.parameters.values())
        terms: Arrays = {"bpr": bpr / size, "reg": hyper["reg_weight"] * squares}
        parts: Arrays = {"bpr": [bpr], "reg": [squares]}
        if views:
            temperature = hyper.get("cl_temperature", hyper.get("temperature"))
            first, second = views
            sides = [slice(0, world.users), slice(world.users, None), slice(world.users, None)]
            count = 3 if self.backbone == "sgl" else 2
            found = [
                nce(first[rows], second[rows], second[side], temperature)
                for rows, side in list(zip(nodes, sides, strict=True))[:count]
            ]
            terms["cl"] = hyper["cl_weight"] / size * sum(found)
            parts["infonce"] = found
        if self.aligner == "plus":
            told = self.mlp(world.texts)
            candidates = [told[: world.users], told[nodes[1]], told[nodes[2]]]
            found = [
                nce(e[rows], told[rows], others, hyper["kd_temperature"])
                for rows, others in zip(nodes, candidates, strict=True)
            ]
            terms["kd"] = hyper["kd_weight"] / size * sum(found)
            parts["infonce"] = [*parts.get("infonce", []), *found]
        if self.aligner == "gene":
            masked = torch.from_numpy(draws["masked_nodes"])
            told, texts = self.mlp(e[masked]), world.texts[masked]
            cosines = (told / told.norm(dim=1, keepdim=True)) @ (texts / texts.norm(dim=1, keepdim=True)).T
            powers = torch.exp(cosines / hyper["re_temperature"])
            recon = torch.stack(
                [-torch.log(powers[k, k] / (powers[k].sum() + 1e-8) + 1e-8) for k in range(len(masked))]
            ).mean()
            terms["recon"], parts["recon"] = hyper["recon_weight"] * recon, [recon]
        return terms, parts, e


def metrics(e: Tensor, world: World) -> Arrays:
    scores = (e[: world.users] @ e[world.users :].T).detach().numpy()
    train = {u: set(world.splits["trn"][world.splits["trn"][:, 0] == u, 1]) for u in range(world.users)}
    found: Arrays = {}
    for split, name in (("val", "valid"), ("tst", "test")):
        recall, ndcg = np.zeros(len(CUTOFFS)), np.zeros(len(CUTOFFS))
        judged = sorted(set(world.splits[split][:, 0]))
        for user in judged:
            truth = set(world.splits[split][world.splits[split][:, 0] == user, 1])
            ranked = [i for i in np.argsort(-scores[user], kind="stable") if i not in train[user]]
            for place, k in enumerate(CUTOFFS):
                gains = [1 / np.log2(rank + 2) for rank, item in enumerate(ranked[:k]) if item in truth]
                ideal = sum(1 / np.log2(rank + 2) for rank in range(min(k, len(truth))))
                recall[place] += len(gains) / len(truth)
                ndcg[place] += sum(gains) / ideal
        found |= {f"{name}/recall": recall / len(judged), f"{name}/ndcg": ndcg / len(judged)}
    return found


def figures(model: Model) -> Arrays:
    world, size = model.world, 15
    optimiser = torch.optim.Adam(model.parameters.values(), lr=0.01)
    out: Arrays = {
        f"param/{name}": value.detach().numpy().astype(np.float32) for name, value in model.parameters.items()
    }
    hyper = {"optimizer": {"lr": 0.01}, "test": {"k": CUTOFFS}, "train": {"batch_size": size}, "model": model.hyper}
    out["hyper"] = np.array(json.dumps(hyper))

    def seen(name: str) -> None:
        e, _ = model.final()
        users, items = e.detach().numpy().astype(np.float32)[: world.users], e.detach().numpy()[world.users :]
        out[f"{name}/user"], out[f"{name}/item"] = users, items.astype(np.float32)
        after = "metrics_trained" if "trained" in name else "metrics_init"
        out.update({f"{after}/{key}": value for key, value in metrics(e, world).items()})

    seen("forward")
    losses: dict[str, list[float]] = {}
    norms: dict[str, list[float]] = {name: [] for name in model.parameters}
    for number in range(STEPS):
        edges = world.rng.permutation(world.splits["trn"])[: size - number]
        batch = np.concatenate([edges.T, world.rng.integers(0, world.items, (1, len(edges)))])
        draws = model.drawn()
        out[f"batch/{number}"] = batch
        out |= {f"draw/{number}/{name}": array for name, array in draws.items()}
        terms, parts, e = model.step(batch, draws)
        total = sum(terms.values())
        if number == 0:
            out |= {
                f"part/{name}": np.array([float(value.detach()) for value in values]) for name, values in parts.items()
            }
            out["train_forward/user"], out["train_forward/item"] = (
                rows.detach().numpy().astype(np.float32) for rows in e.split([world.users, world.items])
            )
        optimiser.zero_grad()
        total.backward()
        for name, value in {**terms, "total": total}.items():
            losses.setdefault(name, []).append(float(value.detach()))
        for name, parameter in model.parameters.items():
            norms[name].append(0.0 if parameter.grad is None else float(parameter.grad.norm()))
        optimiser.step()
    out |= {f"loss/{name}": np.array(values) for name, values in losses.items()}
    out |= {f"grad_norm/{name}": np.array(values) for name, values in norms.items()}
    out |= {f"trained/{name}": value.detach().numpy().astype(np.float32) for name, value in model.parameters.items()}
    seen("forward_trained")
    return out


def reference(folder: Path, seed: int = 3, models: tuple[str, ...] | None = None) -> tuple[Path, Path, Arrays]:
    """Writes `release/` and `expected.npz` into a folder; returns both and the arrays."""
    world = World(seed)
    world.write(folder / "release")
    names = models or tuple(f"{name}{end}" for name in BACKBONES for end in ("", "_plus", "_gene"))
    arrays: Arrays = {"meta": np.array(json.dumps({"models": names, "cutoffs": CUTOFFS, "steps": STEPS}))}
    for name, matrix in (("graph", world.graph), ("graph_selfloop", world.looped)):
        arrays |= dict(zip((f"{name}/row", f"{name}/col", f"{name}/value"), world.entries(matrix), strict=True))
    for name in names:
        arrays |= {f"{name}/{key}": value for key, value in figures(Model(name, world)).items()}
    np.savez(folder / "expected.npz", **arrays)
    return folder / "release", folder / "expected.npz", arrays
