"""`augrec run --workers N` without a scheduler: N processes share a source's shards, each with an engine of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from augrec.artefacts.confinement import confined
from augrec.artefacts.cores import usable_cores
from augrec.artefacts.errors import AugrecError, UsageError
from augrec.pipeline.config import Config
from augrec.pipeline.executors.units import units
from augrec.pipeline.host.terminal import terminal
from augrec.pipeline.host.workers import run_tasks
from augrec.pipeline.stages.base import Run


@dataclass(frozen=True)
class Share:
    """What one process answers, and the GPUs it may see; None leaves them as they are."""

    config: Config
    source: str
    shards: tuple[int, ...]
    gpus: str | None
    threads: int = 1
    """Its share of the cores, the most threads it computes with where OMP_NUM_THREADS says nothing else."""


def answer_side_by_side(run: Run, workers: int) -> None:
    """Answers every shard of every source with `workers` processes; the caller holds the run's lock and merges.

    Raises:
        UsageError: the processes would have to share a GPU.
        AugrecError: shards failed, with the reasons; the others are answered and kept.
    """
    generation = run.config.generation
    problems: list[str] = []

    def done(share: Share, result: None, problem: str | None) -> Iterable[Share]:
        problems.extend([f"{share.source}: {problem}"] if problem else [])
        return ()

    for source, options in generation.sources.items() if generation else ():
        waiting = [unit.number for unit in units(run, "augment") if unit.group == source and not unit.done()]
        count = min(workers, len(waiting))
        if not count or options.engine.replays:
            continue
        gpus = gpu_shares(options.engine, count)
        threads = max(1, usable_cores() // count)
        shares = [Share(run.config, source, tuple(waiting[n::count]), gpus[n], threads) for n in range(count)]
        run_tasks(_answer, shares, count, done)
    if problems:
        raise AugrecError("shards failed:\n  - " + "\n  - ".join(problems), where=run.folder / "augment")


def gpu_shares(engine: Any, processes: int) -> list[str | None]:
    """The GPUs of each process, as CUDA_VISIBLE_DEVICES takes them; None where the engine uses none."""
    visible = _visible_gpus() if engine.needs_gpu else []
    if not visible:
        return [None] * processes
    each = engine.gpus
    if each * processes > len(visible):
        raise UsageError(
            f"{processes} processes with {each} GPU(s) each need {each * processes}, and {len(visible)} can be seen; "
            "two engines on one GPU would fight for its memory",
            where="--workers",
            remedy=f"--workers {max(1, len(visible) // each)}",
        )
    return [",".join(visible[each * n : each * (n + 1)]) for n in range(processes)]


def _visible_gpus() -> list[str]:
    told = os.environ.get("CUDA_VISIBLE_DEVICES")
    if told is not None:
        return [name for name in told.split(",") if name]
    if shutil.which("nvidia-smi") is None:
        return []
    listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=False, timeout=20)
    return [str(number) for number, _ in enumerate(line for line in listed.stdout.splitlines() if line[:4] == "GPU ")]


def _answer(share: Share) -> None:
    """One process's part; its progress is printed in lines, because several bars cannot share a terminal."""
    from augrec.pipeline.executors.work import answer

    os.environ["TTY_COMPATIBLE"] = "0"
    os.environ.setdefault("OMP_NUM_THREADS", str(share.threads))
    if share.gpus is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = share.gpus
    run = Run(share.config)
    with confined(run.folder):
        answer(run, share.source, share.shards, attempts=None, console=terminal(stderr=True))
