"""Figures of RLMRec's models written a second time (`tests.benchmarks.rlmrec_models`), in the form of the authors'.

It makes a folder in the released layout and a file of figures, as `benchmarks.parity_rlmrec` takes them, of any size.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from tests.benchmarks.rlmrec_autocf import AutoCf
from tests.benchmarks.rlmrec_dccf import Dccf
from tests.benchmarks.rlmrec_models import BACKBONES, Arrays, Model, World

CUTOFFS = (3, 5)
STEPS = 3
MODELS: dict[str, type[Model]] = {"dccf": Dccf, "autocf": AutoCf}


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
        draws = model.drawn(number)
        out[f"batch/{number}"] = batch
        out |= {f"draw/{number}/{name}": array for name, array in draws.items()}
        terms, parts, e = model.step(number, batch, draws)
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
    out |= model.derived
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
        model = MODELS.get(name.partition("_")[0], Model)(name, world)
        arrays |= {f"{name}/{key}": value for key, value in figures(model).items()}
    np.savez(folder / "expected.npz", **arrays)
    return folder / "release", folder / "expected.npz", arrays
