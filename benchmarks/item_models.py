"""EASE, item-kNN and RP3beta beside LensKit, RecTools, implicit and Cornac: time, memory, and the same weights.

    python -m benchmarks.item_models [--json FILE] [--release DIR] [--rounds N] [--users N] [--items N]
                                     [--only MODEL ...] [--against LIBRARY ...]

Data: users with 20 interactions each, the items' popularity a power law (20,000 users, 11,000 items), or the training
part of RLMRec's release of Amazon-book in DIR. A fit is timed from the library's own data set to the weights it keeps;
item-kNN and RP3beta keep 20 neighbours of each item. Each fit runs in a process of its own, on one thread, and all take
turns; the best CPU time counts, and what the process holds at the peak beyond its data and imports.

None of the four has RP3beta. It is held against the structure of the framework in which it is usually compared: a
product of sparse matrices by blocks of rows, and a partial sort of each dense row. RecTools' item-kNN is implicit's;
Cornac's cosine is another: over common users alone, which is 1 for all pairs where nobody rates.
Exit status: 0 within targets, 1 not.
"""

from __future__ import annotations

import argparse
import os
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

from augrec.artefacts.errors import AugrecError
from benchmarks.fresh import in_a_fresh_process, resident_bytes
from benchmarks.result import Result, add_json_option, report, run
from benchmarks.scale import random_edges
from recsys.data.dataset import Dataset
from recsys.data.released.rlmrec import read_rlmrec
from recsys.models.ease import Ease
from recsys.models.item_knn import ItemKnn
from recsys.models.parts.item_item import ItemItem
from recsys.models.rp3beta import Rp3beta

NEIGHBOURS, L2, ALPHA, BETA = 20, 50.0, 1.0, 0.3
SHOWN = 200  # rows of the weights that are compared
BLOCK = 1000  # rows that the published structure of RP3beta makes dense at a time
SLOWER, LARGER, APART = 1.0, 1.2, 1e-4
ONE_THREAD = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "RAYON_NUM_THREADS",
    "LK_NUM_THREADS",
    "LK_NUM_BACKEND_THREADS",
)

Weights = Callable[[], Any]


class Fit(NamedTuple):
    """CPU seconds, peak bytes beyond data and imports, and some rows of the weights (float32 [r, n_items])."""

    seconds: float
    memory: int
    rows: np.ndarray


class Data(NamedTuple):
    """The training pairs int64 [m, 2], in which every user and item occurs, and the sizes."""

    edges: np.ndarray
    n_users: int
    n_items: int

    @classmethod
    def of(cls, edges: np.ndarray) -> Data:
        """Users and items that occur, numbered anew: libraries know no others."""
        users, items = (np.unique(column, return_inverse=True)[1] for column in edges.T)
        return cls(np.stack([users, items], axis=1), int(users.max()) + 1, int(items.max()) + 1)

    def dataset(self) -> Dataset:
        """As ours."""
        empty = np.empty((0, 2), dtype=np.int64)
        return Dataset.from_arrays(self.n_users, self.n_items, self.edges, empty, empty)

    def matrix(self) -> sp.csr_matrix:
        """As implicit takes it: float32 [n_users, n_items]."""
        ones = np.ones(len(self.edges), dtype=np.float32)
        return sp.csr_matrix((ones, self.edges.T), shape=(self.n_users, self.n_items))


def _ours(data: Data, make: Callable[..., ItemItem], **options: Any) -> Weights:
    dataset = data.dataset()

    def fit() -> Any:
        model = make(data.edges, data.n_users, data.n_items, **options)
        model.compute(dataset)
        if model.neighbours is None:
            return model.weights.numpy()
        return _sparse(model.columns, model.values)

    return fit


def _sparse(columns: Tensor, values: Tensor) -> sp.csr_matrix:
    n, k = columns.shape
    parts = values.numpy().ravel(), columns.numpy().ravel(), np.arange(0, n * k + 1, k)
    return sp.csr_matrix(parts, shape=(n, n))


def _lenskit(data: Data, scorer: Any) -> Weights:
    import pandas as pd
    from lenskit.data import from_interactions_df

    frame = pd.DataFrame({"user_id": data.edges[:, 0], "item_id": data.edges[:, 1]})
    dataset = from_interactions_df(frame)

    def fit() -> Any:
        scorer.train(dataset)
        found = scorer.weights if hasattr(scorer, "weights") else scorer.sim_matrix.to_scipy()
        numbers = scorer.items.numbers(np.arange(data.n_items), missing="negative")
        if not np.array_equal(numbers, np.arange(data.n_items)):
            raise AugrecError("LensKit numbers items otherwise", remedy="use data in which every item occurs")
        return found

    return fit


def _lenskit_ease(data: Data) -> Weights:
    from lenskit.knn.ease import EASEScorer

    return _lenskit(data, EASEScorer(regularization=L2))


def _lenskit_knn(data: Data) -> Weights:
    from lenskit.knn import ItemKNNScorer

    return _lenskit(data, ItemKNNScorer(save_nbrs=NEIGHBOURS, feedback="implicit"))


def _rectools_ease(data: Data) -> Weights:
    import pandas as pd
    from rectools import Columns
    from rectools.dataset import Dataset as RecToolsDataset
    from rectools.models import EASEModel

    frame = pd.DataFrame({Columns.User: data.edges[:, 0], Columns.Item: data.edges[:, 1], Columns.Weight: 1.0})
    frame[Columns.Datetime] = "2020-01-01"
    dataset = RecToolsDataset.construct(frame)
    inner = dataset.item_id_map.convert_to_internal(np.arange(data.n_items))
    model = EASEModel(regularization=L2)

    def fit() -> Any:
        model.fit(dataset)
        return _Reordered(model.weight, inner)

    return fit


class _Reordered:
    """Rows of a matrix whose items have other numbers."""

    def __init__(self, matrix: np.ndarray, inner: np.ndarray) -> None:
        self.matrix, self.inner = matrix, inner

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        return self.matrix[self.inner[rows]][:, self.inner]


def _implicit_knn(data: Data) -> Weights:
    from implicit.nearest_neighbours import CosineRecommender

    model, matrix = CosineRecommender(K=NEIGHBOURS + 1, num_threads=1), data.matrix()  # an item is its own first one

    def fit() -> Any:
        model.fit(matrix, show_progress=False)
        return model.similarity

    return fit


def _cornac_ease(data: Data) -> Weights:
    from cornac.data import Dataset as CornacDataset
    from cornac.models import EASE

    users, items = data.edges.T
    maps = ({i: i for i in range(size)} for size in (data.n_users, data.n_items))
    dataset = CornacDataset(data.n_users, data.n_items, *maps, (users, items, np.ones(len(users))), seed=0)
    model = EASE(lamb=L2, posB=False, verbose=False)

    def fit() -> Any:
        model.fit(dataset)
        return model.B

    return fit


def _published_rp3beta(data: Data) -> Weights:
    matrix = data.matrix()

    def fit() -> Any:
        by_item = matrix.T.tocsr()
        user_degree, item_degree = (np.maximum(np.diff(part.indptr), 1) for part in (matrix, by_item))
        to_items = sp.diags(np.float32(user_degree**-ALPHA)) @ matrix
        to_users = sp.diags(np.float32(item_degree**-ALPHA)) @ by_item
        penalty = np.float32(item_degree**-BETA)
        places: list[tuple[np.ndarray, ...]] = []
        for start in range(0, data.n_items, BLOCK):
            block = (to_users[start : start + BLOCK] @ to_items).toarray()
            for row in range(len(block)):
                values = block[row] * penalty
                values[start + row] = 0
                best = np.argpartition(-values, NEIGHBOURS)[:NEIGHBOURS]
                places.append((np.full(NEIGHBOURS, start + row), best, values[best]))
        rows, columns, values = map(np.concatenate, zip(*places, strict=True))
        return sp.csr_matrix((values, (rows, columns)), shape=(data.n_items, data.n_items))

    return fit


MODELS: dict[str, dict[str, Callable[[Data], Weights]]] = {
    "EASE": {
        "ours": lambda data: _ours(data, Ease, l2=L2, bytes_per_pair=4),
        "LensKit": _lenskit_ease,
        "RecTools": _rectools_ease,
        "Cornac": _cornac_ease,
    },
    "item-kNN": {
        "ours": lambda data: _ours(data, ItemKnn, neighbours=NEIGHBOURS, shrink=0.0),
        "LensKit": _lenskit_knn,
        "implicit": _implicit_knn,
    },
    "RP3beta": {
        "ours": lambda data: _ours(data, Rp3beta, neighbours=NEIGHBOURS, alpha=ALPHA, beta=BETA),
        "published structure": _published_rp3beta,
    },
}
ALONE = "none"
PACKAGES = {"LensKit": "lenskit", "RecTools": "rectools", "implicit": "implicit", "Cornac": "cornac"}


def fitted(model: str, library: str, data: Data) -> Fit:
    """One fit, in this process, which should be fresh."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        make = MODELS[model][library]
        make(
            Data(np.argwhere(np.add.outer(np.arange(30), np.arange(30)) % 3 == 0), 30, 30)
        )()  # loads what is loaded at first use
        fit = make(data)
        before, begun = resident_bytes(), time.process_time()
        weights = fit()
        seconds = time.process_time() - begun
        memory = _most_bytes() - before
    if torch.get_num_threads() != 1:  # threads that wait for each other on a busy machine burn CPU time
        raise AugrecError(
            f"{library} fitted {model} on {torch.get_num_threads()} threads", remedy=f"set {', '.join(ONE_THREAD)} to 1"
        )
    shown = np.linspace(0, data.n_items - 1, min(SHOWN, data.n_items)).astype(int)
    rows = weights[shown]
    dense = (rows.toarray() if sp.issparse(rows) else np.asarray(rows)).astype(np.float32)
    dense[np.arange(len(shown)), shown] = 0  # some count an item among its own neighbours
    return Fit(seconds, memory, dense)


def _most_bytes() -> int:
    """The most this process held since it began its own program: unlike `ru_maxrss`, without its parent's."""
    lines = Path("/proc/self/status")
    if not lines.exists():
        return resident_bytes()
    return next(int(line.split()[1]) * 1024 for line in lines.read_text().splitlines() if line.startswith("VmHWM"))


def measured(model: str, data: Data, rounds: int, libraries: Sequence[str]) -> dict[str, Fit]:
    """The best time and the least memory of each library."""
    found: dict[str, Fit] = {}
    for _ in range(rounds):
        for library in libraries:
            one = in_a_fresh_process(fitted, model, library, data)
            best = found.get(library, one)
            found[library] = Fit(min(one.seconds, best.seconds), min(one.memory, best.memory), one.rows)
    return found


def results_of(model: str, fits: Mapping[str, Fit]) -> list[Result]:
    """What is reported of one model: ours beside the fastest and the smallest of the others."""
    results = []
    for library, fit in fits.items():
        results.append(Result.unjudged(f"{model}, {library}: fit", fit.seconds, "CPU-s", "one thread"))
        results.append(Result.unjudged(f"{model}, {library}: memory", fit.memory / 1e6, "MB", "beyond data, imports"))
    own, others = fits["ours"], {library: fit for library, fit in fits.items() if library != "ours"}
    for library, fit in others.items():
        # The sums of the kept entries: which of equal ones are kept is everybody's own choice.
        apart = float(np.abs(np.sort(fit.rows, axis=1) - np.sort(own.rows, axis=1)).max() / np.abs(own.rows).max())
        results.append(Result.at_most(f"{model}, {library}: weights differ", apart, APART, "relative"))
    if others:
        fastest = min(others, key=lambda library: others[library].seconds)
        smallest = min(others, key=lambda library: others[library].memory)
        slower = own.seconds / others[fastest].seconds
        larger = own.memory / max(others[smallest].memory, 1)
        results.append(Result.at_most(f"{model}: time, ours / {fastest}", slower, SLOWER, "x"))
        results.append(Result.at_most(f"{model}: memory, ours / {smallest}", larger, LARGER, "x"))
    return results


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.item_models", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--release", type=Path, metavar="DIR", help="RLMRec's release of Amazon-book, as the data")
    parser.add_argument("--rounds", type=int, default=2, metavar="N", help="turns of which the best counts")
    parser.add_argument("--users", type=int, default=20_000, metavar="N")
    parser.add_argument("--items", type=int, default=11_000, metavar="N")
    parser.add_argument("--only", nargs="+", default=list(MODELS), choices=list(MODELS), metavar="NAME")
    parser.add_argument(
        "--against",
        nargs="+",
        choices=[*dict.fromkeys(name for forms in MODELS.values() for name in forms if name != "ours"), ALONE],
        metavar="LIBRARY",
        help=f"these alone, some take minutes; {ALONE}: ours by itself",
    )
    add_json_option(parser)
    given = parser.parse_args(arguments)
    os.environ.update(dict.fromkeys(ONE_THREAD, "1"))  # of the processes to come
    if given.release:
        data = Data.of(read_rlmrec(given.release).dataset.train)
    else:
        data = Data.of(random_edges(given.users, given.items))
    results = []
    for model in given.only:
        asked = [name for name in MODELS[model] if name == "ours" or name in (given.against or MODELS[model])]
        there = [name for name in asked if name not in PACKAGES or find_spec(PACKAGES[name])]
        results += results_of(model, measured(model, data, given.rounds, there))
        absent = [name for name in asked if name not in there]
        results += [
            Result.unjudged(f"{model}, {name}", None, "", "not installed: `make bench` does") for name in absent
        ]
    size = f"{data.n_users:,} users, {data.n_items:,} items, {len(data.edges):,} interactions"
    return report(f"Item-item models: {size}", results, given.json)


if __name__ == "__main__":
    run(main)
