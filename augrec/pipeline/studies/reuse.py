"""Finished stages and trainings of other runs, copied when they were made from exactly the same."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable
from itertools import count
from pathlib import Path

from augrec.artefacts.confinement import check_inside
from augrec.artefacts.files import digest
from augrec.artefacts.run_folder import RunFolder
from augrec.artefacts.source_folder import SourceFolder
from augrec.pipeline.stages.base import Run, Stage, read_marker
from augrec.pipeline.stages.train import trainings_of


def runs_below(folders: Iterable[Path]) -> list[Path]:
    """Run folders among the given folders and two levels below them (an experiment's data sets and settings)."""
    found = []
    for folder in folders:
        below = [run for depth in ("*", "*/*") for run in sorted(folder.glob(depth))]
        found += [run for run in (folder, *below) if RunFolder(run).stage_marker("dataset").is_file()]
    return found


def adopt_stage(stage: Stage, run: Run, others: Iterable[Path]) -> Path | None:
    """Copies a stage's folder from the first run whose stage has the same fingerprint; says from which.

    Copied, not linked: records are appended to in place. What lies in the run's own folder and not in the copy stays,
    and so do the answers of a source of the same name: they are set aside under another one.

    Raises:
        UsageError: the run's folder holds another data set.
    """
    fingerprint = digest(stage.identity(run))
    own = stage.marker(run)
    if own is not None and own.fingerprint == fingerprint:
        return None
    stage.check_folder(run)
    for other in others:
        folder = stage.folder_in(other)
        marker = read_marker(folder) if other.resolve() != run.folder.resolve() else None
        if marker and marker.fingerprint == fingerprint and all((other / name).exists() for name in marker.outputs):
            _copy(folder, stage.folder(run), keep=True)
            stage.check_details(run, marker.details)
            return other
    return None


def adopt_trainings(run: Run, others: Iterable[Path]) -> int:
    """Copies finished trainings of the same fingerprint, e.g. a baseline that a setting does not touch; how many."""
    others = list(others)
    copied = 0
    for training in trainings_of(run):
        if training.finished():
            continue
        for other in others:
            folder = other / training.out.relative_to(run.folder)
            if training.finished(folder):
                _copy(folder, training.out)
                copied += 1
                break
    return copied


def _copy(source: Path, target: Path, *, keep: bool = False) -> None:
    """Copies a folder so that `target` is whole or absent; `keep`: folders in it that are not copied stay."""
    check_inside(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".copy-", dir=target.parent) as temporary:
        copied = shutil.copytree(source, Path(temporary) / source.name)
        if target.exists():
            before = target.rename(Path(temporary) / "before")
            for folder in (path for path in before.iterdir() if path.is_dir()) if keep else ():
                place = _free_place(copied, folder)
                if place is not None:
                    folder.rename(place)
        copied.rename(target)


def _free_place(copied: Path, folder: Path) -> Path | None:
    """Where a folder that lay here before goes; None where it is copied too and holds no answers."""
    place = copied / folder.name
    if not place.exists():
        return place
    if not SourceFolder(folder).tasks_with_shards():
        return None
    return next(free for n in count(1) if not (free := copied / f"{folder.name}.replaced-{n}").exists())
