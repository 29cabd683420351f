"""How much faster is LLMRec's step from constants than one that projects and propagates every feature?

    python -m benchmarks.llmrec_step [--json FILE] [--rounds N]

Random features in the sizes of the Netflix data set (no row twice) and a random graph. The plain form is written here:
every feature is projected for all items or users and propagated by coalesced COO products, layers are stacked. Each
form runs in a process of its own on one thread, in turns; the best step counts. Both must give the same loss.

`least` is what no exact step can leave out, timed by itself: which triplets are the hardest is known only when the rows
of all of a batch's users and items are projected, and a weight's gradient needs the rows that have a gradient: of the
triplets that are kept by the final embeddings' ranking or by the feature's own. They are counted in a step of ours. The
features are of full rank and no row occurs twice, so there is nothing smaller to project. Operands lie in order here.
"""

from __future__ import annotations

import argparse
import multiprocessing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from typing import Any, NamedTuple
from unittest.mock import patch

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.result import Result, add_json_option, report, run
from benchmarks.timing import best_seconds, device, one_thread, peak_bytes
from recsys.augmentation import FeatureMatrix, SideInformation
from recsys.batches.triplets import Triplets
from recsys.graph.adjacency import bipartite
from recsys.models.llmrec import LLMRec
from recsys.models.options.llmrec import LLMRecOptions
from recsys.models.parts.propagated_feature import PropagatedFeature
from recsys.training.tensor_memory import kept_memory

SPEEDUP, PEAK_GB, LOSS = 20.0, 2.5, 1e-5
LR, DECAY = 1e-4, 0.01
IDS = ("user", "positive", "negative")


@dataclass(frozen=True)
class Sizes:
    """Of the data and the batch."""

    users: int = 13_187
    items: int = 17_366
    edges: int = 68_933
    profile: int = 1_536
    attribute: int = 1_536
    attributes: int = 5
    text: int = 768
    image: int = 512
    batch: int = 1_024
    augmented: int = 102


def data(sizes: Sizes) -> tuple[np.ndarray, SideInformation, Triplets]:
    """Edges, features and a batch; the same numbers in every call."""
    rng = np.random.default_rng(0)
    pairs = np.unique(rng.integers(0, (sizes.users, sizes.items), (sizes.edges + sizes.edges // 20, 2)), axis=0)
    edges = rng.permutation(pairs)[: sizes.edges]

    def matrix(rows: int, dim: int) -> FeatureMatrix:
        values = rng.standard_normal((rows, dim), dtype=np.float32)
        return FeatureMatrix(values, np.arange(rows), np.ones(rows, dtype=np.bool_))

    side = SideInformation(
        user={"profile": matrix(sizes.users, sizes.profile)},
        item={"text": matrix(sizes.items, sizes.text), "image": matrix(sizes.items, sizes.image)},
        attributes={f"a{n}": matrix(sizes.items, sizes.attribute) for n in range(sizes.attributes)},
    )
    observed = rng.permutation(sizes.users)[: sizes.batch]
    users = np.concatenate([observed, rng.choice(observed, sizes.augmented, replace=False)])
    items = rng.integers(0, sizes.items, (2, len(users)))
    user, positive, negative = (torch.from_numpy(part) for part in (users, *items))
    return edges, side, Triplets(user, positive, negative, None, len(observed))


class Form:
    """A model in training: parameters, their optimiser, and a step."""

    def __init__(self, batch: Triplets, parameters: list[torch.nn.Parameter]) -> None:
        self.batch = replace(batch, **{name: getattr(batch, name).to(device()) for name in IDS})
        self.optimiser = torch.optim.AdamW(parameters, lr=LR, weight_decay=DECAY, fused=True)

    def loss(self) -> Tensor:
        """Of the batch. Scalar."""
        raise NotImplementedError

    def step(self) -> float:
        """Forward, backward, AdamW; the loss before."""
        self.optimiser.zero_grad(set_to_none=True)
        loss = self.loss()
        loss.backward()
        self.optimiser.step()
        return loss.item()


class Ours(Form):
    """The library's model, as a training uses it."""

    def __init__(self, sizes: Sizes) -> None:
        edges, side, batch = data(sizes)
        generator = torch.Generator().manual_seed(0)
        self.model = LLMRec(edges, sizes.users, sizes.items, side, LLMRecOptions(), generator).to(device())
        super().__init__(batch, list(self.model.parameters()))

    def loss(self) -> Tensor:
        """See `Form`."""
        return torch.stack(list(self.model.loss(self.batch).values())).sum()


class Plain(Form):
    """Every feature of every row in every step, a product by autograd's own coalesced COO matrices at a time."""

    def __init__(self, sizes: Sizes) -> None:
        edges, side, batch = data(sizes)
        where, options = device(), LLMRecOptions()
        few = np.zeros(1, dtype=np.int64)  # the same parameters without the cost of constants: features of one row

        def of_one_row(matrices: Mapping[str, FeatureMatrix], n: int) -> dict[str, FeatureMatrix]:
            return {
                name: FeatureMatrix(matrix.values[:1], few.repeat(n), np.ones(n, dtype=np.bool_))
                for name, matrix in matrices.items()
            }

        tiny = SideInformation(
            user=of_one_row(side.user, sizes.users),
            item=of_one_row(side.item, sizes.items),
            attributes=of_one_row(side.attributes, sizes.items),
        )
        generator = torch.Generator().manual_seed(0)
        start = LLMRec(edges, sizes.users, sizes.items, tiny, options, generator).to(where)
        self.options, self.ids = options, (start.user_embedding, start.item_embedding)
        features: Any = start.features
        self.layers = {name: start.layers[features.layer_of(name)] for name in features.constants}
        hops = bipartite(edges, sizes.users, sizes.items, options.norm)
        self.to_users, self.to_items = (hop.matrix().to_sparse_coo().coalesce().to(where) for hop in hops)
        self.features = {
            f"{group}/{name}": torch.from_numpy(matrix.values).to(where)
            for group, matrices in (("modality", side.item), ("profile", side.user), ("attribute", side.attributes))
            for name, matrix in matrices.items()
        }
        super().__init__(batch, list(start.parameters()))

    def loss(self) -> Tensor:
        """See `Form`."""
        o, users, items = self.options, {}, {}
        for name, feature in self.features.items():
            projected = self.layers[name](feature)
            if name.startswith("profile"):
                items[name] = torch.sparse.mm(self.to_items, projected)
                users[name] = torch.sparse.mm(self.to_users, items[name])
            else:
                users[name] = torch.sparse.mm(self.to_users, projected)
                items[name] = torch.sparse.mm(self.to_items, users[name])
        user_layers: list[Tensor] = [self.ids[0]]
        item_layers: list[Tensor] = [self.ids[1]]
        for layer in range(1, o.layers + 1):
            u = torch.sparse.mm(self.to_users, item_layers[-1])
            user_layers.append(u.softmax(1) if layer == o.layers else u)
            i = torch.sparse.mm(self.to_items, user_layers[-1])
            item_layers.append(i.softmax(1) if layer == o.layers else i)
        final_users, final_items = torch.stack(user_layers).mean(0), torch.stack(item_layers).mean(0)
        scales = {"modality": o.modality_scale, "profile": o.profile_scale, "attribute": o.attribute_scale}
        for name in self.features:
            scale = scales[name.partition("/")[0]]
            final_users = final_users + scale * F.normalize(users[name])
            final_items = final_items + scale * F.normalize(items[name])
        loss = self.pruned(final_users, final_items)
        for name in self.features:
            if name.startswith("modality"):
                squares = users[name].square().sum() + items[name].square().sum()
                loss = loss + o.feature_reg * squares / (2 * len(final_items))
                loss = loss + o.modality_bpr * self.pruned(users[name], items[name])
            elif name.startswith("attribute"):
                loss = loss + o.attribute_bpr * self.pruned(users["profile/profile"], items[name])
        return loss

    def pruned(self, users: Tensor, items: Tensor) -> Tensor:
        """BPR over the hardest triplets."""
        user, positive, negative = users[self.batch.user], items[self.batch.positive], items[self.batch.negative]
        values = F.logsigmoid((user * positive).sum(1) - (user * negative).sum(1) + 1e-8)
        return -values.sort().values[: int((1 - self.options.prune_rate) * len(values))].mean()


class Table(NamedTuple):
    """Of a feature at users or at items: its length, the rows of it that a batch has, those that have a gradient."""

    width: int
    needed: int
    moved: int


def tables(form: Ours) -> list[Table]:
    """What a step of ours projects; the bias counts as a feature more."""
    found: list[tuple[int, Tensor]] = []
    project = PropagatedFeature.rows

    def noted(part: PropagatedFeature, *arguments: Any) -> tuple[Tensor, Tensor]:
        both = project(part, *arguments)
        for rows in both:
            rows.retain_grad()
            found.append((part.dim + 1, rows))
        return both

    with patch.object(PropagatedFeature, "rows", noted):
        form.loss().backward()
    return [Table(width, len(rows), int(rows.grad.any(1).sum())) for width, rows in found if rows.grad is not None]


def numbers(asked: Sequence[Table]) -> int:
    """How many numbers of the tables a step reads at least, there and back."""
    return sum(table.width * (table.needed + table.moved) for table in asked)


def least(asked: Sequence[Table], rounds: int) -> float:
    """Seconds of the dense products alone, forwards and, for the rows that have a gradient, backwards.

    By the library's or, on a CPU, by our own if these are faster.
    """
    # Here, because a training loads numba with its first step, when the features that it was built from are gone.
    from recsys.models.parts.gathered_products import add_gradient, project

    widths, most = {table.width for table in asked}, max(table.needed for table in asked)
    rows = {width: torch.randn(most, width, device=device()) for width in widths}
    weights = {width: torch.randn(width, LLMRecOptions().dim, device=device()) for width in widths}
    slopes, ids = torch.randn(most, LLMRecOptions().dim, device=device()), torch.arange(most)

    def library() -> None:
        for width, needed, moved in asked:
            rows[width][:needed] @ weights[width]
            rows[width][:moved].T @ slopes[:moved]

    def ours() -> None:
        for width, needed, moved in asked:
            project(rows[width].numpy(), ids[:needed].numpy(), weights[width].numpy(), 1)
            add_gradient(rows[width].numpy(), ids[:moved].numpy(), slopes.numpy(), weights[width].numpy(), 1)

    forms: dict[str, Callable[[], None]] = {"library": library}
    if device().type == "cpu":
        forms["ours"] = ours
    return min(best_seconds(forms, rounds, device()).values())


def served(kind: Callable[[Sizes], Form], sizes: Sizes, rounds: int, turn: Connection) -> None:
    """Runs in a process of its own: a measured step whenever the other end says so, then the peak memory."""
    with one_thread(), kept_memory():  # as trainings have it, for both forms
        form = kind(sizes)
        first = form.step()
        turn.send(first)
        for _ in range(rounds):
            turn.recv()
            turn.send(best_seconds({"step": form.step}, 1, device())["step"])
        turn.send((form.step(), peak_bytes() if device().type == "cpu" else torch.cuda.max_memory_allocated()))


def measure(sizes: Sizes, rounds: int) -> list[Result]:
    """Both forms in turns."""
    context = multiprocessing.get_context("spawn")
    ends, workers = {}, []
    for kind in (Ours, Plain):
        mine, theirs = context.Pipe()
        ends[kind] = mine
        workers.append(context.Process(target=served, args=(kind, sizes, rounds, theirs), daemon=True))
    for worker in workers:
        worker.start()
    first = {kind: end.recv() for kind, end in ends.items()}
    best = dict.fromkeys(ends, float("inf"))
    for _ in range(rounds):
        for kind, end in ends.items():
            end.send(None)
            best[kind] = min(best[kind], end.recv())
    last = {kind: end.recv() for kind, end in ends.items()}
    for worker in workers:
        worker.join()
    with one_thread():
        asked = tables(Ours(sizes))
        floor = least(asked, rounds)
    operations = 2 * LLMRecOptions().dim * numbers(asked)
    differences = [abs(first[Ours] / first[Plain] - 1), abs(last[Ours][0] / last[Plain][0] - 1)]
    return [
        Result.at_least("plain step / ours", best[Plain] / best[Ours], SPEEDUP, "x"),
        Result.at_most("peak memory of ours", last[Ours][1] / 1e9, PEAK_GB, "GB"),
        Result.at_most("loss of the first step, difference", differences[0], LOSS, "relative"),
        Result.at_most("loss of the last step, difference", differences[1], 100 * LOSS, "relative"),
        Result.unjudged("plain step / the least that an exact step needs", best[Plain] / floor, "x", "a bound"),
        Result.unjudged("the least", 1e3 * floor, "ms", f"dense products alone, {operations / 1e9:.1f} GFLOP"),
        Result.unjudged("ours", 1e3 * best[Ours], "ms", "for information"),
        Result.unjudged("plain", 1e3 * best[Plain], "ms", "for information"),
        Result.unjudged("peak memory of plain", last[Plain][1] / 1e9, "GB", "for information"),
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.llmrec_step", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--rounds", type=int, default=7, metavar="N", help="steps of each form that are measured")
    add_json_option(parser)
    given = parser.parse_args(arguments)
    where = device()
    return report(f"LLMRec's step, {where.type}, one thread", measure(Sizes(), given.rounds), given.json)


if __name__ == "__main__":
    run(main)
