"""Does MF-BPR learn as much as Cornac's BPR, and in no more time?

    python -m benchmarks.mf_bpr [--json FILE] [--seeds N] [--first N] [--only single-steps|adam ...] [--epochs N]
    python -m benchmarks.mf_bpr --search [--seeds N] [--first N] [--only ...] [--json FILE]

Data and judge are those of `benchmarks.epoch`: MovieLens-100K, recall@20 by our evaluator. Every training is evaluated
on validation every five epochs, ends after ten evaluations without a better one, and is judged on test at its best
epoch. Cornac's BPR (C++) descends along single triplets and has biases of items; ours does by single steps
(`mf_bpr_sgd`), and has batches and Adam (`mf_bpr`), with which it is compared when `--only adam` asks for it.

`--search` is where the settings come from: for both sides the same nine of learning rate and penalty, by the mean of
validation's recall with three seeds; test is not looked at. The comparison takes other seeds, with which nothing was
chosen, ours and Cornac's in turns. A seed is one observation, and the difference of the means has a 95 % interval by
Welch's t. **The rule**: recall is at least as high if the interval's lower end lies above -.002, a margin set before
these seeds were trained; recall deviates by .003 to .004 between seeds, so that it takes forty for an interval as
narrow. Time is CPU time of all epochs until the best, summed over the seeds, without evaluation and without loading
what is compiled. Exit status: 0 within targets, 1 not.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from augrec.artefacts.run_folder import RunFolder
from benchmarks.epoch import DIM, MISSING, Embeddings, Trained, movielens, ours, selected
from benchmarks.result import Result, add_json_option, report, run
from benchmarks.timing import one_thread
from recsys.data.dataset import Dataset
from recsys.models.options.mf_bpr import MfBprOptions
from recsys.models.options.mf_bpr_sgd import MfBprSgdOptions

EVERY, EPOCHS = 5, 600
SEARCHED, SEEDS, FIRST = 3, 40, 11
MARGIN, LONGER = 0.002, 1.0
CORNAC = "Cornac's BPR"


class Setting(NamedTuple):
    """What is searched: how far a step goes, and the weight of the penalty."""

    lr: float
    l2: float

    def __str__(self) -> str:
        return f"lr {self.lr:g}, l2 {self.l2:g}"


STEPS = tuple(Setting(*pair) for pair in product((0.025, 0.05, 0.1), (0.005, 0.01, 0.02)))
ADAM = tuple(Setting(*pair) for pair in product((0.002, 0.005, 0.01), (0.01, 0.02, 0.04)))


def single_steps(
    dataset: Dataset, at: Setting, epochs: int, seed: int, folder: Path, *, searching: bool = False
) -> Trained:
    """Our model by single steps."""
    model = MfBprSgdOptions(dim=DIM, l2=at.l2, training=None)
    return ours(dataset, model, epochs, seed, folder, at.lr, EVERY, searching=searching)


def adam(dataset: Dataset, at: Setting, epochs: int, seed: int, folder: Path, *, searching: bool = False) -> Trained:
    """Our model in batches, with Adam."""
    return ours(dataset, MfBprOptions(dim=DIM, l2=at.l2), epochs, seed, folder, at.lr, EVERY, searching=searching)


def cornac(dataset: Dataset, at: Setting, epochs: int, seed: int, folder: Path, *, searching: bool = False) -> Trained:
    """Cornac's model, fitted a few epochs at a time from where it stood; it writes nothing into `folder`."""
    from cornac.data import Dataset as CornacDataset
    from cornac.models import BPR

    users, items = dataset.train.T
    maps = ({i: i for i in range(size)} for size in (dataset.n_users, dataset.n_items))
    data = CornacDataset(dataset.n_users, dataset.n_items, *maps, (users, items, np.ones(len(users))), seed=seed)
    model = BPR(k=DIM, max_iter=EVERY, learning_rate=at.lr, lambda_reg=at.l2, seed=seed)

    def step() -> None:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Model is already fitted")
            model.fit(data)

    def embeddings() -> Embeddings:
        if model.u_factors is None:
            return torch.zeros(dataset.n_users, 1), torch.zeros(dataset.n_items, 1)
        ones = np.ones((dataset.n_users, 1), dtype=np.float32)
        with_bias = np.hstack([model.u_factors, ones]), np.column_stack([model.i_factors, model.i_biases])
        return torch.from_numpy(with_bias[0]), torch.from_numpy(with_bias[1])

    return selected(dataset, step, embeddings, max(1, epochs // EVERY), EVERY, searching=searching)


class Side(NamedTuple):
    """One of those who are compared: how it trains, and its settings."""

    trained: Callable[..., Trained]
    chosen: Setting
    """What `--search` preferred; of Adam what trials by hand did."""
    settings: tuple[Setting, ...]


OURS = {
    "single-steps": Side(single_steps, Setting(0.025, 0.02), STEPS),
    "adam": Side(adam, Setting(0.005, 0.02), ADAM),
}
THEIRS = Side(cornac, Setting(0.025, 0.01), STEPS)


def _sides(names: Sequence[str]) -> dict[str, Side]:
    """Ours of these names, and Cornac's where it is installed."""
    there = find_spec("cornac") is not None
    return {name: OURS[name] for name in names} | ({CORNAC: THEIRS} if there else {})


def compared(dataset: Dataset, names: Sequence[str], epochs: int, seeds: Sequence[int], folder: Path) -> list[Result]:
    """Ours of these names and Cornac's with each seed, in turns."""
    sides = _sides(names)
    found: dict[str, list[Trained]] = {name: [] for name in sides}
    for seed in seeds:
        for name, side in sides.items():
            found[name].append(side.trained(dataset, side.chosen, epochs, seed, folder / f"{name}-{seed}"))
    return results_of(found)


def results_of(found: Mapping[str, Sequence[Trained]]) -> list[Result]:
    """What is reported of one training for each seed of each side; Cornac's may be missing."""
    results = [result for name, trained in found.items() for result in _shown(name, trained)]
    if CORNAC not in found:
        return [*results, Result.unjudged(CORNAC, None, "", MISSING)]
    theirs = found[CORNAC]
    for name, own in found.items():
        if name != CORNAC:
            recall, both = f"{name} - {CORNAC}: recall@20", f"{name} / {CORNAC}"
            low, middle, high = welch([one.recall for one in own], [one.recall for one in theirs])
            results.append(
                Result.unjudged(f"{recall}, difference of means", middle, "absolute", f"{low:.4f} to {high:.4f}")
            )
            results.append(Result.at_least(f"{recall}, lower end of 95 %", low, -MARGIN, "absolute"))
            epoch = statistics.median(one.epoch for one in own) / statistics.median(one.epoch for one in theirs)
            results.append(Result.unjudged(f"{both}: epoch", epoch, "x", "medians"))
            results.append(Result.at_most(f"{both}: to the best epoch", _seconds(own) / _seconds(theirs), LONGER, "x"))
    return results


def _shown(name: str, trained: Sequence[Trained]) -> list[Result]:
    recalls = [one.recall for one in trained]
    spread = f"deviation {statistics.stdev(recalls):.4f} between {len(recalls)} seeds" if len(recalls) > 1 else "1 seed"
    best = [one.best_epoch for one in trained]
    epochs = f"best epochs {min(best)} to {max(best)}, median {statistics.median(best):g}"
    return [
        Result.unjudged(f"{name}: recall@20, mean", statistics.mean(recalls), "", spread),
        Result.unjudged(f"{name}: to the best epoch, sum", _seconds(trained), "CPU-s", epochs),
        Result.unjudged(f"{name}: epoch", 1e3 * statistics.median(one.epoch for one in trained), "CPU-ms", "median"),
    ]


def _seconds(trained: Sequence[Trained]) -> float:
    return sum(one.to_best for one in trained)


def welch(first: Sequence[float], second: Sequence[float]) -> tuple[float, float, float]:
    """The difference of two means between the ends of its 95 % interval; without two values of each these are NaN."""
    from scipy.stats import ttest_ind

    middle = statistics.mean(first) - statistics.mean(second)
    if min(len(first), len(second)) < 2:
        return float("nan"), middle, float("nan")
    ends = ttest_ind(first, second, equal_var=False).confidence_interval(0.95)
    return float(ends.low), middle, float(ends.high)


def searched(dataset: Dataset, names: Sequence[str], epochs: int, seeds: Sequence[int], folder: Path) -> list[Result]:
    """Validation's recall of every setting of ours and of Cornac's, and which is the best."""
    sides = _sides(names)
    results = []
    for name, side in sides.items():
        means: dict[Setting, float] = {}
        for place, at in enumerate(side.settings):
            out = folder / f"{name}-{place}"
            trained = [side.trained(dataset, at, epochs, seed, out / str(seed), searching=True) for seed in seeds]
            means[at] = statistics.mean(one.valid for one in trained)
            best = ", ".join(str(one.best_epoch) for one in trained)
            results.append(Result.unjudged(f"{name}, {at}: validation", means[at], "recall@20", f"best epochs {best}"))
        best_setting = max(means, key=lambda at: means[at])
        results.append(Result.unjudged(f"{name}: the best", means[best_setting], "recall@20", str(best_setting)))
    return results


def measure(names: Sequence[str], epochs: int, seeds: Sequence[int], *, search: bool) -> list[Result]:
    """The comparison, or the search for what it takes."""
    with one_thread(), torch.random.fork_rng(devices=[]), tempfile.TemporaryDirectory() as scratch:
        dataset = movielens(RunFolder(Path(scratch)).dataset)
        return (searched if search else compared)(dataset, names, epochs, seeds, Path(scratch))


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.mf_bpr", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--epochs", type=int, default=EPOCHS, help="most epochs of each")
    parser.add_argument("--seeds", type=int, metavar="N", help=f"how many: {SEEDS}, of a search {SEARCHED}")
    parser.add_argument("--first", type=int, metavar="N", help=f"the first of them: {FIRST}, of a search 1")
    parser.add_argument("--only", nargs="+", choices=list(OURS), default=["single-steps"], help="these of ours")
    parser.add_argument("--search", action="store_true", help="look for the settings, by validation")
    add_json_option(parser)
    given = parser.parse_args(arguments)
    first = given.first or (1 if given.search else FIRST)
    seeds = range(first, first + (given.seeds or (SEARCHED if given.search else SEEDS)))
    results = measure(given.only, given.epochs, seeds, search=given.search)
    return report("MF-BPR beside Cornac's BPR", results, given.json)


if __name__ == "__main__":
    run(main)
