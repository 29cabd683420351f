"""What holds for every evaluation: properties over random data, all kinds of scorers, memory, and bad input."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import recsys
from augrec.artefacts.errors import AugrecError
from recsys.augmentation import SideInformation
from recsys.batches.triplets import Triplets
from recsys.data.dataset import Dataset
from recsys.evaluation.ranking import NEVER, SCORES_PER_CHUNK, default_chunk, evaluate
from recsys.evaluation.result import Evaluation
from recsys.evaluation.top_items import BLOCK, TieBreak, top_items
from recsys.models.base import EmbeddingRecommender
from recsys.models.options.popularity import PopularityOptions
from recsys.options import EvaluationOptions, TrainingOptions
from recsys.training.train import train

sizes = st.tuples(st.integers(1, 12), st.integers(2, 25))
seeds = st.integers(0, 10_000)
property_of = settings(max_examples=40)


def random_dataset(n_users: int, n_items: int, seed: int) -> Dataset:
    parts = np.random.default_rng(seed).choice(4, size=(n_users, n_items), p=[0.6, 0.2, 0.08, 0.12])
    return Dataset.from_arrays(n_users, n_items, *(np.argwhere(parts == part) for part in (1, 2, 3)))


def random_table(dataset: Dataset, seed: int, levels: int | None = None) -> Tensor:
    """Distinct scores, or `levels` many of them."""
    rng = np.random.default_rng(seed)
    shape = dataset.n_users, dataset.n_items
    table = rng.permutation(math.prod(shape)).reshape(shape) if levels is None else rng.integers(levels, size=shape)
    return torch.from_numpy(table.astype(np.float32))


def of_table(table: Tensor) -> Callable[[Tensor], Tensor]:
    return lambda users: table[users]


def assert_same(a: Evaluation, b: Evaluation) -> None:
    assert a.n_users == b.n_users
    for name, values in a.per_user.items():
        np.testing.assert_array_equal(b.per_user[name], values, err_msg=name)
    np.testing.assert_array_equal(a.first_rank, b.first_rank)
    np.testing.assert_equal(a.mean, b.mean)


@property_of
@given(size=sizes, seed=seeds, chunk=st.integers(1, 13), levels=st.sampled_from([None, 1, 3]), official=st.booleans())
def test_chunks_change_nothing(
    size: tuple[int, int], seed: int, chunk: int, levels: int | None, official: bool
) -> None:
    dataset = random_dataset(*size, seed)
    scores = of_table(random_table(dataset, seed, levels))
    a, b = (evaluate(scores, dataset, "test", cutoffs=(1, 4), chunk=c, official=official) for c in (None, chunk))
    assert_same(a, b)


@property_of
@given(size=sizes, seed=seeds)
def test_names_of_items_do_not_matter(size: tuple[int, int], seed: int) -> None:
    dataset = random_dataset(*size, seed)
    table, new = random_table(dataset, seed), np.random.default_rng(seed + 1).permutation(size[1])
    parts = [np.column_stack([part[:, 0], new[part[:, 1]]]) for part in (dataset.train, dataset.valid, dataset.test)]
    moved = torch.empty_like(table)
    moved[:, torch.from_numpy(new)] = table
    a = evaluate(of_table(table), dataset, "test", cutoffs=(1, 4))
    b = evaluate(of_table(moved), Dataset.from_arrays(*size, *parts), "test", cutoffs=(1, 4))
    for name, values in a.per_user.items():
        np.testing.assert_array_equal(b.per_user[name], values, err_msg=name)
    np.testing.assert_array_equal(b.first_rank[new], a.first_rank)


@property_of
@given(size=sizes, seed=seeds, levels=st.sampled_from([None, 2]))
def test_more_places_never_lower_recall_and_all_places_find_everything(
    size: tuple[int, int], seed: int, levels: int | None
) -> None:
    dataset = random_dataset(*size, seed)
    cutoffs = range(1, size[1] + 4)  # beyond the catalogue as well
    found = evaluate(of_table(random_table(dataset, seed, levels)), dataset, "test", cutoffs=cutoffs).per_user
    judged = np.unique(dataset.test[:, 0])
    for name in ("recall", "hit_rate", "mrr"):
        curve = np.stack([found[f"{name}@{k}"][judged] for k in cutoffs])
        assert (np.diff(curve, axis=0) >= 0).all()
        assert name == "mrr" or (curve[-1] == 1.0).all()
    assert ((found[f"precision@{size[1]}"] >= found[f"precision@{size[1] + 3}"]) | np.isnan(found["recall@1"])).all()


@property_of
@given(size=sizes, seed=seeds)
def test_a_perfect_list_scores_one(size: tuple[int, int], seed: int) -> None:
    dataset = random_dataset(*size, seed)
    table = random_table(dataset, seed)
    table[dataset.test[:, 0], dataset.test[:, 1]] += table.numel()
    found = evaluate(of_table(table), dataset, "test", cutoffs=range(1, size[1] + 3))
    positives = np.bincount(dataset.test[:, 0], minlength=size[0])
    for user in np.flatnonzero(positives):
        assert found.per_user[f"recall@{positives[user]}"][user] == 1.0
        assert found.per_user[f"precision@{positives[user]}"][user] == 1.0
        for k in range(1, size[1] + 3):
            assert found.per_user[f"ndcg@{k}"][user] == pytest.approx(1.0, abs=1e-12)


@property_of
@given(
    rows=st.integers(1, 5),
    n_items=st.integers(1, 30),
    k=st.integers(1, 33),
    levels=st.integers(1, 6),
    masked=st.floats(0, 1),
    seed=seeds,
    kind=st.sampled_from([torch.float32, torch.float64, torch.bfloat16]),
)
def test_lists_follow_score_then_priority(
    rows: int, n_items: int, k: int, levels: int, masked: float, seed: int, kind: torch.dtype
) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.integers(-levels, levels, size=(rows, n_items)).astype(np.float64)
    scores[rng.random(scores.shape) < masked] = -np.inf
    ties, users = TieBreak.seeded(9, n_items, seed), torch.from_numpy(rng.integers(9, size=rows))
    top = top_items(torch.from_numpy(scores).to(kind), users, k, ties)
    for row, priority in enumerate(ties.priorities(users).tolist()):
        order = sorted(range(n_items), key=lambda i: (-scores[row, i], -priority[i]))[:k]
        assert top.items[row].tolist() == [i if scores[row, i] > -np.inf else -1 for i in order]
        assert top.values[row].tolist() == [scores[row, i] for i in order]


@pytest.mark.parametrize("cells", [2**22, 39])
def test_contested_places_of_many_rows_are_all_settled(cells: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where a single row has more items than are ordered at a time."""
    monkeypatch.setattr("recsys.evaluation.top_items.BLOCK_CELLS", cells)
    rows, n_items = 2 * BLOCK + 3, 40
    ties, users = TieBreak.seeded(rows, n_items, 0), torch.arange(rows)
    top = top_items(torch.zeros(rows, n_items), users, 7, ties).items
    assert torch.equal(top, ties.priorities(users).topk(7, dim=1).indices)


class Sizes(TorchDispatchMode):
    """The number of elements of every tensor that an operation makes anew."""

    def __init__(self) -> None:
        super().__init__()
        self.largest: list[int] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        given = {leaf.untyped_storage().data_ptr() for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)}
        self.largest += [
            leaf.numel()
            for leaf in tree_leaves(result)
            if isinstance(leaf, Tensor) and leaf.untyped_storage().data_ptr() not in given
        ]
        return result


def test_nothing_as_large_as_the_scores_is_made_beside_them() -> None:
    n_users, n_items, chunk = 64, 4000, 16
    dataset = random_dataset(n_users, n_items, 0)
    users, items = torch.randn(n_users, 8), torch.randn(n_items, 8)
    with Sizes() as sizes:
        evaluate(lambda u: users[u] @ items.T, dataset, "test", cutoffs=(5,), chunk=chunk)
    matrices = [size for size in sizes.largest if size > chunk * n_items // 2 and size != len(dataset.test)]
    assert matrices == [chunk * n_items] * (n_users // chunk)


def test_the_default_chunk_bounds_memory_and_keeps_products_efficient() -> None:
    assert default_chunk(1000) * 1000 <= SCORES_PER_CHUNK
    assert default_chunk(10**7) == 64


@pytest.mark.parametrize("handed_out", ["whole", "expanded", "transposed", "inference", "sliced"])
def test_a_scorer_keeps_its_table_whatever_part_it_hands_out(handed_out: str) -> None:
    dataset = random_dataset(6, 60, 1)
    table = random_table(dataset, 1)
    if handed_out == "expanded":
        table = table[:1].expand(6, -1)
    elif handed_out == "transposed":
        table = table.T.contiguous().T
    elif handed_out == "sliced":
        table = torch.cat([table, table])[:6]
    elif handed_out == "inference":
        with torch.inference_mode():
            table = table.clone()
    before = table.tolist()
    everyone = np.unique(dataset.test[:, 0])
    assert len(everyone) == 6
    found = evaluate(lambda users: table, dataset, "test", cutoffs=(3,))
    assert table.tolist() == before
    assert_same(found, evaluate(of_table(torch.tensor(before)), dataset, "test", cutoffs=(3,)))


def test_the_table_is_whole_again_after_an_error() -> None:
    dataset = random_dataset(6, 60, 1)
    table = random_table(dataset, 1)
    table[3, 7] = np.nan
    before = table.clone()
    with pytest.raises(AugrecError, match="NaN"):
        evaluate(lambda users: table, dataset, "test", cutoffs=(3,))
    assert torch.equal(table.nan_to_num(-5), before.nan_to_num(-5))


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("place", ["candidate", "training item", "among ties"])
def test_nan_is_found_wherever_it_is(place: str, sign: float) -> None:
    dataset = random_dataset(8, 30, 2)
    table = random_table(dataset, 2, levels=1 if place == "among ties" else None)
    user = int(dataset.test[-1, 0])
    owned = dataset.train[dataset.train[:, 0] == user, 1]
    item = int(owned[0]) if place == "training item" else int(np.setdiff1d(np.arange(30), owned)[-1])
    table[user, item] = math.copysign(math.nan, sign)
    with pytest.raises(AugrecError) as raised:
        evaluate(of_table(table), dataset, "test", cutoffs=(2,), chunk=3)
    assert re.search(r"NaN for 1 of \d users", raised.value.what)
    assert raised.value.where == f"user {user}"
    assert "lower the learning rate" in (raised.value.remedy or "")


def test_one_user_and_more_places_than_items() -> None:
    dataset = Dataset.from_arrays(1, 3, np.array([[0, 1]]), np.empty((0, 2)), np.array([[0, 2]]))
    found = evaluate(of_table(torch.tensor([[2.0, 9.0, 1.0]])), dataset, "test", cutoffs=(1, 2, 50))
    assert found.n_users == 1
    assert found.mean["recall@1"] == 0.0
    assert found.mean["recall@50"] == 1.0
    assert found.mean["precision@50"] == pytest.approx(1 / 50)
    assert found.mean["mrr@50"] == 0.5
    assert found.mean["ndcg@50"] == pytest.approx(1 / math.log2(3))
    assert found.mean["coverage@50"] == pytest.approx(2 / 3)
    assert found.first_rank.tolist() == [0, NEVER, 1]


def test_users_without_test_items_are_nan_and_not_counted() -> None:
    dataset = Dataset.from_arrays(3, 3, np.array([[0, 0], [1, 0]]), np.empty((0, 2)), np.array([[1, 1]]))
    found = evaluate(of_table(torch.ones(3, 3)), dataset, "test", cutoffs=(3,))
    assert found.n_users == 1
    for values in found.per_user.values():
        assert np.isnan(values).tolist() == [True, False, True]
    assert found.mean["recall@3"] == 1.0


def test_a_user_with_no_candidate_left_gets_an_empty_list() -> None:
    dataset = Dataset.from_arrays(1, 2, np.array([[0, 0]]), np.empty((0, 2)), np.array([[0, 1]]))
    found = evaluate(lambda users: torch.tensor([[1.0, -torch.inf]]), dataset, "test", cutoffs=(2,))
    assert found.mean["recall@2"] == found.mean["coverage@2"] == 0.0


class Counting(EmbeddingRecommender):
    """Counts its passes."""

    def __init__(self, dataset: Dataset) -> None:
        super().__init__()
        self.embedding_dim, self.passes = 2, 0
        self.users = torch.nn.Parameter(torch.randn(dataset.n_users, 2))
        self.items = torch.nn.Parameter(torch.randn(dataset.n_items, 2))

    def forward(self) -> tuple[Tensor, Tensor]:
        self.passes += 1
        return self.users, self.items

    def loss(self, batch: Triplets) -> dict[str, Tensor]:
        raise NotImplementedError


def test_one_propagation_per_evaluation() -> None:
    dataset = random_dataset(12, 20, 3)
    model = Counting(dataset)
    for passes in (1, 2):
        model.train().eval()
        evaluate(model.scorer("test"), dataset, "test", cutoffs=(3,), chunk=2)
        assert model.passes == passes


def test_a_protocol_is_what_an_option_asks_for(tmp_path: Path) -> None:
    dataset = random_dataset(12, 30, 4)
    popularity = torch.from_numpy(dataset.popularity).float()

    def by_option(protocol: str) -> dict[str, float]:
        options = EvaluationOptions.model_validate({"cutoffs": [3, 10, 20], "protocol": protocol})
        arguments = SideInformation(), TrainingOptions(device="cpu"), options, 0, tmp_path / protocol, "", ""
        return train(dataset, PopularityOptions(), *arguments)["test"]

    def directly(**flavour: bool) -> dict[str, float]:
        return evaluate(lambda u: popularity.repeat(len(u), 1), dataset, "test", cutoffs=(3, 10, 20), **flavour).mean

    assert by_option("standard") == directly(mask_valid_at_test=True)
    assert by_option("official") == directly(official=True)
    assert by_option("rlmrec") == directly(mask_valid_at_test=False)
    assert by_option("rlmrec")["recall@10"] < by_option("standard")["recall@10"]
    assert by_option("official")["ndcg@10"] > by_option("standard")["ndcg@10"]


def test_only_the_options_protocol_turns_the_official_flavour_on() -> None:
    root = Path(recsys.__file__).parents[1]
    sources = [path for package in ("recsys", "augrec") for path in (root / package).glob("**/*.py")]
    asked = re.compile(r"official\s*=\s*(True|\w)|ndcg_official\(|lower_id_first\(")
    allowed = (
        "official=official",  # handed on
        "official=how.official",
        "lower_id_first(n_users, n_users)",  # of neighbours, which are no lists of items
        'protocol == "official"',
        "def ndcg_official(",
        "def lower_id_first(",
        "lower_id_first(n_users, n_items) if official",
        "official: bool = False",
    )
    found = [
        f"{path.name}: {line.strip()}"
        for path in sources
        for line in path.read_text(encoding="utf-8").splitlines()
        if asked.search(line) and not any(form in line for form in allowed)
    ]
    assert found == []
    assert EvaluationOptions().protocol == "standard"
