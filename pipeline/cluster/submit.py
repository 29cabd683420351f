"""`augrec submit`: writes a run's batch scripts and hands them to SLURM, each waiting for the ones before it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from artefacts.errors import AugrecError
from artefacts.files import read_json, write_json, write_text
from pipeline.cluster import slurm
from pipeline.cluster.plan import Level, describe, plan
from pipeline.cluster.profile import Profile
from pipeline.cluster.script import logs, render
from pipeline.config import save_config
from pipeline.execute import beside_others
from pipeline.stages.base import Run


@dataclass(frozen=True)
class Submitted:
    """One job that was handed to SLURM."""

    id: str
    name: str
    stage: str
    tasks: int


def submit(run: Run, profile: Profile, *, dry_run: bool, console: Console) -> list[Submitted]:
    """Submits everything of a run that is not finished. Submitting again after a failure takes up what is missing.

    Args:
        run: the run.
        profile: the cluster.
        dry_run: print the scripts instead; nothing is written.
        console: where the lines go.

    Returns:
        The jobs; empty when nothing is left to do, and for a dry run.

    Raises:
        AugrecError: jobs of this run are still there, or SLURM refuses one; the chain is then taken back.
    """
    if not dry_run:
        _refuse_twice(run)
    with nullcontext() if dry_run else beside_others(run.folder):
        most = profile.max_array_size or slurm.max_array_size()
        levels = plan(run, profile, most)
        if not levels:
            console.print("everything is finished, nothing to submit", highlight=False)
            return []
        if dry_run:
            _show(run, profile, levels, console)
            return []
        folder = _new_folder(run)
        save_config(run.config, folder / "config.yaml")
        logs(run.folder).mkdir(parents=True, exist_ok=True)
        jobs = _hand_over(run, profile, levels, folder, console)
    console.print(f"\n{len(jobs)} jobs submitted; `augrec status {shlex.quote(str(run.folder))}` follows them",
                  markup=False, highlight=False)  # fmt: skip
    return jobs


def submitted(run: Path, *, newest: bool = False) -> list[Submitted]:
    """The jobs of all submissions of a run, in order, or of the newest alone."""
    found = []
    for path in sorted((run / "slurm").glob("[0-9]*/jobs.json"))[-1 if newest else 0 :]:
        found += [Submitted(**job) for job in read_json(path)["jobs"]]
    return found


def _hand_over(run: Run, profile: Profile, levels: list[Level], folder: Path, console: Console) -> list[Submitted]:
    jobs: list[Submitted] = []
    before: list[str] = []
    lines = iter(list(describe(levels)))
    try:
        for level in levels:
            ids = []
            for job in level:
                script = folder / f"{job.name}.sbatch"
                write_text(script, render(job, profile, run=run.folder, folder=folder, chdir=Path.cwd()))
                ids.append(slurm.submit(script, before, Path.cwd()))
                jobs.append(Submitted(ids[-1], job.name, job.stage, len(job.tasks)))
                console.print(f"{next(lines)}   job {ids[-1]}", markup=False, highlight=False)
            before = ids
    except BaseException:
        slurm.cancel(job.id for job in jobs)
        raise
    finally:
        write_json(folder / "jobs.json", {"jobs": [vars(job) for job in jobs]})
    return jobs


def _show(run: Run, profile: Profile, levels: list[Level], console: Console) -> None:
    folder = run.folder / "slurm" / "dry-run"
    names: list[str] = []
    for level in levels:
        for job in level:
            script = folder / f"{job.name}.sbatch"
            command = slurm.sbatch_command(script, [f"<{name}>" for name in names])
            text = render(job, profile, run=run.folder, folder=folder, chdir=Path.cwd())
            console.print(f"$ {' '.join(map(str, command))}\n{text}", markup=False, highlight=False)
        names = [job.name for job in level]
    for line in describe(levels):
        console.print(line, markup=False, highlight=False)


def _refuse_twice(run: Run) -> None:
    """Two chains of one run would wait for, and write over, each other."""
    known = {job.id for job in submitted(run.folder)}
    alive = sorted({queued.job for queued in slurm.queue() if queued.job in known})
    if alive:
        raise AugrecError(
            f"jobs of this run are still waiting or running: {', '.join(alive)}",
            where=run.folder / "slurm",
            remedy=f"wait for them, or scancel {' '.join(alive)}",
        )


def _new_folder(run: Run) -> Path:
    for folder in _numbered(run.folder / "slurm"):
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        return folder
    raise AssertionError


def _numbered(root: Path) -> Iterator[Path]:
    numbers: Any = (int(path.name) for path in root.glob("[0-9]*") if path.name.isdigit())
    first = max(numbers, default=0) + 1
    while True:
        yield root / f"{first:03d}"
        first += 1
