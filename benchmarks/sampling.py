"""How much faster is our negative sampler than rejection, in Python or NumPy? And does it ever draw a positive?

    python -m benchmarks.sampling [--json FILE] [--rounds N]

One epoch with one negative per training interaction, on the sizes of LLMRec's MovieLens data and on 2 million edges.
All forms run in turns on one thread; the best round of each counts.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Callable, Sequence

import numpy as np
import torch

from benchmarks.propagation import SIZES, random_graph
from benchmarks.result import Result, add_json_option, report, run
from benchmarks.timing import best_seconds, device, one_thread
from recsys.batches.triplets import BprSampler

TARGETS = {"58k": 2.0, "2M": 3.0}
BATCH = 2048


def python_sets(edges: np.ndarray, n_items: int) -> Callable[[], object]:
    """A draw per interaction, repeated while the user has the item: the usual loop."""
    pairs = edges.tolist()
    owned: dict[int, set[int]] = {}
    for user, item in pairs:
        owned.setdefault(user, set()).add(item)

    def epoch() -> list[tuple[int, int, int]]:
        random.shuffle(pairs)
        triplets = []
        for user, item in pairs:
            negative = random.randrange(n_items)
            while negative in owned[user]:
                negative = random.randrange(n_items)
            triplets.append((user, item, negative))
        return triplets

    return epoch


def numpy_rejection(edges: np.ndarray, n_items: int) -> Callable[[], object]:
    """All draws at once, and those again that hit a positive, found by a binary search."""
    rng = np.random.default_rng(0)
    keys = np.sort(edges[:, 0] * n_items + edges[:, 1])

    def epoch() -> tuple[np.ndarray, np.ndarray]:
        order = rng.permutation(len(edges))
        user = edges[order, 0]
        negative = rng.integers(0, n_items, len(user))
        wrong = np.arange(len(user))
        while len(wrong):
            wanted = user[wrong] * n_items + negative[wrong]
            place = np.searchsorted(keys, wanted).clip(max=len(keys) - 1)
            wrong = wrong[keys[place] == wanted]
            negative[wrong] = rng.integers(0, n_items, len(wrong))
        return edges[order], negative

    return epoch


def false_negatives(sampler: BprSampler, edges: np.ndarray, n_items: int) -> int:
    """How many negatives of one epoch are training interactions of their user."""
    batches = list(sampler.epoch())
    user, negative = (torch.cat([getattr(b, name) for b in batches]).cpu().numpy() for name in ("user", "negative"))
    return int(np.isin(user * n_items + negative, edges[:, 0] * n_items + edges[:, 1]).sum())


def measure(name: str, rounds: int, sizes: tuple[int, int, int] | None = None) -> list[Result]:
    """The ratios for one size."""
    n_users, n_items, n_edges = sizes or SIZES[name]
    edges = random_graph(n_users, n_items, n_edges)
    where = device()
    random.seed(0)
    generator = torch.Generator(device=where).manual_seed(0)
    sampler = BprSampler(edges, n_users, n_items, batch_size=BATCH, generator=generator)
    forms: dict[str, Callable[[], object]] = {
        "ours": lambda: list(sampler.epoch()),
        "Python sets": python_sets(edges, n_items),
        "NumPy, rejection": numpy_rejection(edges, n_items),
    }
    best = best_seconds(forms, rounds, where)
    return [
        Result.at_least(f"{name} edges: Python sets / ours", best["Python sets"] / best["ours"], TARGETS[name], "x"),
        Result.unjudged(
            f"{name} edges: NumPy, rejection / ours", best["NumPy, rejection"] / best["ours"], "x", "for information"
        ),
        Result.unjudged(f"{name} edges: ours", 1e3 * best["ours"], "ms", "for information"),
        Result.at_most(f"{name} edges: false negatives of ours", false_negatives(sampler, edges, n_items), 0, ""),
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sampling", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="rounds of which the best counts")
    add_json_option(parser)
    given = parser.parse_args(arguments)
    with one_thread():
        results = [result for name in SIZES for result in measure(name, given.rounds)]
    return report(f"Negative sampling, {device().type}, one thread", results, given.json)


if __name__ == "__main__":
    run(main)
