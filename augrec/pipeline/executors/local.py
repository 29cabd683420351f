"""Pieces done on this machine by several processes beside each other."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby
from pathlib import Path

from augrec.artefacts.confinement import confined
from augrec.artefacts.cores import usable_cores
from augrec.artefacts.errors import AugrecError, UsageError
from augrec.artefacts.files import write_json
from augrec.artefacts.gpus import visible_gpus
from augrec.artefacts.progress import progress, say
from augrec.artefacts.run_folder import FAILURES
from augrec.artefacts.run_log import kept
from augrec.pipeline.config import Config
from augrec.pipeline.executors.pieces import InOrder, TryAgain, give_up, waves, within_limit
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
class Local:
    """Does the pieces of a stage in processes of their own; a failure stops no other process.

    Where a stage asks for no processes, nothing is done here: its `finish` does everything in the process that is
    there, with one worker and no merge of parts.
    """

    workers: int | None = None
    """How many processes the user asked for; None leaves it to the stage."""
    attempts: int | None = None
    """See `InOrder`."""
    failures: dict[str, str] = field(default_factory=dict)
    """The reasons of what failed, by name."""

    def prepare(self, run: Run, stage: Stage) -> None:
        """Does every piece of a stage that is not done, wave by wave, so that it only has to be finished.

        Raises:
            UsageError: the processes would have to share a GPU, or a launcher started several of this program.
            AugrecError: pieces failed, with the reasons; the others are done and kept.
        """
        if stage.processes(run, self.workers) == 0:
            return
        _refuse_launcher()
        pieces, place = stage.pieces(run), stage.folder(run) / FAILURES
        for wave in waves(pieces):
            self._beside_each_other(run, stage, [piece for piece in wave if not piece.done()], len(wave))
            if self.failures:
                write_json(place, self.failures)
                count = sum(not piece.done() for piece in wave)
                listed = "\n".join(f"  - {name}: {problem}" for name, problem in self.failures.items())
                raise AugrecError(
                    f"{count} of {len(pieces)} {stage.pieces_name} failed:\n{listed}",
                    where=place,
                    remedy="the others are finished and kept; mend the cause and run the same command again",
                )
        place.unlink(missing_ok=True)

    def do(self, run: Run, stage: Stage, pieces: Sequence[Piece]) -> None:
        """Does the pieces that are not done yet, of one wave; see `InOrder.do`."""
        _refuse_launcher()
        waiting, lost = within_limit([piece for piece in pieces if not piece.done()], self.attempts)
        self._beside_each_other(run, stage, waiting, len(pieces) - len(lost))
        failed = [piece for piece in waiting if piece.name in self.failures]
        if self.attempts and any(piece.attempts.tries(job_id()) < self.attempts for piece in failed):
            raise TryAgain("\n".join(f"{name} failed: {problem}" for name, problem in self.failures.items()))
        give_up(lost + failed)

    def _beside_each_other(self, run: Run, stage: Stage, waiting: list[Piece], everything: int) -> None:
        """Fills `failures`; `everything` counts what is done already, too."""
        if not waiting:
            return
        cores = int(os.environ.get("SLURM_CPUS_PER_TASK", "0")) or len(waiting)
        workers = min(stage.processes(run, self.workers) or 1, len(waiting), cores)
        kept = everything - len(waiting)
        if kept:
            say(f"{stage.name}  {kept} kept, {len(waiting)} to go")
        logs = {piece.name: stage.log_of(piece) for piece in waiting}
        epochs = partial(last_epoch, logs, time.time())
        bar = (
            progress(stage.name, len(waiting), stage.pieces_name, epochs, whole=everything)
            if not stage.resources.costly_start
            else None
        )

        with bar or nullcontext() as ticker:

            def done(share: Share, result: None, problem: str | None) -> Iterable[Share]:
                for piece in share.pieces:
                    logs.pop(piece.name, None)
                if problem is not None:
                    self.failures[share.name] = problem
                    _note_failure(share.pieces, problem)
                if problem is None:
                    for piece in share.pieces:
                        stage.finished(run, piece)
                if ticker is not None:
                    if problem is None:
                        ticker.note(f"{share.name}  {stage.result(share.pieces[0])}")
                    ticker.advance()
                return ()

            try:
                for shares in _shares(run, stage, waiting, workers):
                    run_tasks(work_off, shares, len(shares) if stage.resources.costly_start else workers, done)
            except Stopped as stop:
                _note_stop(waiting, stop)
                raise


def last_epoch(logs: Mapping[str, Path | None], since: float) -> str:
    """What the training that spoke last says of its last epoch, e.g. "llmrec/seed-1 epoch 3 loss 1.06241".

    Args:
        logs: of trainings that are not finished, by what these are called; those that are not there yet say nothing.
        since: only what was written later counts, in seconds since 1970.
    """
    newest, spoke = max(((_written(log), name) for name, log in list(logs.items())), default=(0.0, ""))
    if newest < since:
        return ""
    log = logs.get(spoke)
    if log is None:
        return ""  # it has just ended
    with suppress(OSError):
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
        epoch = next((line for line in reversed(lines) if line.startswith("epoch ")), None)
        return " ".join([spoke, *epoch.split("  ")[:2]]) if epoch else f"{spoke} in its first epoch"
    return ""


def _written(path: Path | None) -> float:
    """When a file was last written, in seconds since 1970; 0 where it is not there."""
    with suppress(OSError):
        return path.stat().st_mtime if path is not None else 0.0
    return 0.0


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


def _note_failure(pieces: Sequence[Piece], problem: str) -> None:
    """A process that was killed could not say so itself."""
    for piece in pieces:
        if piece.attempts.state().outcome in ("running", "killed"):
            piece.attempts.end("failed", reason=problem)


def _note_stop(pieces: Sequence[Piece], stop: Stopped) -> None:
    for piece in pieces:
        if piece.attempts.state().outcome in ("running", "killed"):
            piece.attempts.end("stopped", progress=1, reason=stop.what)
