"""SLURM's own commands. Everything but submitting works without them, and then answers nothing."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from artefacts.errors import AugrecError, UsageError

DEFAULT_MAX_ARRAY_SIZE = 1001
SECONDS = 60


@dataclass(frozen=True)
class Queued:
    """One line of squeue."""

    job: str
    """The job, or the array it belongs to."""
    tasks: str
    """The array tasks, as an expression; "N/A" for a plain job."""
    state: str
    reason: str


def available() -> bool:
    """Whether jobs can be submitted from here."""
    return shutil.which("sbatch") is not None


def max_array_size() -> int:
    """The cluster's limit on array indices; SLURM's default where it cannot be asked."""
    found = re.search(r"^MaxArraySize\s*=\s*(\d+)", _told(["scontrol", "show", "config"]) or "", re.MULTILINE)
    return int(found[1]) if found else DEFAULT_MAX_ARRAY_SIZE


def submit(script: Path, after: Iterable[str], folder: Path) -> str:
    """Submits a script that waits for other jobs to succeed; returns its id.

    Raises:
        UsageError: SLURM is not here.
        AugrecError: it refused the job, with its reason.
    """
    command = sbatch_command(script, after)
    if not available():
        raise UsageError("sbatch is not on PATH", remedy="submit from a login node of the cluster, or use `augrec run`")
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=SECONDS, cwd=folder)
    if done.returncode:
        raise AugrecError(f"sbatch refused the job: {done.stderr.strip()}", where=script)
    return done.stdout.strip().partition(";")[0]


def sbatch_command(script: Path, after: Iterable[str]) -> list[str]:
    """The call of sbatch."""
    ids = list(after)
    return ["sbatch", "--parsable", *([f"--dependency=afterok:{':'.join(ids)}"] if ids else []), str(script)]


def cancel(jobs: Iterable[str]) -> None:
    """Takes jobs back."""
    ids = list(jobs)
    if ids:
        _told(["scancel", *ids])


def queue() -> list[Queued]:
    """The user's jobs that wait or run; nothing where SLURM is not here."""
    listed = _told(["squeue", "--me", "--noheader", "--format=%F|%K|%T|%r"]) or ""
    return [Queued(*line.split("|", 3)) for line in listed.splitlines() if line.count("|") >= 3]


def verdicts(jobs: Iterable[str]) -> dict[str, str]:
    """How finished jobs and array tasks ended, from the accounting; empty where there is none."""
    ids = ",".join(jobs)
    listed = (_told(["sacct", "-n", "-X", "-P", "--format=JobID,State,ExitCode", "-j", ids]) if ids else None) or ""
    return {job: state for job, state, *_ in (line.split("|") for line in listed.splitlines() if line.count("|") == 2)}


def _told(command: list[str]) -> str | None:
    """What a command prints; None where it is missing or fails."""
    if shutil.which(command[0]) is None:
        return None
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        return None
    return done.stdout if done.returncode == 0 else None
