"""What LLMRec's options say they do, and what must hold whatever they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from augrec.artefacts.errors import DataError
from recsys.augmentation import FeatureMatrix, SideInformation
from recsys.batches.base import Queries
from recsys.batches.triplets import BprSampler, Triplets
from recsys.data.dataset import Dataset
from recsys.models.llmrec import LLMRec
from recsys.models.options.llmrec import LLMRecOptions
from recsys.options import TrainingOptions

USERS, ITEMS, DIM = 30, 40, 8


@pytest.fixture
def edges() -> np.ndarray:
    rng = np.random.default_rng(1)
    return np.unique(np.stack([rng.integers(USERS, size=200), rng.integers(ITEMS, size=200)], 1), axis=0)


@pytest.fixture
def side() -> SideInformation:
    rng = np.random.default_rng(2)

    def features(rows: int, missing: tuple[int, ...] = (), distinct: int | None = None) -> FeatureMatrix:
        dense = rng.normal(size=(distinct or rows, 12))
        return FeatureMatrix.from_dense(dense[rng.integers(distinct, size=rows)] if distinct else dense, missing)

    return SideInformation(
        user={"profile": features(USERS, (4, 5))},
        item={"text": features(ITEMS), "image": features(ITEMS, (7,))},
        attributes={"title": features(ITEMS), "type": features(ITEMS, (0,), distinct=3)},
    )


@pytest.fixture
def batch(edges: np.ndarray) -> Triplets:
    sampler = BprSampler(edges, USERS, ITEMS, batch_size=64, generator=torch.Generator().manual_seed(3))
    return next(iter(sampler.epoch()))


def build(edges: np.ndarray, side: SideInformation, **options: object) -> LLMRec:
    given = LLMRecOptions.model_validate({"dim": DIM, **options})
    return LLMRec(edges, USERS, ITEMS, side, given, torch.Generator().manual_seed(0))


def scores(model: LLMRec) -> Tensor:
    return model.eval().scores(Queries(torch.arange(USERS)))


def total(terms: Mapping[str, Tensor]) -> Tensor:
    return torch.stack(list(terms.values())).sum()


CHANGES_FORWARD = (
    {"norm": "symmetric"},
    {"final_softmax": False},
    {"layers": 3},
    {"modality_scale": 1.0},
    {"profile_scale": 0.1},
    {"attribute_scale": 1.0},
    {"preprocess": "centre"},
)
CHANGES_LOSS = (
    {"keep": "easy"},
    {"keep": "all"},
    {"prune_rate": 0.2},
    {"attribute_bpr": 0.5},
    {"modality_bpr": 0.5},
    {"feature_reg": 0.5},
    {"l2": "standard"},
    {"l2": "inverted", "l2_weight": 1e3},
)


@pytest.mark.parametrize("change", CHANGES_FORWARD, ids=str)
def test_option_changes_scores(edges: np.ndarray, side: SideInformation, change: dict[str, object]) -> None:
    assert not torch.allclose(scores(build(edges, side)), scores(build(edges, side, **change)), atol=1e-4)


@pytest.mark.parametrize("change", CHANGES_LOSS, ids=str)
def test_option_changes_the_loss_but_not_scores(
    edges: np.ndarray, side: SideInformation, batch: Triplets, change: dict[str, object]
) -> None:
    before, after = build(edges, side), build(edges, side, **change)
    assert torch.equal(scores(before), scores(after))
    assert abs(float(total(before.loss(batch)) - total(after.loss(batch)))) > 1e-6


def test_hard_triplets_cost_more_than_easy_ones(edges: np.ndarray, side: SideInformation, batch: Triplets) -> None:
    losses = [float(build(edges, side, keep=keep).loss(batch)["bpr"]) for keep in ("hard", "all", "easy")]
    assert losses == sorted(losses, reverse=True)
    assert losses[0] > losses[2]


def test_scales_weight_normalised_features(edges: np.ndarray, side: SideInformation) -> None:
    """Only the profile left and no ID propagation of note: every user with a neighbour's profile has length 5."""
    model = build(edges, side, profile_scale=5.0, modality_scale=0, attribute_scale=0)
    with torch.no_grad():
        model.user_embedding.zero_()
        model.item_embedding.zero_()
        users, _ = model()
    uniform = 1 / DIM / 3  # the last layer's softmax of nothing, a third of the mean of three layers
    lengths = (users - uniform).norm(dim=1)
    np.testing.assert_allclose(lengths.detach(), 5.0, rtol=0.02)


def test_dropout_only_in_training(edges: np.ndarray, side: SideInformation) -> None:
    model = build(edges, side, dropout=0.5)
    plain = build(edges, side)
    torch.testing.assert_close(scores(model), scores(plain), rtol=1e-4, atol=1e-5)
    model.train()
    assert not torch.allclose(model()[0], model()[0])


def test_one_attribute_layer_or_one_each(edges: np.ndarray, side: SideInformation) -> None:
    names = lambda model: {name for name, _ in model.named_parameters() if "attribute" in name and "weight" in name}  # noqa: E731
    assert names(build(edges, side)) == {"layers.attribute.weight"}
    separate = names(build(edges, side, share_item_projection=False))
    assert separate == {"layers.attribute/title.weight", "layers.attribute/type.weight"}


def test_attributes_of_two_sizes_need_their_own_layers(edges: np.ndarray, side: SideInformation) -> None:
    odd = replace(side, attributes={**side.attributes, "year": FeatureMatrix.from_dense(np.eye(ITEMS))})
    with pytest.raises(DataError, match="share_item_projection: false"):
        build(edges, odd)
    build(edges, odd, share_item_projection=False)


def test_missing_rows_contribute_nothing(edges: np.ndarray, side: SideInformation, batch: Triplets) -> None:
    """Not their stored numbers, and not the layer's bias either."""
    nothing = FeatureMatrix.from_dense(np.ones((USERS, 12)), missing=range(USERS))
    with_masked = replace(side, user={"profile": nothing})
    without = replace(side, user={})
    masked, absent = build(edges, with_masked, attribute_bpr=0), build(edges, without, attribute_bpr=0)
    absent.load_state_dict(masked.state_dict(), strict=False)
    with torch.no_grad():
        masked.layers["profile/profile"].bias.fill_(3.0)
    assert torch.equal(scores(masked), scores(absent))
    assert torch.equal(masked.propagate().profile_users, torch.zeros(USERS, 1, DIM))


def test_one_missing_row_changes_nothing_through_its_values(edges: np.ndarray, side: SideInformation) -> None:
    rng = np.random.default_rng(4)
    dense = rng.normal(size=(ITEMS, 12))
    other = dense.copy()
    other[7] = 100.0
    with_item = [
        scores(build(edges, replace(side, item={"text": FeatureMatrix.from_dense(array, [7])}), preprocess="centre"))
        for array in (dense, other)
    ]
    assert torch.equal(*with_item)


@pytest.mark.parametrize("group", ["user", "item", "attributes"])
def test_an_absent_group_has_no_term(edges: np.ndarray, side: SideInformation, batch: Triplets, group: str) -> None:
    terms = build(edges, replace(side, **{group: {}})).loss(batch)
    absent = {"user": {"attribute_bpr"}, "item": {"modality_bpr", "feature_reg"}, "attributes": {"attribute_bpr"}}
    assert set(terms) == {"bpr", "feature_reg", "attribute_bpr", "modality_bpr"} - absent[group]
    assert torch.isfinite(total(terms))


def test_without_features_only_ids_remain(edges: np.ndarray, batch: Triplets) -> None:
    model = build(edges, SideInformation())
    assert set(model.loss(batch)) == {"bpr"}
    assert {name for name, _ in model.named_parameters()} == {"user_embedding", "item_embedding"}


def test_shuffled_profiles_change_scores(edges: np.ndarray, side: SideInformation) -> None:
    profile = side.user["profile"]
    order = np.random.default_rng(5).permutation(USERS)
    shuffled = replace(side, user={"profile": FeatureMatrix(profile.values, profile.index[order], profile.mask[order])})
    assert not torch.allclose(scores(build(edges, side)), scores(build(edges, shuffled)), atol=0.1)


def test_distinct_rows_are_the_dense_projection(edges: np.ndarray, side: SideInformation, batch: Triplets) -> None:
    def undone(matrix: FeatureMatrix) -> FeatureMatrix:
        return FeatureMatrix(matrix.dense(), np.arange(matrix.rows), matrix.mask)

    dense = replace(side, attributes={name: undone(matrix) for name, matrix in side.attributes.items()})
    few, many = build(edges, side, preprocess="centre"), build(edges, dense, preprocess="centre")
    assert few.features["attribute/type"].distinct
    assert not many.features["attribute/type"].distinct
    np.testing.assert_allclose(scores(few), scores(many), rtol=1e-5, atol=1e-5)
    total(few.loss(batch)).backward()
    total(many.loss(batch)).backward()
    for (name, one), other in zip(few.named_parameters(), many.parameters(), strict=True):
        np.testing.assert_allclose(one.grad, other.grad, rtol=1e-3, atol=1e-7, err_msg=name)


def test_every_parameter_learns(edges: np.ndarray, side: SideInformation, batch: Triplets) -> None:
    model = build(edges, side, restoration={"mask_rate": 0.2}).train()
    total(model.loss(batch)).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_saved_state_is_parameters_only(edges: np.ndarray, side: SideInformation) -> None:
    model = build(edges, side)
    assert set(model.state_dict()) == {name for name, _ in model.named_parameters()}


def test_same_generator_same_start(edges: np.ndarray, side: SideInformation) -> None:
    torch.manual_seed(1)
    first = build(edges, side).state_dict()
    torch.manual_seed(2)
    for name, value in build(edges, side).state_dict().items():
        assert torch.equal(first[name], value), name


def test_scores_propagate_once_per_evaluation(edges: np.ndarray, side: SideInformation) -> None:
    model = build(edges, side).eval()
    passes = []
    propagate = model.propagate
    model.propagate = lambda: passes.append(1) or propagate()
    model.scores(Queries(torch.arange(3)))
    once = len(passes)
    model.scores(Queries(torch.arange(3, 9)))
    assert len(passes) == once > 0


def test_restoration_trains_its_decoders(edges: np.ndarray, side: SideInformation, batch: Triplets) -> None:
    torch.manual_seed(0)
    model = build(edges, side, restoration={"mask_rate": 0.3, "weight": 1.0}).train()
    assert set(model.decoders) == {"profile/profile", "attribute"}
    before = {name: value.clone() for name, value in model.decoders.named_parameters()}
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-2)
    values = []
    for _ in range(60):
        optimiser.zero_grad()
        terms = model.loss(batch)
        values.append(terms["restoration"].item())
        total(terms).backward()
        optimiser.step()
    assert np.mean(values[-10:]) < 0.9 * np.mean(values[:10])
    for name, value in model.decoders.named_parameters():
        assert not torch.equal(value, before[name]), name


@pytest.mark.parametrize("kind", ["sce", "mse"])
def test_restoration_reaches_the_model(edges: np.ndarray, side: SideInformation, batch: Triplets, kind: str) -> None:
    model = build(edges, side, restoration={"mask_rate": 0.3, "loss": kind}).train()
    model.loss(batch)["restoration"].backward()
    assert model.layers["profile/profile"].weight.grad.abs().sum() > 0
    assert model.layers["attribute"].weight.grad.abs().sum() > 0


def test_restoration_is_off_in_evaluation_and_changes_no_feature(
    edges: np.ndarray, side: SideInformation, batch: Triplets
) -> None:
    model = build(edges, side, restoration={"mask_rate": 0.5, "weight": 1.0})
    stored = {name: value.clone() for name, value in model.features.named_buffers()}
    model.train()
    hidden = [model.propagate().hidden["profile/profile"].tolist() for _ in range(5)]
    assert len({tuple(sorted(rows)) for rows in hidden}) > 1  # drawn anew
    assert all(len(set(rows)) == int(0.5 * (USERS - 2)) and not {4, 5} & set(rows) for rows in hidden)
    assert not torch.allclose(model()[0], model()[0])
    for name, value in model.features.named_buffers():
        assert torch.equal(value, stored[name]), name
    model.eval()
    assert "restoration" not in model.loss(batch)
    torch.testing.assert_close(scores(model), scores(build(edges, side)), rtol=1e-4, atol=1e-5)


def test_restoration_alpha_and_weight(edges: np.ndarray, side: SideInformation, batch: Triplets) -> None:
    def term(**options: float) -> float:
        torch.manual_seed(7)
        model = build(edges, side, restoration={"mask_rate": 0.3, **options}).train()
        return model.loss(batch)["restoration"].item()

    assert term(weight=2.0) == pytest.approx(2 * term(weight=1.0), rel=1e-5)
    assert term(weight=1.0, alpha=3.0) != pytest.approx(term(weight=1.0), rel=1e-3)
    assert "restoration" not in build(edges, side, restoration={"weight": 1.0}).train().loss(batch)


def test_overfits_a_tiny_set(side: SideInformation) -> None:
    """Every user's single item comes first."""
    pairs = np.stack([np.arange(USERS), np.random.default_rng(6).permutation(ITEMS)[:USERS]], 1)
    empty = np.empty((0, 2), dtype=np.int64)
    dataset = Dataset.from_arrays(USERS, ITEMS, pairs, empty, empty)
    options = LLMRecOptions(dim=32, prune_rate=0.3)
    model = LLMRec.build(dataset, side, options, torch.Generator().manual_seed(0))
    sampler = BprSampler(pairs, USERS, ITEMS, batch_size=USERS, generator=torch.Generator().manual_seed(1))
    optimiser = torch.optim.AdamW(model.parameters(), lr=0.02)
    for _ in range(150):
        for batch in sampler.epoch():
            optimiser.zero_grad()
            total(model.loss(batch)).backward()
            optimiser.step()
    assert (scores(model).argmax(1).numpy() == pairs[:, 1]).mean() == 1.0


def test_edge_weights_count(edges: np.ndarray, side: SideInformation, batch: Triplets) -> None:
    """A triplet of weight 0 is as if its gradient did not exist: its user's row alone stays without one."""
    weight = torch.ones(len(batch))
    user = batch.user[0]
    weight[batch.user == user] = 0.0
    model = build(edges, SideInformation(), keep="all")
    model.loss(replace(batch, weight=weight))["bpr"].backward()
    assert model.user_embedding.grad[user].abs().sum() == 0
    assert model.user_embedding.grad[batch.user[batch.user != user]].abs().sum() > 0


def test_options_default_to_adamw_and_keep_it_beside_other_overrides() -> None:
    for options in (LLMRecOptions(), LLMRecOptions.model_validate({"training": {"lr": 0.003}})):
        applied = options.training.applied_to(TrainingOptions())
        assert (applied.optimiser, applied.weight_decay) == ("adamw", 0.01)
    assert applied.lr == 0.003
    assert LLMRecOptions.model_validate(options.model_dump(mode="json")) == options
    with pytest.raises(ValidationError, match="keep"):
        LLMRecOptions.model_validate({"keep": "noisy"})
