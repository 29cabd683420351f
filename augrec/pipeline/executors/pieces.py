"""Who does pieces: what all executors have in common, and one process that does some of them in order."""

from __future__ import annotations

import traceback
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, ClassVar

from augrec.artefacts.errors import AugrecError, UsageError
from augrec.artefacts.files import write_json
from augrec.artefacts.locks import hold
from augrec.artefacts.run_folder import FAILURES
from augrec.pipeline.host.attempts import job_id
from augrec.pipeline.host.stopping import AGAIN, Stopped
from augrec.pipeline.host.workers import reason

if TYPE_CHECKING:
    from rich.console import Console

    from augrec.pipeline.stages.base import Piece, Run, Stage, Worker


class TryAgain(AugrecError):
    """It failed and may be tried again: the batch script puts the job back into the queue."""

    exit_code = AGAIN


@dataclass
class Executor(ABC):
    """Does the pieces of a stage before it is finished; a failure stops no other piece."""

    failures: dict[str, str] = field(default_factory=dict, init=False)
    """The reasons of what failed in the stage that was prepared last, by name."""
    here: ClassVar[bool] = True
    """Whether pieces are done on this machine, so that those beside each other share its memory."""

    def prepare(self, run: Run, stage: Stage) -> None:
        """Does every piece of a stage that is not done, wave by wave, so that it only has to be finished.

        Raises:
            UsageError: what does them is not as it has to be, e.g. processes would have to share a GPU.
            AugrecError: pieces failed, with the reasons; the others are done and kept.
        """
        self.failures.clear()
        if not self.takes(run, stage):
            return
        pieces, place = stage.pieces(run), stage.folder(run) / FAILURES
        for wave in waves(pieces):
            self.do_wave(run, stage, [piece for piece in wave if not piece.done()], len(wave))
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

    @abstractmethod
    def takes(self, run: Run, stage: Stage) -> bool:
        """Whether it does the pieces of the stage; if not, the stage's `finish` does everything where it is called."""

    @abstractmethod
    def do_wave(self, run: Run, stage: Stage, waiting: list[Piece], everything: int) -> None:
        """Does pieces that may be done beside each other; fills `failures`.

        Args:
            run: the run.
            stage: with pieces.
            waiting: those that are not done.
            everything: how many there are with those that are done already.
        """


@dataclass(frozen=True)
class InOrder:
    """Does pieces in this process, one after the other, those of a group by one worker.

    A failure ends the process, so that the next try, or the next piece, has a fresh one.
    """

    console: Console | None
    """Where a line goes for each piece that is done; None where somebody else speaks of them."""
    attempts: int | None = None
    """How often a piece may fail within one job before it is given up; None: no limit, and nothing is retried."""

    def do(self, run: Run, stage: Stage, pieces: Sequence[Piece]) -> None:
        """Does the pieces that are not done yet.

        Raises:
            TryAgain: a piece failed that may be tried again.
            AugrecError: a piece failed too often.
        """
        waiting, lost = within_limit([piece for piece in pieces if not piece.done()], self.attempts)
        for group, mine in groupby(waiting, lambda piece: piece.group):
            with stage.worker(run, group) as worker:
                for piece in mine:
                    self._do(run, worker, piece, last=piece is waiting[-1])
        give_up(lost)

    def _do(self, run: Run, worker: Worker, piece: Piece, *, last: bool) -> None:
        run.stop.check()
        piece.attempts.begin()
        try:
            made = worker.do(piece)
        except Stopped as stop:
            piece.attempts.end("stopped", progress=worker.progress(), reason=stop.what)
            raise
        except Exception as error:
            piece.attempts.end("failed", reason=reason(error))
            if self.console is not None and not isinstance(error, AugrecError):
                traceback.print_exc()  # nobody is there to ask again with --debug
            if self.attempts is None or isinstance(error, UsageError):
                raise
            if piece.attempts.tries(job_id()) < self.attempts or not last:
                raise TryAgain(f"{piece.stage} {piece.name} failed: {reason(error)}") from error
            raise
        piece.attempts.end("done", answers=made)
        if self.console is not None:
            self.console.print(f"{piece.stage} {piece.name}: done", markup=False, highlight=False)


def waves(pieces: Sequence[Piece]) -> Iterator[list[Piece]]:
    """The pieces wave by wave; each begins when the one before it is done."""
    ordered = sorted(pieces, key=lambda piece: piece.wave)  # stable
    for _, wave in groupby(ordered, lambda piece: piece.wave):
        yield list(wave)


@contextmanager
def locked(pieces: Sequence[Piece]) -> Iterator[None]:
    """Keeps other processes from the same pieces."""
    with ExitStack() as held:
        for piece in pieces:
            held.enter_context(hold(piece.lock, f"another process is working on {piece.name}"))
        yield


def within_limit(waiting: Sequence[Piece], attempts: int | None) -> tuple[list[Piece], list[Piece]]:
    """The pieces that may be tried, and those that failed too often in this job."""
    lost = [piece for piece in waiting if attempts is not None and piece.attempts.tries(job_id()) >= attempts]
    return [piece for piece in waiting if piece not in lost], lost


def give_up(lost: Sequence[Piece]) -> None:
    """Raises when pieces failed too often, with the last reason of each."""
    if not lost:
        return
    listed = "\n".join(
        f"  - {piece.name}: {piece.attempts.state().last.get('reason', 'its process was killed')}" for piece in lost
    )
    raise AugrecError(
        f"given up after too many attempts in this job:\n{listed}",
        where=lost[0].attempts.path,
        remedy="mend the cause and submit again; what is finished is kept",
    )
