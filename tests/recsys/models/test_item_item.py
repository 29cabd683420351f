"""Item-kNN, RP3beta and EASE with text against loops in float64."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from augrec.artefacts.errors import AugrecError, DataError
from recsys.augmentation import FeatureMatrix, SideInformation
from recsys.batches.base import Queries
from recsys.data.dataset import Dataset
from recsys.models import ease
from recsys.models.build import build_model
from recsys.models.ease import Ease
from recsys.models.ease_text import EaseText, KeptInverse
from recsys.models.item_knn import ItemKnn
from recsys.models.options.ease_text import EaseTextOptions
from recsys.models.parts import definite_inverse, item_item
from recsys.models.parts.histories import Histories
from recsys.models.parts.item_item import ItemItem
from recsys.models.parts.largest_entries import largest
from recsys.models.registry import FAMILIES
from recsys.models.rp3beta import Rp3beta
from recsys.seeds import seeded

USERS = torch.arange(12)
GENERATOR = seeded(0, "parameters")


@pytest.fixture(scope="module")
def data() -> Dataset:
    """12 users x 9 items; user 11 has no training item, nobody bought item 8."""
    rng = np.random.default_rng(3)
    train = [(user, item) for user in range(11) for item in range(8) if rng.random() < 0.45]
    empty = np.empty((0, 2), dtype=np.int64)
    return Dataset.from_arrays(12, 9, np.array(train), empty, empty)


def histories(data: Dataset) -> list[set[int]]:
    owned: list[set[int]] = [set() for _ in range(data.n_users)]
    for user, item in data.train.tolist():
        owned[user].add(item)
    return owned


def buyers(data: Dataset) -> list[set[int]]:
    found: list[set[int]] = [set() for _ in range(data.n_items)]
    for user, item in data.train.tolist():
        found[item].add(user)
    return found


def cosine(data: Dataset, shrink: float) -> np.ndarray:
    who, weights = buyers(data), np.zeros((data.n_items, data.n_items))
    for i in range(data.n_items):
        for j in range(data.n_items):
            if i != j and who[i] & who[j]:
                weights[i, j] = len(who[i] & who[j]) / (np.sqrt(len(who[i]) * len(who[j])) + shrink)
    return weights


def walk(data: Dataset, alpha: float, beta: float) -> np.ndarray:
    who, owned = buyers(data), histories(data)
    weights = np.zeros((data.n_items, data.n_items))
    for i in range(data.n_items):
        for j in range(data.n_items):
            for user in who[i] & who[j]:
                if i != j:
                    step = (1 / len(who[i])) ** alpha * (1 / len(owned[user])) ** alpha
                    weights[i, j] += step / len(who[j]) ** beta
    return weights


def scores_of(data: Dataset, weights: np.ndarray) -> np.ndarray:
    scores = np.zeros((data.n_users, data.n_items))
    for user, owned in enumerate(histories(data)):
        for item in owned:
            for other in range(data.n_items):
                scores[user, other] += weights[item, other]
    return scores


def kept(weights: np.ndarray, k: int) -> np.ndarray:
    """Each row's k largest entries; of equal ones, those of lower columns."""
    result = np.zeros_like(weights)
    for row, values in enumerate(np.float32(weights)):
        for column in sorted(range(len(values)), key=lambda column: (-values[column], column))[:k]:
            result[row, column] = weights[row, column]
    return result


def knn(data: Dataset, neighbours: int | None = None, shrink: float = 0.0) -> ItemKnn:
    return ItemKnn(data.train, data.n_users, data.n_items, neighbours=neighbours, shrink=shrink)


def rp3(data: Dataset, neighbours: int | None, alpha: float, beta: float) -> Rp3beta:
    return Rp3beta(data.train, data.n_users, data.n_items, neighbours=neighbours, alpha=alpha, beta=beta)


@pytest.mark.parametrize("neighbours", [None, 1, 3, 50])
@pytest.mark.parametrize("block", [1, 30, 2**22])
def test_item_item_models_equal_loops_for_any_number_of_neighbours_and_block(
    data: Dataset, neighbours: int | None, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(item_item, "BLOCK", block)
    monkeypatch.setattr(item_item, "FEWEST", block)
    for model, weights in (
        (knn(data, neighbours), cosine(data, 0)),
        (knn(data, neighbours, 2.5), cosine(data, 2.5)),
        (rp3(data, neighbours, 1.0, 0.3), walk(data, 1.0, 0.3)),
        (rp3(data, neighbours, 0.7, 0.0), walk(data, 0.7, 0.0)),
    ):
        model.compute(data)
        expected = weights if neighbours is None else kept(weights, neighbours)
        np.testing.assert_allclose(model.scores(Queries(USERS)).numpy(), scores_of(data, expected), atol=1e-6)


def test_ties_keep_the_lower_ids_largest_first() -> None:
    block = sp.csr_array(np.array([[0.5, 1.0, 0.5, 0.5], [0.0, 0.0, 0.0, 0.0], [-1.0, 0.0, 2.0, 0.0]]))
    columns, values = largest(block, 2)
    assert columns.tolist() == [[1, 0], [0, 0], [2, 0]]
    assert values.tolist() == [[1.0, 0.5], [0.0, 0.0], [2.0, 0.0]]


@pytest.mark.parametrize(("k", "start"), [(1, None), (3, 0), (20, 40), (70, 5)])
def test_rows_of_any_length_give_their_largest_entries_in_order(k: int, start: int | None) -> None:
    """Rows of 0 to 3,000 entries with few distinct values, so that some are cut into many pieces and most are equal."""
    rng = np.random.default_rng(6)
    dense = np.zeros((9, 3000))
    for row, length in zip(dense, (0, 1, 19, 20, 128, 129, 700, 2999, 3000), strict=True):
        row[rng.choice(3000, length, replace=False)] = rng.integers(-2, 30, length) / 7
    columns, values = largest(sp.csr_array(dense), k, start)
    if start is not None:
        np.fill_diagonal(dense[:, start:], 0.0)
    for row, found, among in zip(dense, columns, values, strict=True):
        order = sorted((row > 0).nonzero()[0].tolist(), key=lambda column, row=row: (-row[column], column))[:k]
        assert found.tolist() == order + [0] * (k - len(order))
        assert among.tolist() == [np.float32(row[column]) for column in order] + [0.0] * (k - len(order))


def test_neighbours_do_not_depend_on_the_order_of_the_interactions(data: Dataset) -> None:
    shuffled = np.random.default_rng(0).permutation(data.train)
    again = Dataset(**{**vars(data), "train": shuffled})
    models = knn(data, 2), knn(again, 2)
    for model, given in zip(models, (data, again), strict=True):
        model.compute(given)
    assert torch.equal(models[0].columns, models[1].columns)
    assert torch.equal(models[0].scores(Queries(USERS)), models[1].scores(Queries(USERS)))


@pytest.mark.parametrize("neighbours", [None, 3])
def test_isolated_users_and_items_score_zero_and_batches_do_not_matter(data: Dataset, neighbours: int | None) -> None:
    for model in (knn(data, neighbours), rp3(data, neighbours, 1.0, 0.3)):
        model.compute(data)
        scores = model.scores(Queries(USERS))
        assert not scores[11].any()
        assert not scores[:, 8].any()
        assert torch.equal(scores[[4, 11, 2]], model.scores(Queries(torch.tensor([4, 11, 2]))))
        assert torch.equal(scores[11:], model.scores(Queries(torch.tensor([11]))))


def test_a_fitted_model_is_in_its_state(data: Dataset) -> None:
    for neighbours in (None, 3):
        fitted, empty = knn(data, neighbours), knn(data, neighbours)
        fitted.compute(data)
        empty.load_state_dict(fitted.state_dict())
        assert torch.equal(fitted.scores(Queries(USERS)), empty.scores(Queries(USERS)))


def test_a_matrix_beyond_this_machines_memory_is_refused_with_its_size(
    data: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(item_item, "physical_memory", lambda: 300)
    with pytest.raises(AugrecError, match=r"ItemKnn needs .* for 9 items") as caught:
        knn(data)
    assert "neighbours" in str(caught.value)
    with pytest.raises(AugrecError, match="Ease needs"):
        Ease(data.train, 12, 9, 1.0)
    assert knn(data, 1).values.shape == (9, 1)


def test_histories_say_who_has_what_whatever_the_order_of_edges(data: Dataset) -> None:
    model = Histories(np.random.default_rng(0).permutation(data.train), 12, 9)
    owned = histories(data)
    contains = model.contains(torch.tensor([3, 11, 3]))
    for row, user in enumerate((3, 11, 3)):
        assert set(contains[row].nonzero()[:, 0].tolist()) == owned[user]
    nobody = Histories(np.empty((0, 2), dtype=np.int64), 2, 3)
    assert nobody.times(torch.arange(2), torch.ones(3, 4)).tolist() == [[0.0] * 4] * 2


def text(rows: int = 9, missing: tuple[int, ...] = (), seed: int = 1) -> FeatureMatrix:
    return FeatureMatrix.from_dense(np.random.default_rng(seed).normal(2.0, 1.0, (rows, 4)), missing)


def ease_text(data: Dataset, side: SideInformation, **options: object) -> EaseText:
    given = EaseTextOptions.model_validate({"l2": 2.0, "alpha": 1.5, **options})
    model = EaseText.build(data, side, given, GENERATOR)
    model.compute(data)
    return model


def cosines(matrix: FeatureMatrix) -> np.ndarray:
    """K, item by item."""
    dense = matrix.dense().astype(np.float64)
    there = [item for item in range(len(dense)) if matrix.mask[item]]
    mean = sum(dense[item] for item in there) / len(there)
    result = np.zeros((len(dense), len(dense)))
    for i in there:
        for j in there:
            a, b = dense[i] - mean, dense[j] - mean
            result[i, j] = a @ b / np.sqrt((a @ a) * (b @ b))
    return result


@pytest.mark.parametrize("names", [("text",), ("text", "image")])
def test_ease_with_text_solves_each_items_regression_on_counts_and_text(data: Dataset, names: tuple[str, ...]) -> None:
    side = SideInformation(item={"text": text(missing=(2, 8)), "image": text(seed=5)})
    model = ease_text(data, side, modalities=names)
    gram = np.zeros((9, 9))
    for owned in histories(data):
        for i in owned:
            for j in owned:
                gram[i, j] += 1
    gram += 1.5 * sum(cosines(side.item[name]) for name in names) / len(names)
    expected = np.zeros((9, 9))
    for item in range(9):
        others = [other for other in range(9) if other != item]
        ridge = gram[np.ix_(others, others)] + 2.0 * np.eye(8)
        expected[others, item] = np.linalg.solve(ridge, gram[others, item])
    np.testing.assert_allclose(model.weights.numpy(), expected, atol=1e-6)
    np.testing.assert_allclose(model.scores(Queries(USERS)).numpy(), scores_of(data, expected), atol=1e-5)


def test_words_beside_vectors_have_their_part_in_the_cosines(data: Dataset) -> None:
    sparse = np.zeros((9, 60), dtype=np.float32)
    for item in range(9):
        sparse[item, [item, item + 3, 40]] = 1, 2, 0.5
    side = SideInformation(item={"text": text(missing=(2,)), "words": FeatureMatrix.from_dense(sparse, missing=[8])})
    model = ease_text(data, side)
    assert len(model.sparse) == 1
    x = np.zeros((12, 9))
    x[tuple(data.train.T)] = 1
    gram = x.T @ x + 1.5 * (cosines(side.item["text"]) + cosines(side.item["words"])) / 2 + 2.0 * np.eye(9)
    inverse = np.linalg.inv(gram)
    expected = -inverse / np.diag(inverse)
    np.fill_diagonal(expected, 0)
    np.testing.assert_allclose(model.weights.numpy(), expected, atol=1e-6)


def test_alpha_zero_is_ease_and_text_makes_an_unbought_item_recommendable(data: Dataset) -> None:
    side = SideInformation(item={"text": text()})
    plain = Ease(data.train, 12, 9, 2.0)
    plain.compute(data)
    assert torch.equal(ease_text(data, side, alpha=0.0).weights, plain.weights)
    assert not plain.scores(Queries(USERS))[:, 8].any()
    assert ease_text(data, side).scores(Queries(USERS))[:11, 8].all()


def test_items_without_a_vector_are_joined_to_others_by_interactions_alone(data: Dataset) -> None:
    side = SideInformation(item={"text": text(missing=(8,))})
    model = ease_text(data, side)
    assert not model.weights[8].any()
    assert not model.weights[:, 8].any()


def test_shuffled_text_gives_other_scores_and_vectors_that_are_all_alike_give_those_of_ease(data: Dataset) -> None:
    given = text()
    shuffled = FeatureMatrix(given.values, given.index[::-1].copy(), given.mask)
    first, second = (ease_text(data, SideInformation(item={"text": matrix})) for matrix in (given, shuffled))
    assert not torch.allclose(first.scores(Queries(USERS)), second.scores(Queries(USERS)))
    alike = FeatureMatrix.from_dense(np.full((9, 4), 0.1))
    plain = Ease(data.train, 12, 9, 2.0)
    plain.compute(data)
    assert torch.equal(ease_text(data, SideInformation(item={"text": alike})).weights, plain.weights)


def test_ease_with_text_says_what_features_it_lacks(data: Dataset) -> None:
    with pytest.raises(DataError, match="'ease_text' needs item features") as caught:
        ease_text(data, SideInformation())
    assert caught.value.remedy
    with pytest.raises(DataError, match="8 rows of features for 9 ids") as caught:
        ease_text(data, SideInformation(item={"text": text(8)}))
    assert caught.value.remedy
    with pytest.raises(DataError, match="'image'"):
        ease_text(data, SideInformation(item={"text": text()}), modalities=["image"])


def importance(data: Dataset, power: float) -> np.ndarray:
    """Each user's weight, in a loop: the average interaction's is 1."""
    sizes = [len(owned) for owned in histories(data)]
    raw = [max(size, 1) ** -power for size in sizes]
    mean = sum(weight * size for weight, size in zip(raw, sizes, strict=True)) / sum(sizes)
    return np.array(raw) / mean


@pytest.mark.parametrize(("activity", "profile"), [(0.5, 0.0), (1.0, 0.0), (0.5, 0.7)])
def test_users_weigh_by_a_power_of_their_number_of_items(data: Dataset, activity: float, profile: float) -> None:
    given, written = text(missing=(2,)), profiles(data, (3,))
    side = SideInformation(item={"text": given}, user={"profile": written})
    model = ease_text(data, side, activity=activity, profile=profile)
    x = np.zeros((12, 9))
    x[tuple(data.train.T)] = 1
    known = np.hstack([x, np.sqrt(profile) * columns_of(written)])
    t = np.sqrt(1.5) * columns_of(given).T
    roots = np.sqrt(importance(data, activity))
    expected = np.zeros((12, 9))
    for item in range(9):
        free = np.eye(12)[[column for column in range(12) if column != item]]
        rows = np.vstack([roots[:, None] * known, np.hstack([t, np.zeros((4, 3))]), np.sqrt(2.0) * np.eye(12)])
        wanted = np.concatenate([roots * x[:, item], t[:, item], np.zeros(12)])
        expected[:, item] = known @ free.T @ np.linalg.lstsq(rows @ free.T, wanted, rcond=None)[0]
    np.testing.assert_allclose(model.scores(Queries(USERS)).numpy(), expected, atol=2e-6)


def test_without_the_diagonal_ease_ranks_as_ease_among_users(data: Dataset) -> None:
    """Users' own regressions on other users and their profiles' cosines, solved one by one."""
    written = profiles(data)
    model = ease_text(data, SideInformation(user={"profile": written}), alpha=0.0, profile=0.7, diagonal=0.0)
    x = np.zeros((12, 9))
    x[tuple(data.train.T)] = 1
    near = x @ x.T + 0.7 * columns_of(written) @ columns_of(written).T
    scores = model.scores(Queries(USERS)).double().numpy()
    for user in range(12):
        others = [other for other in range(12) if other != user]
        weights = np.linalg.solve(near[np.ix_(others, others)] + 2.0 * np.eye(11), near[others, user])
        expected, unknown = weights @ x[others], x[user] == 0
        scale = (scores[user, unknown] @ expected[unknown]) / (expected[unknown] @ expected[unknown])
        assert scale > 0
        np.testing.assert_allclose(scores[user, unknown], scale * expected[unknown], atol=1e-6)


def test_a_power_of_the_diagonal_scales_the_columns(data: Dataset) -> None:
    plain, between, ridge = (Ease(data.train, 12, 9, 2.0, diagonal=power) for power in (1.0, 0.25, 0.0))
    for model in (plain, between, ridge):
        model.compute(data)
    assert not torch.equal(plain.weights, ridge.weights)
    ratio = (plain.weights / ridge.weights).nan_to_num(1.0)  # one over the diagonal, by columns
    torch.testing.assert_close(between.weights, ridge.weights * ratio**0.25)


@pytest.mark.parametrize("whole", [150, 0])
@pytest.mark.parametrize(("l2", "single"), [(20.0, True), (1e-4, False)])
def test_ease_in_float32_is_that_of_float64_or_is_not_used(
    l2: float, single: bool, whole: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """60 users x 150 items, so that without lambda the matrix has no inverse; items 140 to 149 are nobody's."""
    rng = np.random.default_rng(4)
    train = np.argwhere(rng.random((60, 140)) < 0.2)
    empty = np.empty((0, 2), dtype=np.int64)
    wide = Dataset.from_arrays(60, 150, train, empty, empty)
    exact, small = Ease(train, 60, 150, l2), Ease(train, 60, 150, l2, bytes_per_pair=4)
    exact.compute(wide)
    monkeypatch.setattr(ease, "SINGLE", 100)
    monkeypatch.setattr(definite_inverse, "WHOLE", whole)
    monkeypatch.setattr(definite_inverse, "TILE", 32)
    doubled: list[int] = []
    monkeypatch.setattr(small, "require", doubled.append)
    small.compute(wide)
    assert doubled == ([] if single else [ease.BYTES_PER_PAIR * 150**2])
    torch.testing.assert_close(small.weights, exact.weights, atol=1e-6, rtol=0)
    assert not small.weights[140:].any()


def profiles(data: Dataset, missing: tuple[int, ...] = (), seed: int = 7) -> FeatureMatrix:
    return FeatureMatrix.from_dense(np.random.default_rng(seed).normal(1.0, 1.0, (data.n_users, 3)), missing)


def columns_of(matrix: FeatureMatrix) -> np.ndarray:
    """Each vector less the mean of those that are there, at length 1; zeros for the others."""
    dense = matrix.dense().astype(np.float64)
    mean = dense[matrix.mask].mean(axis=0)
    return np.array(
        [(row - mean) / np.linalg.norm(row - mean) if m else 0 * row for row, m in zip(dense, matrix.mask, strict=True)]
    )


@pytest.mark.parametrize(("alpha", "missing"), [(0.0, ()), (1.5, (2, 5)), (1.5, ())])
def test_profiles_are_columns_beside_the_items_in_each_items_ridge_regression(
    data: Dataset, alpha: float, missing: tuple[int, ...]
) -> None:
    given, written = text(missing=(2,)), profiles(data, missing)
    side = SideInformation(item={"text": given}, user={"profile": written})
    model = ease_text(data, side, alpha=alpha, profile=0.7)
    x = np.zeros((12, 9))
    x[tuple(data.train.T)] = 1
    p = np.sqrt(0.7) * columns_of(written)
    t = np.sqrt(alpha) * columns_of(given).T
    expected = np.zeros((12, 9))
    for item in range(9):
        free = np.eye(12)[[column for column in range(12) if column != item]]  # 9 items and 3 columns of profiles
        known = np.hstack([x, p])
        tall = np.vstack([known, np.hstack([t, np.zeros((4, 3))]), np.sqrt(2.0) * np.eye(12)]) @ free.T
        wanted = np.concatenate([x[:, item], t[:, item], np.zeros(12)])
        expected[:, item] = known @ free.T @ np.linalg.lstsq(tall, wanted, rcond=None)[0]
    np.testing.assert_allclose(model.scores(Queries(USERS)).numpy(), expected, atol=2e-6)


def test_profiles_of_no_weight_or_that_are_not_there_leave_ease(data: Dataset) -> None:
    side, bare = SideInformation(user={"profile": profiles(data)}), SideInformation()
    plain = Ease(data.train, 12, 9, 2.0)
    plain.compute(data)
    for model in (ease_text(data, side, alpha=0.0), ease_text(data, bare, alpha=0.0, profile=3.0)):
        assert torch.equal(model.scores(Queries(USERS)), plain.scores(Queries(USERS)))
        assert model.state_dict().keys() == plain.state_dict().keys()
    nobody = SideInformation(user={"profile": profiles(data, tuple(range(12)))})
    torch.testing.assert_close(
        ease_text(data, nobody, alpha=0.0, profile=3.0).scores(Queries(USERS)), plain.scores(Queries(USERS))
    )
    nearly = ease_text(data, side, alpha=0.0, profile=1e-9)
    torch.testing.assert_close(nearly.scores(Queries(USERS)), plain.scores(Queries(USERS)), atol=1e-5, rtol=0)


def test_profiles_belong_to_their_users_and_a_missing_one_is_a_row_of_zeros(data: Dataset) -> None:
    written = profiles(data, (3,))
    other = FeatureMatrix(written.values, written.index[::-1].copy(), written.mask[::-1].copy())
    first, second = (
        ease_text(data, SideInformation(user={"profile": matrix}), alpha=0.0, profile=1.0)
        for matrix in (written, other)
    )
    assert not torch.allclose(first.scores(Queries(USERS)), second.scores(Queries(USERS)))
    assert not first.users[3].any()
    assert torch.equal(first.scores(Queries(USERS))[3], first.histories.times(torch.tensor([3]), first.weights)[0])
    assert first.scores(Queries(USERS))[11].any()  # who bought nothing and said something


def test_the_inverse_is_kept_for_other_profiles_and_for_nothing_else(
    data: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    fresh = KeptInverse()
    monkeypatch.setattr("recsys.models.ease_text.KEPT", fresh)
    monkeypatch.setattr(EaseText, "inverse", lambda self, x: asked.append(1) or super(EaseText, self).inverse(x))
    side = SideInformation(item={"text": text()}, user={"profile": profiles(data)})
    for changes, times in (({}, 1), ({"profile": 2.0}, 1), ({"l2": 3.0}, 2), ({"l2": 3.0, "alpha": 2.0}, 3)):
        again = ease_text(data, side, **{"profile": 1.0, **changes})
        assert len(asked) == times
    other = Dataset.from_arrays(12, 9, data.train[1:], data.valid, data.test)
    ease_text(other, side, l2=3.0, alpha=2.0, profile=1.0)
    assert len(asked) == 4
    assert torch.equal(ease_text(data, side, l2=3.0, alpha=2.0, profile=1.0).weights, again.weights)


def test_only_what_has_weight_is_needed(data: Dataset) -> None:
    family = FAMILIES["ease_text"]
    assert family.uses_features(EaseTextOptions())
    assert family.uses_features(EaseTextOptions(alpha=0.0, profile=1.0))
    assert not family.uses_features(EaseTextOptions(alpha=0.0))
    with pytest.raises(DataError, match="'ease_text' needs item features"):
        ease_text(data, SideInformation(user={"profile": profiles(data)}), profile=1.0)
    with pytest.raises(DataError, match=r"9 rows of features for 12 ids"):
        ease_text(data, SideInformation(user={"profile": text()}), alpha=0.0, profile=1.0)


def test_the_families_build_what_their_options_say(data: Dataset) -> None:
    for name, changes in (("item_knn", {"neighbours": 4, "shrink": 1.0}), ("rp3beta", {"neighbours": 4, "beta": 0.5})):
        model = build_model(data, SideInformation(), FAMILIES[name].options(**changes), GENERATOR)
        assert isinstance(model, ItemItem)
        for option, value in changes.items():
            assert getattr(model, option) == value
