"""The baseline predictor: each way of estimating it against loops and a dense solution in float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from augrec.artefacts.errors import DataError
from recsys.data.dataset import Dataset
from recsys.models.bias import Bias
from recsys.models.options.bias import BiasOptions
from tests.kit.rated_data import rated_data


def computed(data: Dataset, **options: object) -> Bias:
    model = Bias(data.n_users, data.n_items, BiasOptions.model_validate(options))
    model.compute(data)
    return model


def every_pair(data: Dataset) -> torch.Tensor:
    return torch.cartesian_prod(torch.arange(data.n_users), torch.arange(data.n_items))


def test_one_sweep_is_the_papers_shrunken_means() -> None:
    data = rated_data()
    assert data.train_ratings is not None
    rows = [(int(u), int(i), float(r)) for (u, i), r in zip(data.train, data.train_ratings, strict=True)]
    mean = sum(r for *_, r in rows) / len(rows)
    items = {i: [r - mean for _, j, r in rows if j == i] for i in range(data.n_items)}
    b_i = {i: sum(found) / (25 + len(found)) for i, found in items.items()}
    users = {u: [r - mean - b_i[i] for v, i, r in rows if v == u] for u in range(data.n_users)}
    b_u = {u: sum(found) / (10 + len(found)) for u, found in users.items()}
    expected = [mean + b_u[u] + b_i[i] for u in range(data.n_users) for i in range(data.n_items)]
    np.testing.assert_allclose(computed(data).rate(every_pair(data)), expected, rtol=1e-6)


def test_many_sweeps_are_the_least_of_the_regularised_squares() -> None:
    data = rated_data()
    assert data.train_ratings is not None
    n, m = len(data.train), data.n_users + data.n_items
    design = np.zeros((n, m))
    design[np.arange(n), data.train[:, 0]] = design[np.arange(n), data.n_users + data.train[:, 1]] = 1
    ratings = data.train_ratings.astype(np.float64)
    penalty = np.diag([2.0] * data.n_users + [3.0] * data.n_items)
    left = ratings - ratings.mean()
    best = np.linalg.solve(design.T @ design + penalty, design.T @ left)
    model = computed(data, sweeps=200, user_shrinkage=2, item_shrinkage=3)
    np.testing.assert_allclose(np.concatenate([model.users, model.items]), best, atol=1e-9)


@pytest.mark.parametrize("parts", [{"users": False}, {"items": False}, {"users": False, "items": False}])
def test_what_is_left_out_is_the_mean_of_the_other(parts: dict[str, bool]) -> None:
    data = rated_data()
    assert data.train_ratings is not None
    rates = computed(data, **parts, user_shrinkage=0, item_shrinkage=0).rate(every_pair(data)).reshape(30, 20)
    mean = data.train_ratings.mean()
    if parts == {"users": False}:
        own = data.train_ratings[data.train[:, 1] == 7].mean()
        torch.testing.assert_close(rates[:, 7], torch.full((30,), own))
    elif parts == {"items": False}:
        own = data.train_ratings[data.train[:, 0] == 7].mean()
        torch.testing.assert_close(rates[7], torch.full((20,), own))
    else:
        torch.testing.assert_close(rates, torch.full((30, 20), mean))
    torch.testing.assert_close(rates[29, 19], torch.tensor(mean))  # nobody knows them


def test_data_without_ratings_are_refused() -> None:
    data = rated_data()
    with pytest.raises(DataError, match="the data have no ratings"):
        computed(Dataset.from_arrays(data.n_users, data.n_items, data.train, data.valid, data.test))
