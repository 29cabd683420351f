"""The models of ratings by fields: their equations against loops in float64, and what holds for all of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from augrec.artefacts.errors import DataError, UsageError
from recsys.augmentation import SideInformation
from recsys.batches.rated import RatedPairs
from recsys.data.dataset import Dataset
from recsys.fields.fields import entity_fields
from recsys.models.build import build_model
from recsys.models.ctr.field_model import FieldModel
from recsys.models.options.base import FamilyOptions
from recsys.models.registry import FAMILIES
from recsys.options import Judged
from recsys.seeds import seeded
from recsys.training.restore import restore
from recsys.training.sharded.model import check_shardable
from tests.kit.families import learning
from tests.kit.rated_data import directors, rated_data
from tests.recsys.models.ctr.field_models_reference import INTERACTIONS, rating_and_squares

NAMES = learning(Judged.RATING)
SMALL: dict[str, dict[str, Any]] = {
    "deepfm": {"dim": 3, "hidden": (5, 4)},
    "nfm": {"dim": 3, "hidden": (5, 4)},
    "dcn": {"dim": 3, "hidden": (5, 4)},
    "afm": {"dim": 3, "attention": 4},
    "xdeepfm": {"dim": 3, "cin": (4, 3), "hidden": (5, 4)},
    "autoint": {"dim": 4, "hidden": (5, 4)},
}
VARIED: list[tuple[str, dict[str, Any]]] = [
    *((name, {}) for name in SMALL),
    *((name, {"linear": False, "fields": {"pooling": "sum"}}) for name in SMALL),
    *((name, {"hidden": ()}) for name in SMALL if name != "afm"),
    ("dcn", {"crosses": 4}),
    ("xdeepfm", {"split_half": False, "cin": (3, 2, 4)}),
    ("autoint", {"residual": False, "scaled": True, "layers": 2, "heads": 4}),
]
PAIRS = [(0, 0), (2, 1), (3, 3), (28, 18), (29, 4), (5, 19), (29, 19)]  # the last user and item were never seen


def options_of(name: str, **changes: Any) -> Any:
    return FAMILIES[name].options.model_validate({**SMALL[name], **changes})


@pytest.fixture(scope="module")
def data() -> Dataset:
    return rated_data()


@pytest.fixture(scope="module")
def side() -> SideInformation:
    return directors()


def built(data: Dataset, side: SideInformation, options: FamilyOptions, *, shaken: bool = True) -> FieldModel:
    """A model, with parameters that are far from their start."""
    model = build_model(data, side, options, seeded(0, "parameters"))
    assert isinstance(model, FieldModel)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters() if shaken else ():
            parameter.add_(torch.empty_like(parameter).normal_(0, 0.3, generator=generator))
    return model.eval()


def batch_of(pairs: list[tuple[int, int]]) -> RatedPairs:
    return RatedPairs(torch.tensor(pairs), torch.linspace(1, 5, len(pairs)))


def total(model: FieldModel, batch: RatedPairs) -> Tensor:
    return torch.stack(list(model.loss(batch).values())).sum()


def test_every_model_of_ratings_that_learns_has_a_reference() -> None:
    assert set(NAMES) == set(INTERACTIONS) == set(SMALL)


@pytest.mark.parametrize(("name", "changes"), VARIED)
def test_ratings_and_loss_are_those_of_loops_in_float64(
    data: Dataset, side: SideInformation, name: str, changes: dict[str, Any]
) -> None:
    options = options_of(name, l2=0.3, **changes)
    model = built(data, side, options)
    fields = entity_fields(data, side, options.fields, name)
    state = {key: value.double().numpy() for key, value in model.state_dict().items()}
    expected = [rating_and_squares(name, state, fields, pair, options) for pair in PAIRS]
    batch = batch_of(PAIRS)
    np.testing.assert_allclose(model.rate(batch.pairs).detach(), [rating for rating, _ in expected], rtol=2e-5)
    terms = model.loss(batch)
    errors = [(rating - given) ** 2 for (rating, _), given in zip(expected, batch.ratings.tolist(), strict=True)]
    assert terms["mse"].item() == pytest.approx(np.mean(errors), rel=1e-4)
    assert terms["l2"].item() == pytest.approx(0.3 / 2 * np.mean([squares for _, squares in expected]), rel=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_any_chunk_of_pairs_gets_the_same_ratings(data: Dataset, side: SideInformation, name: str) -> None:
    model = built(data, side, options_of(name))
    pairs = torch.from_numpy(data.train)
    whole = model.rate(pairs)
    parts = torch.cat([model.rate(part) for part in pairs.split(7)])
    torch.testing.assert_close(whole, parts, rtol=1e-5, atol=1e-6)
    assert whole.dtype == torch.float32
    assert len(model.rate(pairs[:0])) == 0


@pytest.mark.parametrize("name", NAMES)
def test_a_model_starts_at_the_mean_rating_and_knows_nothing_of_strangers(
    data: Dataset, side: SideInformation, name: str
) -> None:
    assert data.train_ratings is not None
    model = built(data, side, FAMILIES[name].options(), shaken=False)
    start = model.rate(torch.from_numpy(data.train)).detach().numpy()
    assert np.abs(start - data.train_ratings.mean()).max() < 0.2
    unknown = torch.from_numpy(model.index.unknown)
    assert not model.embedding.weight[unknown].any()
    assert np.count_nonzero(model.embedding.weight.detach().abs().sum(1)) == model.index.rows - len(unknown)


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_is_trained_and_only_the_rows_that_pairs_read_get_a_gradient(
    data: Dataset, side: SideInformation, name: str
) -> None:
    model = built(
        data, side, FAMILIES[name].options.model_validate({"l2": 0.0})
    ).train()  # of many units some are alive
    total(model, RatedPairs(torch.from_numpy(data.train), torch.from_numpy(data.train_ratings))).backward()
    for key, parameter in model.named_parameters():
        assert parameter.grad is not None, key
        assert parameter.grad.abs().sum() > 0, key
    read = model.index(torch.from_numpy(data.train))
    used = np.unique(np.concatenate([read.single.numpy().ravel(), read.several.numpy()]))
    moved = np.flatnonzero(model.embedding.weight.grad.abs().sum(1).numpy())
    assert set(moved) <= set(used.tolist())
    rare = model.index.names.index("item.director")
    assert model.index.unknown[rare] in moved, "films of unknown and of rare directors teach what unknown means"
    ids = [model.index.unknown[model.index.names.index(name)] for name in ("user", "item")]
    assert not set(ids) & set(moved.tolist()), "nobody in training is unknown"


@pytest.mark.parametrize("name", NAMES)
def test_pairs_are_learned_by_heart(data: Dataset, side: SideInformation, name: str) -> None:
    torch.manual_seed(0)
    model = built(data, side, FAMILIES[name].options.model_validate({"dim": 8, "l2": 0.0}), shaken=False).train()
    batch = RatedPairs(torch.from_numpy(data.train[:40]), torch.from_numpy(data.train_ratings[:40]))
    optimiser = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(300):
        optimiser.zero_grad()
        loss = total(model, batch)
        loss.backward()
        optimiser.step()
    assert loss.item() < 0.02 < batch.ratings.var().item()


@pytest.mark.parametrize("name", NAMES)
def test_losses_and_gradients_are_finite_in_half_precision(data: Dataset, side: SideInformation, name: str) -> None:
    model = built(data, side, options_of(name)).train()
    batch = batch_of(PAIRS)
    with torch.autocast("cpu", torch.bfloat16):
        loss = total(model, batch)
    loss.backward()
    assert loss.dtype == torch.float32
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)
    assert loss.item() == pytest.approx(total(model, batch).item(), rel=0.1)


@pytest.mark.parametrize("name", NAMES)
def test_a_saved_model_rates_as_before(data: Dataset, side: SideInformation, name: str, tmp_path: Path) -> None:
    options = options_of(name)
    model = built(data, side, options)
    save_file({key: value.contiguous() for key, value in model.state_dict().items()}, tmp_path / "model.safetensors")
    again = restore(tmp_path, data, options, side)
    pairs = torch.from_numpy(data.train)
    assert torch.equal(again.rate(pairs), model.rate(pairs))


@pytest.mark.parametrize("name", ["deepfm", "nfm", "afm"])
def test_the_order_of_fields_does_not_matter_where_products_of_all_pairs_are_summed(data: Dataset, name: str) -> None:
    changes = {"hidden": ()} if name == "deepfm" else {}
    some = options_of(name, fields={"users": ("age", "gender"), "items": ("genres",)}, **changes)
    other = options_of(name, fields={"users": ("gender", "age"), "items": ("genres",)}, **changes)
    model, turned = (built(data, SideInformation(), options) for options in (some, other))
    rows = {
        field: slice(first, first + size)
        for field, first, size in zip(
            model.index.names, model.index.unknown, np.diff([*model.index.unknown, model.index.rows]), strict=True
        )
    }
    order = np.concatenate([np.arange(model.index.rows)[rows[field]] for field in turned.index.names])
    state = {key: value[order] if len(value.shape) > 1 and len(value) == model.index.rows else value
             for key, value in model.state_dict().items()}  # fmt: skip
    turned.load_state_dict(state)
    pairs = torch.from_numpy(data.train)
    assert turned.index.names != model.index.names
    torch.testing.assert_close(turned.rate(pairs), model.rate(pairs), rtol=1e-5, atol=1e-5)


def test_a_factorisation_machine_of_ids_is_matrix_factorisation_with_biases(data: Dataset) -> None:
    options = options_of("deepfm", hidden=(), fields={"users": (), "items": ()})
    model = built(data, SideInformation(), options)
    n_users = int(model.index.unknown[1])
    table, weight = model.embedding.weight, model.first_order.weight[:, 0]
    user, item = torch.tensor(PAIRS[:4]).T  # seen ones, whose place is one after their id
    expected = (
        model.bias + weight[1 + user] + weight[n_users + 1 + item]
        + (table[1 + user] * table[n_users + 1 + item]).sum(1)
    )  # fmt: skip
    torch.testing.assert_close(model.rate(torch.tensor(PAIRS[:4])), expected)


@pytest.mark.parametrize("name", NAMES)
def test_data_without_ratings_are_refused(data: Dataset, name: str) -> None:
    bare = Dataset.from_arrays(data.n_users, data.n_items, data.train, data.valid, data.test)
    with pytest.raises(DataError, match="the data have no ratings"):
        build_model(bare, SideInformation(), FAMILIES[name].options(), seeded(0, "parameters"))


@pytest.mark.parametrize("name", NAMES)
def test_a_model_that_is_to_be_split_over_processes_is_refused_by_name(name: str) -> None:
    with pytest.raises(UsageError, match=f"family {name} cannot be split"):
        check_shardable(FAMILIES[name].options(), 2)


@pytest.mark.parametrize(
    ("family", "wrong", "message"),
    [
        ("autoint", {"dim": 5}, "2 heads cannot share the 5 numbers"),
        ("xdeepfm", {"cin": (3, 2)}, "an even size"),
        ("deepfm", {"dropout": 1.0}, "less than 1"),
        ("deepfm", {"fields": {"item": ["genres"]}}, "item"),
    ],
)
def test_options_that_do_not_fit_are_refused(family: str, wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FAMILIES[family].options.model_validate(wrong)
