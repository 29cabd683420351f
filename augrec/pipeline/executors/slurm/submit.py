"""`augrec submit`: writes a run's batch scripts and hands them to SLURM, each waiting for the ones before it."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

from rich.console import Console

from augrec.artefacts.counts import counted, noun
from augrec.artefacts.errors import AugrecError, DataError, UsageError
from augrec.artefacts.files import read_json, write_json, write_text
from augrec.artefacts.locks import hold
from augrec.artefacts.run_folder import LOCK, RunFolder, SubmissionFolder
from augrec.pipeline.config.run_config import save_config
from augrec.pipeline.executors.chain import beside_others, check_folders
from augrec.pipeline.executors.profile import Profile
from augrec.pipeline.executors.slurm import controller
from augrec.pipeline.executors.slurm.plan import Level, describe, gpu_hours_in_words, plan
from augrec.pipeline.executors.slurm.script import render
from augrec.pipeline.stages.base import Run


@dataclass(frozen=True)
class Submitted:
    """One job that was handed to SLURM."""

    id: str
    name: str
    stage: str
    tasks: int
    cluster: str = ""
    """Where it is; empty where there is one cluster."""

    @property
    def job(self) -> controller.JobId:
        """Its id with its cluster."""
        return controller.JobId(self.id, self.cluster)


def submit(run: Run, profile: Profile, *, dry_run: bool, console: Console) -> list[Submitted]:
    """Submits everything of a run that is not finished. Submitting again after a failure takes up what is missing.

    Args:
        run: the run.
        profile: the cluster.
        dry_run: print the plan and the scripts instead; nothing is written.
        console: where the lines go.

    Returns:
        The jobs; empty when nothing is left to do, and for a dry run.

    Raises:
        AugrecError: jobs of this run are still there, or nobody knows; or SLURM refuses one: the chain is then taken
            back, or, where that fails too, the jobs that are left are named.
        UsageError: the folder holds a run over another data set.
    """
    check_folders(run)
    with nullcontext() if dry_run else _alone(run):
        most = profile.max_array_size or controller.max_array_size()
        levels = plan(run, profile, most)
        if not levels:
            console.print("everything is finished, nothing to submit", highlight=False)
            return []
        if dry_run:
            _show(run, profile, levels, console)
            return []
        folder = _new_folder(run)
        save_config(run.config, folder.config)
        run.files.job_logs.mkdir(parents=True, exist_ok=True)
        jobs = _hand_over(run, profile, levels, folder, console)
    follows = f"`augrec status {shlex.quote(str(run.folder))}` follows {noun(len(jobs), 'it', 'them')}"
    console.print(f"\n{counted(len(jobs), 'job')} submitted; {follows}", markup=False, highlight=False)
    return jobs


@contextmanager
def _alone(run: Run) -> Iterator[None]:
    """While one submission looks for jobs and hands over, no other one of the same run does."""
    if run.folder.is_file():
        raise UsageError("the run folder's name is taken by a file", where=run.folder)
    with hold(run.files.slurm / LOCK, "another submission of this run is under way"):
        _refuse_twice(run)  # first: a job of this run that is at work is named as what it is
        with beside_others(run.folder):
            yield


def submitted(run: Path, *, newest: bool = False) -> list[Submitted]:
    """The jobs of all submissions of a run, in order, or of the newest alone."""
    return [job for notes in _notes(run)[-1 if newest else 0 :] for job in notes.jobs]


@dataclass(frozen=True)
class _Notes:
    """What is known of the jobs of one submission, as its folder keeps it."""

    files: SubmissionFolder
    jobs: tuple[Submitted, ...] = ()
    unknown: tuple[str, ...] = ()
    """Names of jobs that sbatch gave no id for; they may be there all the same."""

    def write(self) -> None:
        content = {"jobs": [vars(job) for job in self.jobs]}
        write_json(self.files.jobs, content | ({"unknown": list(self.unknown)} if self.unknown else {}))

    def script(self, name: str) -> Path:
        return self.files.script(name).absolute()


def _notes(run: Path) -> list[_Notes]:
    submissions = []
    for files in RunFolder(run).submissions():
        if not files.jobs.exists():
            continue
        remedy = "remove this submission's folder once `squeue --me` lists none of its jobs"
        content = read_json(files.jobs, remedy=remedy)
        try:
            jobs = tuple(Submitted(**job) for job in content["jobs"])
            submissions.append(_Notes(files, jobs, tuple(content.get("unknown", ()))))
        except (TypeError, LookupError, AttributeError):
            raise DataError(
                "the file does not list the jobs of a submission", where=files.jobs, remedy=remedy
            ) from None
    return submissions


def _hand_over(
    run: Run, profile: Profile, levels: list[Level], files: SubmissionFolder, console: Console
) -> list[Submitted]:
    notes = _Notes(files)
    before: list[str] = []
    lines = iter(list(describe(levels)))
    asked = ""
    try:
        for level in levels:
            ids = []
            for job in level:
                asked = job.name
                script = notes.script(asked)
                write_text(script, render(job, profile, run=run.folder, folder=files.root, chdir=Path.cwd()))
                replace(notes, unknown=(asked,)).write()  # should this process die before the answer
                job_id = controller.submit(script, before, Path.cwd())
                ids.append(job_id)
                accepted = Submitted(str(job_id), job.name, job.stage, len(job.tasks), getattr(job_id, "cluster", ""))
                if twice := [other.name for other in notes.jobs if other.job == accepted.job]:
                    notes = replace(notes, jobs=tuple(other for other in notes.jobs if other.name not in twice))
                    what = f"sbatch printed {job_id} for {', '.join(twice)} and for {job.name}, so it is no job's id"
                    raise controller.Unanswered(what, where=script)
                notes = replace(notes, jobs=(*notes.jobs, accepted))
                notes.write()  # at once: what SLURM has is remembered, however this process ends
                console.print(f"{next(lines)}   job {ids[-1]}", markup=False, highlight=False)
            before = ids
    except controller.Unanswered as error:
        raise _taken_back(replace(notes, unknown=(asked,)), error) from None
    except AugrecError as error:
        raise _taken_back(notes, error) from None
    except BaseException:
        controller.cancel(job.job for job in notes.jobs)
        raise
    return list(notes.jobs)


def _taken_back(notes: _Notes, error: AugrecError) -> AugrecError:
    """Takes a chain back after sbatch failed; the error, with what is left of the chain and what to do about it."""
    ids: list[str] = [job.job for job in notes.jobs]
    if notes.unknown:
        listed = controller.queue(*clusters_of(notes.jobs)) or ()
        ids += [queued.job for queued in listed if _of_script(queued, notes) and queued.job not in ids]
    left = bool(ids) and controller.cancel(ids) is False
    replace(notes, jobs=notes.jobs if left else ()).write()
    where = error.where or notes.files.root
    if left:
        remedy = f"{controller.cancel_command(ids)}   (scancel failed just now); then submit again"
        return AugrecError(f"{error.what}\n  jobs {', '.join(ids)} could not be taken back", where=where, remedy=remedy)
    what = f"{error.what}\n  what was submitted is taken back: jobs {', '.join(ids)}" if ids else error.what
    if notes.unknown:
        remedy = f"scancel what `squeue --me` lists of {notes.script(notes.unknown[0])}, if anything; then submit again"
        return AugrecError(what, where=where, remedy=remedy)
    return type(error)(what, where=where, remedy=error.remedy or "mend the cause and submit again")


def _of_script(queued: controller.Queued, notes: _Notes) -> bool:
    return bool(queued.command) and queued.alive and queued.command.startswith(f"{notes.files.root.absolute()}/")


def clusters_of(jobs: Iterable[Submitted]) -> list[str]:
    """The names of the clusters, where sbatch said them."""
    return sorted({job.cluster for job in jobs} - {""})


def _show(run: Run, profile: Profile, levels: list[Level], console: Console) -> None:
    """The plan first: of many scripts nobody sees the end."""
    for line in (*describe(levels), gpu_hours_in_words(levels), ""):
        console.print(line, markup=False, highlight=False)
    files = run.files.submission("dry-run")
    names: list[str] = []
    for level in levels:
        for job in level:
            script = files.script(job.name).absolute()
            command = controller.sbatch_command(script, [f"<{name}>" for name in names])
            text = render(job, profile, run=run.folder, folder=files.root, chdir=Path.cwd())
            console.print(f"$ {shlex.join(command)}\n{text}", markup=False, highlight=False)
        names = [job.name for job in level]


def _refuse_twice(run: Run) -> None:
    """Two chains of entry run would wait for, and write over, each other. Who cannot say that there is none, stops."""
    notes = _notes(run.folder)
    known = {job.id: job.job for entry in notes for job in entry.jobs}
    unknown = [entry for entry in notes if entry.unknown]
    if not known and not unknown:
        return
    queued = controller.queue(*clusters_of(job for entry in notes for job in entry.jobs))
    if queued is None:
        if controller.available():  # else handing over says that SLURM is not here
            _refuse_unknown(run, known, unknown)
        return
    mine = [job for job in queued if job.alive and (job.job in known or any(_of_script(job, entry) for entry in notes))]
    alive: list[str] = sorted({known.get(job.job, job.job) for job in mine})
    if alive:
        raise AugrecError(
            f"jobs of this run are still waiting or running: {', '.join(alive)}",
            where=RunFolder(run.folder).slurm,
            remedy=f"wait for them, or {controller.cancel_command(alive)}",
        )
    for entry in unknown:  # squeue knows of no such job by now
        replace(entry, unknown=()).write()


def _refuse_unknown(run: Run, known: dict[str, controller.JobId], unknown: list[_Notes]) -> None:
    """squeue does not answer: only the accounting can still say that every job has ended."""
    ended: dict[str, list[bool]] = {number: [] for number in known}
    for job, state in controller.verdicts(known.values()).items():
        ended.setdefault(job.partition("_")[0], []).append(controller.has_ended(state))
    lost = [job for number, job in known.items() if not ended[number] or not all(ended[number])]
    if not lost and not unknown:
        return
    names = [*lost, *(f"{entry.unknown[0]} (without an id)" for entry in unknown)]
    raise AugrecError(
        f"squeue does not answer, so it is unknown whether jobs of this run still wait or run: {', '.join(names)}",
        where=RunFolder(run.folder).slurm,
        remedy="submit again when `squeue --me` answers; nothing was submitted now. If you know that these jobs have "
        "ended, remove their jobs.json",
    )


def _new_folder(run: Run) -> SubmissionFolder:
    for folder in _numbered(run.files):
        try:
            folder.root.mkdir(parents=True)
        except FileExistsError:
            continue
        return folder
    raise AssertionError


def _numbered(run: RunFolder) -> Iterator[SubmissionFolder]:
    numbers = (int(before.root.name) for before in run.submissions() if before.root.name.isdigit())
    for number in count(max(numbers, default=0) + 1):
        yield run.submission(f"{number:03d}")
