"""A transformer written as loops over rows, heads and positions, and toy sequences."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from recsys.augmentation import SideInformation
from recsys.batches.sequences import HIDDEN, Windows
from recsys.data.dataset import Dataset
from recsys.models.build import build_model
from recsys.models.parts.sequence_recommender import SequenceRecommender
from recsys.models.parts.transformer import Block
from recsys.models.registry import FAMILIES
from recsys.seeds import seeded

N_ITEMS = 12
WINDOWS = Windows(
    torch.tensor([[3, 1, 4, 11, 5], [9, 2, 0, 0, 0], [7, 0, 0, 0, 0], [6, 8, 10, 3, 0]]), torch.tensor([5, 2, 1, 4])
)
TARGETS = torch.tensor([[1, 4, 11, 5, 9], [2, 6, 0, 0, 0], [5, 0, 0, 0, 0], [8, 10, 3, 5, 0]])


def cycles(n_users: int = 24, n_items: int = N_ITEMS, steps: int = 7) -> Dataset:
    """Every user goes round the catalogue, an item at a time; the last two steps are held out. User 0 has no others."""
    rows = np.array(
        [(user, (user + step) % n_items, 100 * step, step) for user in range(n_users) for step in range(steps)]
    )
    rows = rows[(rows[:, 0] > 0) | (rows[:, 3] >= steps - 2)]
    parts = [rows[rows[:, 3] < steps - 2], rows[rows[:, 3] == steps - 2], rows[rows[:, 3] == steps - 1]]
    return Dataset.from_arrays(
        n_users, n_items, *(part[:, :2] for part in parts), timestamps=[part[:, 2] for part in parts]
    )


def build(name: str, data: Dataset | None = None, seed: int = 0, **options: object) -> SequenceRecommender:
    """A small model in float32; its parameters are drawn far from zero so that every one of them matters."""
    given = {"family": name, "dim": 6, "length": 6, "dropout": 0.0, **options}
    chosen = FAMILIES[name].options.model_validate(given)
    model = build_model(data or cycles(), SideInformation(), chosen, seeded(seed, "parameters"))
    assert isinstance(model, SequenceRecommender)
    return model


def shaken(model: SequenceRecommender) -> SequenceRecommender:
    """The model in float64 with noise on every parameter, those of norms and biases included."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in model.double().parameters():
            parameter += 0.3 * torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
    return model


def normal(x: Tensor, norm: nn.Module) -> Tensor:
    mean = x.sum() / len(x)
    spread = ((x - mean) ** 2).sum() / len(x)
    assert isinstance(norm, nn.LayerNorm)
    return (x - mean) / (spread + 1e-5).sqrt() * norm.weight + norm.bias


def attention(block: Block, asking: list[Tensor], asked: list[Tensor]) -> list[Tensor]:
    part = block.attention
    q, k, v = (
        [layer.weight @ x + (0 if layer.bias is None else layer.bias) for x in rows]
        for layer, rows in ((part.query, asking), (part.key, asked), (part.value, asked))
    )
    width = len(q[0]) // part.heads
    out = []
    for t in range(len(asking)):
        heads = []
        for head in range(part.heads):
            own = slice(head * width, (head + 1) * width)
            seen = range(t + 1) if part.causal else range(len(asked))
            weights = [(q[t][own] @ k[s][own] / width**0.5).exp() for s in seen]
            total = sum(weights)
            heads.append(sum(weight / total * v[s][own] for s, weight in zip(seen, weights, strict=True)))
        mixed = torch.cat(heads)  # type: ignore[arg-type]
        out.append(mixed if part.output is None else part.output.weight @ mixed + part.output.bias)
    return out


def network(block: Block, x: Tensor) -> Tensor:
    inner = block.activation(block.inner.weight @ x + block.inner.bias)
    return block.outer.weight @ inner + block.outer.bias


def passed(block: Block, rows: list[Tensor]) -> list[Tensor]:
    """What a block makes of the rows of one window."""
    if block.order == "outputs":
        rows = [normal(x + y, block.attention_norm) for x, y in zip(rows, attention(block, rows, rows), strict=True)]
        return [normal(x + network(block, x), block.network_norm) for x in rows]
    asking = [normal(x, block.attention_norm) for x in rows]
    if block.order == "inputs":
        rows = [x + y for x, y in zip(rows, attention(block, asking, asking), strict=True)]
        return [x + network(block, normal(x, block.network_norm)) for x in rows]
    rows = [x + y for x, y in zip(asking, attention(block, asking, rows), strict=True)]
    return [x + network(block, x) for x in (normal(x, block.network_norm) for x in rows)]


def states(model: SequenceRecommender, window: list[int], scale: float) -> list[Tensor]:
    """What the blocks of a model make of the items of one window."""
    rows = []
    for place, item in enumerate(window):
        embedding = model.hidden_item if item == HIDDEN else model.item_embedding[item]
        assert embedding is not None
        rows.append(scale * embedding + model.position_embedding[model.length - len(window) + place])
    for block in model.get_submodule("blocks").children():
        assert isinstance(block, Block)
        rows = passed(block, rows)
    return rows


def gradients(model: nn.Module, loss: Tensor) -> dict[str, Tensor]:
    """Those of every parameter, zero where the loss does not depend on one."""
    names, parameters = zip(*model.named_parameters(), strict=True)
    found = torch.autograd.grad(loss, parameters, allow_unused=True)
    return {
        name: torch.zeros_like(parameter) if gradient is None else gradient
        for name, parameter, gradient in zip(names, parameters, found, strict=True)
    }


def assert_alike(model: nn.Module, terms: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    """Terms of a loss and the gradients of their sum."""
    assert set(terms) == set(expected)
    for name, value in expected.items():
        torch.testing.assert_close(terms[name], value, rtol=1e-9, atol=1e-10, msg=name)
    got = gradients(model, torch.stack(list(terms.values())).sum())
    for name, gradient in gradients(model, torch.stack(list(expected.values())).sum()).items():
        torch.testing.assert_close(got[name], gradient, rtol=1e-8, atol=1e-9, msg=name)
