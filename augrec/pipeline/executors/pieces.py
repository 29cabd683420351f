"""Doing pieces of work: who may, in which order, how often, and what becomes of a piece that fails."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import takewhile
from typing import Any

from rich.console import Console

from augrec.artefacts.confinement import check_inside
from augrec.artefacts.errors import AugrecError, UsageError
from augrec.artefacts.locks import hold
from augrec.pipeline.executors.chain import beside_others, check_current, why_run
from augrec.pipeline.executors.units import Unit
from augrec.pipeline.host.attempts import job_id
from augrec.pipeline.host.stopping import AGAIN, Stopped
from augrec.pipeline.host.workers import reason
from augrec.pipeline.stages import STAGES
from augrec.pipeline.stages.base import Run


class TryAgain(AugrecError):
    """It failed and may be tried again: the batch script puts the job back into the queue."""

    exit_code = AGAIN


@contextmanager
def share_stage(run: Run, name: str, console: Console) -> Iterator[bool]:
    """Holds a share of the run's lock; yields whether the stage is unfinished, and then takes its old marker away."""
    with beside_others(run.folder):
        for before in takewhile(lambda before: before != name, STAGES):
            check_current(STAGES[before], run)
        stage = STAGES[name]
        stale = why_run(stage, run, stage.marker(run), stage.identity(run)) is not None
        if stale:
            check_inside(stage.folder(run) / "stage.json")
            (stage.folder(run) / "stage.json").unlink(missing_ok=True)
        else:
            console.print(f"{name}: finished, unchanged", highlight=False)
        yield stale


def named(found: list[Unit], names: Iterable[str], what: str) -> list[Unit]:
    """The pieces of some names. Raises UsageError for a name that none has."""
    known = {unit.name: unit for unit in found}
    wanted = list(dict.fromkeys(names))
    strange = [name for name in wanted if name not in known]
    if strange:
        listed = ", ".join(known) if len(known) <= 20 else f"{', '.join(list(known)[:20])}, ..."
        raise UsageError(f"this run has no {what} '{strange[0]}'", remedy=f"one of {listed}")
    return [known[name] for name in wanted]


@contextmanager
def locked(mine: list[Unit]) -> Iterator[None]:
    """Keeps other processes from the same pieces."""
    with ExitStack() as held:
        for unit in mine:
            held.enter_context(hold(unit.lock, f"another process is working on {unit.name}"))
        yield


def one_by_one(run: Run, mine: list[Unit], work: Callable[[], Any], attempts: int | None, console: Console) -> None:
    """Does pieces in order. A failure ends the process, so that the next try, or the next piece, has a fresh one."""
    waiting, lost = within_limit([unit for unit in mine if not unit.done()], attempts)
    with work() as do:
        for place, unit in enumerate(waiting, start=1):
            run.stop.check()
            unit.attempts.begin()
            try:
                done = do(unit)
            except Stopped as stop:
                unit.attempts.end("stopped", progress=getattr(do, "progress", lambda: 1)(), reason=str(stop.what))
                raise
            except Exception as error:
                unit.attempts.end("failed", reason=reason(error))
                if not isinstance(error, AugrecError):
                    traceback.print_exc()  # nobody is there to ask again with --debug
                if attempts is None or isinstance(error, UsageError):
                    raise
                if unit.attempts.tries(job_id()) < attempts or place < len(waiting):
                    raise TryAgain(f"{unit.stage} {unit.name} failed: {reason(error)}") from error
                raise
            unit.attempts.end("done", answers=done)
            console.print(f"{unit.stage} {unit.name}: done", markup=False, highlight=False)
    give_up(lost)


def within_limit(waiting: list[Unit], attempts: int | None) -> tuple[list[Unit], list[Unit]]:
    """The pieces that may be tried, and those that failed too often in this job."""
    lost = [unit for unit in waiting if attempts is not None and unit.attempts.tries(job_id()) >= attempts]
    return [unit for unit in waiting if unit not in lost], lost


def give_up(lost: list[Unit]) -> None:
    """Raises when pieces failed too often, with the last reason of each."""
    if not lost:
        return
    listed = "\n".join(
        f"  - {unit.name}: {unit.attempts.state().last.get('reason', 'its process was killed')}" for unit in lost
    )
    raise AugrecError(
        f"given up after too many attempts in this job:\n{listed}",
        where=lost[0].attempts.path,
        remedy="mend the cause and submit again; what is finished is kept",
    )
