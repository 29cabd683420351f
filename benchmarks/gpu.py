"""What does a GPU do with propagation, LLMRec's step, InfoNCE, evaluation and SASRec, and what do usual forms of them?

    python -m benchmarks.gpu [--json FILE] [--rounds N] [--small]

Two peaks are measured first: bytes a second of a copy, operations a second of a float32 product as torch is set. Each
part then has a least time, which is that of its bytes (every operand and result once) or of its operations, whichever
is longer; its share of the roofline is the least time over the measured one. Beside it runs the form that libraries
use, with the same result, which is checked. torch alone; minutes on a GPU. Where torch sees none it says so and
measures nothing; `--small` runs tiny sizes wherever it is, to see that the script works: its figures mean nothing.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from augrec.artefacts.errors import AugrecError
from benchmarks import evaluation, llmrec_step, propagation, sasrec_epoch, sequential
from benchmarks.result import Result, add_json_option, report, run
from benchmarks.sasrec_published import PublishedSasRec
from benchmarks.timing import best_seconds, device
from recsys.batches.sequences import Windows
from recsys.evaluation.ranking import evaluate
from recsys.objectives.info_nce import info_nce

AGREEMENT = 1e-3  # relative; sums in float32 in another order
FLOAT, INDEX = 4, 4  # bytes
CUTOFF, CHUNK, TEMPERATURE = 50, 4096, 0.2


@dataclass(frozen=True)
class Sizes:
    """Of every part."""

    copied: int = 2**30
    """Bytes of the copy that measures the bandwidth."""
    product: int = 8192
    """Rows and columns of the product that measures the operations."""
    graph: tuple[int, int, int] = (100_000, 50_000, 2_000_000)
    """Users, items, edges."""
    llmrec: llmrec_step.Sizes = field(default_factory=llmrec_step.Sizes)
    contrasted: tuple[int, int, int] = (4_096, 100_000, 64)
    """Anchors, candidates, dimension of InfoNCE."""
    ranked: tuple[int, int] = (12_000, 50_000)
    """Users and items of an evaluation."""
    sequences: tuple[int, int] = (sequential.USERS, sequential.ITEMS)
    """Users and items of SASRec."""


SMALL = Sizes(
    2**16, 32, (60, 50, 400), llmrec_step.Sizes(60, 50, 300, 12, 12, 2, 9, 7, 32, 4), (9, 40, 8), (30, 80), (20, 90)
)


class Part(NamedTuple):
    """Something to measure: ours, a library's form of it, and what must be moved and computed at least."""

    name: str
    ours: Callable[[], object]
    library: Callable[[], object]
    bytes: float
    operations: float


class Peaks(NamedTuple):
    """Bytes and float32 operations a second."""

    bandwidth: float
    speed: float

    def least(self, part: Part) -> float:
        """Seconds that the part cannot go below."""
        return max(part.bytes / self.bandwidth, part.operations / self.speed)


def peaks(sizes: Sizes, rounds: int, where: torch.device) -> Peaks:
    """Of this device."""
    source, target = (torch.zeros(sizes.copied // FLOAT, device=where) for _ in range(2))
    left, right = (torch.randn(sizes.product, sizes.product, device=where) for _ in range(2))
    found = best_seconds({"copy": lambda: target.copy_(source), "product": lambda: left @ right}, rounds, where)
    return Peaks(2 * source.nbytes / found["copy"], 2 * sizes.product**3 / found["product"])


def agreed(name: str, ours: Sequence[Tensor], library: Sequence[Tensor]) -> None:
    """Raises an AugrecError where results differ."""
    for found, expected in zip(ours, library, strict=True):
        if (found - expected).abs().max() > AGREEMENT * expected.abs().max():
            raise AugrecError(f"{name} does not agree with the library's form")


def propagation_part(sizes: Sizes, where: torch.device) -> Part:
    """Three layers of LightGCN, forwards and backwards."""
    n_users, n_items, n_edges = sizes.graph
    edges = propagation.random_graph(n_users, n_items, n_edges)
    forms = propagation.contenders(edges, n_users, n_items, where)
    tables = [torch.randn(n, propagation.DIM, device=where, requires_grad=True) for n in (n_users, n_items)]
    slopes = [torch.randn_like(table) for table in tables]

    def passes(name: str) -> Callable[[], tuple[Tensor, ...]]:
        form = forms[name]
        assert not isinstance(form, str)
        return lambda: torch.autograd.grad(form(*tables), tables, slopes)

    ours, library = passes("ours"), passes("coalesced COO, stacked layers")
    agreed("propagation", ours(), library())
    products = 2 * propagation.LAYERS  # of the whole adjacency: layers, forwards and backwards
    rows = 2 * (n_users + n_items) * propagation.DIM * FLOAT
    return Part(
        "propagation",
        ours,
        library,
        products * (2 * len(edges) * (INDEX + FLOAT) + rows),
        products * 2 * 2 * len(edges) * propagation.DIM,
    )


def llmrec_part(sizes: Sizes, where: torch.device) -> Part:
    """A step of LLMRec; both forms have their loss compared at the first one."""
    ours, plain = llmrec_step.Ours(sizes.llmrec), llmrec_step.Plain(sizes.llmrec)
    first = [torch.tensor(form.step()) for form in (ours, plain)]
    agreed("LLMRec's step", first[:1], first[1:])
    read = llmrec_step.numbers(llmrec_step.tables(ours))
    return Part("LLMRec's step", ours.step, plain.step, read * FLOAT, 2 * read * ours.model.options.dim)


def info_nce_part(sizes: Sizes, where: torch.device) -> Part:
    """Anchors against all candidates, forwards and backwards."""
    n, m, dim = sizes.contrasted
    candidates = torch.randn(m, dim, device=where, requires_grad=True)
    anchors = torch.randn(n, dim, device=where, requires_grad=True)

    def ours() -> tuple[Tensor, ...]:
        return torch.autograd.grad(info_nce(anchors, candidates[:n], candidates, TEMPERATURE), [anchors, candidates])

    def library() -> tuple[Tensor, ...]:
        left, right = F.normalize(anchors), F.normalize(candidates)
        labels = torch.arange(n, device=where)
        loss = F.cross_entropy(left @ right.T / TEMPERATURE, labels, reduction="sum")
        return torch.autograd.grad(loss, [anchors, candidates])

    agreed("InfoNCE", ours(), library())
    return Part("InfoNCE", ours, library, 2 * (n + m) * dim * FLOAT, 3 * 2 * n * m * dim)


def evaluation_part(sizes: Sizes, where: torch.device) -> Part:
    """All items ranked for every user; the library's form is chunks, a mask, top-k and a loop over users."""
    n_users, n_items = sizes.ranked
    given = evaluation.problem(n_users, n_items)
    users, items, data = given.users.to(where), given.items.to(where), given.dataset
    k = min(CUTOFF, n_items)
    owned, wanted = (
        [set(part.tolist()) for part in _by_user(data.pairs(split), n_users)] for split in ("train", "test")
    )

    def ours() -> float:
        found = evaluate(lambda batch: users[batch] @ items.T, data, "test", cutoffs=[k], device=where)
        return found.mean[f"recall@{k}"]

    def library() -> float:
        recalls = []
        for start in range(0, n_users, CHUNK):
            scores = users[start : start + CHUNK] @ items.T
            known = [(row, item) for row, some in enumerate(owned[start : start + CHUNK]) for item in some]
            rows, columns = torch.tensor(known, device=where).T
            scores[rows, columns] = -torch.inf
            for user, top in enumerate(scores.topk(k).indices.cpu().tolist(), start):
                recalls.append(len(wanted[user].intersection(top)) / len(wanted[user]))
        return float(np.mean(recalls))

    agreed("evaluation", [torch.tensor(ours())], [torch.tensor(library())])
    scores = n_users * n_items
    moved = (n_users + n_items) * evaluation.DIM * FLOAT + 2 * scores * FLOAT  # scores are written and read
    return Part("evaluation", ours, library, moved, 2 * scores * evaluation.DIM)


def _by_user(pairs: np.ndarray, n_users: int) -> list[np.ndarray]:
    ordered = pairs[np.argsort(pairs[:, 0], kind="stable")]
    ends = np.bincount(ordered[:, 0], minlength=n_users).cumsum()
    return np.split(ordered[:, 1], ends[:-1])


def sasrec_part(sizes: Sizes, where: torch.device) -> Part:
    """A step of SASRec on one batch of equal weights, without dropout."""
    data = sequential.data(*sizes.sequences)
    model = sasrec_epoch.ours(data, dropout=0.0)
    settings = sequential.DIM, sequential.LENGTH, sequential.BLOCKS
    published = PublishedSasRec(data.n_items, *settings, 0.0)
    published.take(model)
    model, published = model.to(where), published.to(where)
    drawn = next(sasrec_epoch.batches(data).epoch())
    assert drawn.negatives is not None
    theirs = [sequential.padded(rows, drawn.shown) for rows in (drawn.shown.items, drawn.targets, drawn.negatives)]
    batch = drawn.to(where)
    agreed("SASRec", [model.loss(batch)["binary"].detach()], [published.loss(*theirs).detach()])
    move, their_move = sequential.stepping(model), sequential.stepping(published)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    return Part(
        "SASRec's step",
        lambda: move(model.loss(batch)["binary"]),
        lambda: their_move(published.loss(*theirs)),
        7 * parameters * FLOAT,  # Adam reads four tables and writes three
        sasrec_operations(batch.shown),
    )


def sasrec_operations(shown: Windows) -> float:
    """Products of five square matrices a step and block, and of attention; thrice, for the backward pass needs two."""
    lengths = shown.length.double()
    dim, blocks = sequential.DIM, sequential.BLOCKS
    return float(3 * blocks * (2 * 5 * dim**2 * lengths.sum() + 2 * 2 * dim * lengths.square().sum()))


PARTS: tuple[Callable[[Sizes, torch.device], Part], ...] = (
    propagation_part,
    llmrec_part,
    info_nce_part,
    evaluation_part,
    sasrec_part,
)


def measure(sizes: Sizes, rounds: int, where: torch.device) -> list[Result]:
    """Every part on the device."""
    peak = peaks(sizes, rounds, where)
    results = [
        Result.unjudged("bandwidth of a copy", peak.bandwidth / 1e9, "GB/s", "the roofline's slope"),
        Result.unjudged("float32 product", peak.speed / 1e12, "TFLOP/s", "the roofline's top"),
    ]
    for make in PARTS:
        part = make(sizes, where)
        best = best_seconds({"ours": part.ours, "library": part.library}, rounds, where)
        seconds, least = best["ours"], peak.least(part)
        bound = "bytes" if part.bytes / peak.bandwidth > part.operations / peak.speed else "operations"
        results += [
            Result.unjudged(f"{part.name}: time", 1e3 * seconds, "ms", "for information"),
            Result.unjudged(f"{part.name}: achieved", part.bytes / seconds / 1e9, "GB/s", "of the least bytes"),
            Result.unjudged(f"{part.name}: achieved", part.operations / seconds / 1e12, "TFLOP/s", "of the least"),
            Result.unjudged(f"{part.name}: share of the roofline", least / seconds, "", f"bound by {bound}"),
            Result.at_least(f"{part.name}: library's form / ours", best["library"] / seconds, 1.0, "x"),
        ]
    return results


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9, metavar="N", help="rounds of which the best counts")
    parser.add_argument("--small", action="store_true", help="tiny sizes, wherever it runs; the figures mean nothing")
    add_json_option(parser)
    given = parser.parse_args(arguments)
    where = device()
    if where.type != "cuda" and not given.small:
        absent = [Result.unjudged("GPU", None, "", "torch sees none, so nothing is measured")]
        return report("GPU", absent, given.json)
    name = torch.cuda.get_device_name(where) if where.type == "cuda" else "the CPU"
    results = measure(SMALL if given.small else Sizes(), given.rounds, where)
    if given.small:
        results = [Result.unjudged(r.name, r.value, r.unit, "tiny sizes: not judged") for r in results]
    return report(f"On {name}", results, given.json)


if __name__ == "__main__":
    run(main)
