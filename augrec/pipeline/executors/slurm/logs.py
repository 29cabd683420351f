"""`augrec logs RUN`: what a run's jobs said, above all those that failed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from augrec.artefacts.run_folder import RunFolder
from augrec.pipeline.executors.slurm import controller
from augrec.pipeline.executors.slurm.status import open_pieces
from augrec.pipeline.executors.slurm.submit import submitted
from augrec.pipeline.host.stopping import AGAIN
from augrec.pipeline.stages.base import Run
from augrec.pipeline.stages.saved_run import saved_configs

LINES = 20


@dataclass(frozen=True)
class FailedWork:
    """A job or a piece of work that did not end well."""

    what: str
    why: str
    log: Path | None


def failures(run: Run) -> list[FailedWork]:
    """Pieces of work that failed or were killed, and jobs of the last submission that ended with an error."""
    failed = []
    for piece in open_pieces(run):
        state = piece.attempts.state()
        if state.outcome in ("failed", "killed") and not piece.done():
            why = state.last.get("reason") or "its process was killed"
            log = state.last.get("log")
            failed.append(FailedWork(f"{piece.stage} {piece.name}", why, _log(run.folder, log)))
    named = {failed_work.log for failed_work in failed}
    return failed + [failed_work for failed_work in _jobs(run.folder) if failed_work.log not in named]


def _jobs(run: Path) -> Iterator[FailedWork]:
    last = {job.job for job in submitted(run, newest=True)}
    verdicts = controller.verdicts(sorted(last))
    for job, (name, code, log) in _exits(run).items():
        if job.partition("_")[0] in last and code not in (0, AGAIN):
            verdict = f", {verdicts[job]}" if job in verdicts else ""
            yield FailedWork(f"job {job} ({name})", f"exit code {code}{verdict}", _log(run, log))


def _log(run: Path, named: object) -> Path | None:
    """The log of that name among the run's own: a run may have been moved, or name any file of its reader's."""
    return RunFolder(run).job_logs / Path(named).name if isinstance(named, str) and Path(named).name else None


def _exits(run: Path) -> dict[str, tuple[str, int, str]]:
    """The last exit of every job and array task: name, code, log."""
    path = RunFolder(run).job_exits
    exits = {}
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else ():
        parts = line.split("\t")
        if len(parts) == 5 and parts[3].isdigit():
            exits[parts[2]] = (parts[1], int(parts[3]), parts[4])
    return exits


def tail(path: Path | None) -> str:
    """The end of a log."""
    if path is None or not path.exists():
        return "  (no log)"
    text = path.read_text(encoding="utf-8", errors="replace").splitlines()[-LINES:]
    return "\n".join(f"  {line}" for line in text)


def all_logs(run: Path) -> list[Path]:
    """Every log of a run, the newest last.

    Raises:
        UsageError: there is no run.
    """
    saved_configs(run)
    return sorted(RunFolder(run).job_logs.glob("*.out"), key=lambda path: path.stat().st_mtime)
