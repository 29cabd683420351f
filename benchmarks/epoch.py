"""How long is a training epoch, and does it learn as much, beside PyG's LightGCN and Cornac's BPR?

    python -m benchmarks.epoch [--json FILE] [--epochs N] [--seed N] [--only lightgcn|mf-bpr|mf-bpr-sgd]

Data: MovieLens-100K from the installed recbole package; ratings of 4 and 5, 5-core, each user's first 80 % by time for
training, 10 % for validation, 10 % for test. All models have embeddings of 64, are trained until validation recall@20
has not risen for 10 evaluations, and are then judged once on test by our evaluator. One thread, CPU time.

PyG's LightGCN is trained as in PyG's example: an `edge_index`, a shuffling `DataLoader`, the model's own loss. Learning
rate, batches, layers and the weight of the penalty are the same as ours. The example draws negatives without a look at
what a user has, which costs recall; so there is a second training with our sampler's negatives, and that one, which
learns as much as ours, is held against ours. Cornac's BPR is plain SGD on single triplets in C++, with item biases and
a learning rate of its own; MF-BPR is held against it in batches with Adam, its default, and by single steps. All are
evaluated every five epochs, so that all have fifty epochs to get better.
Exit status: 0 within targets, 1 not.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from augrec.artefacts.run_folder import RunFolder
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
from recsys.models.options.mf_bpr import MfBprOptions
from recsys.models.options.mf_bpr_sgd import MfBprSgdOptions
from recsys.options import EvaluationOptions, TrainingOptions
from recsys.training.train import train

SOURCE = "pkg:recbole/recbole/dataset_example/ml-100k"
DIM, LAYERS, LR, BATCH, L2, PATIENCE = 64, 2, 2e-3, 2048, 1e-4, 10
# What validation preferred with seed 1, of eight settings of MF-BPR and four of Cornac's; single steps have Cornac's.
MF_LR, MF_L2, CORNAC_LR, CORNAC_L2, CORNAC_STEP = 5e-3, 0.02, 0.05, 0.01, 5
MF_LONGER = 10
FASTER, APART = 2.0, 0.01
PARTS = ("lightgcn", "mf-bpr", "mf-bpr-sgd")
MISSING = "not installed: `make bench` does"

Embeddings = tuple[Tensor, Tensor]


class Trained(NamedTuple):
    """What one training took and gave."""

    epoch: float
    """CPU seconds of an epoch, validation left out: the median."""
    best_epoch: int
    recall: float
    """Test recall@20 at the best epoch."""
    cut: bool = False
    """Whether a limit of time ended it, so that a better epoch may have been to come."""


class Clock:
    """A `Ticker` that notes the CPU time at which each epoch ended."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def advance(self, done: int = 1) -> None:
        """See `Ticker`."""
        self.times.append(time.process_time())

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
    dataset: Dataset, model: FamilyOptions, epochs: int, seed: int, folder: Path, lr: float = LR, every: int = 1
) -> Trained:
    """Two trainings: one to its best epoch, and a short one without validation, for the time."""

    def trained(**changes: int) -> tuple[dict, Clock]:
        training = TrainingOptions(
            lr=lr, batch_size=BATCH, device="cpu", threads=1, resume_minutes=None, keep_checkpoint=False
        ).model_copy(update=changes)
        clock = Clock()
        judging = EvaluationOptions(cutoffs=(20,), mask_valid_at_test=False)
        out = folder / f"{model.family}-{changes['patience']}"
        return train(dataset, model, SideInformation(), training, judging, seed, out, "", "", clock), clock

    short = min(epochs, 14)
    _, clock = trained(epochs=short, evaluate_every=short, patience=1)
    metrics, _ = trained(epochs=epochs, evaluate_every=every, patience=PATIENCE)
    # The first epoch follows the set-up, the last one holds the validation.
    return Trained(
        statistics.median(np.diff(clock.times)[:-1].tolist()), metrics["best_epoch"], metrics["test"]["recall@20"]
    )


def selected(
    dataset: Dataset,
    step: Callable[[], None],
    embeddings: Callable[[], Embeddings],
    steps: int,
    per_step: int = 1,
    limit: float | None = None,
) -> Trained:
    """Trains by `step`, of `per_step` epochs each, and judges as `train` does; ends after `limit` CPU seconds."""

    def recall(split: str, given: Embeddings) -> float:
        users, items = given
        return evaluate(lambda batch: users[batch] @ items.T, dataset, split, cutoffs=[20]).mean["recall@20"]

    times: list[float] = []
    best, best_step, kept, cut = -1.0, 0, embeddings(), False
    for number in range(1, steps + 1):
        begun = time.process_time()
        step()
        times.append((time.process_time() - begun) / per_step)
        found = recall("valid", embeddings())
        if found > best:
            best, best_step, kept = found, number, embeddings()
        elif number - best_step >= PATIENCE:
            break
        if limit is not None and sum(times) * per_step >= limit:
            cut = True
            break
    return Trained(statistics.median(times), best_step * per_step, recall("test", kept), cut)


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


def cornac_bpr(dataset: Dataset, epochs: int, seed: int) -> Trained:
    """Cornac's model, fitted a few epochs at a time from where it stood."""
    from cornac.data import Dataset as CornacDataset
    from cornac.models import BPR

    users, items = dataset.train.T
    maps = ({i: i for i in range(size)} for size in (dataset.n_users, dataset.n_items))
    data = CornacDataset(dataset.n_users, dataset.n_items, *maps, (users, items, np.ones(len(users))), seed=seed)
    model = BPR(k=DIM, max_iter=CORNAC_STEP, learning_rate=CORNAC_LR, lambda_reg=CORNAC_L2, seed=seed)

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

    return selected(dataset, step, embeddings, max(1, epochs // CORNAC_STEP), CORNAC_STEP)


def measure(epochs: int, seed: int, only: Sequence[str] = PARTS) -> list[Result]:
    """Every training, the ratios and their targets."""
    with one_thread(), torch.random.fork_rng(devices=[]), tempfile.TemporaryDirectory() as folder:
        torch.manual_seed(seed)
        dataset = movielens(RunFolder(Path(folder)).dataset)
        parts = {"lightgcn": _lightgcn, "mf-bpr": _mf_bpr, "mf-bpr-sgd": _mf_bpr_sgd}
        return [result for name in only for result in parts[name](dataset, epochs, seed, Path(folder))]


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


def _mf_bpr(dataset: Dataset, epochs: int, seed: int, folder: Path) -> list[Result]:
    return _beside_cornac("MF-BPR", MfBprOptions(dim=DIM, l2=MF_L2), MF_LR, dataset, epochs, seed, folder)


def _mf_bpr_sgd(dataset: Dataset, epochs: int, seed: int, folder: Path) -> list[Result]:
    options = MfBprSgdOptions(dim=DIM, l2=CORNAC_L2, training=None)
    return _beside_cornac("MF-BPR (SGD)", options, CORNAC_LR, dataset, epochs, seed, folder)


def _beside_cornac(
    name: str, options: FamilyOptions, lr: float, dataset: Dataset, epochs: int, seed: int, folder: Path
) -> list[Result]:
    most = MF_LONGER * epochs
    own = ours(dataset, options, most, seed, folder, lr, CORNAC_STEP)
    results = shown(name, own)
    if find_spec("cornac") is None:
        return [*results, Result.unjudged("Cornac BPR", None, "", MISSING)]
    cornac = cornac_bpr(dataset, most, seed)
    results += shown("Cornac BPR", cornac)
    whole = own.epoch * own.best_epoch / (cornac.epoch * cornac.best_epoch)
    results.append(Result.unjudged(f"{name} / Cornac BPR: epoch", own.epoch / cornac.epoch, "x", "reported"))
    results.append(Result.at_most(f"{name} / Cornac BPR: to the best epoch", whole, 1.0, "x"))
    results.append(Result.at_least(f"{name} - Cornac BPR: recall@20", own.recall - cornac.recall, 0.0, "absolute"))
    return results


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.epoch", description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--epochs", type=int, default=60, help="most epochs; ten times as many of MF-BPR's and Cornac's"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="these comparisons alone")
    add_json_option(parser)
    given = parser.parse_args(arguments)
    return report("Epochs", measure(given.epochs, given.seed, given.only), given.json)


if __name__ == "__main__":
    run(main)
