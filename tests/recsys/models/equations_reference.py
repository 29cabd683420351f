"""What the tests share that hold a model to its equations written out: a small world, and what it is to agree."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from recsys.augmentation import FeatureMatrix
from recsys.batches.triplets import Triplets

USERS, ITEMS = 4, 5  # user 3 and item 4 have no edge
TRAIN = np.array([(0, 0), (0, 1), (1, 1), (1, 2), (2, 0), (2, 3)])
MISSING = {"text": (1,), "image": ()}
BATCH = [(0, 1, 3), (1, 2, 0), (0, 0, 4), (2, 3, 1)]
WEIGHT = [1.0, 1.0, 0.5, 2.0]
LR = 0.5


def features() -> dict[str, np.ndarray]:
    """float32 vectors of the items by modality; those of `MISSING` are there to be overlooked."""
    rng = np.random.default_rng(0)
    return {name: rng.normal(size=(ITEMS, dim)).astype(np.float32) for name, dim in (("text", 6), ("image", 3))}


def matrices(
    arrays: Mapping[str, np.ndarray], missing: Mapping[str, Sequence[int]] = MISSING
) -> dict[str, FeatureMatrix]:
    """The same as the models take them."""
    return {name: FeatureMatrix.from_dense(array, missing[name]) for name, array in arrays.items()}


def triplets(batch: Sequence[tuple[int, int, int]] = BATCH, weight: Sequence[float] = WEIGHT) -> Triplets:
    """A batch with weights."""
    user, positive, negative = torch.tensor(batch).unbind(1)
    return Triplets(user, positive, negative, torch.tensor(weight), len(batch))


def copies(model: nn.Module) -> dict[str, Tensor]:
    """A model's parameters by name, apart from the model and with gradients of their own."""
    return {name: value.detach().clone().requires_grad_() for name, value in model.named_parameters()}


def neighbours() -> list[list[int]]:
    """Of each node, users first."""
    found: list[list[int]] = [[] for _ in range(USERS + ITEMS)]
    for u, i in TRAIN:
        found[u].append(USERS + i)
        found[USERS + i].append(u)
    return found


def zero() -> Tensor:
    """To add to; float64 scalar."""
    return torch.zeros(()).double()


def leaky(x: Tensor, slope: float) -> Tensor:
    """Leaky ReLU of a vector."""
    return torch.stack([value if value > 0 else slope * value for value in x])


def bpr(
    score: Callable[[int, int], Tensor],
    batch: Sequence[tuple[int, int, int]] = BATCH,
    weight: Sequence[float] = WEIGHT,
) -> Tensor:
    """The weighted mean of -log sigmoid(score(u, i) - score(u, j))."""
    ranking = zero()
    for (u, i, j), w in zip(batch, weight, strict=True):
        margin = score(u, i) - score(u, j)
        ranking = ranking - w * torch.log(1 / (1 + torch.exp(-margin)))
    return ranking / sum(weight)


def dots(final: Tensor) -> Callable[[int, int], Tensor]:
    """Scores by final vectors of all nodes [users + items, d]."""
    return lambda u, i: final[u] @ final[USERS + i]


def agree(
    model: nn.Module,
    batch: Triplets,
    expected: Mapping[str, Tensor],
    parameters: Mapping[str, Tensor],
    *,
    rtol: float,
    atol: float,
    unused: bool = False,
) -> None:
    """Each term of the loss, and every parameter after a gradient step, are those of the equations.

    Args:
        model: the model under test, in float64.
        batch: what its loss is given.
        expected: the terms of the equations, computed from `parameters`.
        parameters: `copies` of the model's, by name.
        rtol: relative tolerance, of the terms as of the parameters.
        atol: absolute tolerance of the parameters.
        unused: whether the equations may leave a parameter out; it must then stay as it is.
    """
    found = model.loss(batch)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert found[name].item() == pytest.approx(value.item(), rel=rtol), name
    sum(expected.values()).backward()
    optimiser = torch.optim.SGD([value for value in model.parameters() if value.requires_grad], lr=LR)
    torch.stack(list(found.values())).sum().backward()
    optimiser.step()
    for name, value in model.named_parameters():
        gradient = parameters[name].grad if value.requires_grad else 0.0
        assert gradient is not None or unused, f"{name} has no gradient"
        stepped = parameters[name].detach() - LR * (0.0 if gradient is None else gradient)
        torch.testing.assert_close(value.detach(), stepped, rtol=rtol, atol=atol, msg=name)
