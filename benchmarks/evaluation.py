"""How fast is full ranking evaluation, against a loop with a heap per user and against the bare product and top-k?

    python -m benchmarks.evaluation [--json FILE] [--users N] [--items N] [--looped N] [--repeats N]

The loop is what NGCF, LATTICE, MMSSL and LLMRec do: per user a dict of all candidates, `heapq.nlargest`, a list of
hits. Three minutes for all users, so it is timed on a seeded sample and its time taken per user. The bare form ranks
without masks, checks, ties or metrics. All have the same chunks of users and one thread. Exit status: 0 within
targets, 1 not.
"""

from __future__ import annotations

import argparse
import heapq
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from benchmarks.result import Result, add_json_option, report, run
from benchmarks.timing import best_cpu_seconds, one_thread
from recsys.data.dataset import Dataset
from recsys.evaluation.ranking import default_chunk, evaluate

CUTOFFS = (10, 20, 50)
DIM = 64
PER_USER = {"train": 20, "valid": 2, "test": 3}
LOOP, BARE, AGREEMENT = 40.0, 1.3, 1e-12


class Problem(NamedTuple):
    """Embeddings whose inner products rank a user's own items high, and the data they come from."""

    dataset: Dataset
    users: Tensor
    items: Tensor

    def scores(self, users: Tensor) -> Tensor:
        """float32 [b, n_items]."""
        return self.users[users] @ self.items.T


def problem(n_users: int, n_items: int, seed: int = 0) -> Problem:
    """Random interactions, items with a long tail of popularity; a user is the mean of the own items, and noise."""
    rng = np.random.default_rng(seed)
    size = sum(PER_USER.values())
    own = np.empty((n_users, size), dtype=np.int64)
    for row in own:
        drawn: np.ndarray = np.empty(0, dtype=np.int64)
        while len(drawn) < size:
            drawn = np.unique(np.concatenate([drawn, (n_items * rng.random(2 * size) ** 2).astype(np.int64)]))
        row[:] = rng.permutation(drawn)[:size]
    parts = np.split(own, np.cumsum(list(PER_USER.values()))[:-1], axis=1)
    pairs = [np.column_stack([np.repeat(np.arange(n_users), part.shape[1]), part.ravel()]) for part in parts]
    items = rng.standard_normal((n_items, DIM), dtype=np.float32)
    users = items[own].mean(axis=1) + rng.standard_normal((n_users, DIM), dtype=np.float32) / 20
    return Problem(Dataset.from_arrays(n_users, n_items, *pairs), torch.from_numpy(users), torch.from_numpy(items))


def looped(given: Problem, users: np.ndarray, chunk: int) -> dict[str, np.ndarray]:
    """The metrics of each of `users` by plain Python, as float64 [len(users)]."""
    owned: dict[str, dict[int, set[int]]] = {name: {int(user): set() for user in users} for name in PER_USER}
    for name, of_user in owned.items():
        for user, item in given.dataset.pairs(name)[np.isin(given.dataset.pairs(name)[:, 0], users)].tolist():
            of_user[user].add(item)
    rows: list[list[float]] = []
    for start in range(0, len(users), chunk):
        batch = users[start : start + chunk]
        for user, row in zip(batch.tolist(), given.scores(torch.from_numpy(batch)).numpy(), strict=True):
            candidates = set(range(given.dataset.n_items)) - owned["train"][user] - owned["valid"][user]
            score_of = {item: row[item] for item in candidates}
            top = heapq.nlargest(max(CUTOFFS), score_of, key=score_of.__getitem__)
            hits = [1 if item in owned["test"][user] else 0 for item in top]
            rows.append([value for k in CUTOFFS for value in _metrics(hits[:k], len(owned["test"][user]), k)])
    names = [f"{name}@{k}" for k in CUTOFFS for name in ("recall", "precision", "hit_rate", "ndcg")]
    return dict(zip(names, np.array(rows).T, strict=True))


def _metrics(hits: list[int], n_positives: int, k: int) -> tuple[float, float, float, float]:
    found = sum(hits)
    dcg = sum(hit / math.log2(place + 2) for place, hit in enumerate(hits))
    ideal = sum(1 / math.log2(place + 2) for place in range(min(n_positives, k)))
    return found / n_positives, found / k, float(found > 0), dcg / ideal


def bare(given: Problem, chunk: int) -> None:
    """Products and top-k of all users, and nothing else."""
    for start in range(0, given.dataset.n_users, chunk):
        users = torch.arange(start, min(start + chunk, given.dataset.n_users))
        given.scores(users).topk(max(CUTOFFS), dim=1)


def measure(n_users: int, n_items: int, n_looped: int, repeats: int) -> list[Result]:
    """Times and ratios, with targets, and the agreement of the metrics."""
    given = problem(n_users, n_items)
    sample = np.sort(np.random.default_rng(1).choice(n_users, size=min(n_looped, n_users), replace=False))
    chunk = default_chunk(n_items)

    def ours() -> dict[str, np.ndarray]:
        return evaluate(given.scores, given.dataset, "test", cutoffs=CUTOFFS, mask_valid_at_test=True).per_user

    with one_thread():
        seconds = best_cpu_seconds({"ours": ours, "bare": lambda: bare(given, chunk)}, repeats)
        seconds |= best_cpu_seconds({"loop": lambda: looped(given, sample, chunk)}, min(repeats, 2))
        found, expected = ours(), looped(given, sample, chunk)
    per_user = {"ours": seconds["ours"] / n_users, "loop": seconds["loop"] / len(sample)}
    apart = max(float(np.abs(found[name][sample] - values).max()) for name, values in expected.items())
    return [
        Result.unjudged("ours", seconds["ours"], "CPU-s", f"{n_users} users x {n_items} items, top {max(CUTOFFS)}"),
        Result.unjudged("bare product and top-k", seconds["bare"], "CPU-s", f"the same, chunks of {chunk} users"),
        Result.unjudged(
            "heap per user",
            per_user["loop"] * n_users,
            "CPU-s",
            f"{seconds['loop']:.2f} s for {len(sample)} users, scaled to {n_users}",
        ),
        Result.at_least("heap per user / ours", per_user["loop"] / per_user["ours"], LOOP, "x"),
        Result.at_most("ours / bare", seconds["ours"] / seconds["bare"], BARE, "x"),
        Result.at_most("metrics, ours and heap", apart, AGREEMENT, "absolute"),
        Result.unjudged("recall@50 of the sample", float(expected["recall@50"].mean()), "", "so that there are hits"),
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.evaluation", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--users", type=int, default=12_000)
    parser.add_argument("--items", type=int, default=50_000)
    parser.add_argument("--looped", type=int, default=240, help="users of the loop with a heap")
    parser.add_argument("--repeats", type=int, default=3, help="rounds, of which the fastest counts")
    add_json_option(parser)
    given = parser.parse_args(arguments)
    return report("Evaluation", measure(given.users, given.items, given.looped, given.repeats), given.json)


if __name__ == "__main__":
    run(main)
