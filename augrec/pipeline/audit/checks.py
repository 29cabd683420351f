"""What an audit finds."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from augrec.artefacts.errors import DataError
from augrec.artefacts.files import read_json
from augrec.artefacts.run_folder import RunFolder
from augrec.pipeline.audit.saved_config import saved_config
from augrec.report.measures.alignment import Alignment
from augrec.report.measures.edge_worth import EdgeWorth


@dataclass(frozen=True)
class Check:
    """One property, over how many rows it was checked, and the rows that break it."""

    name: str
    rows: int
    violations: tuple[str, ...] = ()


@dataclass(frozen=True)
class Asked:
    """A task of a source as its `task.json` says it, read without the code that wrote it."""

    name: str
    about: str
    """user or item."""
    kind: str
    """What its answers are: text, attributes, edges, ..."""
    from_candidates: bool
    """Whether its prompts offer candidates of the base recommender and nothing else."""
    reads: tuple[str, ...]
    sampled: bool
    """Whether its prompts show some of a user's training items instead of the latest."""


def read_task(folder: Path, source: str, task: str) -> Asked:
    """The task of a source in a run folder. Raises DataError where nothing says what it is."""
    path = RunFolder(folder).source(source).task(task).card
    card = read_json(path, remedy="run `augrec augment CONFIG`")
    try:
        gives, about = card["gives"], card["about"]
        if card["name"] != task or about not in ("user", "item"):
            raise ValueError
        among = gives.get("among", "candidates") == "candidates"
        edges, sampled = gives["kind"] == "edges" and among, card.get("shows", "latest") == "sample"
        return Asked(task, about, str(gives["kind"]), edges, tuple(card["reads"]), sampled)
    except (KeyError, TypeError, ValueError, AttributeError):
        raise DataError(
            "this is no description of the task", where=path, remedy="run `augrec augment CONFIG`"
        ) from None


def read_variants(folder: Path) -> list[dict[str, Any]]:
    """The variants of a run's config as plain values; none where there is no config."""
    return list((saved_config(folder).get("variants") or {}).values())


@dataclass(frozen=True)
class Audit:
    """All checks of a run, per source how many augmented pairs are held-out interactions, and what texts say of it."""

    checks: tuple[Check, ...]
    leaks: dict[str, dict[str, int]]
    unwritten: str | None = None
    """Why audit.json could not be written; None where it was."""
    alignment: tuple[Alignment, ...] = ()
    """Whether texts belong to their ids: reported and no violation, for texts may say nothing of who likes what."""
    edge_worth: tuple[EdgeWorth, ...] = ()
    """How often the edges of each source are validation interactions."""
    left_out: str | None = None
    """What was not looked at; None where all was."""

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
            "alignment": [asdict(found) for found in self.alignment],
            "edge_worth": [asdict(found) for found in self.edge_worth],
            **({"left_out": self.left_out} if self.left_out else {}),
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
