"""How much faster is LightGCN's propagation here than in the forms that other libraries use?

    python -m benchmarks.propagation [--json FILE] [--rounds N]

Three layers of dimension 64, forward and backward, on the sizes of LLMRec's MovieLens data and on 2 million edges.
All forms run in turns on one thread and must agree; the best round of each counts. Rivals that are not installed are
named (requirements/bench.txt).
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor

from augrec.artefacts.errors import AugrecError
from benchmarks.result import Result, add_json_option, report, run
from benchmarks.timing import best_seconds, device, one_thread
from recsys.graph.adjacency import adjacency
from recsys.graph.smoothing import SmoothingGraph
from recsys.graph.sparse_operator import use_backend

LAYERS, DIM = 3, 64
SIZES = {"58k": (12_495, 10_322, 58_000), "2M": (100_000, 50_000, 2_000_000)}
TARGETS = {
    "coalesced COO, stacked layers": {"58k": 2.2, "2M": 3.0},
    "torch_sparse SparseTensor": {"58k": 1.5, "2M": 1.5},
    "PyG EdgeIndex": {"58k": 0.95, "2M": 1.3},
}
AGREEMENT = 1e-4  # relative to the largest entry, in float32

Propagate = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


def random_graph(n_users: int, n_items: int, n_edges: int) -> np.ndarray:
    """int64 [m, 2], unique, about n_edges; items of a power law, in no order of popularity."""
    rng = np.random.default_rng(0)
    popular = rng.permutation(n_items)[(n_items * rng.random(n_edges * 5 // 4) ** 2).astype(np.int64)]
    pairs = np.unique(np.stack([rng.integers(0, n_users, len(popular)), popular], 1), axis=0)
    return pairs[np.sort(rng.permutation(len(pairs))[:n_edges])]


def stacked(product: Callable[[Tensor], Tensor], n_users: int) -> Propagate:
    """The usual form: keep every layer, stack them, take the mean."""

    def propagate(users: Tensor, items: Tensor) -> tuple[Tensor, Tensor]:
        layers = [torch.cat([users, items])]
        for _ in range(LAYERS):
            layers.append(product(layers[-1]))
        mean = torch.stack(layers, dim=1).mean(dim=1)
        return mean[:n_users], mean[n_users:]

    return propagate


def contenders(edges: np.ndarray, n_users: int, n_items: int, where: torch.device) -> dict[str, Propagate | str]:
    """Every form by name, or the reason for its absence."""
    ours, other = (SmoothingGraph(edges, n_users, n_items).to(where) for _ in range(2))
    joint = adjacency(edges, n_users, n_items).to(where).matrix()
    coo = joint.to_sparse_coo().coalesce()
    row, column = coo.indices()
    size = (n_users + n_items,) * 2
    found: dict[str, Propagate | str] = {
        "ours": lambda users, items: ours(users, items, LAYERS),
        "coalesced COO, stacked layers": stacked(lambda x: torch.sparse.mm(coo, x), n_users),
        "CSR of torch, stacked layers": stacked(lambda x: joint @ x, n_users),
    }
    try:
        from torch_sparse import SparseTensor

        sparse = SparseTensor(row=row, col=column, value=coo.values(), sparse_sizes=size)
        found["torch_sparse SparseTensor"] = stacked(lambda x: sparse.matmul(x), n_users)
        use_backend(other, "torch-sparse")
        found["ours, backend torch-sparse"] = lambda users, items: other(users, items, LAYERS)
    except (ImportError, OSError, AugrecError) as error:
        found["torch_sparse SparseTensor"] = f"torch_sparse cannot be imported ({error})"
    try:
        from torch_geometric import EdgeIndex

        index = EdgeIndex(torch.stack([row, column]), sparse_size=size, sort_order="row", is_undirected=True)
        index.fill_cache_()
        found["PyG EdgeIndex"] = stacked(lambda x: index.matmul(x, coo.values()), n_users)
    except ImportError as error:
        found["PyG EdgeIndex"] = f"torch_geometric cannot be imported ({error})"
    return found


def measure(name: str, rounds: int, sizes: tuple[int, int, int] | None = None) -> list[Result]:
    """The ratios for one size; every form is first compared with ours, outputs and gradients."""
    n_users, n_items, n_edges = sizes or SIZES[name]
    where = device()
    generator = torch.Generator().manual_seed(0)
    users, items, *wanted = (torch.randn(n, DIM, generator=generator).to(where) for n in 2 * (n_users, n_items))
    users.requires_grad_()
    items.requires_grad_()

    def pass_of(propagate: Propagate) -> list[Tensor]:
        outputs = propagate(users, items)
        return [*outputs, *torch.autograd.grad(outputs, [users, items], wanted)]

    found = contenders(random_graph(n_users, n_items, n_edges), n_users, n_items, where)
    runnable = {key: form for key, form in found.items() if not isinstance(form, str)}
    expected = [part.detach() for part in pass_of(runnable["ours"])]
    results = []
    for key, form in runnable.items():
        for part, right in zip(pass_of(form), expected, strict=True):
            if (part - right).abs().max() > AGREEMENT * right.abs().max():
                raise AugrecError(f"{key} does not agree with ours on {name} edges")
    best = best_seconds({key: partial(pass_of, form) for key, form in runnable.items()}, rounds, where)
    results.append(Result.unjudged(f"{name} edges: ours", 1e3 * best["ours"], "ms", "for information"))
    for key, contender in found.items():
        target = TARGETS.get(key, {}).get(name)
        if isinstance(contender, str):
            results.append(Result.unjudged(f"{name} edges: {key}", None, "", f"not measured: {contender}"))
        elif target is not None:
            results.append(Result.at_least(f"{name} edges: {key} / ours", best[key] / best["ours"], target, "x"))
        elif key != "ours":
            results.append(
                Result.unjudged(f"{name} edges: {key} / ours", best[key] / best["ours"], "x", "for information")
            )
    return results


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.propagation", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--rounds", type=int, default=9, metavar="N", help="rounds of which the best counts")
    add_json_option(parser)
    given = parser.parse_args(arguments)
    with one_thread(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the rivals
        results = [result for name in SIZES for result in measure(name, given.rounds)]
    return report(f"Propagation, {device().type}, one thread", results, given.json)


if __name__ == "__main__":
    run(main)
