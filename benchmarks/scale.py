"""How do time and memory of LightGCN grow with the number of users?

    python -m benchmarks.scale [--json FILE] [--rounds N] [--users N ...]

Ten thousand, a hundred thousand and a million users with 20 interactions each (fewer once duplicates are dropped), a
fifth as many items, their popularity a power law; dimension 64, three layers. A step is a whole one: propagation over
all edges that the batch depends on, BPR, backward, Adam. Each size runs in a process of its own, on one thread. The
first steps find pages for the tables that later ones use again.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from benchmarks.fresh import in_a_fresh_process, resident_bytes
from benchmarks.result import Result, add_json_option, report, run
from benchmarks.timing import best_seconds, device, peak_bytes
from recsys.batches.triplets import Triplets
from recsys.models.lightgcn import LightGCN
from recsys.models.options.lightgcn import LightGcnOptions
from recsys.training.memory import propagation_bytes
from recsys.training.tensor_memory import kept_memory

USERS = (10_000, 100_000, 1_000_000)
PER_USER, USERS_PER_ITEM, DIM, LAYERS, BATCH = 20, 5, 64, 3, 2048
PER_EDGE, OVER_PRODUCTS, MEMORY = 1.3, 1.5, 1.2


class Measured(NamedTuple):
    """Of one size: the step and its bare products in seconds; memory beyond the data and the imports in bytes."""

    n_users: int
    n_items: int
    n_edges: int
    step: float
    products: float
    memory: int


def random_edges(n_users: int, n_items: int) -> np.ndarray:
    """int64 [m, 2], unique and sorted."""
    rng = np.random.default_rng(0)
    keys = np.repeat(np.arange(n_users), PER_USER) * n_items
    keys += rng.permutation(n_items)[(n_items * rng.random(len(keys)) ** 2).astype(np.int64)]
    return np.stack(np.divmod(np.unique(keys), n_items), axis=1)


def bare(model: LightGCN) -> Callable[[], object]:
    """The sparse products of one step and nothing else, into memory that is already there."""
    x = model.user_embedding.detach().clone(), model.item_embedding.detach().clone()
    to_users, to_items = model.graph.hop.matrix(), model.graph.hop.matrix(transposed=True)
    y = torch.empty_like(x[0]), torch.empty_like(x[1])

    def products() -> None:
        for _ in range(2 * LAYERS):  # forward and backward
            torch.addmm(y[0], to_users, x[1], beta=0, out=y[0])
            torch.addmm(y[1], to_items, x[0], beta=0, out=y[1])

    return products


class Training:
    """A model, a batch and an optimiser."""

    def __init__(self, edges: np.ndarray, n_users: int, n_items: int, where: torch.device) -> None:
        generator = torch.Generator().manual_seed(0)
        self.model = LightGCN(edges, n_users, n_items, LightGcnOptions(dim=DIM, layers=LAYERS), generator).to(where)
        self.optimiser = torch.optim.Adam(self.model.parameters(), fused=True)
        rows = torch.randint(0, len(edges), (BATCH,), generator=generator)
        user, positive = torch.from_numpy(edges)[rows].to(where).unbind(1)
        negative = torch.randint(0, n_items, (BATCH,), generator=generator).to(where)
        self.batch = Triplets(user, positive, negative, None, BATCH)

    def step(self) -> Tensor:
        """A whole one; the loss before."""
        self.optimiser.zero_grad(set_to_none=True)
        loss = torch.stack(list(self.model.loss(self.batch).values())).sum()
        loss.backward()
        self.optimiser.step()
        return loss


def measure(n_users: int, rounds: int) -> Measured:
    """In this process, which should be fresh."""
    where, n_items = device(), n_users // USERS_PER_ITEM
    edges = random_edges(n_users, n_items)
    before = resident_bytes()
    with kept_memory():  # as trainings have it
        training = Training(edges, n_users, n_items, where)
        times = best_seconds({"step": training.step}, rounds, where)
    memory = torch.cuda.max_memory_allocated() if where.type == "cuda" else peak_bytes() - before
    training.optimiser.zero_grad(set_to_none=True)
    times |= best_seconds({"products": bare(training.model)}, rounds, where)
    return Measured(n_users, n_items, len(edges), times["step"], times["products"], memory)


def after_loading(n_users: int, rounds: int) -> Measured:
    """`measure` after a small one, which loads what is loaded at first use and is no part of the memory of a size."""
    measure(5_000, 1)
    return measure(n_users, rounds)


def results_of(sizes: Sequence[Measured]) -> list[Result]:
    """What is reported of the measured sizes, the smallest first."""
    results = []
    for size in sizes:
        name = f"{size.n_users:,} users, {size.n_edges:,} edges"
        formula = sum(propagation_bytes(size.n_users, size.n_items, size.n_edges, DIM).values())
        results += [
            Result.unjudged(f"{name}: step", size.step, "s", "for information"),
            Result.unjudged(f"{name}: step per edge and layer", 1e9 * _per_edge(size), "ns", "forward and backward"),
            Result.at_most(f"{name}: step / bare products", size.step / size.products, OVER_PRODUCTS, "x")
            if size.n_users >= USERS[1]
            else Result.unjudged(f"{name}: step / bare products", size.step / size.products, "x", "too small to judge"),
            Result.at_most(f"{name}: peak memory / formula", size.memory / formula, MEMORY, "x")
            if size.n_users >= USERS[1]
            else Result.unjudged(f"{name}: peak memory / formula", size.memory / formula, "x", "too small to judge"),
            Result.unjudged(f"{name}: peak memory", size.memory / 1e9, "GB", "for information"),
        ]
    for before, last in pairwise(sizes):
        name = f"time per edge, {last.n_users:,} users / {before.n_users:,}"
        growth = _per_edge(last) / _per_edge(before)
        results.append(
            Result.at_most(name, growth, PER_EDGE, "x")
            if before.n_users >= USERS[1]
            else Result.unjudged(name, growth, "x", "the smaller one fits the cache")
        )
        results.append(
            Result.unjudged(
                f"{name}, bare products",
                last.products / last.n_edges / (before.products / before.n_edges),
                "x",
                "for information",
            )
        )
    return results


def _per_edge(size: Measured) -> float:
    return size.step / (4 * LAYERS * size.n_edges)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=8, metavar="N", help="steps of which the best counts")
    parser.add_argument("--users", type=int, nargs="+", default=USERS, metavar="N", help="the sizes")
    add_json_option(parser)
    given = parser.parse_args(arguments)
    sizes = [in_a_fresh_process(after_loading, n_users, given.rounds) for n_users in sorted(given.users)]
    return report(f"Scale, {device().type}, one thread", results_of(sizes), given.json)


if __name__ == "__main__":
    run(main)
