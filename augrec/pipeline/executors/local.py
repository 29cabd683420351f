"""Pieces done on this machine by several processes beside each other."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from augrec.artefacts.confinement import confined
from augrec.artefacts.cores import usable_cores
from augrec.artefacts.errors import UsageError
from augrec.artefacts.gpus import visible_gpus
from augrec.artefacts.run_log import kept
from augrec.pipeline.config.run_config import Config
from augrec.pipeline.executors.pieces import Executor, InOrder, TryAgain, give_up, within_limit
from augrec.pipeline.executors.watch import note_stop, watched
from augrec.pipeline.host.attempts import job_id
from augrec.pipeline.host.stopping import Stopped
from augrec.pipeline.host.terminal import terminal
from augrec.pipeline.host.workers import run_tasks
from augrec.pipeline.stages.base import Piece, Run, Stage


@dataclass(frozen=True)
class Share:
    """What one process does, and what of the machine it may use."""

    config: Config
    stage: Stage
    pieces: tuple[Piece, ...]
    beside: int
    """Processes that work at the same time, this one included."""
    gpus: str | None = None
    """The GPUs it may see, as CUDA_VISIBLE_DEVICES takes them; None leaves them as they are."""
    threads: int | None = None
    """The most threads it computes with where OMP_NUM_THREADS says nothing else; None leaves it to the worker."""

    @property
    def name(self) -> str:
        """Of the piece, or of the group where there are several."""
        return self.pieces[0].name if len(self.pieces) == 1 else self.pieces[0].group


@dataclass
class Local(Executor):
    """Does the pieces of a stage in processes of their own; a failure stops no other process.

    Where a stage asks for no processes, nothing is done here: its `finish` does everything in the process that is
    there, with one worker and no merge of parts.
    """

    workers: int | None = None
    """How many processes the user asked for; None leaves it to the stage."""
    attempts: int | None = None
    """See `InOrder`."""

    def takes(self, run: Run, stage: Stage) -> bool:
        """See `Executor.takes`.

        Raises:
            UsageError: a launcher started several of this program.
        """
        if stage.processes(run, self.workers) == 0:
            return False
        _refuse_launcher()
        return True

    def do(self, run: Run, stage: Stage, pieces: Sequence[Piece]) -> None:
        """Does the pieces that are not done yet, of one wave; see `InOrder.do`."""
        _refuse_launcher()
        waiting, lost = within_limit([piece for piece in pieces if not piece.done()], self.attempts)
        self.do_wave(run, stage, waiting, len(pieces) - len(lost))
        failed = [piece for piece in waiting if piece.name in self.failures]
        if self.attempts and any(piece.attempts.tries(job_id()) < self.attempts for piece in failed):
            raise TryAgain("\n".join(f"{name} failed: {problem}" for name, problem in self.failures.items()))
        give_up(lost + failed)

    def do_wave(self, run: Run, stage: Stage, waiting: list[Piece], everything: int) -> None:
        """See `Executor.do_wave`."""
        if not waiting:
            return
        cores = int(os.environ.get("SLURM_CPUS_PER_TASK", "0")) or len(waiting)
        workers = min(stage.processes(run, self.workers) or 1, len(waiting), cores)
        costly = stage.resources.costly_start
        with watched(run, stage, waiting, everything, self.failures, bar=not costly) as ended:

            def done(share: Share, result: None, problem: str | None) -> Iterable[Share]:
                ended(share.name, share.pieces, problem)
                return ()

            try:
                for shares in _shares(run, stage, waiting, workers):
                    run_tasks(work_off, shares, len(shares) if costly else workers, done)
            except Stopped as stop:
                note_stop(waiting, stop.what)
                raise


def _shares(run: Run, stage: Stage, waiting: list[Piece], workers: int) -> Iterator[list[Share]]:
    """What processes do at the same time.

    A piece each, as processes become free; where a worker takes long to start, the pieces of one group after the other
    are dealt out, so that each process starts one worker.
    """
    if not stage.resources.costly_start:
        yield [Share(run.config, stage, (piece,), workers) for piece in waiting]
        return
    for group, mine in groupby(waiting, lambda piece: piece.group):
        pieces = tuple(mine)
        count = min(workers, len(pieces))
        gpus = gpu_shares(stage.gpus(run, group) or 0, count)
        threads = max(1, usable_cores() // count)
        yield [Share(run.config, stage, pieces[n::count], count, gpus[n], threads) for n in range(count)]


def gpu_shares(each: int, processes: int) -> list[str | None]:
    """The GPUs of each process, as CUDA_VISIBLE_DEVICES takes them; None where it needs none, or none can be seen.

    Args:
        each: how many a process needs.
        processes: how many processes there are.
    """
    visible = visible_gpus() if each else []
    if not visible:
        return [None] * processes
    if each * processes > len(visible):
        raise UsageError(
            f"{processes} processes with {each} GPU(s) each need {each * processes}, and {len(visible)} can be seen; "
            "two engines on one GPU would fight for its memory",
            where="--workers",
            remedy=f"--workers {max(1, len(visible) // each)}",
        )
    return [",".join(visible[each * n : each * (n + 1)]) for n in range(processes)]


def _refuse_launcher() -> None:
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise UsageError(
            "the stages run in one process, and several were launched",
            remedy="start augrec without torchrun or accelerate launch, with training.processes=N",
        )


def work_off(share: Share) -> None:
    """One process's part. Its progress is printed in lines, because several bars cannot share a terminal."""
    if share.stage.resources.costly_start:
        os.environ["TTY_COMPATIBLE"] = "0"
    if share.threads is not None:
        os.environ.setdefault("OMP_NUM_THREADS", str(share.threads))
    if share.gpus is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = share.gpus
    console = terminal(stderr=True) if share.stage.resources.costly_start else None  # else `Local` shows a bar
    run = Run(share.config, beside=share.beside)
    log = run.files.log if run.files.log.exists() else None  # the parent's
    with confined(run.folder), kept(log, run.files.at_work):
        InOrder(console).do(run, share.stage, share.pieces)
