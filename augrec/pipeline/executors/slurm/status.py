"""`augrec status RUN`: how far each stage is, told from the files alone, and what SLURM adds where it is present."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from dataclasses import asdict, dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from augrec.artefacts.errors import AugrecError, UsageError
from augrec.pipeline.config import counts_from, read_config
from augrec.pipeline.executors.chain import why_run
from augrec.pipeline.executors.ranges import format_ranges
from augrec.pipeline.executors.slurm import controller
from augrec.pipeline.executors.slurm.submit import clusters_of, submitted
from augrec.pipeline.executors.units import Unit, units
from augrec.pipeline.host.attempts import State
from augrec.pipeline.host.terminal import cells
from augrec.pipeline.stages import STAGES
from augrec.pipeline.stages.base import Run


@dataclass(frozen=True)
class Row:
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
    seconds_left: float | None = None
    """By the rate of what is done; None where nothing is."""
    jobs: str = ""
    """What SLURM says of the stage's jobs."""
    note: str = ""
    """Why the state cannot be known, e.g. because the data are not here."""
    open: str = ""
    """What a source's last run left unanswered; where it was killed, how many records are there."""


def read_run(folder: Path) -> Run:
    """The run of a folder, by the config of its last submission or run, whichever was later."""
    known = (folder / "config.yaml", *(folder / "slurm").glob("[0-9]*/config.yaml"))
    config = max((path for path in known if path.exists()), key=lambda path: path.stat().st_mtime_ns, default=None)
    if config is None:
        raise UsageError("this is no run folder: it has no config.yaml", where=folder, remedy="name e.g. runs/demo")
    read = read_config(config)
    here = read.folder.exists() and read.folder.resolve() == folder.resolve()
    return Run(read if here else read.model_copy(update={"output": folder}))


@contextmanager
def run_at_home(folder: Path) -> Iterator[Run]:
    """The run of a folder, wherever it is looked at from: its config's paths count from where it was made.

    Where that place is gone, because the whole tree was moved, the part of the path that the config does not name.
    """
    folder = folder.absolute()
    with chdir(_home(folder) or Path.cwd()):
        yield read_run(folder)


def _home(folder: Path) -> Path | None:
    saved = folder / "config.yaml"
    if not saved.exists():
        saved = next(iter(sorted((folder / "slurm").glob("[0-9]*/config.yaml"), reverse=True)), saved)
    if not saved.exists():
        return None
    named = read_config(saved).folder
    depth = len(named.parts)
    above = folder.parents[depth - 1] if not named.is_absolute() and folder.parts[-depth:] == named.parts else None
    return counts_from(saved) or above


def collect_units(run: Run) -> list[Unit]:
    """The pieces of the first stage that is not finished."""
    for name, stage in STAGES.items():
        if why_run(stage, run, stage.marker(run), stage.identity(run)) is not None:
            return units(run, name)
    return []


def collect(run: Run) -> list[Row]:
    """How every stage stands."""
    rows: list[Row] = []
    queued = _queue(run)
    shown = _shown(run, queued)
    alive = None if queued is None else {job.job for job in queued if job.on_a_node}
    known = True
    for name, stage in STAGES.items():
        try:
            done = known and why_run(stage, run, stage.marker(run), stage.identity(run)) is None
        except AugrecError as error:
            rows.append(Row(name, "", "unknown", jobs=shown.get(name, ""), note=str(error)))
            known = False
            continue
        if done:
            rows.append(Row(name, "", "done"))
            continue
        rows.append(Row(name, "", "open" if known else "waiting", jobs=shown.get(name, "")))
        if known:
            pieces = units(run, name)
            for _, mine in groupby(pieces, lambda unit: unit.group):
                group = _group(list(mine), alive)
                rows.append(replace(group, open=_open(run, group.group)) if name == "augment" else group)
        known = False
    return rows


def _group(mine: list[Unit], alive: set[str] | None) -> Row:
    states = {unit.number: unit.attempts.state() for unit in mine}
    done = {unit.number for unit in mine if unit.done()}
    running = {number for number, state in states.items() if number not in done and _runs(state, alive)}
    missing = states.keys() - done - running
    failed = {number for number in missing if states[number].outcome in ("failed", "killed", "running")}
    spent = [states[number].seconds for number in done if states[number].seconds > 0]
    left = len(missing) + len(running)
    return Row(
        mine[0].stage,
        mine[0].group,
        "done" if len(done) == len(mine) else "partly" if done else "open",
        total=len(mine),
        done=len(done),
        running=format_ranges(running),
        failed=format_ranges(failed),
        missing=format_ranges(missing),
        seconds_left=sum(spent) / len(spent) * left / max(1, len(running)) if spent and left else None,
    )


def _open(run: Run, source: str) -> str:
    from augment.store.open_requests import read_open

    folder = run.folder / "augment" / source
    left = read_open(folder)
    if left is not None:
        return str(left)
    stored = sum(_lines(path) for path in folder.glob("*/shards/*.jsonl"))
    return f"{stored:,} records stored" if stored else ""


def _lines(path: Path) -> int:
    with path.open("rb") as content:
        return sum(chunk.count(b"\n") for chunk in iter(lambda: content.read(1 << 20), b""))


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
    for one in queued:
        if one.job not in stages:
            continue
        tasks = "" if one.tasks in ("N/A", "") else f"[{one.tasks}]"
        reason = f" ({one.reason})" if one.state == "PENDING" else ""
        lines.setdefault(stages[one.job], Counter())[f"{one.job}{tasks} {one.state}{reason}"] += 1
    return {stage: "; ".join(counted) for stage, counted in lines.items()}


def render(rows: list[Row], console: Console) -> None:
    """The rows as a table."""
    table = Table(box=None, pad_edge=False)
    for title in ("stage", "state", "done", "running", "failed", "missing", "time left", "in the queue"):
        table.add_column(title, overflow="fold")
    for row in rows:
        count = f"{row.done}/{row.total}" if row.total else ""
        name = f"  {row.group}" if row.group else row.stage
        shown = (name, row.state, count, row.running, row.failed, row.missing, _clock(row.seconds_left), row.jobs)
        table.add_row(*cells(*shown))
    console.print(table)
    for row in rows:
        if row.open or row.note:
            console.print(f"{row.stage} {row.group}: {row.open or row.note}", markup=False, highlight=False)


def as_json(rows: list[Row]) -> list[dict[str, Any]]:
    """The rows as JSON values."""
    return [asdict(row) for row in rows]


def _clock(seconds: float | None) -> str:
    if seconds is None:
        return ""
    whole = round(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"
