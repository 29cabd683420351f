"""Some pieces of a stage, done by one process: the same for an array task on a cluster and by hand on a laptop.

It writes no stage marker: `augrec augment CONFIG` (or embed, train) does when every piece is there, and finds nothing
left to do but to merge.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from augrec.artefacts.errors import AugrecError
from augrec.artefacts.files import only_readable
from augrec.pipeline.executors.chain import beside_others, check_current, show_finished, stale_reason
from augrec.pipeline.executors.local import Local
from augrec.pipeline.executors.pieces import InOrder, locked, waves
from augrec.pipeline.stages.ranges import format_ranges
from augrec.pipeline.stages.registry import stages_before

if TYPE_CHECKING:
    from rich.console import Console

    from augrec.pipeline.stages.base import Piece, Run, Stage


def do_share(
    run: Run, stage: Stage, chosen: Mapping[str, str | None], *, attempts: int | None = None, console: Console
) -> None:
    """Does some pieces of a stage; those that are done already are left alone.

    Args:
        run: the run; the stages before this one are finished.
        stage: with pieces.
        chosen: the pieces, as the options of the stage's `selection` name them.
        attempts: how often a piece may fail within one job before it is given up; None: no limit, nothing is retried.
        console: where a line goes for each piece that is done.
    """
    with begin_shared_stage(run, stage, console) as stale:
        if not stale:
            return
        every = stage.pieces(run)
        mine = stage.selection.chosen(every, chosen)
        with locked(mine):
            for wave in waves(mine):
                _require_earlier(every, wave)
                waiting = [piece for piece in wave if not piece.done()]
                if stage.processes(run, None):
                    local = Local(attempts=attempts)
                    local.do(run, stage, wave)
                    made = len(waiting) - len(local.failures)
                    console.print(f"{stage.name}: {made} of {len(wave)} done now", highlight=False)
                else:
                    InOrder(console, attempts).do(run, stage, wave)


@contextmanager
def begin_shared_stage(run: Run, stage: Stage, console: Console) -> Iterator[bool]:
    """Holds a share of the run's lock; yields whether the stage is unfinished, and then takes its old marker away.

    Raises:
        UsageError: the folder may only be read, and the stage is not finished.
    """
    run.files.check_layout()
    if only_readable(run.folder):
        show_finished(run, (), console, only=stage)
        yield False
        return
    with beside_others(run.folder):
        for before in stages_before(stage, run.config):
            check_current(before, run)
        stale = stale_reason(stage, run, stage.marker(run), stage.identity(run)) is not None
        if stale:
            stage.remove_marker(run)
        else:
            console.print(f"{stage.name}: finished, unchanged", highlight=False)
        yield stale


def check_done(run: Run, stage: Stage) -> None:
    """Raises where a piece is not done yet, so that a merge never starts an engine or a training."""
    if stale_reason(stage, run, stage.marker(run), stage.identity(run)) is None:
        return
    waiting = [piece for piece in stage.pieces(run) if not piece.done()]
    if waiting:
        named = " ".join([*stage.selection.options[0].name.split(), "..."])
        raise AugrecError(
            f"these {stage.pieces_name} are not done yet: {_listed(waiting)}",
            where=stage.folder(run),
            remedy=f"augrec {stage.name} CONFIG {named} does them; without --merge, this command does",
        )


def _require_earlier(every: Sequence[Piece], wave: Sequence[Piece]) -> None:
    """What is made of the results of earlier waves has to wait for all of them."""
    missing = [piece for piece in every if piece.wave < wave[0].wave and not piece.done()]
    if missing:
        raise AugrecError(
            f"{wave[0].stage} {wave[0].name} reads what other pieces make, and they are not done: {_listed(missing)}",
            where=missing[0].attempts.path.parent,
            remedy="do those first; `augrec submit`, and the stage as a whole, keep the order",
        )


def _listed(pieces: Sequence[Piece]) -> str:
    groups: dict[str, list[int]] = {}
    for piece in pieces:
        groups.setdefault(piece.group, []).append(piece.number)
    return "; ".join(f"{group} {format_ranges(numbers)}" for group, numbers in groups.items())
