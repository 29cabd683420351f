"""Pieces of work done by one process: the same for an array task on a cluster and by hand on a laptop.

They write no stage marker: `augrec augment CONFIG` (or embed, train) does when every piece is there, and finds nothing
left to do but to merge.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from rich.console import Console

from augrec.artefacts.errors import AugrecError, UsageError
from augrec.pipeline.executors.chain import why_run
from augrec.pipeline.executors.pieces import TryAgain, give_up, locked, named, one_by_one, share_stage, within_limit
from augrec.pipeline.executors.ranges import format_ranges
from augrec.pipeline.executors.units import Unit, units
from augrec.pipeline.host.attempts import Attempts, job_id
from augrec.pipeline.host.stopping import Stopped
from augrec.pipeline.host.workers import run_tasks
from augrec.pipeline.stages import STAGES
from augrec.pipeline.stages.augment import engine_of, require_answered, stoppable
from augrec.pipeline.stages.base import Run
from augrec.pipeline.stages.embed import Embed, encoder_of
from augrec.pipeline.stages.train import default_workers
from augrec.pipeline.training import Training, train_one


def answer_shards(run: Run, source: str, shards: Iterable[int], *, attempts: int | None, console: Console) -> None:
    """Answers what some shards of a source are asked, one shard after the other with one engine.

    Args:
        run: the run; the stages before augment are finished.
        source: one of generation.sources.
        shards: which; those that are answered already are left alone.
        attempts: how often a shard may fail within one job before it is given up; None: no limit, nothing is retried.
    """
    with share_stage(run, "augment", console) as stale:
        if stale:
            answer(run, source, shards, attempts=attempts, console=console)


def answer(run: Run, source: str, shards: Iterable[int], *, attempts: int | None, console: Console) -> None:
    """`answer_shards` for a caller that holds the run's lock already."""
    mine = {unit.number: unit for unit in units(run, "augment") if unit.group == source}
    if not mine:
        known = ", ".join(run.config.generation.sources) if run.config.generation else "there is none"
        raise UsageError(f"generation.sources has no '{source}'", remedy=f"one of {known}")
    wanted = sorted(set(shards))
    strange = [shard for shard in wanted if shard not in mine]
    if strange:
        raise UsageError(f"{source} has no shard {format_ranges(strange)}", remedy=f"its shards: 0-{len(mine) - 1}")
    one_by_one(run, [mine[shard] for shard in wanted], partial(_answering, run, source), attempts, console)


def check_answered(run: Run) -> None:
    """Raises where a shard has no answers yet, so that a merge never starts an engine."""
    stage = STAGES["augment"]
    if why_run(stage, run, stage.marker(run), stage.identity(run)) is None:
        return
    waiting: dict[str, list[int]] = {}
    for unit in units(run, "augment"):
        if not unit.done():
            waiting.setdefault(unit.group, []).append(unit.number)
    if waiting:
        listed = "; ".join(f"{source} {format_ranges(shards)}" for source, shards in waiting.items())
        raise AugrecError(
            f"these shards are not answered yet: {listed}",
            where=run.folder / "augment",
            remedy="augrec augment CONFIG --source NAME --shards LIST answers them; without --merge, this command does",
        )


def embed_group(run: Run, group: str, *, attempts: int | None, console: Console) -> None:
    """Writes one group of matrices; see `answer_shards`."""
    stage = STAGES["embed"]
    assert isinstance(stage, Embed)

    @contextmanager
    def work() -> Iterator[Callable[[Unit], int]]:
        encoder = encoder_of(run)
        yield lambda unit: len(stage.write_group(run, unit.group, encoder))

    with share_stage(run, "embed", console) as stale:
        if not stale:
            return
        mine = named(units(run, "embed"), [group], "group of matrices")
        with locked(mine):
            one_by_one(run, mine, work, attempts, console)


def train_only(run: Run, names: Iterable[str], *, attempts: int | None, console: Console) -> None:
    """Runs some trainings, by names like `llmrec/seed-1`, as many side by side as fit; see `answer_shards`."""
    with share_stage(run, "train", console) as stale:
        if not stale:
            return
        mine = named(units(run, "train"), names, "training")
        with locked(mine):
            waiting, lost = within_limit([unit for unit in mine if not unit.done()], attempts)
            failures = _train(run, waiting)
            console.print(f"train: {len(waiting) - len(failures)} of {len(mine)} trained now", highlight=False)
            failed = [unit for unit in waiting if unit.name in failures]
            if attempts and any(unit.attempts.tries(job_id()) < attempts for unit in failed):
                raise TryAgain("\n".join(f"{name} failed: {problem}" for name, problem in failures.items()))
            give_up(lost + failed)


class _Answering:
    """Answers one shard after the other; see `augment.runner`."""

    def __init__(self, run: Run, source: str, catalog: Any, engine: Any) -> None:
        self._run, self._source, self._catalog, self._engine = run, source, catalog, engine
        self._before = 0

    def __call__(self, unit: Unit) -> int:
        from augment.runner import run_source

        generation = self._run.config.generation
        assert generation is not None
        self._before = self._engine.answered if self._engine else 0
        summary = run_source(
            self._catalog,
            self._source,
            generation.sources[self._source],
            generation,
            folder=self._run.folder / "augment" / self._source,
            seed=self._run.config.seed,
            shards=[unit.number],
            engine=self._engine,
        )
        require_answered(self._run, [self._source] if "open" in summary else [])
        return sum(task["requests"] for task in summary["tasks"].values())

    def progress(self) -> int:
        """Answers since the shard was begun."""
        return self._engine.answered - self._before if self._engine else 0


@contextmanager
def _answering(run: Run, source: str) -> Iterator[_Answering]:
    from augment.catalog import Catalog

    catalog = Catalog.load(run.folder / "dataset", run.folder / "candidates" / "candidates.parquet")
    engine = engine_of(run, source, catalog, f"-{os.environ.get('SLURM_JOB_ID', os.getpid())}")
    if engine is None:
        yield _Answering(run, source, catalog, None)
        return
    with engine:
        yield _Answering(run, source, catalog, stoppable(engine, run))


def _train(run: Run, waiting: list[Unit]) -> dict[str, str]:
    """Runs trainings in processes of their own; the reasons of failures by name."""
    failures: dict[str, str] = {}

    def done(training: Training, value: float | None, problem: str | None) -> Iterable[Training]:
        unit = next(unit for unit in waiting if unit.training == training)
        if problem is None:
            unit.attempts.end("done")
        else:
            failures[unit.name] = problem
            unit.attempts.end("failed", reason=problem)
        return ()

    cores = int(os.environ.get("SLURM_CPUS_PER_TASK", "0")) or len(waiting)
    workers = min(run.workers or default_workers(run.config), len(waiting), cores)
    try:
        if waiting:
            trainings = [unit.training for unit in waiting if unit.training]
            run_tasks(partial(_begin_and_train, beside_others=workers > 1), trainings, workers, done)
    except Stopped as stop:
        for unit in waiting:
            if unit.attempts.state().outcome in ("running", "killed"):
                unit.attempts.end("stopped", progress=1, reason=stop.what)
        raise
    return failures


def _begin_and_train(training: Training, beside_others: bool) -> float:
    Attempts(training.out / "attempts.jsonl", training.fingerprint).begin()
    return train_one(training, beside_others)
