"""Models that score newcomers: like their equals among those that were there, and nothing changes for these."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
import torch

from recsys.augmentation import SideInformation
from recsys.batches.base import Queries
from recsys.data.dataset import Dataset
from recsys.data.newcomers import Newcomers
from recsys.models.base import Recommender
from recsys.models.build import build_model
from recsys.models.options.base import FamilyOptions
from recsys.models.options.text_cosine import TextCosineOptions
from recsys.models.registry import FAMILIES
from recsys.seeds import seeded
from tests.recsys.models.sequence_reference import cycles
from tests.recsys.models.test_every_model import DEFAULTS, built, information

HISTORY = TextCosineOptions(user="history")
OPTIONS: dict[str, FamilyOptions] = {**DEFAULTS, "cosine of histories": HISTORY}
USERS, ITEMS = 19, 13
TWIN = 3
"""Whose history the new user has; the new item has the vectors of the last one, which nobody has."""


def world() -> Dataset:
    rng = np.random.default_rng(7)
    rows = [(user, int(item)) for user in range(USERS) for item in rng.choice(ITEMS - 1, size=6, replace=False)]
    pairs = np.array(rows).reshape(USERS, 6, 2)
    parts = pairs[:, :4].reshape(-1, 2), pairs[:, 4].reshape(-1, 2), pairs[:, 5].reshape(-1, 2)
    return Dataset.from_arrays(USERS, ITEMS, *parts)


def again(model: Recommender, data: Dataset, side: SideInformation, options: FamilyOptions) -> Recommender:
    """A model on other data with the state of one that was trained."""
    other = build_model(data, side, options, seeded(9, "parameters"))
    other.load_state_dict(model.state_dict())
    return other.eval()


def every_score(model: Recommender, data: Dataset) -> torch.Tensor:
    return model.scores(Queries(torch.arange(data.n_users), "valid"))


@pytest.mark.parametrize("name", OPTIONS)
def test_newcomers_are_scored_like_their_equals_and_change_nothing_for_others(name: str) -> None:
    data, side, options = world(), information(USERS, ITEMS), OPTIONS[name]
    model = built(options.family, data, side, options)
    before = every_score(model, data)
    if "user" in model.inductive:
        items = data.train[data.train[:, 0] == TWIN, 1]
        joining = Newcomers(users=("new",), pairs=np.stack([np.full(len(items), USERS), items], axis=1))
        other = joining.join(data)
        after = every_score(again(model, other, joining.side(side), options), other)
        assert torch.equal(after[:-1], before)
        if not getattr(options, "profile", 0):  # which newcomers have none of
            torch.testing.assert_close(after[-1], before[TWIN])
    if "item" in model.inductive:
        vectors = {key: (matrix.dense()[-1:], np.ones(1, bool)) for key, matrix in side.item.items()}
        joining = Newcomers(items=pa.table({"source_id": ["new"]}), vectors=vectors)
        other = joining.join(data)
        after = every_score(again(model, other, joining.side(side), options), other)
        torch.testing.assert_close(after[:, :-1], before)
        torch.testing.assert_close(after[:, -1], before[:, -1])


def test_who_scores_newcomers() -> None:
    """A family that joins or leaves these does so on purpose."""
    data, side = world(), information(USERS, ITEMS)
    able = {
        name: "".join(sorted(kind[0] for kind in built(options.family, data, side, options).inductive))
        for name, options in OPTIONS.items()
    }
    by_history = dict.fromkeys(("popularity", "item_knn", "rp3beta", "ease", "ease_text", "l3ae"), "u")
    by_text = {"alpharec": "i", "text_cosine": "i", "cosine of histories": "iu"}
    assert {name: kinds for name, kinds in able.items() if kinds} == by_history | by_text


@pytest.mark.parametrize("name", ["sasrec", "bert4rec", "cl4srec"])
def test_a_new_user_of_a_model_of_sequences_is_read_in_the_order_of_the_file(name: str) -> None:
    data = cycles()
    options = FAMILIES[name].options.model_validate({"family": name, "dim": 8, "length": 6})
    model = build_model(data, SideInformation(), options, seeded(0, "parameters")).eval()
    before = every_score(model, data)
    rows = data.by_time("train")
    items = data.train[rows][data.train[rows][:, 0] == TWIN, 1]
    for order, alike in ((items, True), (items[::-1], False)):
        joining = Newcomers(users=("new",), pairs=np.stack([np.full(len(order), data.n_users), order], axis=1))
        other = joining.join(data)
        after = every_score(again(model, other, SideInformation(), options), other)
        torch.testing.assert_close(after[:-1], before)
        assert torch.allclose(after[-1], before[TWIN], atol=1e-5) is alike


def test_interactions_that_came_later_move_to_training_once() -> None:
    data = world()
    held_out, known = data.test[0], data.train[0]
    pairs = np.array([held_out, known, held_out, (0, ITEMS - 1)])
    joined = Newcomers(pairs=pairs).join(data)
    assert len(joined.train) == len(data.train) + 2
    assert {(0, ITEMS - 1), tuple(held_out)} <= set(map(tuple, joined.train))
    assert len(joined.test) == len(data.test) - 1
    np.testing.assert_array_equal(joined.valid, data.valid)
    np.testing.assert_array_equal(joined.train, joined.train[np.lexsort((joined.train[:, 1], joined.train[:, 0]))])
    assert joined.users.num_rows == USERS
