"""AutoCF against its equations written out: loops over nodes and edges, float64, from the same draws."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from equations_reference import (
    BATCH,
    ITEMS,
    TRAIN,
    USERS,
    WEIGHT,
    agree,
    copies,
    neighbours,
    triplets,
    zero,
)
from pydantic import ValidationError
from safetensors.torch import load_file
from torch import Tensor

from recsys.augmentation import SideInformation
from recsys.data.dataset import Dataset
from recsys.draws import Draws
from recsys.models.autocf import AutoCF
from recsys.models.options.autocf import AutoCfOptions
from recsys.options import EvaluationOptions, TrainingOptions
from recsys.seeds import seeded
from recsys.training.train import train
from tests.recsys.killing import Killer

NODES = range(USERS + ITEMS)
SMALL = {
    "dim": 4,
    "heads": 2,
    "seeds": 2,
    "seeds_share": 1.0,
    "masked_share": 0.4,
    "redraw_every": 3,
    "contrast": 0.7,
    "l2": 0.2,
}


class Recording(Draws):
    """Keeps the last draw of each name."""

    def __init__(self, seed: int) -> None:
        super().__init__(seeded(seed, "draws"))
        self.last: dict[str, Tensor] = {}

    def uniform(self, name: str, *shape: int) -> Tensor:
        return self.last.setdefault(name, super().uniform(name, *shape))

    def distinct(self, name: str, count: int, below: int) -> Tensor:
        drawn = self.last.setdefault(name, super().distinct(name, count, below))
        assert len(set(drawn.tolist())) == count
        return drawn

    def repeated(self, name: str, count: int, below: int) -> Tensor:
        return self.last.setdefault(name, super().repeated(name, count, below))


def build(seed: int = 0, dtype: torch.dtype = torch.float64, **options: object) -> AutoCF:
    given = AutoCfOptions.model_validate({**SMALL, **options})
    model = AutoCF(TRAIN, USERS, ITEMS, given, seeded(0, "parameters")).to(dtype)
    model.draw = Recording(seed)
    return model.train()


class ByHand:
    def __init__(self, model: AutoCF) -> None:
        self.p, self.o, self.neighbours = copies(model), model.options, neighbours()
        assert isinstance(model.draw, Recording)
        self.drawn = model.draw.last
        self.table = torch.cat([self.p["user_embedding"], self.p["item_embedding"]])
        self.edges = {(int(u), USERS + int(i)) for u, i in TRAIN}

    def scores(self) -> list[Tensor]:
        """Log-sigmoid of the cosine of each node and of what is up to two hops away, without noise."""
        itself = int(self.o.subtract_itself)
        one = [sum((self.table[j] for j in self.neighbours[v]), torch.zeros(4)) - itself * self.table[v] for v in NODES]
        found = []
        for v in NODES:
            two = sum((one[j] for j in self.neighbours[v]), torch.zeros(4)) - itself * one[v]
            around = one[v] + two - len(self.neighbours[v]) * self.table[v]
            length = around.norm() * self.table[v].norm()
            cosine = around @ self.table[v] / length if length > 0 else zero()
            found.append(-torch.log(1 + torch.exp(-cosine)))
        return found

    def noise(self) -> list[float]:
        return [-math.log(-math.log(value)) for value in self.drawn["noise"].tolist()]

    def masked(self) -> tuple[list[int], set[tuple[int, int]], list[int]]:
        """The seeds, the edges that are left, and the masked nodes."""
        noisy = [s.item() + n for s, n in zip(self.scores(), self.noise(), strict=True)]
        seeds = sorted(NODES, key=lambda v: -noisy[v])[: self.o.seeds]
        left, current, masked = set(self.edges), set(seeds), set(seeds)
        for depth in range(self.o.mask_depth):
            gone = {edge for edge in left if current & set(edge)}
            left -= gone
            current = set(itertools.chain(*gone))
            if depth < self.o.mask_depth - 1:
                masked |= current
        return seeds, left, sorted(masked | set(self.drawn["random nodes"].tolist()))

    def training_graphs(self) -> tuple[set[tuple[int, int]], set[tuple[int, int]]]:
        """Edges of the encoder; places of the decoder."""
        _, left, masked = self.masked()
        ends = zip(self.drawn["pair rows"].tolist(), self.drawn["pair columns"].tolist(), strict=True)
        pairs = {(masked[a], masked[b]) for a, b in ends}
        assert len(self.drawn["pair rows"]) == 2 * len(TRAIN)
        return left, self.both(left | pairs) | {(v, v) for v in NODES}

    def evaluation_graphs(self) -> tuple[set[tuple[int, int]], set[tuple[int, int]]]:
        own = {(v, v) for v in NODES} if self.o.evaluate_with_itself else set()
        return self.edges, self.both(self.edges) | own

    @staticmethod
    def both(edges: set[tuple[int, int]]) -> set[tuple[int, int]]:
        return edges | {(b, a) for a, b in edges}

    def final(self, encoder: set[tuple[int, int]], decoder: set[tuple[int, int]]) -> Tensor:
        degree = [sum(v in edge for edge in encoder) for v in NODES]
        x = list(self.table)
        total = self.table
        for _ in range(self.o.layers):
            after = [torch.zeros(4).double() for _ in NODES]
            for a, b in self.both(encoder):
                after[a] = after[a] + x[b] / math.sqrt(degree[a] * degree[b])
            x = after
            total = total + torch.stack(x)
        for layer in range(self.o.attention_layers):
            x = [self.attended(layer, x, v, sorted(b for a, b in decoder if a == v)) for v in NODES]
            total = total + torch.stack(x)
        return total

    def attended(self, layer: int, x: list[Tensor], node: int, others: list[int]) -> Tensor:
        query, key, value = (self.p[f"attention.{layer}.{name}"] for name in ("query", "key", "value"))
        width = 4 // self.o.heads
        scale = math.sqrt(width) if self.o.scaled_attention else 1.0
        heads = []
        for head in range(self.o.heads):
            own = slice(head * width, (head + 1) * width)
            numerator, denominator = torch.zeros(width).double(), 1e-8 + zero()
            for other in others:
                logit = (x[node] @ query)[own] @ (x[other] @ key)[own] / scale
                power = logit.clamp(-10, 10).exp()
                numerator, denominator = numerator + power * (x[other] @ value)[own], denominator + power
            heads.append(numerator / denominator)
        return torch.cat(heads)

    def terms(self) -> dict[str, Tensor]:
        final = self.final(*self.training_graphs())
        users, items = final[:USERS], final[USERS:]
        recovery, between, squares = zero(), zero(), zero()
        for (u, i, j), w in zip(BATCH, WEIGHT, strict=True):
            recovery = recovery - w / sum(WEIGHT) * (users[u] @ items[i])
            between = between + w / sum(WEIGHT) * self.log_sum(users[u], items)
            for rows, row in (("user", u), ("item", i), ("item", j)):
                squares = squares + (self.p[f"{rows}_embedding"][row] ** 2).sum() / 2 / len(BATCH)
        own, positives = {u for u, _, _ in BATCH}, {i for _, i, _ in BATCH}
        apart = sum(self.log_sum(users[u], users) for u in own) / len(own)
        apart = apart + sum(self.log_sum(items[i], items) for i in positives) / len(positives)
        if self.o.l2_kind == "all":
            squares = sum((value**2).sum() for value in self.p.values()) + zero()
        shown = [n if self.o.noisy_infomax else 0.0 for n in self.noise()]
        scores = [s + n for s, n in zip(self.scores(), shown, strict=True)]
        return {
            "recovery": recovery,
            "contrast": self.o.contrast * apart + between,
            "l2": self.o.l2 * squares,
            "infomax": -sum(scores) / len(NODES),
        }

    @staticmethod
    def log_sum(x: Tensor, rows: Tensor) -> Tensor:
        return torch.log(sum(torch.exp(x @ row) for row in rows))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"released": True},
        {"mask_depth": 1, "seeds": 1, "layers": 1, "attention_layers": 2},
        {"mask_depth": 3, "seeds": 1, "masked_share": 0.0, "heads": 4, "layers": 0},
    ],
)
@pytest.mark.parametrize("seed", [0, 1])
def test_graphs_forward_loss_and_a_step_are_the_equations(seed: int, options: dict[str, object]) -> None:
    model = build(seed, **options)
    model.before_step(0)
    by_hand = ByHand(model)
    assert model.masked is not None
    graphs, (encoder, decoder) = model.masked.graphs, by_hand.training_graphs()
    assert model.masked.seeds.tolist() == by_hand.masked()[0]
    assert {(u, USERS + i) for u, i in places(graphs.encoder.row, graphs.encoder.column)} == encoder
    assert places(graphs.decoder.row, graphs.decoder.column) == sorted(decoder)
    agree(model, triplets(), by_hand.terms(), by_hand.p, rtol=1e-6, atol=1e-7)
    model.eval()
    torch.testing.assert_close(torch.cat(model()), ByHand(model).final(*by_hand.evaluation_graphs()))


def places(row: Tensor, column: Tensor) -> list[tuple[int, int]]:
    return list(zip(row.tolist(), column.tolist(), strict=True))


def test_released_is_rlmrecs_code_and_its_con_leaves_negative_items_out() -> None:
    options = AutoCfOptions.model_validate({"released": True, "scaled_attention": True, "aligner": {"kind": "con"}})
    assert options.scaled_attention
    assert options.rounded_rows
    assert not options.aligner.negative_items
    assert AutoCfOptions.model_validate({"aligner": {"kind": "con"}}).aligner.negative_items


def test_heads_that_do_not_divide_an_embedding_are_refused() -> None:
    with pytest.raises(ValidationError, match="heads must divide what is propagated: 6 is no multiple of 4"):
        AutoCfOptions(dim=6)


def test_graphs_stay_for_some_steps_and_an_epoch_begins_with_new_ones() -> None:
    model = build(redraw_every=2)
    model.draw = Draws(seeded(0, "draws"))
    seen = []
    for step in (0, 1, 2, 3):
        model.before_step(step)
        assert ("infomax" in model.loss(triplets())) == (step % 2 == 0)
        assert model.masked is not None
        seen.append(model.masked)
    assert seen[0] is seen[1]
    assert seen[1] is not seen[2]
    assert seen[2] is seen[3]
    model.train()
    assert model.masked is None


def test_nothing_is_masked_in_evaluation() -> None:
    model = build()
    model.eval()
    before = torch.cat(model())
    model.train()
    model.before_step(0)
    assert not torch.allclose(torch.cat(model()), before)
    model.eval()
    assert torch.equal(torch.cat(model()), before)


def test_seeds_are_bounded_by_a_share_of_the_nodes() -> None:
    for share, expected in ((1.0, 9), (0.35, 3), (0.01, 1)):
        model = build(seeds=100, seeds_share=share)
        model.before_step(0)
        assert model.masked is not None
        assert len(model.masked.seeds) == expected


def both_directions(row: np.ndarray, column: np.ndarray, nodes: int) -> tuple[np.ndarray, np.ndarray]:
    """Places as they are, and mirrored."""
    return row * nodes + column, column * nodes + row


@pytest.mark.parametrize("rounded", [False, True])
def test_receivers_in_a_large_graph(rounded: bool) -> None:
    """The published division goes astray where row * n is beyond the integers that float32 has."""
    n_users, n_items = 3_300, 2_707
    rng = np.random.default_rng(0)
    edges = np.unique(rng.integers(0, (n_users, n_items), (20_000, 2)), axis=0)
    options = AutoCfOptions(dim=4, rounded_rows=rounded, masked_share=1.0)
    model = AutoCF(edges, n_users, n_items, options, seeded(0, "parameters"))
    drawn = model.graphs.draw(model.table(), Draws(seeded(0, "draws")))
    nodes = n_users + n_items
    row, column = drawn.graphs.decoder.row.numpy(), drawn.graphs.decoder.column.numpy()
    own = np.bincount(row[row == column], minlength=nodes)
    assert (own == 1).all() != rounded
    whole = model.graphs.whole().decoder
    assert np.array_equal(
        *(np.sort(places) for places in both_directions(whole.row.numpy(), whole.column.numpy(), nodes))
    )
    if not rounded:
        return
    exact = AutoCF(edges, n_users, n_items, AutoCfOptions(dim=4, masked_share=1.0), seeded(0, "parameters"))
    expected = exact.graphs.draw(exact.table(), Draws(seeded(0, "draws"))).graphs.decoder
    receiver, sender = expected.row.numpy(), expected.column.numpy()
    divided = ((receiver * nodes).astype(np.float32) / np.float32(nodes)).astype(np.int64)
    assert set(divided - receiver) == {-1, 0}
    assert 0.001 < (divided != receiver).mean() < 0.15
    assert np.array_equal(np.sort(row * nodes + column), np.sort(divided * nodes + sender))


def test_a_killed_training_goes_on_as_if_it_had_never_stopped(tastes: Dataset, tmp_path: Path) -> None:
    options = AutoCfOptions(dim=8, heads=2, seeds=3, seeds_share=1.0, redraw_every=2)
    training = TrainingOptions(epochs=4, batch_size=101, lr=0.02, threads=1, device="cpu", resume_minutes=0.0)

    def run(out: Path, ticker: Killer | None = None) -> dict[str, Tensor]:
        judged = EvaluationOptions(cutoffs=(5, 20))
        train(tastes, options, SideInformation(), training, judged, 3, out, "variant", "fingerprint", ticker)
        return load_file(out / "model.safetensors")

    whole = run(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "cut", Killer(2))
    resumed = run(tmp_path / "cut")
    assert "going on after epoch 2" in (tmp_path / "cut" / "train.log").read_text()
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
