"""Features propagated once equal features propagated in every step, to float64 precision."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from recsys.augmentation import FeatureMatrix, SideInformation
from recsys.batches.triplets import Triplets
from recsys.graph.adjacency import bipartite
from recsys.graph.sparse_operator import Operator
from recsys.models.llmrec import LLMRec
from recsys.models.options.llmrec import LLMRecOptions
from recsys.models.parts import gathered_products, propagated_feature
from recsys.models.parts.propagated_feature import PropagatedFeature, prefers_distinct
from recsys.models.parts.side_features import SideFeatures

USERS, ITEMS, DIM = 30, 40, 8


@pytest.fixture
def float64() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.fixture
def edges() -> np.ndarray:
    return np.unique(np.random.default_rng(1).integers(0, (USERS - 1, ITEMS - 2), (200, 2)), axis=0)


def features(seed: int, rows: int, dim: int, missing: tuple[int, ...] = (), distinct: int = 0) -> FeatureMatrix:
    rng = np.random.default_rng(seed)
    dense = rng.normal(size=(distinct or rows, dim))
    return FeatureMatrix.from_dense(dense[rng.integers(distinct, size=rows)] if distinct else dense, missing)


@pytest.fixture
def side() -> SideInformation:
    return SideInformation(
        user={"profile": features(2, USERS, 12, (4, 5))},
        item={"text": features(3, ITEMS, 9), "image": features(4, ITEMS, 7, (7,))},
        attributes={"title": features(5, ITEMS, 30), "type": features(6, ITEMS, 30, (0,), distinct=3)},
    )


@pytest.fixture
def batch() -> Triplets:
    rng = np.random.default_rng(7)
    user, positive, negative = (torch.from_numpy(rng.integers(0, n, 64)) for n in (USERS, ITEMS, ITEMS))
    return Triplets(user, positive, negative, torch.from_numpy(rng.random(64)), 60)


def pair(edges: np.ndarray, side: SideInformation, **options: object) -> tuple[LLMRec, LLMRec]:
    """One model that uses constants, and one of the same parameters that propagates in every step."""
    models = []
    for rate in (0.0, 0.5):  # restoration needs the second kind, and changes nothing in evaluation
        given = LLMRecOptions.model_validate({"dim": DIM, **options, "restoration": {"mask_rate": rate}})
        model = LLMRec(edges, USERS, ITEMS, side, given, torch.Generator().manual_seed(0))
        models.append(model.to(torch.get_default_dtype()).eval())
    fixed, general = models
    assert isinstance(fixed.features, SideFeatures)
    assert not isinstance(general.features, SideFeatures)
    return fixed, general


VARIANTS = (
    {},
    {"norm": "symmetric", "preprocess": "centre"},
    {"share_item_projection": False, "keep": "all", "l2": "inverted", "l2_weight": 1.0, "layers": 1},
    {"keep": "easy", "l2": "standard", "feature_reg": 0.7, "attribute_bpr": 1.0, "modality_bpr": 0.4},
)


@pytest.mark.parametrize("options", VARIANTS, ids=str)
@pytest.mark.usefixtures("float64")
def test_a_step_from_constants_is_the_general_step(
    edges: np.ndarray, side: SideInformation, batch: Triplets, options: dict[str, object]
) -> None:
    fixed, general = pair(edges, side, **options)
    forms = {name: fixed.features[name].distinct for name in fixed.features.constants}
    assert set(forms.values()) == {True, False}, "both forms are compared"
    for one, other in zip(fixed.propagate()[:8], general.propagate()[:8], strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)
    terms, expected = fixed.loss(batch), general.loss(batch)
    assert terms.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(terms[name], value, rtol=1e-10, atol=1e-12)
    sum(terms.values()).backward()
    sum(expected.values()).backward()
    gradients = dict(general.named_parameters())
    for name, parameter in fixed.named_parameters():
        assert parameter.grad.abs().sum() > 0, name
        torch.testing.assert_close(parameter.grad, gradients[name].grad, rtol=1e-10, atol=1e-12, msg=name)


@pytest.mark.parametrize("compiled", [False, True])
def test_in_float32_as_well(
    edges: np.ndarray, side: SideInformation, batch: Triplets, compiled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By library products of gathered rows, and by compiled ones of rows where they lie."""
    products: list[str] = []
    for name in ("project", "add_gradient") if compiled else ():
        called = getattr(gathered_products, name)

        def counted(*given: object, called: Callable[..., object] = called, name: str = name) -> object:
            products.append(name)
            return called(*given)

        monkeypatch.setattr(gathered_products, name, counted)
    monkeypatch.setattr(propagated_feature, "WORTH_LOADING", 0 if compiled else 10**9)
    fixed, general = pair(edges, side, dim=16)
    for one, other in zip(fixed(), general(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)
    terms, expected = fixed.loss(batch), general.loss(batch)
    for name, value in expected.items():
        torch.testing.assert_close(terms[name], value, rtol=1e-4, atol=1e-7)
    sum(terms.values()).backward()
    sum(expected.values()).backward()
    gradients = dict(general.named_parameters())
    for name, parameter in fixed.named_parameters():
        torch.testing.assert_close(parameter.grad, gradients[name].grad, rtol=1e-3, atol=1e-6, msg=name)
    tables = sum(2 for part in fixed.features.constants.values() if not part.distinct)
    assert sorted(products) == (["add_gradient"] * tables + ["project"] * tables if compiled else [])


def dense_rows(layer: nn.Linear, matrix: FeatureMatrix, hops: tuple[Operator, Operator]) -> tuple[Tensor, Tensor]:
    projected = layer(torch.from_numpy(matrix.dense()).double()) * torch.from_numpy(matrix.mask)[:, None]
    near = hops[0].matrix().to_dense() @ projected
    return near, hops[1].matrix().to_dense() @ near


@pytest.mark.parametrize("distinct", [True, False])
@pytest.mark.usefixtures("float64")
def test_both_forms_and_their_squared_norm(edges: np.ndarray, distinct: bool) -> None:
    matrix = features(8, ITEMS, 5, (0, 3), distinct=6)
    hops = bipartite(edges, USERS, ITEMS, "row-sqrt")
    feature = PropagatedFeature(matrix, *hops, penalised=True, distinct=distinct)
    layer = nn.Linear(5, 3)
    near, far = dense_rows(layer, matrix, hops)
    users, items = torch.tensor([3, USERS - 1, 0, 3]), torch.tensor([ITEMS - 1, 7])
    found = [*feature.rows(layer), *feature.rows(layer, users, items), feature.squared_norm(layer)]
    expected = [near, far, near[users], far[items], near.square().sum() + far.square().sum()]
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-11, atol=1e-12)
        gradients = [
            torch.autograd.grad(x.square().sum(), list(layer.parameters()), retain_graph=True) for x in (one, other)
        ]
        for ours, theirs in zip(*gradients, strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-11)
    empty = torch.tensor([], dtype=torch.int64)
    assert feature.rows(layer, empty, empty)[0].shape == (0, 3)


def test_few_distinct_strings_are_projected_and_many_are_not(edges: np.ndarray) -> None:
    def preferred(matrix: FeatureMatrix) -> bool:
        hops = bipartite(edges, USERS, ITEMS)
        return PropagatedFeature(matrix, *hops).distinct

    assert preferred(features(9, ITEMS, 64, distinct=3))
    assert not preferred(features(9, ITEMS, 2))


def test_more_distinct_rows_than_a_batch_are_never_projected() -> None:
    import scipy.sparse as sp

    hops = tuple(sp.eye_array(4000, format="csr") for _ in range(2))
    assert not prefers_distinct(sp.eye_array(4000, format="csr"), hops, 1536)
    assert prefers_distinct(sp.eye_array(4000, 2000, format="csr"), hops, 1536)


def test_constants_are_no_part_of_the_saved_state(edges: np.ndarray, side: SideInformation) -> None:
    fixed, _ = pair(edges, side)
    assert set(fixed.state_dict()) == {name for name, _ in fixed.named_parameters()}
