"""The base recommender: hints on what it has seen nothing of, for models of every kind of judgement."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from torch import Tensor

from augment.catalog import Catalog
from augrec.artefacts.errors import AugrecError, UsageError
from augrec.artefacts.held_out import HeldOut, read_held_out
from augrec.artefacts.matrices import read_matrix
from augrec.artefacts.neighbours import read_neighbours
from augrec.artefacts.ranked_lists import read_scored_lists
from augrec.artefacts.run_folder import RunFolder
from augrec.pipeline.config.run_config import read_config
from augrec.pipeline.executors.profile import read_profile
from augrec.pipeline.executors.slurm.plan import plan
from augrec.pipeline.folders.clean import leftovers
from augrec.pipeline.stages import STAGES, chain
from augrec.pipeline.stages.base import Run
from augrec.pipeline.training.base_training import base_trainings
from recsys.augmentation import SideInformation
from recsys.batches.base import Queries, Split
from recsys.data.dataset import Dataset
from recsys.models.base import ClosedFormRecommender
from recsys.models.options.base import FamilyOptions
from recsys.models.registry import FAMILIES, Family
from recsys.options import Judged
from tests.kit.toy_config import toy_config
from tests.kit.toy_data import write_toy_data
from tests.kit.toy_run import advance, open_run

pytestmark = pytest.mark.slow

AGAIN = "run it again"


class FollowsOptions(FamilyOptions):
    judged: ClassVar[Judged] = Judged.NEXT_ITEM
    family: Literal["follows"] = "follows"


class Follows(ClosedFormRecommender):
    """How often an item came after the last item of a sequence."""

    def __init__(self, dataset: Dataset) -> None:
        super().__init__()
        self.register_buffer("users", torch.zeros(dataset.n_users, dataset.n_items))
        self.register_buffer("items", torch.zeros(dataset.n_items, dataset.n_items))

    @classmethod
    def build(
        cls, dataset: Dataset, side: SideInformation, options: FollowsOptions, generator: torch.Generator
    ) -> Follows:
        return cls(dataset)

    def compute(self, dataset: Dataset) -> None:
        pairs = dataset.train[dataset.by_time("train")]
        for row, (user, item) in enumerate(pairs.tolist()):
            self.users[user] = 0
            self.users[user, item] = 1
            if row and pairs[row - 1, 0] == user:
                self.items[item, pairs[row - 1, 1]] += 1

    def embeddings(self, split: Split = "valid") -> tuple[Tensor, Tensor]:
        return self.users, self.items

    def scores(self, queries: Queries) -> Tensor:
        return self.users[queries.users] @ self.items.T


class LevelOptions(FamilyOptions):
    judged: ClassVar[Judged] = Judged.RATING
    family: Literal["level"] = "level"


class Level(ClosedFormRecommender):
    """An item's mean rating, and how far a user's lie above all."""

    def __init__(self, dataset: Dataset) -> None:
        super().__init__()
        self.register_buffer("user", torch.zeros(dataset.n_users, dtype=torch.float64))
        self.register_buffer("item", torch.zeros(dataset.n_items, dtype=torch.float64))

    @classmethod
    def build(cls, dataset: Dataset, side: SideInformation, options: LevelOptions, generator: torch.Generator) -> Level:
        return cls(dataset)

    def compute(self, dataset: Dataset) -> None:
        ratings = dataset.ratings("train")
        assert ratings is not None
        mean = float(ratings.mean())
        for level, ids in ((self.user, dataset.train[:, 0]), (self.item, dataset.train[:, 1])):
            sums = np.bincount(ids, ratings - mean, len(level)) / np.maximum(np.bincount(ids, minlength=len(level)), 1)
            level.copy_(torch.from_numpy(sums + mean / 2))

    def rate(self, pairs: Tensor) -> Tensor:
        return (self.user[pairs[:, 0]] + self.item[pairs[:, 1]]).float()


FOLLOWS = Family(FollowsOptions, f"{__name__}:Follows", "general", "Follows", "nobody")
LEVEL = Family(LevelOptions, f"{__name__}:Level", "general", "Level", "nobody")

BASE = """
models:
  mf: {family: mf_bpr, dim: 4}
  popular: {training: {monitor: recall@10}}
"""
KINDS = {
    "ranking": (BASE, "base: {model: mf, folds: 3, list_size: 6, negatives: 4, similar: 2}"),
    "next_item": (
        BASE,
        """
        dataset: {split: {kind: leave_last_out, ratios: null}}
        models: {follows: {family: follows}}
        variants: {popular: {model: follows}}
        training: {monitor: hit_rate@10}
        report: {primary: ndcg@10, secondary: []}
        base: {model: follows, folds: 3, list_size: 6, negatives: 4}
        """,
    ),
    "rating": (
        BASE,
        """
        models: {level: {family: level}, mf: {training: {monitor: recall@10}}}
        variants: {popular: {model: level}}
        training: {monitor: rmse}
        report: {primary: rmse, secondary: []}
        base: {model: level, folds: 3, list_size: 6, negatives: 4, vectors: mf}
        """,
    ),
}


@pytest.fixture(scope="module", autouse=True)
def families() -> Iterator[None]:
    with ExitStack() as there:
        there.enter_context(FAMILIES.including(FOLLOWS))
        there.enter_context(FAMILIES.including(LEVEL))
        yield


@pytest.fixture(scope="module", params=KINDS)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run of each kind whose base is finished."""
    root = tmp_path_factory.mktemp(request.param)
    run = open_run(root, toy_config(write_toy_data(root / "data"), *KINDS[request.param]))
    advance(run, "prepare", "base")
    return run


def read(run: Run) -> tuple[Dataset, HeldOut]:
    dataset = Dataset.load(run.files.dataset)
    return dataset, read_held_out(run.files.base.held_out, dataset.n_users, dataset.n_items, remedy=AGAIN)


def kind(run: Run) -> Judged:
    assert run.config.base is not None
    return run.config.models[run.config.base.model].judged


def test_held_out_rows_are_training_rows_each_in_one_fold(made: Run) -> None:
    dataset, rows = read(made)
    own = rows.rows(~rows.drawn)
    pairs = list(zip(own.user.tolist(), own.item.tolist(), strict=True))
    train = set(map(tuple, dataset.train.tolist()))
    assert set(pairs) <= train
    assert len(set(pairs)) == len(pairs)
    if kind(made) is Judged.NEXT_ITEM:
        ordered = dataset.train[dataset.by_time("train")]
        last = dict(ordered.tolist())  # the later one stays
        assert dict(pairs) == last
    else:
        assert len(pairs) > 0.95 * len(train)
    ratings = dict(zip(map(tuple, dataset.train.tolist()), dataset.ratings("train"), strict=True))  # type: ignore[arg-type]
    assert own.rating.tolist() == [ratings[pair] for pair in pairs]


def test_drawn_rows_are_no_training_rows_and_stand_beside_held_out_ones(made: Run) -> None:
    dataset, rows = read(made)
    drawn, own = rows.rows(rows.drawn), rows.rows(~rows.drawn)
    train = set(map(tuple, dataset.train.tolist()))
    assert not train & set(zip(drawn.user.tolist(), drawn.item.tolist(), strict=True))
    asked = {(user, fold) for user, fold in zip(own.user.tolist(), own.fold.tolist(), strict=True)}
    beside = list(zip(drawn.user.tolist(), drawn.fold.tolist(), strict=True))
    assert set(beside) == asked
    assert all(beside.count(place) == 4 for place in asked)
    assert np.isnan(drawn.rating).all()


def test_lists_are_the_best_unseen_items_of_the_whole_model(made: Run) -> None:
    dataset, base = Dataset.load(made.files.dataset), made.files.base
    lists, scores = read_scored_lists(base.lists, dataset.n_users, dataset.n_items, remedy=AGAIN)
    if kind(made) is Judged.RATING:
        assert not base.users.exists()
        (whole,) = (one for one in base_trainings(made.config, made.files, None) if one.name == "whole")
        recommender = whole.restored(dataset)
        every = [
            recommender.rate(torch.tensor([(user, item) for item in range(dataset.n_items)])).tolist()
            for user in range(dataset.n_users)
        ]
    else:
        users = read_matrix(base.users, rows=dataset.n_users, remedy=AGAIN).astype(np.float64)
        items = read_matrix(base.items, rows=dataset.n_items, remedy=AGAIN).astype(np.float64)
        every = [[sum(users[u] * items[i]) for i in range(dataset.n_items)] for u in range(dataset.n_users)]
    for user in range(dataset.n_users):
        seen = set(dataset.train[dataset.train[:, 0] == user, 1].tolist())
        best = sorted((every[user][item] for item in range(dataset.n_items) if item not in seen), reverse=True)[:6]
        listed = lists.of(user).tolist()
        assert not seen & set(listed)
        own = scores[lists.starts[user] : lists.starts[user + 1]]
        np.testing.assert_allclose(own, best, atol=1e-5)
        np.testing.assert_allclose(own, [every[user][item] for item in listed], atol=1e-5)


def test_every_fold_says_who_is_similar(made: Run) -> None:
    dataset, base = Dataset.load(made.files.dataset), made.files.base
    assert made.config.base is not None
    folds = [read_neighbours(base.neighbours, dataset.n_users, fold, remedy=AGAIN) for fold in (-1, 0, 1, 2)]
    for one in folds:
        assert all(len(one.of(user)) == made.config.base.similar for user in range(dataset.n_users))
    assert any((one.users != folds[0].users).any() for one in folds[1:])


def test_hints_reach_what_prompts_are_made_from(made: Run) -> None:
    user = Catalog.load(made.files.dataset, None, made.files.base).user(3)
    dataset = Dataset.load(made.files.dataset)
    (near, *_) = read_neighbours(made.files.base.neighbours, dataset.n_users, remedy=AGAIN).of(3)
    assert {item.item for item in user.similar} == set(dataset.train[dataset.train[:, 0] == near, 1].tolist())
    assert len(user.scores) == (6 if kind(made) is Judged.RATING else dataset.n_items)
    assert set(user.ratings) == {item.item for item in user.history}


@pytest.mark.parametrize("change", ["rating", "item", "gone"])
def test_what_is_held_out_changes_no_hint_on_it(made: Run, tmp_path: Path, change: str) -> None:
    """The fold's model says the same of the row, and of who is similar, whatever the held-out interaction was."""
    dataset, before = read(made)
    own = np.flatnonzero(~before.drawn)
    target = before.rows(own[len(own) // 2 : len(own) // 2 + 1])
    user, item, fold = int(target.user[0]), int(target.item[0]), int(target.fold[0])
    files = RunFolder(tmp_path / "run")
    shutil.copytree(made.files.dataset, files.dataset)
    alter(files.interactions, user, item, change, dataset.n_items)
    (training,) = (one for one in base_trainings(made.config, files, "f") if one.fold == fold)
    training.do(beside_others=False)
    after = read_held_out(files.base.held_out_of(training.name), dataset.n_users, dataset.n_items, remedy=AGAIN).of(
        user
    )
    was = before.of(user).rows(before.of(user).fold == fold)
    kept = dict(zip(was.item.tolist(), was.score.tolist(), strict=True))
    same = {row: score for row, score in zip(after.item.tolist(), after.score.tolist(), strict=True) if row in kept}
    if change == "rating":
        assert same == kept, "the target's own score too"
    if change != "gone" or kind(made) is not Judged.NEXT_ITEM:  # else the item before it is the last, and held out
        assert len(same) >= 3 or change == "gone"
        assert {row: kept[row] for row in same} == same
        near, were = (
            read_neighbours(path, dataset.n_users, fold, remedy=AGAIN)
            for path in (files.base.neighbours_of(training.name), made.files.base.neighbours)
        )
        np.testing.assert_array_equal(near.of(user), were.of(user))
        np.testing.assert_array_equal(near.similarity, were.similarity)


def alter(path: Path, user: int, item: int, change: str, n_items: int) -> None:
    """Changes one interaction of the training split: its rating, its item, or all of it."""
    table = pq.read_table(path)
    rows = table.to_pylist()
    taken = {row["item"] for row in rows if row["user"] == user}
    (place,) = (n for n, row in enumerate(rows) if (row["user"], row["item"]) == (user, item))
    assert rows[place]["split"] == "train"
    if change == "rating":
        rows[place]["rating"] = 1.0 if rows[place]["rating"] > 2 else 5.0
    elif change == "gone":
        del rows[place]
    else:
        rows[place]["item"] = next(other for other in range(n_items) if other not in taken)
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), path)


def test_it_stands_before_the_stages_that_show_hints(made: Run) -> None:
    assert [stage.name for stage in chain(made.config)][:4] == ["prepare", "base", "candidates", "augment"]
    without = made.config.model_copy(update={"base": None})
    assert "base" not in [stage.name for stage in chain(without)]
    assert "base" in STAGES["augment"].after


def test_a_finished_training_is_not_done_again(made: Run) -> None:
    stage = STAGES["base"]
    times = {path: path.stat().st_mtime_ns for path in made.files.base.root.rglob("*.parquet")}
    assert "skipped, unchanged" in advance(made, "base")
    assert all(piece.done() for piece in stage.pieces(made))
    marker = stage.marker(made)
    assert marker is not None
    assert marker.details["held_out"] == int((~read(made)[1].drawn).sum())
    stage.remove_marker(made)
    advance(made, "base")
    parts = {path: path.stat().st_mtime_ns for path in times if "trainings" in path.parts}
    assert parts == {path: times[path] for path in parts}, "only what is merged is written again"
    other = Run(made.config.model_copy(update={"seed": 8}))
    assert not any(piece.done() for piece in stage.pieces(other))


def test_folds_that_are_no_longer_named_are_listed_to_be_cleaned(made: Run, tmp_path: Path) -> None:
    assert made.config.base is not None
    fewer = made.config.base.model_copy(update={"folds": 2})
    for base, names in ((made.config.base, set()), (fewer, {"fold-2"}), (None, {"base"})):
        run = Run(made.config.model_copy(update={"base": base}))
        assert {leftover.path.name for leftover in leftovers(run)} == names


def test_a_cluster_spreads_the_folds(made: Run, tmp_path: Path) -> None:
    (tmp_path / "profile.toml").write_text('[stages.base]\ntrainings_per_task = 2\nmemory = "1G"\n')
    made_anew = Run(made.config.model_copy(update={"output": tmp_path / "run"}))
    levels = plan(made_anew, read_profile(tmp_path / "profile.toml"), 1000)
    assert [[job.name for job in level] for level in levels][:3] == [["prepare"], ["base-trainings"], ["base"]]
    (job,) = levels[1]
    words = [task[0][:3] for task in job.tasks]
    assert words == [["base", "--only", "whole,fold-0"], ["base", "--only", "fold-1,fold-2"]]


@pytest.mark.parametrize(
    ("patch", "complaint"),
    [
        ("base: {model: nobody}", r"base\.model: 'nobody' is not defined in `models`"),
        ("base: {model: mf, vectors: nobody}", r"base\.vectors: 'nobody' is not defined"),
        ("base: {model: mf, vectors: level}", r"base\.vectors: 'level' is judged by ratings"),
        ("base: {model: level}", r"'level' is judged by ratings and cannot be chosen by recall@10; set models\.level"),
        ("base: {model: mf, folds: 1}", r"base\.folds"),
        ("base: {model: mf, fold: 2}", "did you mean 'folds'|folds"),
    ],
)
def test_a_section_that_cannot_work_is_refused(tmp_path: Path, patch: str, complaint: str) -> None:
    content = toy_config("nowhere", BASE, "models: {level: {family: level}}", patch)
    with pytest.raises(UsageError, match=complaint):
        open_run(tmp_path, content)


def test_a_model_without_embeddings_is_refused_with_a_remedy(tmp_path: Path) -> None:
    run = open_run(tmp_path, toy_config(write_toy_data(tmp_path / "data"), "base: {model: popular, folds: 2}"))
    with pytest.raises(AugrecError, match=r"Popularity has no embeddings(.|\n)*mf_bpr"):
        advance(run, "prepare", "base")


def test_ratings_without_vectors_say_that_nobody_is_similar(tmp_path: Path) -> None:
    content = toy_config(write_toy_data(tmp_path / "data"), *KINDS["rating"], "base: {vectors: null, folds: 2}")
    run = open_run(tmp_path, content)
    assert "nobody has a similar user" in advance(run, "prepare", "base")
    assert read_config(tmp_path / "toy.yaml").base is not None
    assert Catalog.load(run.files.dataset, None, run.files.base).user(0).similar == ()
