"""`augrec status RUN`: how far each stage is, told from the files alone, and what SLURM adds where it is present."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from rich.table import Table

from augrec.artefacts.errors import AugrecError
from augrec.artefacts.progress import clock
from augrec.pipeline.executors.chain import stale_reason
from augrec.pipeline.executors.pieces import waves
from augrec.pipeline.executors.slurm import controller
from augrec.pipeline.executors.slurm.submit import clusters_of, submitted
from augrec.pipeline.host.attempts import State
from augrec.pipeline.host.terminal import Kind, OpenTable
from augrec.pipeline.stages.base import Piece, Run
from augrec.pipeline.stages.ranges import format_ranges
from augrec.pipeline.stages.registry import chain


@dataclass(frozen=True)
class StageRow:
    """One stage, or one group of its pieces."""

    stage: str
    group: str
    state: str
    """done, waiting (for a stage before it), open, or partly."""
    total: int = 0
    done: int = 0
    running: str = ""
    """Array expressions of shards or seeds; a group of matrices is 0."""
    failed: str = ""
    missing: str = ""
    """What is neither done nor running; failed ones are among them."""
    records: int | None = None
    """Of a source that is being answered on this machine, or was until it was stopped."""
    records_of: int | None = None
    """How many there will be."""
    seconds_left: float | None = None
    """By the rate of what is done; None where nothing is."""
    jobs: str = ""
    """What SLURM says of the stage's jobs."""
    note: str = ""
    """Why the state cannot be known, e.g. because the data are not here."""
    open: str = ""
    """What a source's last run left unanswered; where it was killed, how many records are there. How far a training
    came that was broken off. Of a stage that had finished, what has changed since."""


COLUMNS: dict[str, Kind] = {
    "stage": "name",
    "state": "name",
    "done": "name",
    "running": "text",
    "failed": "text",
    "missing": "text",
    "time left": "name",
    "in the queue": "text",
}


def open_pieces(run: Run) -> list[Piece]:
    """The pieces of the first stage that is not finished."""
    for stage in chain(run.config):
        if stale_reason(stage, run, stage.marker(run), stage.identity(run)) is not None:
            return stage.pieces(run)
    return []


def collect(run: Run) -> list[StageRow]:
    """How every stage stands."""
    rows: list[StageRow] = []
    queued = _queue(run)
    shown = _shown(run, queued)
    alive = None if queued is None else {job.job for job in queued if job.on_a_node}
    known = True
    for stage in chain(run.config):
        name = stage.name
        try:
            marker = stage.marker(run)
            stale = stale_reason(stage, run, marker, stage.identity(run)) if known else None
        except AugrecError as error:
            rows.append(StageRow(name, "", "unknown", jobs=shown.get(name, ""), note=str(error)))
            known = False
            continue
        if known and stale is None:
            rows.append(StageRow(name, "", "done"))
            continue
        reached = stage.open(run, "") if known and not stage.has_pieces else ""
        why = stale if known and marker is not None else ""  # it finished once: nothing else says why it is open
        state = "open" if known else "waiting"
        rows.append(StageRow(name, "", state, jobs=shown.get(name, ""), open=reached or why or ""))
        if known:
            for mine in _groups(stage.pieces(run)):
                group = _group(mine, alive)
                rows.append(replace(group, open=stage.open(run, mine[0].group)))
        known = False
    return rows


def _groups(pieces: list[Piece]) -> list[list[Piece]]:
    """The pieces of each group, wave by wave."""
    return [list(mine) for wave in waves(pieces) for _, mine in groupby(wave, lambda piece: piece.group)]


def _group(mine: list[Piece], alive: set[str] | None) -> StageRow:
    states = {piece.number: piece.attempts.state() for piece in mine}
    done = {piece.number for piece in mine if piece.done()}
    running = {number for number, state in states.items() if number not in done and _runs(state, alive)}
    missing = states.keys() - done - running
    failed = {number for number in missing if states[number].outcome in ("failed", "killed", "running")}
    spent = [states[number].seconds for number in done if states[number].seconds > 0]
    left = len(missing) + len(running)
    return StageRow(
        mine[0].stage,
        f"{mine[0].group}, wave {mine[0].wave}" if mine[0].wave else mine[0].group,
        "done" if len(done) == len(mine) else "partly" if done else "open",
        total=len(mine),
        done=len(done),
        running=format_ranges(running),
        failed=format_ranges(failed),
        missing=format_ranges(missing),
        seconds_left=sum(spent) / len(spent) * left / max(1, len(running)) if spent and left else None,
    )


def _runs(state: State, alive: set[str] | None) -> bool:
    if state.outcome != "running":
        return False
    job = state.last.get("job")
    return alive is None or job is None or job in alive


def _queue(run: Run) -> list[controller.Queued] | None:
    """The user's jobs; None where nothing of this run was submitted, or nobody answers."""
    jobs = submitted(run.folder)
    return controller.queue(*clusters_of(jobs)) if jobs else None


def _shown(run: Run, queued: list[controller.Queued] | None) -> dict[str, str]:
    """Per stage, its jobs in the queue, e.g. "17[2-5] PENDING (Dependency)", or that nobody answers."""
    stages = {job.id: job.stage for job in submitted(run.folder)}
    if queued is None:
        return dict.fromkeys(stages.values(), "unknown: squeue does not answer") if controller.available() else {}
    lines: dict[str, Counter[str]] = {}
    for entry in queued:
        if entry.job not in stages:
            continue
        tasks = "" if entry.tasks in ("N/A", "") else f"[{entry.tasks}]"
        reason = f" ({entry.reason})" if entry.state == "PENDING" else ""
        lines.setdefault(stages[entry.job], Counter())[f"{entry.job}{tasks} {entry.state}{reason}"] += 1
    return {stage: "; ".join(counted) for stage, counted in lines.items()}


def table(rows: Sequence[StageRow]) -> Table:
    """The rows as a table."""
    lines = []
    for row in rows:
        count = f"{row.done}/{row.total}" if row.total else ""
        if row.records is not None:
            count = f"{row.records:,} of {row.records_of:,} records"
        name = f"  {row.group}" if row.group else row.stage
        left = "" if row.seconds_left is None else clock(row.seconds_left)
        lines.append((name, row.state, count, row.running, row.failed, row.missing, left, row.jobs))
    return OpenTable(COLUMNS, lines)


def notes(rows: Sequence[StageRow]) -> list[str]:
    """What is left of groups, and why a state cannot be known, a line each."""
    named = ((f"{row.stage} {row.group}".strip(), row.open or row.note) for row in rows)
    return [f"{name}: {text}" for name, text in named if text]
