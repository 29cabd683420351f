"""The trained variants of a run folder: every seed's metrics and per-user values, checked to fit together."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from augrec.artefacts.errors import DataError, UsageError
from augrec.artefacts.metrics import Metric
from augrec.artefacts.run_folder import RunFolder
from augrec.artefacts.trainings import TRAIN_AGAIN, read_per_user, read_training
from augrec.report.options import ReportOptions

Values = Mapping[str, np.ndarray]
"""metric -> a value per user."""


class _LazyValues(Values, ABC):
    """Values whose metrics are known before any value is read or computed."""

    def __init__(self, metrics: Iterable[str]) -> None:
        self._names = list(metrics)

    def __getitem__(self, metric: str) -> np.ndarray:
        if metric not in self._names:
            raise KeyError(metric)
        return self.made(metric)

    @abstractmethod
    def made(self, metric: str) -> np.ndarray:
        """The values of one of the metrics."""

    def __contains__(self, metric: object) -> bool:  # a Mapping's own would make the values
        return metric in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


class MeanValues(_LazyValues):
    """The means of several tables of values, made when they are asked for; those of the last metric are kept."""

    def __init__(self, tables: Sequence[Values]) -> None:
        super().__init__(tables[0])
        self._tables = tables
        self._last: tuple[str, np.ndarray] | None = None

    def made(self, metric: str) -> np.ndarray:
        """The mean of the tables' values."""
        if self._last is None or self._last[0] != metric:
            self._last = metric, np.mean([table[metric] for table in self._tables], axis=0)
        return self._last[1]


class SomeValues(_LazyValues):
    """Some metrics of a table of values."""

    def __init__(self, table: Values, metrics: Collection[str]) -> None:
        super().__init__(name for name in table if name in metrics)
        self._table = table

    def made(self, metric: str) -> np.ndarray:
        """The table's values."""
        return self._table[metric]


@dataclass(frozen=True)
class Trained:
    """One variant: `metrics[seed]` is its metrics.json; `per_user[metric]` the mean over seeds, NaN without truth.

    `by_seed[seed][metric]` are the values per user of one seed, of the metrics that were asked for: `among` needs them,
    and what is said of users and seeds together. Both may be read from files when they are asked for, where those of
    the last metric are kept: who goes through many variants goes metric by metric.
    """

    name: str
    metrics: dict[int, dict[str, Any]]
    users: np.ndarray
    per_user: Values
    by_seed: Mapping[int, Values] = field(default_factory=dict)
    draws: tuple[Trained, ...] = ()
    """Its trainings on each of several draws of a language model, all with the same seeds; `metrics`, `per_user` and
    `by_seed` are then means over them. Empty where its augmentation was drawn once."""

    @property
    def each_draw(self) -> tuple[Trained, ...]:
        """The draws; the variant itself where there is one."""
        return self.draws or (self,)

    @property
    def model(self) -> str:
        """The family of the model, e.g. "lightgcn"; the variant's own name when it is not told."""
        return str(next(iter(self.metrics.values())).get("model", self.name))

    @property
    def deterministic(self) -> bool:
        """Whether nothing in it was drawn, neither by the model nor for it: every seed then gives the same."""
        return all(metrics.get("deterministic") is True for metrics in self.metrics.values())

    def values(self, metric: str) -> dict[int, float]:
        """seed -> the metric's mean over the test users, without seeds where it is missing."""
        found = {seed: m["test"].get(metric) for seed, m in self.metrics.items()}
        return {seed: float(v) for seed, v in found.items() if v is not None and np.isfinite(v)}

    def mean(self, metric: str) -> float:
        """The metric's mean over seeds; NaN when no seed has it."""
        values = list(self.values(metric).values())
        return float(np.mean(values)) if values else float("nan")

    def among(self, users: np.ndarray, metrics: Sequence[str] | None = None) -> Trained:
        """The variant on some of the users (sorted ids), by some of its metrics: its metrics are means over these.

        Args:
            users: the ids.
            metrics: those that are kept; None for all.
        """
        rows = _rows(self.users, users)

        def part(values: Values) -> dict[str, np.ndarray]:
            return {name: values[name][rows] for name in values if metrics is None or name in metrics}

        by_seed = {seed: part(table) for seed, table in self.by_seed.items()}
        tests = {
            seed: {
                "test": {name: _mean(values) for name, values in table.items()},
                "deterministic": self.deterministic,
            }
            for seed, table in by_seed.items()
        }
        draws = tuple(draw.among(users, metrics) for draw in self.draws)
        return Trained(self.name, tests, self.users[rows], part(self.per_user), by_seed, draws)


def _rows(among: np.ndarray, users: np.ndarray) -> np.ndarray | slice:
    """Where some users stand; all rows as a slice, which copies nothing."""
    there = np.isin(among, users)
    return slice(None) if there.all() else np.flatnonzero(there)


def over_draws(name: str, draws: Sequence[Trained]) -> Trained:
    """One variant of its trainings on several draws; the only one as it is.

    Raises:
        DataError: they were trained with other seeds, or judged by other users.
    """
    if len(draws) == 1:
        return draws[0]
    first = draws[0]
    for draw in draws:
        if draw.metrics.keys() != first.metrics.keys() or not np.array_equal(draw.users, first.users):
            what = f"the draws {first.name!r} and {draw.name!r} were trained with other seeds or judged by other users"
            raise DataError(what, remedy=TRAIN_AGAIN)
    metrics = {seed: {**of_seed, "test": _mean_test(draws, seed)} for seed, of_seed in first.metrics.items()}
    per_user = MeanValues([draw.per_user for draw in draws])
    by_seed = {seed: MeanValues([draw.by_seed[seed] for draw in draws]) for seed in first.by_seed}
    return Trained(name, metrics, first.users, per_user, by_seed, tuple(draws))


def _mean_test(draws: Sequence[Trained], seed: int) -> dict[str, float | None]:
    """The mean over draws of every metric that each of them has."""
    tests = [draw.metrics[seed]["test"] for draw in draws]
    means: dict[str, float | None] = {}
    for metric in tests[0]:
        values = [test.get(metric) for test in tests]
        known = [float(value) for value in values if value is not None and np.isfinite(value)]
        means[metric] = float(np.mean(known)) if len(known) == len(values) else None
    return means


def _mean(values: np.ndarray) -> float | None:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else None


def metric_order(metric: str) -> tuple[str, int]:
    """Sorts "recall@5" before "recall@20"; a metric that nobody knows any more stands by its name."""
    try:
        return Metric.parse(metric).order
    except ValueError:
        return metric, 0


def read_trained(
    run: RunFolder,
    options: ReportOptions,
    variants: Mapping[str, Sequence[int] | None],
    reranked: Collection[str] = (),
    draws: Mapping[str, Sequence[str]] | None = None,
) -> dict[str, Trained]:
    """Reads the trainings of every variant, in the given order.

    Args:
        run: the run folder.
        options: what the report compares.
        variants: the seeds to read by variant; None for all that are there.
        reranked: those among them that are rows of re-ranking.
        draws: variant -> the variants it was trained as, of those whose source was drawn several times.

    Raises:
        UsageError: the baseline, the claim or a control is no variant.
        DataError: a seed is missing or unfinished, or a metric that the report needs is not there.
    """
    for name in (options.baseline, *([options.claim] if options.claim else []), *(options.controls or ())):
        if name not in variants:
            remedy = f"name one of: {', '.join(variants)}"
            raise UsageError(f"the report names {name!r}, which is not a variant of this run", remedy=remedy)
    metrics = (options.primary, *options.secondary)
    trained = {
        name: read_draws(
            run,
            name,
            (draws or {}).get(name, [name]),
            seeds,
            metrics,
            by_seed=metrics,
            reranked=name in reranked,
        )
        for name, seeds in variants.items()
    }
    for variant in trained.values():
        if options.primary not in variant.per_user:
            where = run.train / variant.name
            raise DataError(f"{options.primary} has no per-user values to test with", where=where, remedy=TRAIN_AGAIN)
    return trained


def read_draws(
    run: RunFolder,
    name: str,
    draws: Sequence[str],
    seeds: Sequence[int] | None = None,
    metrics: Sequence[str] = (),
    *,
    by_seed: Iterable[str] | None = None,
    reranked: bool = False,
) -> Trained:
    """Reads one variant of a run folder, from the trainings of each of its draws.

    Args:
        run, seeds, metrics, by_seed, reranked: as `read_variant` takes them.
        name: the variant.
        draws: the variants it was trained as; itself alone where its source was drawn once.

    Raises:
        DataError: as `read_variant` and `over_draws`.
    """
    chosen = None if seeds is None else sorted(set(seeds))
    return over_draws(
        name, [read_variant(run, draw, chosen, metrics, by_seed=by_seed, reranked=reranked) for draw in draws]
    )


def read_variant(
    run: RunFolder,
    name: str,
    seeds: Sequence[int] | None = None,
    metrics: Sequence[str] = (),
    *,
    by_seed: Iterable[str] | None = None,
    reranked: bool = False,
) -> Trained:
    """Reads one variant of a run folder, or a row that re-ranking made.

    Args:
        run: the run folder.
        name: the variant.
        seeds: those to read; None for all that are there.
        metrics: what the test split must have been evaluated with.
        by_seed: the metrics whose values per user are kept for every seed, and not only as their mean; None for all.
        reranked: whether it is a row of re-ranking, of which all seeds are named.

    Raises:
        DataError: there are no seeds, one has not finished, or they do not fit together.
    """
    wanted = run.seeds(name) if seeds is None else list(seeds)
    if not wanted:
        where = run.train / name
        raise DataError(f"variant {name!r} has no trained seeds", where=where, remedy=TRAIN_AGAIN)
    folder_of = run.reranked if reranked else run.training
    results = {seed: read_training(folder_of(name, seed)) for seed in wanted}
    for result in results.values():
        result.require(metrics)
    tables = [read_per_user(folder_of(name, seed)) for seed in wanted]
    first = tables[0]
    for seed, table in zip(wanted, tables, strict=True):
        if not np.array_equal(table.users, first.users) or table.values.keys() != first.values.keys():
            where = folder_of(name, seed).per_user
            raise DataError("users or metrics differ from the variant's other seeds", where=where, remedy=TRAIN_AGAIN)
    values = [table.values for table in tables]
    details = {seed: dict(result.details) for seed, result in results.items()}
    asked = list(first.values) if by_seed is None else list(by_seed)
    kept = {seed: SomeValues(one, asked) for seed, one in zip(wanted, values, strict=True)}
    return Trained(name, details, first.users, MeanValues(values), kept)
