"""`augrec status FOLDER`: how far a run, an experiment or a comparison is, and what is at work in it now."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from augrec.artefacts.errors import UsageError
from augrec.artefacts.locks import holder
from augrec.artefacts.progress import clock, rate_in_words
from augrec.artefacts.run_folder import LOCK, RunFolder
from augrec.artefacts.run_log import AtWork, read_states
from augrec.artefacts.study_folder import ComparisonFolder, ExperimentFolder
from augrec.artefacts.visible import visible
from augrec.pipeline.config.sections import read_sections, validated
from augrec.pipeline.executors.slurm import status
from augrec.pipeline.stages.saved_run import run_at_home
from augrec.pipeline.studies.experiment.options import Experiment

SECONDS_BETWEEN_LOOKS = 1.0
SECONDS_BETWEEN_READINGS = 10.0
"""How often a watch reads everything again; what is at work now it reads at every look."""

State = Literal["done", "running", "open", "unknown"]
"""`open` where something is left and nobody is known to be at it; `unknown` where the run's data are not here."""


@dataclass(frozen=True)
class Standing:
    """How far a folder is."""

    kind: Literal["run", "experiment", "comparison"]
    folder: Path
    state: State
    stages: tuple[status.StageRow, ...] = ()
    """Of a run, see `status.StageRow`; of a comparison those of its run, and `compare` at the end."""
    at_work: tuple[AtWork, ...] = ()
    """What processes are at, or came to before they were ended."""
    members: tuple[Standing, ...] = ()
    """The runs of an experiment, in its order."""

    @property
    def busy(self) -> bool:
        """Whether somebody works on it, or jobs of it are in the queue."""
        return self.state == "running"


def standing(folder: Path) -> Standing:
    """How far a run, an experiment or a comparison is.

    Raises:
        UsageError: the folder is none of them.
        DataError: it is a run of another layout.
    """
    if ExperimentFolder(folder).options.exists():
        return _of_experiment(folder)
    found = _of_run(folder)
    comparison = ComparisonFolder(folder)
    if not comparison.options.exists():
        return found
    written = comparison.results.exists() and all(row.state == "done" for row in found.stages)
    written = written and comparison.results.stat().st_mtime >= RunFolder(folder).results.stat().st_mtime
    last = status.StageRow("compare", "", "done" if written else "open" if found.state == "done" else "waiting")
    state: State = found.state if found.state != "done" or written else "open"
    return replace(found, kind="comparison", state=state, stages=(*found.stages, last))


def _of_run(folder: Path) -> Standing:
    with run_at_home(folder) as run:
        rows = tuple(status.collect(run))
    held, work = _at_work(folder)
    rows = tuple(_counted(row, work) for row in rows)
    stages = [row for row in rows if not row.group]
    if all(row.state == "done" for row in stages):
        state: State = "running" if held else "done"
    elif held or any(row.jobs or row.running for row in rows):
        state = "running"
    else:
        state = "unknown" if any(row.state == "unknown" for row in stages) else "open"
    return Standing("run", folder, state, rows, work)


def _counted(row: status.StageRow, work: tuple[AtWork, ...]) -> status.StageRow:
    """A source's row with records instead of whole shards, where one process answers all of them."""
    for state in work:
        if row.group and not state.part and state.total and state.title == f"{row.stage} {row.group}":
            return row if row.state == "done" else replace(row, records=state.done, records_of=state.total)
    return row


def _at_work(folder: Path) -> tuple[bool, tuple[AtWork, ...]]:
    """Whether somebody works on a folder alone, and what processes are at."""
    states = read_states(RunFolder(folder).at_work)
    alive = [state for state in states if state.alive]
    held = holder(folder / LOCK) is not None or bool(alive)
    return held, tuple(alive or states)


def _of_experiment(folder: Path) -> Standing:
    files = ExperimentFolder(folder)
    options = validated(read_sections(files.options), Experiment, files.options)
    runs = [files.run(dataset, setting) for dataset in options.datasets for setting in options.settings]
    members = tuple(_of_member(run) for run in runs)
    held, work = _at_work(folder)
    finished = all(member.state == "done" for member in members) and files.results.exists()
    state: State = "running" if held else "done" if finished else "open"
    return Standing("experiment", folder, state, at_work=work, members=members)


def _of_member(folder: Path) -> Standing:
    """A run of an experiment, begun or not."""
    try:
        return _of_run(folder)
    except UsageError:
        return Standing("run", folder, "open")


def brief(found: Standing) -> Iterator[str]:
    """A line for each stage, or for each run of an experiment: its name and its state."""
    for member in found.members:
        yield f"{member.folder.relative_to(found.folder)}\t{member.state}"
    yield from (f"{row.stage}\t{row.state}" for row in found.stages if not row.group)


def lines_of(found: Standing) -> list[str]:
    """What is at work, or was, a line each."""
    lines = []
    for work in found.at_work:
        counted = f"  {work.done:,} of {work.total:,} {work.unit}" if work.total else ""
        rate = "" if work.seconds_each is None else f"  {rate_in_words(1, work.seconds_each)}"
        left = "" if work.seconds_left is None or not work.alive else f"  ETA {clock(work.seconds_left)}"
        note = f"  {work.note}" if work.note else ""
        when = time.localtime(work.time)
        said = time.strftime("at %H:%M:%S" if work.alive else "ended; last seen on %d %B at %H:%M:%S", when)
        lines.append(visible(f"{work.title}{counted}{rate}{left}{note}  ({said})"))
    return lines


def shown(found: Standing) -> RenderableType:
    """The rows as tables, and what is at work."""
    parts: list[RenderableType] = []
    for member in found.members:
        name = member.folder.relative_to(found.folder).as_posix()
        parts.append(Text(f"{name}: {member.state}", style="bold"))
        if member.state != "done":
            parts += [status.table(member.stages)] if member.stages else []
            parts += [Text(f"  {line}") for line in lines_of(member)]
    if found.stages:
        parts.append(status.table(found.stages))
        parts += [Text(visible(line)) for line in status.notes(found.stages)]
    parts += [Text(line) for line in lines_of(found)]
    parts.append(Text(f"{found.kind}: {found.state}"))
    return Group(*parts)


def watch(folder: Path, console: Console, wait: Callable[[float], object] = time.sleep) -> Standing:
    """Shows a folder until nobody is at work in it; returns how it stands then.

    Args:
        folder: of a run, an experiment or a comparison.
        console: a terminal, where the picture is drawn anew; elsewhere a line is printed every ten seconds.
        wait: passes that many seconds.
    """
    found = standing(folder)
    with Live(shown(found), console=console, auto_refresh=False, transient=True) as live:
        read = time.monotonic()
        while found.busy:
            wait(SECONDS_BETWEEN_LOOKS)
            if time.monotonic() - read >= SECONDS_BETWEEN_READINGS or not _at_work(folder)[0]:
                found, read = standing(folder), time.monotonic()
                if not console.is_terminal:
                    for line in lines_of(found):
                        console.print(line, highlight=False)
            else:
                found = replace(found, at_work=_at_work(folder)[1])
            live.update(shown(found), refresh=console.is_terminal)
    return found
