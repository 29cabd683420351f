"""MMSSL and its discriminator against the formulas in loops and float64, and the game in the trainer."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from augrec.artefacts.errors import DataError
from recsys.augmentation import FeatureMatrix, SideInformation
from recsys.batches.base import Queries
from recsys.batches.triplets import Triplets
from recsys.data.dataset import Dataset
from recsys.models.mmssl import MMSSL
from recsys.models.options.mmssl import MmsslOptions
from recsys.models.parts import relations as relations_module
from recsys.options import EvaluationOptions, TrainingOptions
from recsys.training.train import train
from tests.recsys.killing import Killer

USERS, ITEMS, DIM = 6, 10, 4
EDGES = np.array([(0, 1), (0, 2), (1, 2), (2, 0), (2, 3), (2, 4), (3, 5), (4, 1), (4, 6), (0, 7), (1, 8)])  # 5: no user
BATCH = [(0, 1, 5), (1, 2, 9), (2, 3, 7), (3, 5, 1), (4, 6, 3), (2, 0, 6), (0, 7, 5)]
WEIGHTS = [1.0, 2.0, 1.0, 0.5, 1.0, 1.0, 0.25]
MISSING = {"text": [3], "image": [3, 9]}
SEEN = [0, 1, 2, 3]  # of the first four triplets
EXACT = {"dim": DIM, "heads": 2, "dropout": 0.0, "relation_items": 2, "l2": 0.1, "feature_reg": 0.1, "contrast": 0.5}
GAME = {"users": 4, "hidden_dims": (5, 3), "dropout": (0.0, 0.0), "slope": 0.2, "weight": 0.02}


def arrays(names: tuple[str, ...] = ("text", "image")) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    found = {"text": rng.normal(size=(ITEMS, 5)), "image": rng.normal(size=(ITEMS, 3))}
    for name, rows in MISSING.items():
        found[name][rows] = np.nan
    return {name: found[name] for name in names}


def build(given: dict[str, np.ndarray] | None = None, game: dict[str, Any] | None = None, **options: Any) -> MMSSL:
    features = {name: FeatureMatrix.from_dense(a, MISSING[name]) for name, a in (given or arrays()).items()}
    values = MmsslOptions.model_validate({**EXACT, "adversary": {**GAME, **(game or {})}, **options})
    return MMSSL(EDGES, USERS, ITEMS, features, values, torch.Generator().manual_seed(0)).double()


def triplets() -> Triplets:
    user, positive, negative = torch.tensor(BATCH).unbind(1)
    return Triplets(user, positive, negative, torch.tensor(WEIGHTS, dtype=torch.float64), len(BATCH))


def length(x: Tensor) -> Tensor:
    return (x * x).sum().sqrt()


def unit(x: Tensor) -> Tensor:
    return x / length(x) if float(x.detach().abs().sum()) else x


Rows = list[Tensor]


class ByHand:
    def __init__(self, model: MMSSL, features: dict[str, np.ndarray]) -> None:
        self.p = {name: value.detach().clone().requires_grad_() for name, value in model.named_parameters()}
        self.o, self.arrays = model.options, features

    def hop(self, edges: list[tuple[int, int]], x: Rows, receivers: int, senders: int) -> Rows:
        """From senders to receivers, `edges` holding (receiver, sender)."""
        rows = [torch.zeros_like(x[0]) for _ in range(receivers)]
        for r, s in edges:
            degree = sum(1 for a, _ in edges if a == r)
            if self.o.norm == "symmetric":
                degree = degree * sum(1 for _, b in edges if b == s)
            rows[r] = rows[r] + x[s] / math.sqrt(degree)
        return rows

    def both(self, edges: list[tuple[int, int]], items: Rows) -> Rows:
        return self.hop(edges, items, USERS, ITEMS)

    def back(self, edges: list[tuple[int, int]], users: Rows) -> Rows:
        return self.hop([(i, u) for u, i in edges], users, ITEMS, USERS)

    def compared(self, user: Tensor, item: Tensor) -> Tensor:
        return user @ (unit(item) if self.o.similarity == "cosine" else item)

    def propagate(self) -> None:
        observed = [(int(u), int(i)) for u, i in EDGES]
        self.f_u, self.f_i, self.e_u, e_i = {}, {}, {}, {}
        for name, array in self.arrays.items():
            z = []
            for row in array:
                x = torch.tensor(row.astype(np.float32).astype(np.float64))
                projected = self.p[f"projections.{name}.weight"] @ x + self.p[f"projections.{name}.bias"]
                z.append(torch.zeros(DIM).double() if x.isnan().any() else projected)
            self.f_u[name] = self.both(observed, z)
            self.f_i[name] = self.back(observed, self.f_u[name])
            edges = observed
            if self.o.relations == "generated":
                edges = []
                for u in range(USERS):
                    others = [i for i in range(ITEMS) if (u, i) not in observed and self.f_i[name][i].abs().sum() > 0]
                    others.sort(key=lambda i: -round(self.compared(self.f_u[name][u], self.f_i[name][i]).item(), 9))
                    if self.f_u[name][u].abs().sum() > 0:
                        edges += [(u, i) for i in others[: self.o.relation_items]]
            self.e_u[name] = self.both(edges, list(self.p["item_embedding"]))
            e_i[name] = self.back(edges, list(self.p["user_embedding"]))
        attended_u, attended_i = (self.attended(list(e.values())) for e in (self.e_u, e_i))
        pairs = zip(self.p["user_embedding"], attended_u, strict=True)
        users = self.fused = [e + self.o.attention_scale * unit(a) for e, a in pairs]
        items = [
            e + self.o.attention_scale * unit(a) for e, a in zip(self.p["item_embedding"], attended_i, strict=True)
        ]
        all_users, all_items = [users], [items]
        for layer in range(self.o.layers):
            last = self.o.final_softmax and layer == self.o.layers - 1
            users = self.both(observed, items)
            users = [torch.exp(x) / torch.exp(x).sum() for x in users] if last else users
            items = self.back(observed, users)
            items = [torch.exp(x) / torch.exp(x).sum() for x in items] if last else items
            all_users.append(users)
            all_items.append(items)
        w, count = self.o.modality_scale, self.o.layers + 1
        self.users = [
            sum(level[u] for level in all_users) / count + w * sum(unit(f[u]) for f in self.f_u.values())
            for u in range(USERS)
        ]
        self.items = [
            sum(level[i] for level in all_items) / count + w * sum(unit(f[i]) for f in self.f_i.values())
            for i in range(ITEMS)
        ]

    def attended(self, each: list[Rows]) -> Rows:
        size, found = DIM // self.o.heads, []
        for n in range(len(each[0])):
            total = torch.zeros(DIM).double()
            for m in range(len(each)):
                heads = []
                for h in range(self.o.heads):
                    part = slice(h * size, (h + 1) * size)
                    power = [torch.ones(()).double()]
                    if len(each) > 1:
                        keys = self.p["queries" if self.o.attention_keys == "queries" else "keys"]
                        query = (each[m][n] @ self.p["queries"])[part]
                        power = [torch.exp(query @ (e[n] @ keys)[part] / math.sqrt(size)) for e in each]
                    heads.append(sum(a * e[n] for a, e in zip(power, each, strict=True)) / sum(power))
                total = total + torch.cat(heads) @ self.p["merge"]
            found.append(total / len(each))
        return found

    def generated(self) -> Rows:
        rows = []
        for name in self.arrays:
            for u in SEEN:
                row = [self.compared(self.f_u[name][u], f) for f in self.f_i[name]]
                rows.append(unit(torch.stack([x * self.has_not(u, i) for i, x in enumerate(row)])))
        return rows

    @staticmethod
    def has_not(u: int, i: int) -> float:
        return 0.0 if (u, i) in {(int(a), int(b)) for a, b in EDGES} else 1.0

    def judged(self, rows: Rows) -> Rows:
        p = {name.removeprefix("discriminator.layers."): x for name, x in self.p.items()}
        for linear, norm in ((0, 2), (4, 6)):
            rows = [p[f"{linear}.weight"] @ row + p[f"{linear}.bias"] for row in rows]
            rows = [torch.where(row > 0, row, 0.2 * row) for row in rows]
            if not self.o.adversary.batch_norm:
                continue
            mean = sum(rows) / len(rows)
            variance = sum((row - mean) ** 2 for row in rows) / len(rows)
            rows = [(row - mean) / (variance + 1e-5) ** 0.5 * p[f"{norm}.weight"] + p[f"{norm}.bias"] for row in rows]
        return [100 / (1 + torch.exp(-(p["8.weight"] @ row + p["8.bias"])[0])) for row in rows]

    def loss(self) -> dict[str, Tensor]:
        self.propagate()
        o, bpr, l2 = self.o, torch.zeros(()).double(), torch.zeros(()).double()
        for (u, i, j), weight in zip(BATCH, WEIGHTS, strict=True):
            x = self.users[u] @ (self.items[i] - self.items[j])
            bpr = bpr + weight * torch.log(1 + torch.exp(-x))
            l2 = l2 + sum(y @ y for y in (self.users[u], self.items[i], self.items[j])) / 2
        squares = sum((f @ f) for side in (self.f_u, self.f_i) for rows in side.values() for f in rows)
        contrast = torch.zeros(()).double()
        chosen = sorted({u for u, _, _ in BATCH})
        other = self.users if o.contrast_with == "final" else self.fused
        for e in self.e_u.values():
            for u in chosen:
                below = sum(self.closeness(e[u], other[v]) for v in chosen)
                below = below + sum(self.closeness(e[u], e[v]) for v in chosen if v != u)
                contrast = contrast - torch.log(self.closeness(e[u], other[u]) / below) / len(chosen)
        terms = {
            "bpr": bpr / sum(WEIGHTS),
            "l2": o.l2 * l2 / len(BATCH),
            "feature_reg": o.feature_reg * squares / 2 / ITEMS,
            "contrast": o.contrast * contrast,
        }
        if o.adversary.weight:
            judged = self.judged(self.generated())
            terms["adversary"] = -o.adversary.weight * sum(judged) / len(judged)
        return terms

    def closeness(self, a: Tensor, b: Tensor) -> Tensor:
        return torch.exp(unit(a) @ unit(b) / self.o.temperature)

    def discriminator_loss(self, chance: Tensor, share: Tensor) -> dict[str, Tensor]:
        self.propagate()
        game, observed = self.o.adversary, []
        for row, u in enumerate(SEEN):
            similar = [self.users[u] @ item * self.has_not(u, i) for i, item in enumerate(self.items)]
            similar = unit(torch.stack(similar))
            power = [
                torch.exp(
                    torch.tensor((1 - self.has_not(u, i)) / game.relation_temperature)
                    - game.gumbel * torch.log(-torch.log(chance[row, i]))
                )
                for i in range(ITEMS)
            ]
            choice = torch.stack(power) / sum(power)
            observed.append(unit(choice + game.similarity * similar).detach())
        observed = observed * len(self.arrays)
        generated = [row.detach() for row in self.generated()]
        between = [
            (s * x + (1 - s) * y).requires_grad_() for s, x, y in zip(share[:, 0], observed, generated, strict=True)
        ]
        slopes = torch.autograd.grad(sum(self.judged(between)), between, create_graph=True)
        penalty = sum((length(slope) - 1) ** 2 for slope in slopes) / len(slopes)
        wrong, right = (sum(self.judged(rows)) / len(rows) for rows in (generated, observed))
        return {"discriminator": wrong - right, "gradient_penalty": game.gradient_penalty * penalty}


def mine(name: str) -> bool:
    return not name.startswith("discriminator.")


@pytest.mark.parametrize(
    ("names", "options"),
    [
        (("text", "image"), {}),
        (("text", "image"), {"attention_keys": "queries", "contrast_with": "fused", "similarity": "cosine"}),
        (("text", "image"), {"relations": "observed", "final_softmax": False, "norm": "symmetric", "layers": 1}),
        (("text",), {"heads": 1, "temperature": 0.2}),
    ],
)
def test_equals_the_equations(names: tuple[str, ...], options: dict[str, Any]) -> None:
    model = build(arrays(names), **options)
    reference = ByHand(model, arrays(names))
    terms, expected = model.loss(triplets()), reference.loss()
    assert list(terms) == list(expected)
    for name, value in terms.items():
        assert torch.allclose(value, expected[name], rtol=1e-6, atol=1e-9), name
    users, items = model()
    assert torch.allclose(users, torch.stack(reference.users), atol=1e-6)
    assert torch.allclose(items, torch.stack(reference.items), atol=1e-6)
    sum(terms.values()).backward()
    sum(expected.values()).backward()
    torch.optim.SGD(model.parameters(), lr=1.0).step()
    for name, value in model.named_parameters():
        if not mine(name):
            assert value.grad is None, f"{name} belongs to the other player"
            continue
        gradient = reference.p[name].grad
        assert gradient.abs().sum() > 0, name
        assert torch.allclose(value, reference.p[name] - gradient, rtol=1e-5, atol=1e-6), name


@pytest.mark.parametrize(
    "game", [{}, {"gumbel": 2.0, "relation_temperature": 0.5, "similarity": 1.0, "batch_norm": False}]
)
def test_the_discriminators_step_equals_the_equations(game: dict[str, Any]) -> None:
    model = build(game=game)
    reference = ByHand(model, arrays())
    torch.manual_seed(3)
    chance, share = torch.rand(4, ITEMS, dtype=torch.float64), torch.rand(8, 1, dtype=torch.float64)
    torch.manual_seed(3)
    terms, expected = model.discriminator_loss(triplets()), reference.discriminator_loss(chance, share)
    assert list(terms) == list(expected)
    for name, value in terms.items():
        assert torch.allclose(value, expected[name], rtol=1e-5, atol=1e-8), name
    sum(terms.values()).backward()
    sum(expected.values()).backward()
    for name, value in model.named_parameters():
        if mine(name):
            assert value.grad is None, f"{name} belongs to the other player"
        else:
            assert value.grad.abs().sum() > 0, name
            assert torch.allclose(value.grad, reference.p[name].grad, rtol=1e-4, atol=1e-6), name


def test_the_discriminator_has_settings_of_its_own_and_can_be_left_out() -> None:
    model = build()
    mine_group, its_group = model.parameter_groups()
    assert (its_group["lr"], its_group["betas"], its_group["weight_decay"]) == (3e-4, (0.5, 0.9), 0.0)
    assert len(mine_group["params"]) + len(its_group["params"]) == len(list(model.parameters()))
    alone = build(game={"weight": 0.0})
    assert len(alone.objectives()) == len(alone.parameter_groups()) == 1
    assert "adversary" not in alone.loss(triplets())


def test_relations_stay_for_an_epoch_and_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    model = build()
    model.train()
    model.loss(triplets())
    first = model.relations["text"]
    monkeypatch.setattr(relations_module, "BLOCK", 25)
    model.loss(triplets())
    assert model.relations["text"] is first
    model.train()
    assert not model.relations
    model.loss(triplets())
    for left, right in zip(first, model.relations["text"], strict=True):
        assert torch.equal(left @ torch.eye(left.shape[1]).double(), right @ torch.eye(right.shape[1]).double())


def test_shuffled_features_change_scores() -> None:
    model = build().eval()
    order = np.random.default_rng(3).permutation(ITEMS)
    shuffled = build({name: np.nan_to_num(a)[order] for name, a in arrays().items()}).eval()
    shuffled.load_state_dict(model.state_dict())
    users = torch.arange(USERS)
    assert not torch.allclose(model.scores(Queries(users)), shuffled.scores(Queries(users)))


def test_a_missing_modality_and_odd_heads_are_errors() -> None:
    dataset = Dataset.from_arrays(USERS, ITEMS, EDGES, np.empty((0, 2), int), np.empty((0, 2), int))
    with pytest.raises(DataError, match="'mmssl' needs item features"):
        MMSSL.build(dataset, SideInformation(), MmsslOptions(), torch.Generator())
    with pytest.raises(ValueError, match="heads must divide dim"):
        MmsslOptions(dim=10, heads=4)


def test_a_killed_training_goes_on_as_if_it_had_never_stopped(tastes: Dataset, tmp_path: Path) -> None:
    """Both players, the batch norm's averages and the epoch's relations included."""
    rng = np.random.default_rng(0)
    side = SideInformation(
        item={name: FeatureMatrix.from_dense(rng.normal(size=(40, 6))) for name in ("text", "image")}
    )
    training = TrainingOptions(epochs=4, batch_size=128, lr=0.02, threads=1, device="cpu", resume_minutes=0.0)

    def run(out: Path, ticker: Killer | None = None) -> dict[str, Any]:
        cutoffs = EvaluationOptions(cutoffs=(5, 20))
        return train(tastes, MmsslOptions(dim=8), side, training, cutoffs, 3, out, "variant", "print", ticker)

    whole = run(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "cut", Killer(2))
    resumed = run(tmp_path / "cut")
    assert set(whole["history"][0]["terms"]) >= {"discriminator", "gradient_penalty", "adversary"}
    for left, right in zip(whole["history"], resumed["history"], strict=True):
        assert (left["terms"], left["valid"]) == (right["terms"], right["valid"])
    states = [load_file(tmp_path / name / "model.safetensors") for name in ("whole", "cut")]
    assert any(name.endswith("running_mean") for name in states[0])
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
