"""Trainings, and they alone, keep the memory that they free until they are done."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from augrec.pipeline.executors import pieces
from augrec.pipeline.executors.pieces import InOrder
from augrec.pipeline.host.attempts import Attempts
from augrec.pipeline.host.stopping import Stopper
from augrec.pipeline.stages import STAGES
from augrec.pipeline.stages.base import Piece, Resources, Run, Stage, Worker


class Noting(Stage):
    """A stage that notes in which order things begin and end."""

    name = "noting"
    help = "Note."

    def __init__(self, resources: Resources, notes: list[str]) -> None:
        self.resources = resources  # type: ignore[misc]
        self.notes = notes

    def section(self, run: Run) -> dict[str, Any]:
        return {}

    @contextmanager
    def worker(self, run: Run, group: str) -> Iterator[Worker]:
        notes = self.notes

        class Noter(Worker):
            def do(self, piece: Piece) -> int:
                notes.append(piece.name)
                return 1

        yield Noter()
        notes.append("end")

    def finish(self, run: Run) -> dict[str, Any]:
        return {}

    def outputs(self, run: Run) -> Iterable[Path]:
        return []


@pytest.mark.parametrize(
    ("stage", "notes"),
    [
        ("train", ["kept", "a 0", "given back", "kept", "a 1", "given back", "end"]),
        ("base", ["kept", "a 0", "given back", "kept", "a 1", "given back", "end"]),
        ("augment", ["a 0", "a 1", "end"]),
        ("embed", ["a 0", "a 1", "end"]),
        ("rerank", ["a 0", "a 1", "end"]),
    ],
)
def test_memory_is_kept_around_each_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: str, notes: list[str]
) -> None:
    found: list[str] = []

    @contextmanager
    def kept_memory() -> Iterator[None]:
        found.append("kept")
        yield
        found.append("given back")

    monkeypatch.setattr(pieces, "kept_memory", kept_memory)
    both = [Piece("noting", "a", n, f"a {n}", Attempts(tmp_path / f"{n}.jsonl", "print")) for n in (0, 1)]
    InOrder(None).do(cast("Run", SimpleNamespace(stop=Stopper())), Noting(STAGES[stage].resources, found), both)
    assert found == notes
