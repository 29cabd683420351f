"""What the benchmarks of sequential models share: data and sizes, and training beside a published structure.

The data are as large as MovieLens-1M: 6,040 users with 20 items or more and about 165 on average, 3,706 items.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.result import Result, add_json_option, report
from benchmarks.timing import best_cpu_seconds, one_thread
from recsys.batches.sequences import Windows
from recsys.data.dataset import Dataset

USERS, ITEMS, LEAST, MEAN = 6_040, 3_706, 20, 165.6
DIM, LENGTH, BLOCKS, DROPOUT, BATCH, LR = 64, 50, 2, 0.2, 256, 1e-3
LARGEST_DIFFERENCE, FASTER = 1e-4, 1.5


def data(n_users: int = USERS, n_items: int = ITEMS) -> Dataset:
    """Sequences as long as MovieLens-1M's, of items with a skew; the same in every call."""
    rng = np.random.default_rng(0)
    lengths = np.minimum(LEAST + rng.exponential(MEAN - LEAST, n_users).astype(int), n_items // 2)
    weights = (np.arange(n_items) + 50.0) ** -0.9
    keys = np.log(weights / weights.sum()) + rng.gumbel(size=(n_users, n_items))
    taken = np.argsort(-keys, axis=1)
    pairs = np.array([(user, item) for user, length in enumerate(lengths) for item in taken[user, :length]])
    none = np.zeros((0, 2), dtype=np.int64)
    times = np.arange(len(pairs))
    return Dataset.from_arrays(n_users, n_items, pairs, none, none, timestamps=[times, times[:0], times[:0]])


def padded(rows: Tensor, windows: Windows) -> np.ndarray:
    """Rows [b, w] of ids as the published structure has them: from 1, and padded in front."""
    found = np.zeros((len(rows), LENGTH), dtype=np.int64)
    for row, (ids, length) in enumerate(zip(rows.tolist(), windows.length.tolist(), strict=True)):
        found[row, LENGTH - length :] = np.array(ids[:length]) + 1
    return found


def apart(found: Tensor | None, expected: Tensor | None) -> float:
    """The largest difference, relative to the largest value."""
    assert found is not None
    assert expected is not None
    return float((found - expected).abs().max() / expected.abs().max())


def stepping(model: nn.Module) -> Callable[[Tensor], None]:
    """A move of an optimiser by a loss."""
    optimiser = torch.optim.Adam(model.parameters(), lr=LR, fused=True)

    def step(loss: Tensor) -> None:
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()

    return step


def sequences_of(dataset: Dataset) -> list[list[int]]:
    """The items of every user, from 1, oldest first."""
    starts = dataset.starts("train")
    items = dataset.train[dataset.by_time("train"), 1] + 1
    return [items[begin:end].tolist() for begin, end in pairwise(starts)]


@dataclass(frozen=True)
class Trained:
    """A model that is trained in one structure.

    Attributes:
        model: with the parameters that a step moves.
        batches: those of an epoch, drawn anew in each call.
        loss: of a batch.
    """

    model: nn.Module
    batches: Callable[[], Iterator[Any]]
    loss: Callable[[Any], Tensor]

    def work(self) -> tuple[Callable[[], None], Callable[[], None]]:
        """An epoch with its batches, and a step on the first batch."""
        move, first = stepping(self.model), next(self.batches())

        def epoch() -> None:
            for batch in self.batches():
                move(self.loss(batch))

        return epoch, lambda: move(self.loss(first))


def beside(ours: Trained, published: Trained, rounds: int) -> list[Result]:
    """Epochs and steps of our structure and of a published one, in turns."""
    (epoch, step), (their_epoch, their_step) = ours.work(), published.work()
    work = {"epoch": epoch, "their epoch": their_epoch, "step": step, "their step": their_step}
    found = best_cpu_seconds(work, rounds)
    return [
        Result.unjudged("an epoch", found["epoch"], "s", "for scale"),
        Result.at_least("an epoch, published structure / ours", found["their epoch"] / found["epoch"], FASTER, "x"),
        Result.unjudged("a step, published structure / ours", found["their step"] / found["step"], "x", "no batches"),
    ]


def beside_published(
    arguments: Sequence[str] | None,
    model: str,
    about: str | None,
    differences: Callable[[Dataset], dict[str, float]],
    measures: Sequence[Callable[[Dataset, int], list[Result]]],
) -> int:
    """The command line of a sequential model's benchmark beside published structures; returns the exit status.

    Args:
        arguments: of the command line; None takes the process's.
        model: how it is called, and in lower case the benchmark after it.
        about: the benchmark's docstring.
        differences: by what loss and gradients of equal weights differ, by name.
        measures: each of the data and the number of rounds.
    """
    parser = argparse.ArgumentParser(
        prog=f"python -m benchmarks.{model.lower()}_epoch", description=(about or "").splitlines()[0]
    )
    add_json_option(parser)
    parser.add_argument("--rounds", type=int, default=3, help="of which the best counts (default: %(default)s)")
    parser.add_argument("--users", type=int, default=USERS, help="default: %(default)s")
    given = parser.parse_args(arguments)
    torch.manual_seed(0)
    with one_thread():
        dataset = data(given.users)
        results = [
            Result.at_most(f"{name} of equal weights, published structure", value, LARGEST_DIFFERENCE, "relative")
            for name, value in differences(dataset).items()
        ]
        for measure in measures:
            results += measure(dataset, given.rounds)
    return report(f"An epoch of {model}", results, given.json)
