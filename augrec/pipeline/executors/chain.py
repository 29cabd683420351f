"""Runs stages in order: skips what is finished and unchanged, says why the rest runs."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from augrec.artefacts.confinement import confined
from augrec.artefacts.errors import DataError, UsageError
from augrec.artefacts.files import digest, only_readable
from augrec.artefacts.locks import hold
from augrec.artefacts.progress import signs_of_life
from augrec.artefacts.run_folder import LOCK, MARKER, RunFolder
from augrec.artefacts.run_log import kept
from augrec.artefacts.visible import visible
from augrec.pipeline.config.run_config import save_config
from augrec.pipeline.executors.local import Local
from augrec.pipeline.executors.pace import Guess, Pace
from augrec.pipeline.executors.pieces import Executor
from augrec.pipeline.stages import registry
from augrec.pipeline.stages.base import Marker, Run, Stage, Stopwatch, require_marker


@dataclass(frozen=True)
class StageOutcome:
    """What became of a stage."""

    stage: str
    ran: bool
    """False where it was finished and unchanged."""
    summary: str


def run_all(
    run: Run,
    *,
    force: Iterable[str] = (),
    console: Console,
    executor: Executor | None = None,
    guess: Guess | None = None,
) -> list[StageOutcome]:
    """Runs every stage of the pipeline, skipping those that are finished and unchanged.

    Args:
        run: the run.
        force: names of stages to run again from nothing.
        console: where the stage lines go.
        executor: who does the pieces; None: processes on this machine, as many as each stage says.
        guess: what is expected of a run before its stages ran; None: nothing.

    Returns:
        What became of each stage, in order.

    Raises:
        UsageError: the folder may only be read, and the run in it is not finished.
    """
    forced = set(force)
    if only_readable(run.folder):
        return show_finished(run, forced, console)
    with whole_run(run):
        check_folders(run, forced)
        save_config(run.config, run.files.config)
        stages = registry.chain(run.config)
        pace = Pace(run, stages, guess)
        return [
            run_stage(
                stage, run, stage.name in forced, f"[{position}/{len(stages)}] {stage.name:<10}", console,
                executor=executor, pace=pace,
            )
            for position, stage in enumerate(stages, start=1)
        ]  # fmt: skip


def check_folders(run: Run, forced: Iterable[str] = ()) -> None:
    """Raises where the run folder holds what must not be replaced: a run of another layout, or over other data."""
    run.files.check_layout()
    for stage in registry.chain(run.config):
        if stage.name not in forced:
            stage.check_folder(run)


def run_one(run: Run, name: str, *, force: bool, console: Console, executor: Executor | None = None) -> StageOutcome:
    """Runs one stage, after checking that the stages it reads were made from this same config; says what became of it.

    Raises:
        UsageError: the config lacks the stage's section, or the folder may only be read, and it or a stage before it is
            not finished.
        DataError: the folder holds a run of another layout.
    """
    stage = next((stage for stage in registry.chain(run.config) if stage.name == name), None)
    if stage is None:
        raise UsageError(f"the config has no section for the stage '{name}'", where=run.folder)
    if only_readable(run.folder):
        return show_finished(run, {name} if force else (), console, only=stage)[-1]
    with whole_run(run):
        for before in registry.stages_before(stage, run.config):
            check_current(before, run)
        if not force:
            stage.check_folder(run)
        save_config(run.config, run.files.config)
        return run_stage(stage, run, force, f"{stage.name:<10}", console, executor=executor)


def run_stage(
    stage: Stage,
    run: Run,
    force: bool,
    label: str,
    console: Console,
    *,
    executor: Executor | None = None,
    pace: Pace | None = None,
) -> StageOutcome:
    """Runs one stage unless it is finished and unchanged; says on the console which, and why.

    Args:
        stage: the stage.
        run: the run; the stages before are finished.
        force: run it from nothing.
        label: begins its lines.
        console: where they go.
        executor: who does its pieces; None: processes on this machine, as many as it says.
        pace: what the stages of the run take.
    """
    with signs_of_life(stage.name):
        return _run_stage(stage, run, force, label, console, executor, pace or Pace(run))


def _run_stage(
    stage: Stage, run: Run, force: bool, label: str, console: Console, executor: Executor | None, pace: Pace
) -> StageOutcome:
    watch = Stopwatch()
    if force:
        stage.clear(run)
    else:
        stage.check_folder(run)
    identity = stage.identity(run)
    marker = stage.marker(run)
    reason = "forced" if force else stale_reason(stage, run, marker, identity)
    if reason is None:
        assert marker is not None
        _say_unchanged(stage, marker, label, console)
        stage.check_details(run, marker.details)
        return StageOutcome(stage.name, False, stage.summary(marker.details))
    ahead = pace.ahead(stage.name)
    before = f"   ({ahead})" if ahead else ""
    console.print(f"{label} running: {reason}{before}", markup=False, highlight=False)
    stage.remove_marker(run)
    (executor or Local()).prepare(run, stage)
    details = stage.finish(run)
    for note in stage.notes(details):
        text = visible(note)  # ids and titles are anybody's
        console.print(f"{' ' * len(label)} {text}", markup=False, highlight=False, soft_wrap=True)
    stage.complete(run, identity, details, watch.seconds())
    pace.ran(stage.name, watch.seconds())
    console.print(f"{label} done in {watch.seconds():.0f} s   {stage.summary(details)}", markup=False, highlight=False)
    stage.check_details(run, details)
    return StageOutcome(stage.name, True, stage.summary(details))


def stale_reason(stage: Stage, run: Run, marker: Marker | None, identity: dict[str, Any]) -> str | None:
    """Why a stage has to run; None when it can be skipped."""
    if marker is None:
        return "resuming or first time" if stage.folder(run).exists() else "first time"
    if marker.fingerprint != digest(identity):
        return f"changed since it last ran: {'; '.join(differences(marker.identity, identity)) or 'its identity'}"
    gone = [name for name in marker.outputs if not (run.folder / name).exists()]
    if gone:
        return f"an output is gone: {gone[0]}"
    damaged = stage.damaged(run, marker)
    return f"an output is damaged (its sha256 is not the one written): {damaged[0]}" if damaged else None


def check_current(stage: Stage, run: Run) -> None:
    """Raises where a stage has not finished, or was made from something else than this run says."""
    marker = require_marker(run, stage.name)
    stage.check_details(run, marker.details)
    changed = differences(marker.identity, stage.identity(run))
    if changed:
        raise UsageError(
            f"the stage '{stage.name}' in this folder was made from something else: {'; '.join(changed)}",
            where=stage.folder(run) / MARKER,
            remedy=f"`augrec run CONFIG` brings it up to date; to keep it, give this config another name or `output`; "
            f"or run `augrec {stage.name} CONFIG` again",
        )
    damaged = stage.damaged(run, marker)
    if damaged:
        raise DataError(
            f"the file is damaged or gone: its sha256 is not the one that the stage '{stage.name}' wrote",
            where=run.folder / damaged[0],
            remedy=f"`augrec {stage.name} CONFIG` writes it again; records are merged anew, none is asked again",
        )


def differences(before: Any, now: Any, path: str = "", limit: int = 4) -> list[str]:
    """The leaves in which two JSON values differ, as `key: before -> now`, at most `limit` of them."""
    changed = list(_leaves(before, now, path))
    more = [f"and {len(changed) - limit} more"] if len(changed) > limit else []
    return changed[:limit] + more


def _leaves(before: Any, now: Any, path: str) -> Iterator[str]:
    if isinstance(before, dict) and isinstance(now, dict):
        for key in [*before, *(key for key in now if key not in before)]:
            yield from _leaves(before.get(key), now.get(key), f"{path}.{key}" if path else str(key))
    elif before != now:
        yield f"{path.removeprefix('section.')}: {_short(before)} -> {_short(now)}"


def _short(value: Any) -> str:
    """A value as JSON and configs write it, null for what is not there; cut, and of a hash its beginning."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if len(text) == 64 and all(letter in "0123456789abcdef" for letter in text):
        return text[:8]
    return text if len(text) <= 40 else f"{text[:37]}..."


def show_finished(
    run: Run, forced: Collection[str], console: Console, *, only: Stage | None = None
) -> list[StageOutcome]:
    """Says that every stage is finished and unchanged, as `run_all` would, and writes nothing.

    Args:
        run: the run.
        forced: names of stages that would run again from nothing.
        console: where the lines go.
        only: the stage that is asked for, as by `run_one`; those before it have to be finished too. None: all.

    Raises:
        UsageError: a stage would have to run.
    """
    run.files.check_layout()
    for stage in registry.stages_before(only, run.config) if only else ():
        _finished(stage, run)
    asked, outcomes = [only] if only else registry.chain(run.config), []
    for position, stage in enumerate(asked, start=1):
        marker = _finished(stage, run, forced=stage.name in forced)
        place = "" if only else f"[{position}/{len(asked)}] "
        _say_unchanged(stage, marker, f"{place}{stage.name:<10}", console)
        stage.check_details(run, marker.details)
        outcomes.append(StageOutcome(stage.name, False, stage.summary(marker.details)))
    console.print("finished; the folder may only be read, and nothing was written", highlight=False)
    return outcomes


def _finished(stage: Stage, run: Run, *, forced: bool = False) -> Marker:
    """The marker of a stage of a folder that may only be read. Raises UsageError where it would have to run."""
    marker = stage.marker(run)
    reason = "forced" if forced else stale_reason(stage, run, marker, stage.identity(run))
    if reason is not None or marker is None:
        raise UsageError(
            f"the folder may only be read, and the stage '{stage.name}' would have to run: {reason}",
            where=run.folder,
            remedy="give this config another name or `output`, or ask the folder's owner to run it",
        )
    return marker


def _say_unchanged(stage: Stage, marker: Marker, label: str, console: Console) -> None:
    console.print(f"{label} skipped, unchanged   {stage.summary(marker.details)}", markup=False, highlight=False)


@contextmanager
def whole_run(run: Run) -> Iterator[None]:
    """Holds the lock of a run's folder, which says its layout from then on; one of another layout stays as it is."""
    run.files.check_layout()
    with exclusive(run.folder):
        run.files.begin()
        yield


@contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Holds the lock of a run's or an experiment's folder; nobody else may work there, and we write nowhere else.

    It is released when the process dies, however it dies.
    """
    files = RunFolder(folder)
    with (
        _locked(folder, "another augrec process is working on this run"),
        kept(files.log, files.at_work, header=True, whole=True),
    ):
        yield


@contextmanager
def beside_others(folder: Path) -> Iterator[None]:
    """Holds a share of the lock: any number of array tasks may, as long as no whole run is at work."""
    with _locked(folder, "a whole run is at work in this folder", shared=True), kept(None, RunFolder(folder).at_work):
        yield


@contextmanager
def _locked(folder: Path, refusal: str, *, shared: bool = False) -> Iterator[None]:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise UsageError(
            "the run folder's name is taken by a file, or by a link to nothing",
            where=folder,
            remedy="give the config another `name` or `output`, or move it away",
        ) from None
    remedy = "wait for it, or give this run another `output`"
    with hold(folder / LOCK, refusal, shared=shared, remedy=remedy), confined(folder):
        yield
