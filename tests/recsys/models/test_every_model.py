"""What holds for every family of models that rank, on one small data set that gives each of them what it reads."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from augrec.artefacts.errors import AugrecError, DataError
from recsys.augmentation import AttributeNodes, Edges, FeatureMatrix, SideInformation
from recsys.batches.base import Queries
from recsys.batches.triplets import BprSampler, EdgeMixer, Triplets
from recsys.data.dataset import Dataset
from recsys.evaluation.ranking import evaluate
from recsys.models.base import ClosedFormRecommender, Recommender, TrainedRecommender
from recsys.models.build import build_model
from recsys.models.options.base import EdgeAugmentation, FamilyOptions, SideAugmentation
from recsys.models.registry import FAMILIES
from recsys.options import Judged
from recsys.seeds import seeded
from recsys.training.restore import restore
from tests.kit.families import families

USERS, ITEMS = 29, 23  # no other size in any model, so that a table of users or items is told by its length


def model_class(name: str) -> type[Recommender]:
    module, _, cls = FAMILIES[name].model.partition(":")
    return getattr(import_module(module), cls)


EVERY = [name for name in families(Judged.RANKING) if name not in ("blend", "tuned")]  # which are what they are made of
TRAINED = [name for name in EVERY if issubclass(model_class(name), TrainedRecommender)]
DEFAULTS = {name: FAMILIES[name].options() for name in EVERY}
WITH_EDGES = [name for name, options in DEFAULTS.items() if isinstance(options, EdgeAugmentation)]
WITH_SIDE = [name for name, options in DEFAULTS.items() if isinstance(options, SideAugmentation)]
IN_NEED = [name for name in EVERY if FAMILIES[name].needs]


def features(rows: int, dim: int, seed: int, missing: tuple[int, ...] = ()) -> FeatureMatrix:
    return FeatureMatrix.from_dense(np.random.default_rng(seed).normal(size=(rows, dim)), missing)


def information(n_users: int, n_items: int) -> SideInformation:
    """Everything a family may read, with vectors that are missing where there is more than one."""
    rng = np.random.default_rng(4)
    gone = (n_items - 2,) if n_items > 4 else ()
    return SideInformation(
        edges=Edges.from_arrays(np.arange(n_users), *rng.integers(0, n_items, (2, n_users)), rng.random(n_users)),
        user={"profile": features(n_users, 6, 0, (1,) if n_users > 4 else ())},
        item={"text": features(n_items, 6, 1, gone), "image": features(n_items, 5, 2)},
        attributes={"title": features(n_items, 6, 3, gone), "genres": features(n_items, 6, 4)},
        nodes=values(n_users, n_items),
    )


def values(n_users: int, n_items: int) -> AttributeNodes:
    """Values that at most a fifth of the items have, and every user one that some item has."""
    count = max(n_items // 2, 5)
    items = np.array([(item, item % count) for item in range(n_items)])
    users = np.array([(user, (user + 2) % min(count, n_items)) for user in range(n_users)])
    return AttributeNodes(tuple(("kind", str(value)) for value in range(count)), items, users)


@pytest.fixture(scope="module")
def data() -> Dataset:
    """Users of two tastes; the last user and the last item have no training edge, and are in no split."""
    rng = np.random.default_rng(5)
    parts: list[list[tuple[int, int]]] = [[], [], []]
    for user in range(USERS - 1):
        items = rng.choice(np.arange(11) + 11 * (user % 2), size=7, replace=False)
        for part, chosen in zip(parts, np.split(items, [5, 6]), strict=True):
            part.extend((user, int(item)) for item in chosen)
    return Dataset.from_arrays(USERS, ITEMS, *(np.array(part) for part in parts))


@pytest.fixture(scope="module")
def side() -> SideInformation:
    return information(USERS, ITEMS)


def built(
    name: str, data: Dataset, side: SideInformation, options: FamilyOptions | None = None, seed: int = 0
) -> Recommender:
    """A model with its initial parameters; a closed form is fitted, also where it is a part of the model."""
    model = build_model(data, side, options or DEFAULTS[name], seeded(seed, "parameters"))
    for part in model.modules():
        if isinstance(part, ClosedFormRecommender):
            part.compute(data)
    return model.eval()


def trainable(name: str, data: Dataset, side: SideInformation, seed: int = 0) -> TrainedRecommender:
    model = built(name, data, side, seed=seed)
    assert isinstance(model, TrainedRecommender)
    return model.train()


def batch_of(data: Dataset, size: int = 64) -> Triplets:
    sampler = BprSampler(data.train, data.n_users, data.n_items, batch_size=size, generator=seeded(0, "sampler"))
    return next(sampler.epoch())


def losses(model: TrainedRecommender, batch: Triplets) -> Iterator[dict[str, Tensor]]:
    """The terms of each objective, dropout and the like drawn alike in every call."""
    torch.manual_seed(0)
    return (terms for objective in model.objectives() if (terms := objective(batch)))


def total(model: TrainedRecommender, batch: Triplets) -> Tensor:
    return torch.stack([value for terms in losses(model, batch) for value in terms.values()]).sum()


def scores(model: Recommender, data: Dataset) -> Tensor:
    return model.scores(Queries(torch.arange(data.n_users)))


@pytest.mark.parametrize("name", EVERY)
def test_scores_are_float32_finite_and_repeatable_also_for_isolated_users_and_items(
    name: str, data: Dataset, side: SideInformation
) -> None:
    first, second = (scores(built(name, data, side), data) for _ in range(2))
    assert first.dtype == torch.float32
    assert first.shape == (USERS, ITEMS)
    assert torch.isfinite(first).all()
    assert torch.equal(first, second)


@pytest.mark.parametrize("name", EVERY)
def test_embeddings_give_the_scores_or_are_refused(name: str, data: Dataset, side: SideInformation) -> None:
    model = built(name, data, side)
    if type(model).embeddings is Recommender.embeddings:
        with pytest.raises(AugrecError, match=f"{type(model).__name__} has no embeddings"):
            model.embeddings()
        return
    for split in ("valid", "test"):
        users, items = model.embeddings(split)
        assert users.dtype == items.dtype == torch.float32
        assert not users.requires_grad
        assert not items.requires_grad
        asked = model.scores(Queries(torch.arange(USERS), split))
        torch.testing.assert_close(users @ items.T, asked, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", EVERY)
def test_any_chunk_of_users_gives_the_same_lists(name: str, data: Dataset, side: SideInformation) -> None:
    model = built(name, data, side)
    results = [evaluate(model.scorer("test"), data, "test", cutoffs=(1, 5), chunk=chunk) for chunk in (1, 4, USERS)]
    for metric, values in results[0].per_user.items():
        for other in results[1:]:
            np.testing.assert_array_equal(values, other.per_user[metric], err_msg=metric)
    users = torch.tensor([7, 2, 2, 28])
    torch.testing.assert_close(model.scores(Queries(users)), scores(model, data)[users], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", EVERY)
def test_a_list_longer_than_the_catalogue(name: str, data: Dataset, side: SideInformation) -> None:
    result = evaluate(built(name, data, side).scorer("test"), data, "test", cutoffs=(10 * ITEMS,))
    assert result.mean[f"recall@{10 * ITEMS}"] == 1.0
    assert result.n_users == USERS - 1


@pytest.mark.parametrize("name", EVERY)
def test_a_data_set_of_one_user(name: str) -> None:
    train, valid, test = np.array([(0, 0), (0, 1), (0, 2)]), np.array([(0, 3)]), np.array([(0, 4)])
    data, side = Dataset.from_arrays(1, 7, train, valid, test), information(1, 7)
    model = built(name, data, side)
    if isinstance(model, TrainedRecommender):
        total(model.train(), batch_of(data)).backward()
        assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)
        model.eval()
    assert torch.isfinite(scores(model, data)).all()
    assert evaluate(model.scorer("test"), data, "test", cutoffs=(20,)).mean["recall@20"] == 1.0


@pytest.mark.parametrize("name", EVERY)
def test_a_saved_model_scores_as_before(name: str, data: Dataset, side: SideInformation, tmp_path: Path) -> None:
    model = built(name, data, side)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1)  # not what a new model starts with
    if isinstance(model, TrainedRecommender):
        model.train().eval()  # forget the kept embeddings
    save_file({key: value.contiguous() for key, value in model.state_dict().items()}, tmp_path / "model.safetensors")
    again = restore(tmp_path, data, DEFAULTS[name], side)
    assert torch.equal(scores(again, data), scores(model, data))


@pytest.mark.parametrize("name", EVERY)
def test_other_ids_give_the_same_scores_under_the_other_ids(name: str, data: Dataset, side: SideInformation) -> None:
    """Edges, features, tables of parameters and scores must agree on which row is whose."""
    assert side.nodes is not None
    rng = np.random.default_rng(8)
    user, item = rng.permutation(USERS), rng.permutation(ITEMS)  # new id of each old one

    def renamed_pairs(pairs: np.ndarray) -> np.ndarray:
        return np.stack([user[pairs[:, 0]], item[pairs[:, 1]]], axis=1)

    def renamed(matrices: dict[str, FeatureMatrix], to: np.ndarray) -> dict[str, FeatureMatrix]:
        old = np.argsort(to)
        return {
            key: FeatureMatrix.from_dense(matrix.dense()[old], np.flatnonzero(~matrix.mask[old]))
            for key, matrix in matrices.items()
        }

    parts = (renamed_pairs(part) for part in (data.train, data.valid, data.test))
    other_data = Dataset.from_arrays(USERS, ITEMS, *parts)
    other_side = SideInformation(
        edges=side.edges,
        user=renamed(dict(side.user), user),
        item=renamed(dict(side.item), item),
        attributes=renamed(dict(side.attributes), item),
        nodes=dataclasses.replace(
            side.nodes,
            items=np.stack([item[side.nodes.items[:, 0]], side.nodes.items[:, 1]], axis=1),
            users=np.stack([user[side.nodes.users[:, 0]], side.nodes.users[:, 1]], axis=1),
        ),
    )
    model, other = built(name, data, side), built(name, other_data, other_side)
    if isinstance(model, TrainedRecommender):
        old = {USERS: np.argsort(user), ITEMS: np.argsort(item)}
        old[USERS + ITEMS] = np.concatenate([old[USERS], USERS + old[ITEMS]])
        state = {
            key: value[old[len(value)]] if value.ndim and len(value) in old else value
            for key, value in model.state_dict().items()
        }
        other.load_state_dict(state)
    torch.testing.assert_close(scores(other, data)[user][:, item], scores(model, data), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", IN_NEED)
def test_what_is_needed_and_missing_is_named(name: str, data: Dataset) -> None:
    with pytest.raises(DataError, match=name) as caught:
        built(name, data, SideInformation())
    assert caught.value.remedy


@pytest.mark.parametrize("name", TRAINED)
def test_every_parameter_is_registered_and_trained(name: str, data: Dataset, side: SideInformation) -> None:
    model = trainable(name, data, side)
    total(model, batch_of(data)).backward()
    registered = {id(parameter) for parameter in model.parameters()}
    for module in model.modules():
        for key, value in vars(module).items():
            if isinstance(value, Tensor) and value.requires_grad and value.is_leaf:
                assert id(value) in registered, f"{key} is no parameter"
    grouped = {id(parameter) for group in model.parameter_groups() for parameter in group["params"]}
    for key, parameter in model.named_parameters():
        assert id(parameter) in grouped, f"{key} is never moved"
        assert parameter.grad is not None, key
        assert parameter.grad.abs().sum() > 0, key


@pytest.mark.parametrize("name", TRAINED)
def test_losses_and_gradients_are_finite_in_half_precision(name: str, data: Dataset, side: SideInformation) -> None:
    model = trainable(name, data, side)
    with torch.autocast("cpu", torch.bfloat16):
        loss = total(model, batch_of(data))
    loss.backward()
    assert torch.isfinite(loss)
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)
    assert loss.item() == pytest.approx(total(trainable(name, data, side), batch_of(data)).item(), rel=0.05)
    assert scores(model.eval(), data).dtype == torch.float32


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("name", TRAINED)
def test_fifty_edges_are_learned_by_heart(name: str, seed: int) -> None:
    """Each user has one item, which ends up first in its list, from whatever parameters training starts.

    Twelve draws of the slowest to learn, MMGCN, took 10 to 90 epochs with AVX512, AVX2 and neither; three times this
    rate is too much for it, and then the processor's rounding decides whether it learns.
    """
    edges = np.stack([np.arange(50), np.random.default_rng(6).permutation(np.repeat(np.arange(10), 5))], axis=1)
    data = Dataset.from_arrays(50, 10, edges, np.zeros((0, 2)), np.zeros((0, 2)))
    model = trainable(name, data, information(50, 10), seed)
    optimiser = torch.optim.Adam(model.parameter_groups(), lr=0.01)
    sampler = BprSampler(edges, 50, 10, batch_size=50, generator=seeded(seed, "sampler"))
    torch.manual_seed(seed)
    for epoch in range(400):
        for batch in sampler.epoch():
            for objective in model.objectives():
                optimiser.zero_grad()
                terms = objective(batch)
                if terms:
                    torch.stack(list(terms.values())).sum().backward()
                    optimiser.step()
        if epoch % 10 == 9:
            recall = (scores(model.eval(), data).argmax(1).numpy() == edges[:, 1]).mean()
            model.train()
            if recall == 1.0:
                return
    raise AssertionError(f"recall@1 is {recall} after {epoch + 1} epochs")


@pytest.mark.parametrize("name", WITH_EDGES)
def test_suggested_edges_and_their_weights_count(name: str, data: Dataset, side: SideInformation) -> None:
    assert side.edges is not None
    plain = batch_of(data)
    mixed = EdgeMixer(side.edges, USERS, ITEMS, rate=1.0, generator=seeded(0, "edges")).mix(plain)
    assert mixed.weight is not None
    assert len(mixed) > mixed.observed == len(plain)
    unweighted = Triplets(mixed.user, mixed.positive, mixed.negative, None, mixed.observed)
    values = {total(trainable(name, data, side), batch).item() for batch in (plain, mixed, unweighted)}
    assert len(values) == 3


class Constant(nn.Module):
    """Side features that are the same for everybody, except that they tell users and items apart."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.users = nn.Parameter(torch.ones(USERS, dim))
        self.items = nn.Parameter(torch.linspace(-1, 1, ITEMS)[:, None].repeat(1, dim))

    def forward(self) -> tuple[Tensor, Tensor]:
        return self.users, self.items


@pytest.mark.parametrize("name", WITH_SIDE)
def test_attached_side_features_join_scores_and_loss(name: str, data: Dataset, side: SideInformation) -> None:
    model = trainable(name, data, side)
    before = total(model, batch_of(data)).item()
    added = Constant(model.embedding_dim)
    model.attach_side(added)
    loss = total(model, batch_of(data))
    assert loss.item() != before
    loss.backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in added.parameters())
    assert (scores(model.eval(), data)[:, -1] > scores(model, data)[:, 0]).all()  # 1 . 1 against 1 . -1, for everybody


@pytest.mark.parametrize("name", WITH_SIDE)
def test_the_side_switch_changes_scores(name: str, data: Dataset, side: SideInformation) -> None:
    plain = scores(built(name, data, side), data)
    for kind in ("modality", "profile", "attribute"):
        options = FAMILIES[name].options.model_validate({"family": name, "side": {kind: 1.0}})
        changed = scores(built(name, data, side, options), data)
        assert torch.isfinite(changed).all()
        assert not torch.allclose(changed, plain), kind


@pytest.mark.parametrize("name", IN_NEED)
def test_a_modality_may_be_called_as_a_method_of_torch_is(name: str, data: Dataset, side: SideInformation) -> None:
    matrices = dict(zip(("keys", "type"), [*side.item.values()] * 2, strict=False))
    called = dataclasses.replace(side, item=matrices)
    plain = dataclasses.replace(side, item=dict(zip(("one", "two"), matrices.values(), strict=True)))
    assert torch.equal(scores(built(name, data, called), data), scores(built(name, data, plain), data))
