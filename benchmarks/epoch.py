"""How long is LightGCN's training epoch, and does it learn as much, beside PyG's?

    python -m benchmarks.epoch [--json FILE] [--epochs N] [--seed N]

Data: MovieLens-100K from the installed recbole package; ratings of 4 and 5, 5-core, each user's first 80 % by time for
training, 10 % for validation, 10 % for test. All models have embeddings of 64, are trained until validation recall@20
has not risen for 10 evaluations, and are then judged once on test by our evaluator. One thread, CPU time.

PyG's LightGCN is trained as in PyG's example: an `edge_index`, a shuffling `DataLoader`, the model's own loss. Learning
rate, batches, layers and the weight of the penalty are the same as ours. The example draws negatives without a look at
what a user has, which costs recall; so there is a second training with our sampler's negatives, and that one, which
learns as much as ours, is held against ours. `benchmarks.lightgcn` and `benchmarks.mf_bpr` judge others in this way.
Exit status: 0 within targets, 1 not.
"""

from __future__ import annotations

import argparse
import math
import re
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from augrec.artefacts.run_folder import RunFolder, TrainingFolder
from augrec.pipeline.weights.packages import locate
from benchmarks.result import Result, add_json_option, report, run
from benchmarks.timing import one_thread
from recsys.augmentation import SideInformation
from recsys.batches.triplets import BprSampler
from recsys.data.dataset import Dataset
from recsys.data.options import DatasetOptions
from recsys.data.prepare import prepare
from recsys.data.readers.registry import read
from recsys.evaluation.ranking import evaluate
from recsys.models.options.base import FamilyOptions
from recsys.models.options.lightgcn import LightGcnOptions
from recsys.options import EvaluationOptions, TrainingOptions
from recsys.training.train import train

SOURCE = "pkg:recbole/recbole/dataset_example/ml-100k"
DIM, LAYERS, LR, BATCH, L2, PATIENCE = 64, 2, 2e-3, 2048, 1e-4, 10
FASTER, APART = 2.0, 0.01
LOOK = re.compile(r"^epoch (\d+) .* valid recall@20 (\d\.\d+)", re.MULTILINE)  # of a training's log
MISSING = "not installed: `make bench` does"

Embeddings = tuple[Tensor, Tensor]


class Trained(NamedTuple):
    """What one training took and gave."""

    epoch: float
    """CPU seconds of an epoch, validation left out: the median."""
    best_epoch: int
    recall: float
    """Test recall@20 at the best epoch; NaN where only validation was looked at."""
    cut: bool = False
    """Whether a limit of time ended it, so that a better epoch may have been to come."""
    valid: float = math.nan
    """Validation recall@20 at the best epoch."""
    looks: tuple[tuple[int, float], ...] = ()
    """Each epoch after which validation was looked at, with recall@20 there, up to the best one at least."""

    @property
    def to_best(self) -> float:
        """CPU seconds of the epochs until the best one."""
        return self.epoch * self.best_epoch

    def reaching(self, recall: float) -> int | None:
        """The first epoch with as much of validation's recall@20; None where none has."""
        return next((epoch for epoch, found in self.looks if found >= recall), None)


class Clock:
    """A `Ticker` that notes the CPU time at which each epoch ended."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def advance(self, done: int = 1) -> None:
        """See `Ticker`."""
        self.times.append(time.process_time())

    def fail(self, failed: int = 1) -> None:
        """See `Ticker`."""

    def skip(self, done: int = 1) -> None:
        """See `Ticker`."""

    def expect(self, left: int) -> None:
        """See `Ticker`."""

    def note(self, text: str) -> None:
        """See `Ticker`."""


def movielens(folder: Path, **changes: object) -> Dataset:
    """The data of the module's docstring, or with other options than there."""
    options = DatasetOptions.model_validate(
        {
            "name": "MovieLens-100K",
            "source": {"format": "recbole", "path": SOURCE},
            "min_rating": 4,
            "k_core": 5,
            "split": {"kind": "temporal", "ratios": [8, 1, 1]},
            **changes,
        }
    )
    prepare(read(options, locate(SOURCE)), options, folder, seed=0)
    return Dataset.load(folder)


def ours(
    dataset: Dataset,
    model: FamilyOptions,
    epochs: int,
    seed: int,
    folder: Path,
    lr: float = LR,
    every: int = 1,
    *,
    searching: bool = False,
) -> Trained:
    """Two trainings: one to its best epoch, and a short one without validation, for the time.

    `searching` leaves out the short one and test: what is asked then is validation's recall.
    """

    def folder_of(patience: int) -> Path:
        return folder / f"{model.family}-{patience}"

    def trained(**changes: int) -> tuple[dict, Clock]:
        training = TrainingOptions(
            lr=lr, batch_size=BATCH, device="cpu", threads=1, resume_minutes=None, keep_checkpoint=False
        ).model_copy(update=changes)
        clock = Clock()
        judging = EvaluationOptions(cutoffs=(20,), mask_valid_at_test=False)
        out = folder_of(changes["patience"])
        given = dataset, model, SideInformation(), training, judging, seed, out, "", "", clock
        return train(*given, judge_test=not searching), clock

    metrics, _ = trained(epochs=epochs, evaluate_every=every, patience=PATIENCE)
    best, valid = metrics["best_epoch"], metrics["valid"]["recall@20"]
    if searching:
        return Trained(math.nan, best, math.nan, valid=valid)
    short = min(epochs, 14)
    _, clock = trained(epochs=short, evaluate_every=short, patience=1)
    # The first epoch follows the set-up, the last one holds the validation.
    epoch = statistics.median(np.diff(clock.times)[:-1].tolist())
    log = TrainingFolder(folder_of(PATIENCE)).log.read_text(encoding="utf-8")
    looks = tuple((int(number), float(found)) for number, found in LOOK.findall(log))
    return Trained(epoch, best, metrics["test"]["recall@20"], valid=valid, looks=looks)


def selected(
    dataset: Dataset,
    step: Callable[[], None],
    embeddings: Callable[[], Embeddings],
    steps: int,
    per_step: int = 1,
    limit: float | None = None,
    *,
    searching: bool = False,
) -> Trained:
    """Trains by `step`, of `per_step` epochs each, and judges as `train` does; ends after `limit` CPU seconds.

    `searching` leaves test alone.
    """

    def recall(split: str, given: Embeddings) -> float:
        users, items = given
        return evaluate(lambda batch: users[batch] @ items.T, dataset, split, cutoffs=[20]).mean["recall@20"]

    times: list[float] = []
    looks: list[tuple[int, float]] = []
    best, best_step, kept, cut = -1.0, 0, embeddings(), False
    for number in range(1, steps + 1):
        begun = time.process_time()
        step()
        times.append((time.process_time() - begun) / per_step)
        found = recall("valid", embeddings())
        looks.append((number * per_step, found))
        if found > best:
            best, best_step, kept = found, number, embeddings()
        elif number - best_step >= PATIENCE:
            break
        if limit is not None and sum(times) * per_step >= limit:
            cut = True
            break
    test = math.nan if searching else recall("test", kept)
    return Trained(statistics.median(times), best_step * per_step, test, cut, best, tuple(looks))


def pyg_lightgcn(dataset: Dataset, epochs: int, seed: int, *, avoid_owned: bool) -> Trained:
    """PyG's model in PyG's kind of loop; `avoid_owned` draws negatives by our sampler."""
    from torch_geometric.nn.models import LightGCN

    n_users, n_nodes = dataset.n_users, dataset.n_users + dataset.n_items
    observed = torch.from_numpy(dataset.train.T + np.array([[0], [n_users]]))
    graph = torch.cat([observed, observed.flip(0)], dim=1)
    model = LightGCN(n_nodes, DIM, LAYERS)
    sampler = BprSampler(
        dataset.train, n_users, dataset.n_items, batch_size=BATCH, generator=torch.Generator().manual_seed(seed)
    )
    optimiser = torch.optim.Adam(model.parameters(), lr=LR)
    edges: Any = range(observed.shape[1])
    loader: DataLoader[Any] = DataLoader(edges, batch_size=BATCH, shuffle=True)

    def step() -> None:
        for rows in loader:
            positive = observed[:, rows]
            drawn = torch.randint(dataset.n_items, (len(rows),)) if not avoid_owned else sampler.negatives(positive[0])
            negative = torch.stack([positive[0], drawn + n_users])
            both = torch.cat([positive, negative], dim=1)
            optimiser.zero_grad()
            ranks = model(graph, both).chunk(2)
            loss = model.recommendation_loss(*ranks, node_id=both.unique(), lambda_reg=L2)
            loss.backward()
            optimiser.step()

    def embeddings() -> Embeddings:
        with torch.no_grad():
            users, items = model.get_embedding(graph).split([n_users, dataset.n_items])
        return users, items

    return selected(dataset, step, embeddings, epochs)


def measure(epochs: int, seed: int) -> list[Result]:
    """Every training, the ratios and their targets."""
    with one_thread(), torch.random.fork_rng(devices=[]), tempfile.TemporaryDirectory() as folder:
        torch.manual_seed(seed)
        dataset = movielens(RunFolder(Path(folder)).dataset)
        return _lightgcn(dataset, epochs, seed, Path(folder))


def shown(name: str, trained: Trained) -> list[Result]:
    """What is reported of one training."""
    reason = f"best of validation{', so far' if trained.cut else ''}: epoch {trained.best_epoch}"
    return [
        Result.unjudged(f"{name}: epoch", 1e3 * trained.epoch, "CPU-ms", "one thread"),
        Result.unjudged(f"{name}: recall@20", trained.recall, "", reason),
    ]


def _lightgcn(dataset: Dataset, epochs: int, seed: int, folder: Path) -> list[Result]:
    own = ours(dataset, LightGcnOptions(dim=DIM, layers=LAYERS, l2=L2), epochs, seed, folder)
    results = shown("LightGCN", own)
    if find_spec("torch_geometric") is None:
        return [*results, Result.unjudged("PyG LightGCN", None, "", MISSING)]
    results += shown("PyG LightGCN, example", pyg_lightgcn(dataset, epochs, seed, avoid_owned=False))
    pyg = pyg_lightgcn(dataset, epochs, seed, avoid_owned=True)
    results += shown("PyG LightGCN", pyg)
    apart = abs(pyg.recall - own.recall)
    results.append(Result.at_least("PyG LightGCN / LightGCN: epoch", pyg.epoch / own.epoch, FASTER, "x"))
    results.append(Result.at_most("PyG LightGCN - LightGCN: recall@20", apart, APART, "absolute"))
    return results


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.epoch", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--epochs", type=int, default=60, help="most epochs")
    parser.add_argument("--seed", type=int, default=1)
    add_json_option(parser)
    given = parser.parse_args(arguments)
    return report("Epochs", measure(given.epochs, given.seed), given.json)


if __name__ == "__main__":
    run(main)
