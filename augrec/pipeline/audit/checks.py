"""What an audit finds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Check:
    """One property, over how many rows it was checked, and the rows that break it."""

    name: str
    rows: int
    violations: tuple[str, ...] = ()


@dataclass(frozen=True)
class Audit:
    """All checks of a run, and per source how many augmented pairs are held-out interactions."""

    checks: tuple[Check, ...]
    leaks: dict[str, dict[str, int]]
    unwritten: str | None = None
    """Why audit.json could not be written; None where it was."""

    @property
    def violations(self) -> int:
        """The number of offending rows."""
        return sum(len(check.violations) for check in self.checks)

    def as_json(self) -> dict[str, Any]:
        """The content of `audit.json`."""
        return {
            "violations": self.violations,
            "checks": [
                {"name": check.name, "rows": check.rows, "violations": list(check.violations)} for check in self.checks
            ],
            "augmented_pairs": self.leaks,
        }


@dataclass(frozen=True)
class Split:
    """The interactions as the audit reads them: int64 (user, item) pairs per split, and sizes."""

    n_users: int
    n_items: int
    pairs: dict[str, np.ndarray]
    train_history: dict[int, list[int]]
    """Each user's training items, oldest first."""

    def keys(self, name: str) -> np.ndarray:
        """Sorted user * n_items + item of one split."""
        return np.sort(self.key(self.pairs[name]))

    def key(self, pairs: np.ndarray) -> np.ndarray:
        """One number per (user, item) pair."""
        return pairs[:, 0] * self.n_items + pairs[:, 1]


def broken(rows: np.ndarray, describe: Any) -> tuple[str, ...]:
    """Describes each row index where `rows` is true."""
    return tuple(describe(int(row)) for row in np.flatnonzero(rows))
