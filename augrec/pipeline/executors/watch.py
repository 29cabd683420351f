"""What is said of pieces that other processes do: how many are done, what the last one came to, and what failed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from augrec.artefacts.progress import progress, say

if TYPE_CHECKING:
    from augrec.pipeline.stages.base import Piece, Run, Stage

Ended = Callable[[str, "Sequence[Piece]", str | None], None]
"""Told of pieces that ended together: what they are called, the pieces, and why they failed; None for those done."""


@contextmanager
def watched(
    run: Run, stage: Stage, waiting: Sequence[Piece], everything: int, failures: dict[str, str], *, bar: bool
) -> Iterator[Ended]:
    """Shows how far pieces of a stage are while the block runs; yields whom to tell of those that ended.

    Args:
        run: the run.
        stage: the stage.
        waiting: the pieces that are to be done.
        everything: how many there are with those that are done already.
        failures: is given the reasons of what failed, by name.
        bar: whether their number is counted; False where each process speaks of its own.
    """
    kept = everything - len(waiting)
    if kept:
        say(f"{stage.name}  {kept} kept, {len(waiting)} to go")
    logs = {piece.name: stage.log_of(piece) for piece in waiting}
    epochs = partial(last_epoch, logs, time.time())
    shown = progress(stage.name, len(waiting), stage.pieces_name, epochs, whole=everything) if bar else nullcontext()
    with shown as ticker:

        def ended(name: str, pieces: Sequence[Piece], problem: str | None) -> None:
            for piece in pieces:
                logs.pop(piece.name, None)
            if problem is not None:
                failures[name] = problem
                note_failure(pieces, problem)
            else:
                for piece in pieces:
                    stage.finished(run, piece)
            if ticker is None:
                return
            finished = sum(problem is None or piece.done() for piece in pieces)  # some of a share's may be there
            if problem is None:
                ticker.note(f"{name}  {stage.result(pieces[0])}")
            ticker.advance(finished)
            if finished < len(pieces):
                ticker.fail(len(pieces) - finished)

        yield ended


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


def note_failure(pieces: Sequence[Piece], problem: str) -> None:
    """Writes down why pieces failed: a process that was killed could not say so itself."""
    for piece in pieces:
        if piece.attempts.state().outcome in ("running", "killed"):
            piece.attempts.end("failed", reason=problem)


def note_stop(pieces: Sequence[Piece], what: str) -> None:
    """Writes down that work on pieces was stopped, where their processes did not."""
    for piece in pieces:
        if piece.attempts.state().outcome in ("running", "killed"):
            piece.attempts.end("stopped", progress=1, reason=what)
