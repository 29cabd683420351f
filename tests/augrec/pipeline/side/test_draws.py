"""The controls: each keeps what it promises to keep, loses what it promises to lose, and costs what the edges cost."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from augment.tasks import TASKS, card_of
from augrec.artefacts.errors import DataError
from augrec.artefacts.matrices import write_field
from augrec.artefacts.tasks import write_card
from augrec.pipeline.config.run_config import Variant
from augrec.pipeline.side.draws import derangement, random_candidate_edges, random_edges, shuffled, shuffled_edges
from augrec.pipeline.side.edges import read_edges
from augrec.pipeline.side.side_information import side_information, stream
from recsys.augmentation import Edges, FeatureMatrix, SideInformation
from recsys.data.dataset import Dataset

N_USERS, N_ITEMS = 60, 25


@pytest.fixture
def dataset() -> Dataset:
    rng = np.random.default_rng(0)
    pairs = np.array([(user, item) for user in range(N_USERS) for item in rng.choice(N_ITEMS, 8, replace=False)])
    none = np.empty((0, 2), dtype=np.int64)
    return Dataset.from_arrays(N_USERS, N_ITEMS, pairs, none, none)


def unseen(dataset: Dataset) -> dict[int, list[int]]:
    owned = {(int(user), int(item)) for user, item in dataset.train}
    return {
        user: [item for item in range(dataset.n_items) if (user, item) not in owned] for user in range(dataset.n_users)
    }


@pytest.fixture
def edges(dataset: Dataset) -> Edges:
    """Two edges of every second user, with weights of their own."""
    free = unseen(dataset)
    rows = [(user, free[user][n], free[user][-1]) for user in range(0, N_USERS, 2) for n in (0, 1)]
    ids = np.array(rows)
    return Edges.from_arrays(ids[:, 0], ids[:, 1], ids[:, 2], np.linspace(0.1, 1, len(ids), dtype=np.float32))


@given(st.lists(st.integers(0, 5), min_size=2, max_size=40), st.integers(0, 3))
@settings(max_examples=150, deadline=None)
def test_nobody_keeps_his_own_and_equal_ones_are_avoided_where_they_can_be(values: list[int], seed: int) -> None:
    groups = np.array(values)
    found = derangement(groups, np.random.default_rng(seed))
    n = len(groups)
    assert sorted(found.tolist()) == list(range(n))
    assert (found != np.arange(n)).all()
    largest = int(np.bincount(groups).max())
    assert (groups[found] == groups).sum() == max(0, 2 * largest - n)


def test_one_alone_keeps_his_own_as_there_is_no_other() -> None:
    assert derangement(np.zeros(1, dtype=np.int64), np.random.default_rng(0)).tolist() == [0]


def test_everybody_gets_anybody_elses_equally_often() -> None:
    n, draws = 6, 6000
    counts = np.zeros((n, n))
    for seed in range(draws):
        counts[np.arange(n), derangement(np.arange(n), np.random.default_rng(seed))] += 1
    others = counts[~np.eye(n, dtype=bool)]
    assert stats.chisquare(others).pvalue > 1e-3


def matrices(rng: np.random.Generator) -> dict[str, FeatureMatrix]:
    """Director and country of 40 items: some lack the one, some the other, some both."""
    director, country = rng.standard_normal((40, 3)), np.eye(4)[rng.integers(0, 4, 40)]
    return {
        "director": FeatureMatrix.from_dense(director, missing=[0, 1, 7, 8]),
        "country": FeatureMatrix.from_dense(country, missing=[0, 1, 30]),
    }


def test_an_item_gets_all_attributes_of_one_other_item() -> None:
    given_ = matrices(np.random.default_rng(0))
    found = shuffled(given_, np.random.default_rng(1))
    whole = np.concatenate([one.dense() for one in given_.values()], axis=1)
    moved = np.concatenate([one.dense() for one in found.values()], axis=1)
    present = [item for item in range(40) if item not in (0, 1)]
    assert not moved[[0, 1]].any()
    assert sorted(map(tuple, moved[present])) == sorted(map(tuple, whole[present]))
    assert not (moved[present] == whole[present]).all(axis=1).any()
    for name, one in found.items():
        assert (one.dense()[~one.mask] == 0).all()
        assert one.mask.sum() == given_[name].mask.sum()


def written_run(folder: Path, edges: Edges, profiles: np.ndarray, attributes: dict[str, np.ndarray]) -> Path:
    for name, values in {"user_profile": profiles, **attributes}.items():
        task = "user_profile" if name == "user_profile" else "item_attributes"
        about = {"task": task, "rows": len(values), "dim": values.shape[1], "missing": []}
        write_field(folder / "embed" / "llm" / name, values.astype(np.float32), about)
    fields = [
        json.dumps({"positive": int(p), "negative": int(n)})
        for p, n in zip(edges.positive, edges.negative, strict=True)
    ]
    table = {
        "entity": pa.array(edges.user, pa.int32()),
        "status": ["ok"] * len(edges),
        "fields": fields,
        "shown_candidates": [[int(p), int(n), 3, 4] for p, n in zip(edges.positive, edges.negative, strict=True)],
    }
    for kind in (TASKS[name] for name in ("edges", "user_profile", "item_attributes")):
        write_card(folder / "augment" / "llm" / kind.name / "task.json", card_of(kind))
        rows = pa.table(table) if kind.about == "user" else pa.table(table)[:N_ITEMS]
        pq.write_table(rows, folder / "augment" / "llm" / kind.name / "records.parquet")
    return folder


@pytest.fixture
def run(tmp_path: Path, dataset: Dataset) -> Path:
    rng = np.random.default_rng(4)
    free = unseen(dataset)
    ids = np.array([(user, free[user][0], free[user][-1]) for user in range(N_USERS)])
    edges = Edges.from_arrays(*ids.T)
    profiles = rng.standard_normal((N_USERS, 5)) * 3
    attributes = {"director": rng.standard_normal((N_ITEMS, 4)), "country": np.eye(5)[np.arange(N_ITEMS) % 5]}
    return written_run(tmp_path / "run", edges, profiles, attributes)


def side(run: Path, dataset: Dataset, seed: int = 1, **change: Any) -> SideInformation:
    return side_information(run, Variant(model="m", source="llm", change=change), dataset, seed)


def test_shuffled_profiles_are_everybody_elses(run: Path, dataset: Dataset) -> None:
    whole = side(run, dataset).user["profile"].dense()
    moved = [side(run, dataset, seed, user_profile="shuffled").user["profile"].dense() for seed in (1, 1, 2)]
    assert sorted(map(tuple, moved[0])) == sorted(map(tuple, whole))
    assert not (moved[0] == whole).all(axis=1).any()
    assert (moved[0] == moved[1]).all()
    assert (moved[0] != moved[2]).any()


def test_shuffled_attributes_move_together(run: Path, dataset: Dataset) -> None:
    whole, moved = side(run, dataset).attributes, side(run, dataset, item_attributes="shuffled").attributes
    source = {row.tobytes(): place for place, row in enumerate(whole["director"].dense())}
    places = [source[row.tobytes()] for row in moved["director"].dense()]
    assert (moved["country"].dense() == whole["country"].dense()[places]).all()
    assert not any(place == item for item, place in enumerate(places))


def test_random_profiles_have_the_mean_length_and_no_content(run: Path, dataset: Dataset) -> None:
    whole = side(run, dataset).user["profile"].dense()
    drawn = side(run, dataset, user_profile="random").user["profile"].dense()
    lengths = np.linalg.norm(drawn, axis=1)
    assert lengths == pytest.approx(np.linalg.norm(whole, axis=1).mean(), rel=1e-5)
    assert len(np.unique(drawn, axis=0)) == N_USERS


def test_constant_profiles_are_the_mean_for_everybody(run: Path, dataset: Dataset) -> None:
    whole = side(run, dataset).user["profile"].dense()
    drawn = side(run, dataset, user_profile="constant").user["profile"].dense()
    assert drawn == pytest.approx(np.tile(whole.mean(axis=0), (N_USERS, 1)), abs=1e-6)
    assert np.linalg.norm(drawn[0]) > 0.1


def test_a_part_is_drawn_alike_however_the_others_are_treated(run: Path, dataset: Dataset) -> None:
    alone = side(run, dataset, user_profile="shuffled").user["profile"].dense()
    beside = (
        side(run, dataset, user_profile="shuffled", edges="random", item_attributes="shuffled").user["profile"].dense()
    )
    assert (alone == beside).all()


@pytest.mark.parametrize("how", ["shuffled", "random", "random-candidates"])
def test_a_variant_is_given_the_edges_that_its_control_draws(run: Path, dataset: Dataset, how: str) -> None:
    written = read_edges(run / "augment" / "llm" / "edges" / "records.parquet", Variant(model="m"))

    def control(seed: int) -> Edges:
        rng = stream(seed, "edges")
        if how == "random-candidates":
            return random_candidate_edges(written.edges, written.record, written.shown, rng)
        return (shuffled_edges if how == "shuffled" else random_edges)(written.edges, dataset, rng)

    whole, first, second = side(run, dataset), side(run, dataset, edges=how), side(run, dataset, 2, edges=how)
    assert whole.edges is not None
    assert first.edges is not None
    assert second.edges is not None
    assert columns(whole.edges) == columns(written.edges)
    assert columns(first.edges) == columns(control(1))
    assert columns(second.edges) == columns(control(2))
    assert len({tuple(columns(edges)) for edges in (whole.edges, first.edges, second.edges)}) == 3


@pytest.mark.parametrize(
    ("parts", "drawn"),
    [
        ({}, False),
        ({"user_profile": "constant"}, False),
        ({"user_profile": "random"}, True),
        ({"edges": "shuffled"}, True),
    ],
)
def test_what_was_drawn_says_so(run: Path, dataset: Dataset, parts: dict[str, str], drawn: bool) -> None:
    assert side(run, dataset, **parts).drawn is drawn


def test_random_edges_are_two_different_unseen_items_drawn_uniformly(dataset: Dataset) -> None:
    user = np.repeat(np.arange(N_USERS), 400)
    edges = Edges.from_arrays(user, user * 0, user * 0 + 1)
    found = random_edges(edges, dataset, np.random.default_rng(0))
    free = unseen(dataset)
    assert found.user.tolist() == user.tolist()
    assert (found.positive != found.negative).all()
    for part in (found.positive, found.negative):
        for each in range(N_USERS):
            counts = np.bincount(part[user == each], minlength=N_ITEMS)
            assert np.flatnonzero(counts).tolist() == free[each]
            assert stats.chisquare(counts[free[each]]).pvalue > 1e-6


@pytest.mark.parametrize("free", [(7, 90, 199), (0, 90)])
def test_random_edges_of_a_user_who_has_nearly_everything(free: tuple[int, ...]) -> None:
    n_items = 200
    train = np.array([(1, item) for item in range(n_items) if item not in free] + [(0, 0), (2, 90)])
    none = np.empty((0, 2), dtype=np.int64)
    dataset = Dataset.from_arrays(3, n_items, train, none, none)
    edges = Edges.from_arrays(np.array([1] * 50 + [0]), np.zeros(51, int), np.ones(51, int))
    found = random_edges(edges, dataset, np.random.default_rng(0))
    assert set(found.positive[:50].tolist()) == set(found.negative[:50].tolist()) == {*free}
    assert (found.positive != found.negative).all()


def test_a_user_without_unseen_items_is_named() -> None:
    train = np.array([(0, item) for item in range(4)] + [(1, 0)])
    none = np.empty((0, 2), dtype=np.int64)
    dataset = Dataset.from_arrays(2, 5, train, none, none)
    edges = Edges.from_arrays(np.array([1, 0]), np.array([1, 2]), np.array([2, 3]))
    with pytest.raises(DataError, match="user 0"):
        random_edges(edges, dataset, np.random.default_rng(0))


def test_random_edges_do_not_look_at_the_catalogue_per_edge() -> None:
    """20,000 edges in a catalogue of ten million items: users x items would be 4e11 steps."""
    n_users, n_items = 20_000, 10_000_000
    train = np.column_stack([np.arange(n_users), np.arange(n_users)])
    none = np.empty((0, 2), dtype=np.int64)
    dataset = Dataset(n_users, n_items, train, none, none, pa.table({}), pa.table({}))
    user = np.arange(n_users)
    found = random_edges(Edges.from_arrays(user, user, user + 1), dataset, np.random.default_rng(0))
    assert found.positive.max() > n_items // 2
    assert len(found) == n_users


def test_edges_of_random_candidates_stay_among_those_of_the_same_record(edges: Edges, dataset: Dataset) -> None:
    free = unseen(dataset)
    shown = {user: free[user][:6] for user in range(N_USERS)}
    rng = np.random.default_rng(2)
    found = random_candidate_edges(edges, edges.user, shown, rng)
    assert found.user.tolist() == edges.user.tolist()
    assert found.weight.tolist() == edges.weight.tolist()
    for user in np.unique(edges.user):
        of_user = found.user == user
        positives, negatives = found.positive[of_user].tolist(), set(found.negative[of_user].tolist())
        assert len(set(positives)) == 2
        assert len(negatives) == 1
        assert {*positives, *negatives} <= set(shown[int(user)])
        assert not negatives & set(positives)
    draws = np.array([random_candidate_edges(edges, edges.user, shown, rng).positive for _ in range(400)])
    counts = np.bincount(draws[:, 0], minlength=N_ITEMS)[shown[0]]
    assert stats.chisquare(counts).pvalue > 1e-4


def test_too_few_candidates_to_draw_from_are_an_error_that_says_what_to_use(edges: Edges) -> None:
    with pytest.raises(DataError, match="names 2 candidates; 3 are to be drawn") as caught:
        random_candidate_edges(edges, edges.user, {user: [0, 1] for user in range(N_USERS)}, np.random.default_rng(0))
    assert "use `random`" in str(caught.value)
    one = Edges.from_arrays(np.array([7]), np.array([0]), np.array([1]))
    with pytest.raises(DataError, match="of user 7 names 1 candidates; 2 are to be drawn"):
        random_candidate_edges(one, one.user, {7: [3]}, np.random.default_rng(0))


def test_just_as_many_candidates_as_are_drawn_are_enough(edges: Edges) -> None:
    found = random_candidate_edges(
        edges, edges.user, {user: [0, 1, 2] for user in range(N_USERS)}, np.random.default_rng(0)
    )
    assert all({int(p), int(n)} < {0, 1, 2} and p != n for p, n in zip(found.positive, found.negative, strict=True))


def test_what_is_no_item_is_nobodys_training_item() -> None:
    """An edge to what stands behind the items is not taken for one to the next user's first item."""
    none = np.empty((0, 2), dtype=np.int64)
    dataset = Dataset.from_arrays(4, 3, np.array([(user, 0) for user in range(4)]), none, none)
    edges = Edges.from_arrays(np.arange(4), np.full(4, 3), np.full(4, 2))
    assert len(shuffled_edges(edges, dataset, np.random.default_rng(0))) == 4


def test_the_candidates_of_failed_records_are_not_read(run: Path) -> None:
    path = run / "augment" / "llm" / "edges" / "records.parquet"
    table = pq.read_table(path)
    status = ["failed" if user == 5 else "ok" for user in table["entity"].to_pylist()]
    pq.write_table(table.set_column(table.column_names.index("status"), "status", [status]), path)
    found = read_edges(path, Variant(model="m"))
    assert 5 not in found.edges.user
    assert len(found.shown) == N_USERS - 1


def test_shuffled_edges_are_those_of_another_user_and_never_training_items(edges: Edges, dataset: Dataset) -> None:
    found = shuffled_edges(edges, dataset, np.random.default_rng(3))
    before = {(p, n, round(float(w), 5)): int(u) for u, p, n, w in columns(edges)}
    owner = {before[p, n, round(float(w), 5)]: int(u) for u, p, n, w in columns(found)}
    assert all(old != new for old, new in owner.items())
    assert len(set(owner.values())) == len(owner)
    free = unseen(dataset)
    assert all(p in free[u] and n in free[u] for u, p, n, _ in columns(found))
    assert len(found) > len(edges) / 4
    assert (np.diff(found.user) >= 0).all()


def columns(edges: Edges) -> list[tuple[int, int, int, float]]:
    parts = (edges.user, edges.positive, edges.negative, edges.weight)
    return list(zip(*(part.tolist() for part in parts), strict=True))
