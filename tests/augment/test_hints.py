"""Hints in what prompts are made from: a similar user, a recommender's scores, ratings; of training rows alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from augment.catalog import Catalog
from augment.item_numbers import ItemNumbers
from augment.prompts.presentation import Presentation
from augrec.artefacts.errors import DataError
from augrec.artefacts.files import write_npy
from augrec.artefacts.interactions import UserItems
from augrec.artefacts.neighbours import Neighbours, write_neighbours
from augrec.artefacts.ranked_lists import write_ranked_lists
from augrec.artefacts.run_folder import RunFolder
from tests.kit.prepared_data import N_ITEMS, N_USERS


def rate(dataset: Path) -> None:
    """Gives every interaction the rating 1 + (user + item) % 5, but those of item 4 none."""
    path = RunFolder(dataset).interactions
    table = pq.read_table(path)
    rows = zip(table["user"].to_pylist(), table["item"].to_pylist(), strict=True)
    ratings = pa.array([None if item == 4 else 1.0 + (user + item) % 5 for user, item in rows], pa.float32())
    pq.write_table(table.append_column("rating", ratings), path)


@pytest.fixture
def vectors() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    return rng.normal(size=(N_USERS, 4)).astype(np.float32), rng.normal(size=(N_ITEMS, 4)).astype(np.float32)


@pytest.fixture
def write_base(dataset: Path, vectors: tuple[np.ndarray, np.ndarray]) -> Callable[[], RunFolder]:
    """write_base() writes hints beside the data: of user u users u+1 and u+2; user 11 has none."""

    def call() -> RunFolder:
        run = RunFolder(dataset)
        starts = np.minimum(2 * np.arange(N_USERS + 1), 2 * (N_USERS - 1))
        near = np.array([(user + step) % N_USERS for user in range(N_USERS - 1) for step in (1, 2)])
        own = Neighbours(starts, near, np.ones(len(near), dtype=np.float32))
        of_a_fold = Neighbours(np.arange(N_USERS + 1), (np.arange(N_USERS) + 5) % N_USERS, np.ones(N_USERS))
        write_neighbours(run.base.neighbours, {-1: own, 0: of_a_fold})
        lists = UserItems.build(np.arange(N_USERS), (np.arange(N_USERS) + 9) % N_ITEMS, N_USERS)
        write_ranked_lists(run.base.lists, lists, np.arange(N_USERS) / 10)
        write_npy(run.base.users, vectors[0])
        write_npy(run.base.items, vectors[1])
        rate(dataset)
        return run

    return call


@pytest.fixture
def run(write_base: Callable[[], RunFolder]) -> RunFolder:
    return write_base()


def loaded(run: RunFolder) -> Catalog:
    return Catalog.load(run.dataset, run.candidates, run.base)


def test_a_user_comes_with_the_nearest_user_s_training_items(run: RunFolder) -> None:
    catalog = loaded(run)
    user = catalog.user(3)
    assert [item.item for item in user.similar] == [8, 7, 6, 5, 4], "the latest first"
    assert user.ratings == {3: 2.0, 5: 4.0, 6: 5.0, 7: 1.0}, "the rating of item 4 is not known"
    assert user.similar_ratings == {8: 3.0, 7: 2.0, 6: 1.0, 5: 5.0}
    alone = catalog.user(11)
    assert (alone.similar, alone.similar_ratings) == ((), {})


def test_scores_are_inner_products_of_the_vectors(run: RunFolder, vectors: tuple[np.ndarray, np.ndarray]) -> None:
    users, items = (part.astype(np.float64) for part in vectors)
    scores = loaded(run).user(5).scores
    assert len(scores) == N_ITEMS
    for item in range(N_ITEMS):
        assert scores[item] == pytest.approx(sum(users[5, k] * items[item, k] for k in range(4)), abs=1e-5)


def test_a_model_without_vectors_scores_what_it_lists(run: RunFolder) -> None:
    run.base.users.unlink()
    assert loaded(run).user(5).scores == {14: pytest.approx(0.5)}


def test_other_candidates_bring_their_own_scores(run: RunFolder) -> None:
    catalog = loaded(run)
    lists = UserItems.build(np.array([0, 0, 2]), np.array([19, 17, 18]), N_USERS)
    listing = catalog.listing(lists, np.array([3.5, 1.0, 2.0]))
    user = listing.presented(Presentation(None, "as-is", 0)).user(0)
    assert [item.item for item in user.candidates] == [19, 17]
    assert user.scores == {19: 3.5, 17: 1.0}
    assert listing.user(1).candidates == ()
    assert user.similar == catalog.user(0).similar
    assert listing.identity not in (None, catalog.identity)
    assert catalog.listing(lists, np.array([3.5, 1.0, 2.5])).identity != listing.identity
    assert catalog.listing(lists).user(0).scores == catalog.user(0).scores


def test_without_a_base_there_are_no_hints(dataset: Path) -> None:
    user = Catalog.load(dataset / "dataset", dataset / "candidates" / "candidates.parquet").user(3)
    assert (user.similar, user.scores, user.ratings, user.similar_ratings) == ((), {}, {}, {})


def test_hints_are_part_of_what_questions_follow_from(run: RunFolder) -> None:
    identities = {Catalog.load(run.dataset, run.candidates).identity, loaded(run).identity}
    write_npy(run.base.users, np.ones((N_USERS, 4), dtype=np.float32))
    identities.add(loaded(run).identity)
    assert len(identities) == 3


def test_no_hint_changes_when_other_splits_are_rewritten(run: RunFolder) -> None:
    """Items and ratings of validation and test may be anything at all."""
    before = [loaded(run).user(user) for user in range(N_USERS)]
    table = pq.read_table(run.interactions)
    other = pc.not_equal(table["split"], "train")
    for name, value in (("item", pa.scalar(19, pa.int32())), ("rating", pa.scalar(1.5, pa.float32()))):
        changed = pc.if_else(other, value, table[name])
        table = table.set_column(table.schema.get_field_index(name), name, changed)
    pq.write_table(table, run.interactions)
    assert before == [loaded(run).user(user) for user in range(N_USERS)]


def test_vectors_of_other_data_are_refused(run: RunFolder) -> None:
    write_npy(run.base.items, np.ones((N_ITEMS + 1, 4), dtype=np.float32))
    with pytest.raises(DataError, match=r"items\.npy(.|\n)*augrec base"):
        loaded(run)


def test_numbers_are_made_once_and_when_they_are_wanted() -> None:
    made = []
    numbers = ItemNumbers(lambda: made.append(1) or {3: 0.5})
    assert made == []
    assert (numbers[3], 4 in numbers, dict(numbers), repr(numbers)) == (0.5, False, {3: 0.5}, "ItemNumbers({3: 0.5})")
    assert made == [1]
