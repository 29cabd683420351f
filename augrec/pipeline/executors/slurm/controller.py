"""SLURM's own commands. Everything but submitting works without them, and knows then that it does not know.

Sites wrap these commands: banners are printed before an id, `squeue` is slow or down, accounting is missing. So an
answer counts only where it has the form of one, and no answer is never taken for an empty one.
"""

from __future__ import annotations

import getpass
import os
import re
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from augrec.artefacts.errors import AugrecError, UsageError
from augrec.artefacts.visible import visible

DEFAULT_MAX_ARRAY_SIZE = 1001
SECONDS = 60
"""How long a command may take; a busy controller answers slowly."""
JOB_ID = re.compile(r"(?:([1-9][0-9]*)(?:;([\w.-]+))?|Submitted batch job ([1-9][0-9]*)(?: on cluster ([\w.-]+))?)")
"""What `sbatch --parsable` prints, and what it prints where a wrapper drops the option."""
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
"""By which wrappers paint what they print."""
ENDED = frozenset(
    ("BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED", "TIMEOUT")
)
"""States a job does not come back from; every other one, known here or not, may still run."""
WAITING = frozenset(
    ("CONFIGURING", "PENDING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "RESV_DEL_HOLD", "SPECIAL_EXIT")
)
"""States in which a job has no processes yet, or no more."""
REVOKED = "REVOKED"
"""The state of a federated cluster's copy of a job that another one started: it says nothing of the job."""
FEDERATION = "--federation"
"""Asks all clusters of a federation; without it a job that another one than this started is in no list."""
FILTERS = ("SQUEUE_", "SACCT_", "SCANCEL_")
"""Variables by which a user narrows or shapes what these commands list, and which jobs are taken back."""
NO_ANSWER = re.compile(r"(?i)timed? ?out|communication|unable to contact|slurm_load_jobs error")
"""How a controller's silence reads where a wrapper drops squeue's exit status."""


class JobId(str):
    """The number of a job; `cluster` names where it is, and is empty but where sbatch chose among several."""

    __slots__ = ("cluster",)
    cluster: str

    def __new__(cls, number: str, cluster: str = "") -> JobId:
        """A str is made here and not in `__init__`, so that it can hold more than its text."""
        made = super().__new__(cls, number)
        made.cluster = cluster
        return made


@dataclass(frozen=True)
class Queued:
    """One line of squeue."""

    job: str
    """The job, or the array it belongs to."""
    tasks: str
    """The array tasks, as an expression; "N/A" for a plain job."""
    state: str
    reason: str
    command: str = ""
    """The batch script, as it was handed over."""

    @property
    def alive(self) -> bool:
        """Whether it may still run, or run again."""
        return not has_ended(self.state)

    @property
    def on_a_node(self) -> bool:
        """Whether its processes may be there."""
        return self.alive and _bare(self.state) not in WAITING


def _bare(state: str) -> str:
    """`CANCELLED by 1000` and `CANCELLED+` are the state CANCELLED."""
    return state.split(" ")[0].rstrip("+")


def has_ended(state: str) -> bool:
    """Whether a job in this state does not come back from it."""
    return _bare(state) in ENDED


class Unanswered(AugrecError):
    """sbatch took too long or printed no id: whether there is a job now is unknown."""


def available() -> bool:
    """Whether jobs can be submitted from here."""
    return shutil.which("sbatch") is not None


def max_array_size() -> int:
    """The cluster's limit on array indices, 0 where it has no arrays; SLURM's default where it cannot be asked."""
    limit = re.search(r"^\s*MaxArraySize\s*=\s*(\d+)", _answer(["scontrol", "show", "config"]) or "", re.MULTILINE)
    return int(limit[1]) if limit else DEFAULT_MAX_ARRAY_SIZE


def submit(script: Path, after: Iterable[str], folder: Path) -> str:
    """Submits a script that waits for other jobs to succeed; returns its id, a `JobId`.

    Raises:
        UsageError: SLURM is not here.
        Unanswered: sbatch did not answer, or not by an id; a job may be there all the same.
        AugrecError: it refused the job, with its reason.
    """
    command = sbatch_command(script, after)
    if not available():
        raise UsageError("sbatch is not on PATH", remedy="submit from a login node of the cluster, or use `augrec run`")
    try:
        done = _run(command, folder)
    except subprocess.TimeoutExpired:
        raise Unanswered(f"sbatch did not answer within {SECONDS} s", where=script) from None
    except OSError as error:
        raise UsageError(f"sbatch cannot be started: {error.strerror}", where=shutil.which("sbatch")) from None
    shown = visible("\n".join(part for part in (done.stdout.strip(), done.stderr.strip()) if part)) or "nothing"
    if done.returncode:
        kind = Unanswered if re.search(r"(?i)timed? ?out|communication|unable to contact", shown) else AugrecError
        raise kind(f"sbatch refused the job: {shown}", where=script)
    job = parse_job_id(done.stdout)
    if job is None:
        raise Unanswered(f"sbatch printed no job id. It printed:\n{shown}", where=script)
    return job


def parse_job_id(text: str) -> JobId | None:
    """The id in what sbatch printed: its last line that is not empty, whatever a site prints before; None for others.

    >>> parse_job_id("Welcome to the 3 nodes of Seabird\\n--> OK\\n1001;slaking\\n")
    '1001'
    """
    lines = [line.strip() for line in COLOUR.sub("", text).splitlines() if line.strip()]
    match = JOB_ID.fullmatch(lines[-1]) if lines else None
    return None if match is None else JobId(match[1] or match[3], match[2] or match[4] or "")


def sbatch_command(script: Path, after: Iterable[str]) -> list[str]:
    """The call of sbatch."""
    ids = list(after)
    return ["sbatch", "--parsable", *([f"--dependency=afterok:{':'.join(ids)}"] if ids else []), str(script)]


def cancel(jobs: Iterable[str]) -> bool:
    """Takes jobs back; whether SLURM says that it did."""
    answers = [_answer(["scancel", *on, *ids]) for on, ids in _by_cluster(jobs)]
    return None not in answers


def cancel_command(jobs: Iterable[str]) -> str:
    """The same for a person to type."""
    return " && ".join(" ".join(["scancel", *on, *ids]) for on, ids in _by_cluster(jobs))


def queue(*clusters: str) -> list[Queued] | None:
    """The user's jobs that wait or run, here, in this cluster's federation and on further clusters; None where nobody
    answers."""
    listed: list[Queued] = []
    for on in ([FEDERATION], *([f"--clusters={name}"] for name in clusters)):
        done = _known_to_all(["squeue", *on, "--noheader", "--format=%F|%K|%T|%r|%o", "--me"])
        if done is None or done.returncode:
            return None
        rows = [[part.strip() for part in line.split("|", 4)] for line in done.stdout.splitlines()]
        named = [[parts[0].partition("_")[0], *parts[1:]] for parts in rows if len(parts) >= 4]
        jobs = [Queued(*parts) for parts in named if parts[0].isdecimal()]  # a banner may have bars
        if not jobs and ("error:" in done.stdout or NO_ANSWER.search(f"{done.stdout}\n{done.stderr}")):
            return None
        listed += [job for job in jobs if _bare(job.state) != REVOKED]
    return listed


def verdicts(jobs: Iterable[str]) -> dict[str, str]:
    """How finished jobs and array tasks ended, from the accounting; empty where there is none."""
    ended: dict[str, str] = {}
    for on, ids in _by_cluster(jobs):
        asked = ["-n", "-X", "-P", "--format=JobID,State,ExitCode", "-j", ",".join(ids)]
        done = _known_to_all(["sacct", *(on or [FEDERATION]), *asked])
        listed = "" if done is None or done.returncode else done.stdout
        lines = ([part.strip() for part in line.split("|")] for line in listed.splitlines() if line.count("|") >= 2)
        ended |= {job: state for job, state, *_ in lines if job[:1].isdecimal() and _bare(state) != REVOKED}
    return ended


def _known_to_all(command: list[str]) -> subprocess.CompletedProcess[str] | None:
    """A command that ended, without what its version does not know: None where it is missing or takes too long."""
    done = _call(command)
    for option, older in ((FEDERATION, []), ("--me", [f"--user={getpass.getuser()}"])):  # since 17.11 and 20.11
        if done is not None and done.returncode and option in done.stderr:
            command = [part for word in command for part in (older if word == option else [word])]
            done = _call(command)
    return done


def _by_cluster(jobs: Iterable[str]) -> list[tuple[list[str], list[str]]]:
    """The options that name a cluster, and the jobs there."""
    groups: dict[str, list[str]] = {}
    for job in jobs:
        groups.setdefault(job.cluster if isinstance(job, JobId) else "", []).append(job)
    return [([f"--clusters={cluster}"] if cluster else [], ids) for cluster, ids in groups.items()]


def _answer(command: list[str]) -> str | None:
    """What a command prints; None where it is missing, fails, or takes too long."""
    done = _call(command)
    return None if done is None or done.returncode else done.stdout


def _call(command: list[str]) -> subprocess.CompletedProcess[str] | None:
    """A command that ended; None where it is missing or takes too long."""
    try:
        return _run(command, None) if shutil.which(command[0]) else None
    except (subprocess.TimeoutExpired, OSError):
        return None


def _run(command: list[str], folder: Path | None) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(FILTERS)}
    done = subprocess.run(
        command, capture_output=True, text=True, errors="replace", check=False, timeout=SECONDS, cwd=folder,
        env=environment, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    done.stdout, done.stderr = (COLOUR.sub("", text) for text in (done.stdout, done.stderr))
    return done
