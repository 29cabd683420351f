"""Two run folders compared value by value, by files and columns and without the code that wrote them."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

TABLES = ("*.parquet",)
KEYS = {"records.parquet": ("key",)}
"""Columns that name versions and settings beside the content, and may change with either."""
ORDER = ("task", "entity", "question", "user", "rank", "item")
"""What rows are sorted by, as far as a table has it."""
MEASURED = (
    "seconds",
    "seconds_per_epoch",
    "peak_memory_mb",
    "energy",
    "energy_joules",
    "fingerprint",
    "version",
    "versions",
    "device",
)
"""Fields of JSON files that no two runs share."""


@dataclass(frozen=True)
class Difference:
    """Where two runs differ, and how."""

    place: str
    """`file: column or path of the value`."""
    what: str

    def within(self, pattern: str) -> bool:
        """Whether the place fits a pattern with `*`."""
        return fnmatchcase(self.place, pattern)

    def __str__(self) -> str:
        return f"{self.place}: {self.what}"


def differences(before: Path, after: Path) -> list[Difference]:
    """Everything that carries a result and is not the same in both run folders; a column or file more is no difference.

    Raises:
        FileNotFoundError: a folder holds no results at all, so that nothing was compared.
    """
    found: list[Difference] = []
    files = [path.relative_to(before) for path in sorted(before.rglob("*")) if _carries_results(path)]
    if not files:
        raise FileNotFoundError(before)
    for file in files:
        if not (after / file).exists():
            found.append(Difference(str(file), "the file is gone"))
        elif file.suffix == ".parquet":
            found += _tables(before / file, after / file, str(file))
        elif file.suffix == ".npy":
            found += _arrays(np.load(before / file), np.load(after / file), str(file))
        else:
            found += _values(before / file, after / file, str(file))
    return found


def _carries_results(path: Path) -> bool:
    if path.name in ("metrics.json", "results.json"):
        return True
    return path.suffix in (".parquet", ".npy") and path.is_file()


def _tables(before: Path, after: Path, place: str) -> Iterator[Difference]:
    old, new = (_sorted(pq.read_table(path)) for path in (before, after))
    if len(old) != len(new):
        yield Difference(place, f"{len(old)} rows before, {len(new)} after")
        return
    for name in old.column_names:
        if name in KEYS.get(before.name, ()):
            continue
        if name not in new.column_names:
            yield Difference(f"{place}: {name}", "the column is gone")
            continue
        unequal = [n for n, pair in enumerate(zip(old[name].to_pylist(), new[name].to_pylist(), strict=True))
                   if not _same(*pair)]  # fmt: skip
        if unequal:
            row = unequal[0]
            shown = f"{old[name][row].as_py()!r:.80} before, {new[name][row].as_py()!r:.80} after"
            yield Difference(f"{place}: {name}", f"{len(unequal)} of {len(old)} rows, first row {row}: {shown}")


def _sorted(table: pa.Table) -> pa.Table:
    names = [name for name in ORDER if name in table.column_names]
    return table.sort_by([(name, "ascending") for name in names]) if names else table


def _arrays(old: np.ndarray, new: np.ndarray, place: str) -> Iterator[Difference]:
    if old.shape != new.shape or old.dtype != new.dtype:
        yield Difference(place, f"{old.dtype} {old.shape} before, {new.dtype} {new.shape} after")
    elif not np.array_equal(old, new, equal_nan=True):
        largest = np.nanmax(np.abs(old.astype(np.float64) - new.astype(np.float64)))
        yield Difference(place, f"values differ by up to {largest:.3g}")


def _values(before: Path, after: Path, place: str) -> Iterator[Difference]:
    old, new = (dict(_leaves(json.loads(path.read_text(encoding="utf-8")))) for path in (before, after))
    for name, value in old.items():
        if name not in new:
            yield Difference(f"{place}: {name}", f"{value!r:.80} is gone")
        elif not _same(value, new[name]):
            yield Difference(f"{place}: {name}", f"{value!r:.80} before, {new[name]!r:.80} after")


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """The numbers of a JSON value by their path; an entry of a list is named by its texts and seed, else its place."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if name not in MEASURED:
                yield from _leaves(inner, f"{path}/{name}")
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            yield from _leaves(inner, f"{path}/{_label(inner) or place}")
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield path, value


def _label(entry: Any) -> str:
    if not isinstance(entry, dict):
        return ""
    named = {name: value for name, value in entry.items() if isinstance(value, str) or name in ("seed", "epoch")}
    return ",".join(f"{name}={value}" for name, value in sorted(named.items()))


def _same(old: Any, new: Any) -> bool:
    if isinstance(old, float) and isinstance(new, float) and math.isnan(old) and math.isnan(new):
        return True
    return bool(old == new)
