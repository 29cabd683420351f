"""What a request costs outside the engine: prompt, key, check, storage, the merged table."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from augment.options import SourceOptions
from augment.runner import run_source
from benchmarks.augmentation_work import SOURCE, Work

ROUNDS = 5


@dataclass(frozen=True)
class Cost:
    """CPU seconds per request, the least of some rounds."""

    seconds: float


def cost(work: Work, users: int) -> Cost:
    """A run by the control, which answers by a rule and at once."""
    source = SourceOptions.model_validate({"engine": {"kind": "heuristic"}, "tasks": work.source.tasks, "users": users})
    best = float("inf")
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory() as out:
            begun = time.process_time()
            run_source(
                work.catalog, SOURCE, source, work.generation,
                folder=Path(out), seed=work.parsed.seed,
            )  # fmt: skip
            best = min(best, time.process_time() - begun)
    return Cost(best / (users * len(source.tasks)))
