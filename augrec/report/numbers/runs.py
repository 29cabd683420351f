"""The trained variants of a run folder: every seed's metrics and per-user values, checked to fit together."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from augrec.artefacts.errors import DataError, UsageError
from augrec.artefacts.files import read_json, read_parquet
from augrec.report.options import ReportOptions

TRAIN_AGAIN = "run the train stage again: finished seeds are skipped"


@dataclass(frozen=True)
class Trained:
    """One variant: `metrics[seed]` is its metrics.json; `per_user[metric]` the mean over seeds, NaN without truth."""

    name: str
    metrics: dict[int, dict[str, Any]]
    users: np.ndarray
    per_user: dict[str, np.ndarray]

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


def metric_order(metric: str) -> tuple[str, int]:
    """Sorts "recall@5" before "recall@20"."""
    name, _, cutoff = metric.partition("@")
    return name, int(cutoff) if cutoff.isdigit() else 0


def read_trained(
    run: Path,
    options: ReportOptions,
    variants: list[str],
    seeds: Iterable[int] | None = None,
    own: Mapping[str, Iterable[int]] | None = None,
) -> dict[str, Trained]:
    """Reads `train/<variant>/seed-<n>/` of every variant, in the given order.

    Args:
        run: the run folder.
        options: what the report compares.
        variants: their names.
        seeds: those to read; None for all that are there.
        own: the seeds of variants that have others.

    Raises:
        UsageError: the baseline, the claim or a control is no variant.
        DataError: a seed is missing or unfinished, or a metric that the report needs is not there.
    """
    named = [options.baseline, *([options.claim] if options.claim else []), *(options.controls or ())]
    for name in named:
        if name not in variants:
            remedy = f"name one of: {', '.join(variants)}"
            raise UsageError(f"the report names {name!r}, which is not a variant of this run", remedy=remedy)
    wanted = None if seeds is None else sorted(set(seeds))
    given = {name: sorted(set(numbers)) for name, numbers in (own or {}).items()}
    trained = {name: read_variant(run / "train" / name, name, given.get(name, wanted)) for name in variants}
    for variant in trained.values():
        for seed, metrics in variant.metrics.items():
            _require_metrics(run, variant.name, seed, metrics["test"], (options.primary, *options.secondary))
        if options.primary not in variant.per_user:
            where = run / "train" / variant.name
            raise DataError(f"{options.primary} has no per-user values to test with", where=where, remedy=TRAIN_AGAIN)
    return trained


def read_variant(folder: Path, name: str, wanted: list[int] | None) -> Trained:
    """Reads one variant's folder; `wanted` are the seeds to read, None for all that are there."""
    if wanted is None:
        numbers = [re.fullmatch(r"seed-(\d+)", path.name) for path in folder.glob("seed-*")]
        wanted = sorted(int(number[1]) for number in numbers if number)
    if not wanted:
        raise DataError(f"variant {name!r} has no trained seeds", where=folder, remedy=TRAIN_AGAIN)
    metrics: dict[int, dict[str, Any]] = {}
    tables: list[dict[str, np.ndarray]] = []
    for seed in wanted:
        path = folder / f"seed-{seed}"
        metrics[seed] = _read_metrics(path / "metrics.json", name)
        tables.append(_read_per_user(path / "per_user.parquet", name))
    users = tables[0]["user"]
    for seed, table in zip(wanted, tables, strict=True):
        if not np.array_equal(table["user"], users) or table.keys() != tables[0].keys():
            where = folder / f"seed-{seed}" / "per_user.parquet"
            raise DataError("users or metrics differ from the variant's other seeds", where=where, remedy=TRAIN_AGAIN)
    per_user = {m: np.mean([table[m] for table in tables], axis=0) for m in tables[0] if m != "user"}
    return Trained(name, metrics, users, per_user)


def _read_metrics(path: Path, variant: str) -> dict[str, Any]:
    if not path.exists():
        raise DataError(f"variant {variant!r} has a seed that did not finish", where=path, remedy=TRAIN_AGAIN)
    metrics = read_json(path, remedy=TRAIN_AGAIN)
    if not isinstance(metrics, dict) or not isinstance(metrics.get("test"), dict):
        raise DataError("the file holds no test metrics", where=path, remedy=TRAIN_AGAIN)
    return metrics


def _read_per_user(path: Path, variant: str) -> dict[str, np.ndarray]:
    if not path.exists():
        what = f"variant {variant!r} has no per-user metrics, so nothing can be tested"
        raise DataError(what, where=path, remedy=TRAIN_AGAIN)
    table = read_parquet(path, remedy=TRAIN_AGAIN)
    if "user" not in table.column_names:
        raise DataError("the column 'user' is missing", where=path, remedy=TRAIN_AGAIN)
    order = np.argsort(table.column("user").to_numpy(), kind="stable")
    users = table.column("user").to_numpy()[order]
    if len(np.unique(users)) != len(users):
        raise DataError("a user occurs twice", where=path, remedy=TRAIN_AGAIN)
    columns = {name: table.column(name).to_numpy() for name in table.column_names if name != "user"}
    return {"user": users, **{name: column[order].astype(np.float64) for name, column in columns.items()}}


def _require_metrics(run: Path, variant: str, seed: int, test: dict[str, Any], metrics: tuple[str, ...]) -> None:
    missing = [metric for metric in metrics if metric not in test]
    if missing:
        raise DataError(
            f"variant {variant!r} was not evaluated with {', '.join(missing)}",
            where=run / "train" / variant / f"seed-{seed}" / "metrics.json",
            remedy=f"add the cutoff to the evaluation, or choose from: {', '.join(sorted(test, key=metric_order))}",
        )
