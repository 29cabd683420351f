"""The rows that re-ranking makes of one training: weights chosen on validation, lists blended, test judged once."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from augment.tasks import TASKS
from augrec.artefacts.files import digest, write_json, write_parquet
from augrec.artefacts.interactions import UserItems
from augrec.artefacts.metrics import Metric
from augrec.artefacts.ranked_lists import write_ranked_lists
from augrec.artefacts.run_folder import RunFolder
from augrec.artefacts.tasks import Ranking
from augrec.artefacts.trainings import TrainingResult, read_training, stored_means
from augrec.pipeline.reranking.answers import Answers, read_ranking, read_rating
from augrec.pipeline.reranking.lists import cutoffs_of, read_lists
from augrec.pipeline.reranking.options import WITHOUT_CHOICE, Control, RerankRow
from augrec.pipeline.side.side_information import stream
from augrec.pipeline.training.variant_training import Training
from recsys.batches.base import Split
from recsys.data.dataset import Dataset
from recsys.evaluation.lists import RankedLists, evaluate_lists
from recsys.evaluation.rating import evaluate_ratings, rating_range
from recsys.evaluation.result import Evaluation
from recsys.options import Judged
from recsys.reranking.aggregation import UNIFORM, Judgement, Weights, combined, reranked
from recsys.reranking.controls import item_means, of_others, popular_places, random_places, shuffled_ratings

SPLITS: tuple[Split, Split] = ("valid", "test")


@dataclass(frozen=True, eq=False)
class Side:
    """One split of a training: its lists, and what is said of their first items."""

    split: Split
    lists: RankedLists
    answers: Mapping[str, Answers]


class Rows(ABC):
    """Makes the rows of one training: of ranked lists, or of ratings.

    Args:
        training: finished.
        dataset: of the run.
        identity: of what the answers were made with; part of every row's fingerprint.
    """

    @classmethod
    def of(cls, training: Training, dataset: Dataset, identity: str) -> Rows:
        """Those of a training, by what its model is judged by."""
        model = training.config.models[training.config.variants[training.variant].model]
        kind = RatedRows if model.judged is Judged.RATING else RankedRows
        return kind(training, dataset, identity)

    def __init__(self, training: Training, dataset: Dataset, identity: str) -> None:
        assert training.config.rerank is not None
        self.training, self.dataset, self.identity = training, dataset, identity
        self.options, self.evaluation = training.config.rerank, training.config.evaluation
        self.model = training.config.models[training.config.variants[training.variant].model]
        self.files = RunFolder(training.run_folder)
        self.choosing = dataset.sealed()
        self.counts = np.bincount(dataset.train[:, 0], minlength=dataset.n_users)
        self.monitor = Metric.parse(self.options.monitor or self.usual_monitor())
        self.sides = {split: self._read(split) for split in SPLITS if len(dataset.pairs(split))}

    def _read(self, split: Split) -> Side:
        there = self.files.reranking(self.training.variant, self.training.seed, split)
        lists = read_lists(there.lists, self.dataset)
        size = self.size(lists)
        answers = {}
        for task in self.options.tasks:
            records = there.answers.task(task).records
            if isinstance(TASKS[task].gives, Ranking):
                answers[task] = read_ranking(records, lists, size, self._orders(task))
            else:
                answers[task] = read_rating(records, lists, size)
        return Side(split, lists, answers)

    @abstractmethod
    def usual_monitor(self) -> str:
        """The metric on validation that chooses weights, unless the config names one."""

    @abstractmethod
    def size(self, lists: RankedLists) -> int:
        """How many items of each list are judged."""

    @abstractmethod
    def judged_by_nobody(self, control: Control | None, items: np.ndarray, rng: np.random.Generator) -> Judgement:
        """What a control says of lists, int64 [n, width], that asks nobody."""

    @abstractmethod
    def judged_as_others(self, answers: Answers, items: np.ndarray, rng: np.random.Generator) -> Judgement:
        """The answers with each one given to another user, or another pair: the control `shuffled`."""

    @abstractmethod
    def blended(self, lists: RankedLists, judged: Judgement, alpha: np.ndarray) -> RankedLists:
        """The lists after a judgement of their first items, which counts by float64 [n] alpha, one for each list."""

    @abstractmethod
    def evaluated(self, lists: RankedLists, dataset: Dataset, split: Split, cutoffs: list[int]) -> Evaluation:
        """What lists are worth on a split."""

    def write(self, row: RerankRow) -> dict[str, Any]:
        """Writes a row's folder as a training writes its own, and returns what its summary says."""
        out = self.files.reranked(row.name, self.training.seed)
        base = read_training(self.files.training(self.training.variant, self.training.seed))
        judged = {split: self._judgement(side, row) for split, side in self.sides.items()}
        grid = self._grid(row, judged)
        weights = self._weights(row, grid)
        results = {split: self._result(side, judged[split], weights) for split, side in self.sides.items()}
        test, lists = results["test"]
        made = self._made_with(row, weights) | {"grid": _plain(grid)} | self._among_asked(test)
        metrics = self._metrics(row, base, {split: found for split, (found, _) in results.items()}, made)
        users = np.arange(self.dataset.n_users, dtype=np.int32)
        out.root.mkdir(parents=True, exist_ok=True)
        write_ranked_lists(out.lists, *_written(lists, self.dataset.n_users))
        write_parquet(out.per_user, pa.table({"user": users, **test.per_user}))
        write_json(out.metrics, metrics)
        return made

    def _fingerprint(self, row: RerankRow) -> str:
        return digest({"answers": self.identity, "row": row.name, "training": self.training.fingerprint})

    def _judgement(self, side: Side, row: RerankRow) -> Judgement:
        """What is said of the lists of a split in a row."""
        rng = stream(self.training.seed, f"rerank/{row.name}/{side.split}")
        if row.task is None:
            return self.judged_by_nobody(row.control, side.lists.items, rng)
        answers = side.answers[row.task]
        return self.judged_as_others(answers, side.lists.items, rng) if row.control == "shuffled" else answers.judged

    def asked(self, side: Side) -> np.ndarray:
        """bool [n], whose lists were asked about in any task: the others stay as they are in every row."""
        return np.logical_or.reduce([answers.asked for answers in side.answers.values()])

    def _grid(self, row: RerankRow, judged: Mapping[Split, Judgement]) -> list[tuple[Weights, float]]:
        """What the monitor is on validation with all weights that may be chosen; none where they are given."""
        given = row.control in WITHOUT_CHOICE or self.options.aggregation == "uniform" or "valid" not in self.sides
        found = []
        for b1, b2 in [] if given else product(self.options.grid, repeat=2):
            weights, side = Weights(b1, b2, self.options.reading), self.sides["valid"]
            value = self._evaluated(side, self._blended(side, judged["valid"], weights), [self.monitor.k or 1])
            found.append((weights, value.mean[str(self.monitor)]))
        return found

    def _weights(self, row: RerankRow, grid: Sequence[tuple[Weights, float]]) -> Weights:
        """The weights of a row: given, or the best on validation; of equally good ones the smallest."""
        if not grid:
            return Weights(everybody=1.0 if row.control == "alone" else UNIFORM)
        best, value = grid[0]
        for weights, mean in grid[1:]:
            if self.monitor.better(mean, value):
                best, value = weights, mean
        return best

    def _blended(self, side: Side, judged: Judgement, weights: Weights) -> RankedLists:
        """The lists of a split after a judgement of their first items."""
        asked = self.asked(side)
        alpha = np.where(asked, weights.of(self.counts)[side.lists.users], 0.0)
        return self.blended(side.lists, judged, alpha)

    def _evaluated(self, side: Side, lists: RankedLists, cutoffs: list[int]) -> Evaluation:
        dataset = self.dataset if side.split == "test" else self.choosing
        return self.evaluated(lists, dataset, side.split, cutoffs)

    def _result(self, side: Side, judged: Judgement, weights: Weights) -> tuple[Evaluation, RankedLists]:
        lists = self._blended(side, judged, weights)
        return self._evaluated(side, lists, cutoffs_of(self.training)), lists

    def _among_asked(self, test: Evaluation) -> dict[str, Any]:
        """The test metrics of who was asked about, and what they are of lists that nobody changed."""
        side = self.sides["test"]
        users = side.lists.users[self.asked(side)]
        before = self._evaluated(side, side.lists, cutoffs_of(self.training))
        return {
            "asked": len(users),
            "among_asked": stored_means({name: _mean(values[users]) for name, values in test.per_user.items()}),
            "unchanged": stored_means({name: _mean(values[users]) for name, values in before.per_user.items()}),
        }

    def _made_with(self, row: RerankRow, weights: Weights) -> dict[str, Any]:
        """What is said of a row beside its metrics."""
        side = self.sides["test"]
        alpha = weights.of(self.counts)[side.lists.users[self.asked(side)]]
        given = weights.everybody is not None
        return {
            "row": row.name,
            "variant": row.variant,
            "seed": self.training.seed,
            "task": row.task,
            "control": row.control,
            "b1": None if given else weights.b1,
            "b2": None if given else weights.b2,
            "chosen_by": None if given else str(self.monitor),
            "alpha": {
                "mean": float(alpha.mean()) if len(alpha) else None,
                "least": float(alpha.min()) if len(alpha) else None,
                "most": float(alpha.max()) if len(alpha) else None,
            },
            "users": len(side.lists),
            "answers": {
                split: there.answers[row.task].counted.as_json()
                for split, there in self.sides.items()
                if row.task is not None
            },
        }

    def _metrics(
        self, row: RerankRow, base: TrainingResult, found: Mapping[Split, Evaluation], made: Mapping[str, Any]
    ) -> dict[str, Any]:
        """The content of metrics.json."""
        names = dict.fromkeys(name for part in found.values() for name in part.mean)
        settings = dict(found["test"].settings)
        return {
            "variant": row.name,
            "model": self.model.family,
            "seed": self.training.seed,
            "fingerprint": self._fingerprint(row),
            "judged": self.model.judged.value,
            "lower_is_better": [name for name in names if Metric.parse(name).lower_is_better],
            **({"judged_with": settings} if settings else {}),
            **{split: stored_means(found[split].mean) if split in found else {} for split in SPLITS},
            "deterministic": base.deterministic and row.control not in ("random", "shuffled") and self._greedy(row),
            "reranked": dict(made),
            "n_test_users": found["test"].n_users,
            "n_valid_users": found["valid"].n_users if "valid" in found else 0,
        }

    def _orders(self, task: str) -> int:
        """In how many orders a list is shown."""
        generation = self.training.config.generation
        assert generation is not None
        return int(getattr(generation.task_options(task, generation.sources[self.options.source]), "permutations", 1))

    def _greedy(self, row: RerankRow) -> bool:
        """Whether nothing is drawn while the language model answers."""
        generation = self.training.config.generation
        assert generation is not None
        if row.task is None:
            return True
        options = generation.task_options(row.task, generation.sources[self.options.source])
        return bool(options.labels) or options.sampling.temperature == 0


class RankedRows(Rows):
    """Rows of a model that ranks items: the first items of a list are put in another order."""

    def usual_monitor(self) -> str:
        """See `Rows.usual_monitor`: ndcg of as many items as are judged."""
        return f"ndcg@{self.options.list_size}"

    def size(self, lists: RankedLists) -> int:
        """See `Rows.size`."""
        return min(self.options.list_size, lists.items.shape[1])

    def judged_by_nobody(self, control: Control | None, items: np.ndarray, rng: np.random.Generator) -> Judgement:
        """See `Rows.judged_by_nobody`: a random order, or that of popularity."""
        size = min(self.options.list_size, items.shape[1])
        if control == "random":
            return random_places(items, size, rng)
        return popular_places(items, size, np.bincount(self.dataset.train[:, 1], minlength=self.dataset.n_items))

    def judged_as_others(self, answers: Answers, items: np.ndarray, rng: np.random.Generator) -> Judgement:
        """See `Rows.judged_as_others`: place by place."""
        return of_others(answers.judged, items, answers.asked, rng)

    def blended(self, lists: RankedLists, judged: Judgement, alpha: np.ndarray) -> RankedLists:
        """See `Rows.blended`; scores are places from then on."""
        items = reranked(lists.items, judged, alpha, self.options.utility)
        return RankedLists(lists.users, items, -np.arange(1.0, items.shape[1] + 1) + np.zeros(items.shape))

    def evaluated(self, lists: RankedLists, dataset: Dataset, split: Split, cutoffs: list[int]) -> Evaluation:
        """See `Rows.evaluated`."""
        return evaluate_lists(lists, dataset, split, cutoffs=cutoffs, judged=self.model.judged, options=self.evaluation)


class RatedRows(Rows):
    """Rows of a model that predicts ratings: a list is a user's held-out pairs, and all of them are judged."""

    def usual_monitor(self) -> str:
        """See `Rows.usual_monitor`."""
        return "rmse"

    def size(self, lists: RankedLists) -> int:
        """See `Rows.size`: all."""
        return int(lists.items.shape[1])

    def judged_by_nobody(self, control: Control | None, items: np.ndarray, rng: np.random.Generator) -> Judgement:
        """See `Rows.judged_by_nobody`: an item's mean rating, or training ratings drawn at random."""
        ratings = self.dataset.ratings("train")
        assert ratings is not None
        if control == "popularity":
            values = item_means(items, self.dataset.train, ratings.astype(np.float64), self.dataset.n_items)
        else:
            values = np.where(items >= 0, rng.choice(ratings, items.shape), np.nan)
        return Judgement(values, places=False)

    def judged_as_others(self, answers: Answers, items: np.ndarray, rng: np.random.Generator) -> Judgement:
        """See `Rows.judged_as_others`."""
        return Judgement(shuffled_ratings(answers.judged.values, rng), places=False)

    def blended(self, lists: RankedLists, judged: Judgement, alpha: np.ndarray) -> RankedLists:
        """See `Rows.blended`; within the range of training ratings."""
        total = combined(judged.values, lists.scores, alpha).clip(*rating_range(self.dataset))
        return RankedLists(lists.users, lists.items, total)

    def evaluated(self, lists: RankedLists, dataset: Dataset, split: Split, cutoffs: list[int]) -> Evaluation:
        """See `Rows.evaluated`; ratings have no cutoffs."""
        return evaluate_ratings(_rate(lists, self.dataset.n_items), dataset, split, clip=True)


def _plain(grid: Sequence[tuple[Weights, float]]) -> list[list[float | None]]:
    """b1, b2 and the value of each point, as JSON values."""
    return [[weights.b1, weights.b2, value if math.isfinite(value) else None] for weights, value in grid]


def _written(lists: RankedLists, n_users: int) -> Iterator[Any]:
    row, place = np.nonzero(lists.items >= 0)
    yield UserItems.build(lists.users[row], lists.items[row, place], n_users)
    yield lists.scores[row, place]


def _rate(lists: RankedLists, n_items: int) -> Callable[[Tensor], Tensor]:
    """The ratings of lists, as an evaluation asks for them: pairs int64 [b, 2] -> float64 [b]."""
    row, place = np.nonzero(lists.items >= 0)
    keys = lists.users[row] * n_items + lists.items[row, place]
    order = np.argsort(keys)
    keys, values = keys[order], lists.scores[row, place][order]

    def rate(pairs: Tensor) -> Tensor:
        wanted = pairs.numpy() @ np.array([n_items, 1])
        return torch.from_numpy(values[np.searchsorted(keys, wanted)])

    return rate


def _mean(values: np.ndarray) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else math.nan
