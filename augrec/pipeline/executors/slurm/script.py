"""The text of a job: a plain shell script that anyone can read, keep, and submit by hand."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from augrec.artefacts.errors import UsageError
from augrec.artefacts.run_folder import RunFolder, SubmissionFolder
from augrec.pipeline.executors.profile import Profile
from augrec.pipeline.executors.slurm.plan import Job
from augrec.pipeline.host.stopping import AGAIN

TEMPLATES = Path(__file__).parent / "templates"


def render(job: Job, profile: Profile, *, run: Path, folder: Path, chdir: Path) -> str:
    """The sbatch script of a job. Dependencies are not in it: they are options of the call.

    Args:
        job: what it does.
        profile: where it runs.
        run: the run folder.
        folder: R/slurm/<submission>, with the config the job reads.
        chdir: where it starts: relative paths of the config count from here.
    """
    for path in (run, folder, chdir):
        if not str(path).isprintable():  # the table of exits is parted by tabs, a script by lines
            what = "a path with a line break, a tab or another control character cannot stand in a batch script"
            raise UsageError(what, where=repr(str(path)), remedy="give the run another `output`")
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
        keep_trailing_newline=True,
    )  # fmt: skip
    environment.filters |= {"sh": lambda value: shlex.quote(str(value)), "words": shlex.join}
    config = str(SubmissionFolder(folder).config.absolute())
    return environment.get_template("job.sbatch.j2").render(
        directives=directives(job, profile, run=run, chdir=chdir),
        title=f"{run.name}: {job.name}",
        name=job.name,
        array=job.array,
        tasks=[[[words[0], config, *words[1:]] for words in task] for task in job.tasks],
        modules=profile.modules,
        lines=profile.lines,
        local_disk=profile.local_disk,
        command=program(job, profile, run=run, chdir=chdir),
        log=RunFolder(run).job_logs.absolute(),
        exits=RunFolder(run).job_exits.absolute(),
        again=AGAIN,
        max_requeues=profile.max_requeues,
    )


def directives(job: Job, profile: Profile, *, run: Path, chdir: Path) -> list[str]:
    """The options of sbatch, one per line."""
    asked = job.resources
    gpus = None if not asked.gpus else f"gpu:{asked.gpu_type}:{asked.gpus}" if asked.gpu_type else f"gpu:{asked.gpus}"
    throttle = f"%{asked.throttle}" if asked.throttle else ""
    output = f"{_literal(RunFolder(run).job_logs.absolute())}/{_literal(job.name)}-{'%A_%a' if job.array else '%j'}.out"
    options = {
        "job-name": f"{run.name}-{job.name}",
        "chdir": str(chdir.absolute()),
        "output": output,
        "open-mode": "append",
        "array": f"0-{len(job.tasks) - 1}{throttle}" if job.array else None,
        "partition": asked.partition,
        "account": asked.account,
        "qos": asked.qos,
        "constraint": asked.constraint,
        "nodes": "1",
        "ntasks": "1",
        "cpus-per-task": asked.cpus,
        "mem": asked.memory,
        "gres": gpus,
        "time": asked.time,
        "signal": f"B:USR1@{profile.signal_before}",
        "kill-on-invalid-dep": "yes",
    }
    lines = [f"--{name}={_quoted(str(value))}" for name, value in options.items() if value is not None]
    return [*lines, "--requeue", *asked.extra]


def program(job: Job, profile: Profile, *, run: Path, chdir: Path) -> str:
    """The words that start augrec on a node, quoted for the shell."""
    environment = profile.environment(job.environment)
    if environment is not None and environment.container:
        inside, here = environment.container, str(chdir.absolute())
        bound = dict.fromkeys((here, str(run.absolute()), *inside.bind))
        before = [inside.runtime, "exec", *(["--nv"] if job.resources.gpus else []), "--pwd", here]
        before += [word for bind in bound for word in ("--bind", bind)]
        local = [f'--bind "{profile.local_disk}"'] if profile.local_disk else []  # its variables are for the node
        after = [*inside.options, str(inside.image.expanduser().absolute()), "augrec"]
        return " ".join([shlex.join(before), *local, shlex.join(after)])
    beside = Path(sys.executable).with_name("augrec")
    venv = environment.venv if environment is not None else None
    if venv is not None:
        beside = venv.expanduser().absolute() / "bin" / "augrec"
    return shlex.quote(str(beside)) if venv is not None or beside.exists() else shlex.join([sys.executable, *_MODULE])


_MODULE = ("-P", "-m", "augrec.cli")


def _literal(text: object) -> str:
    """Text in a file name pattern of sbatch, where % begins a replacement."""
    return str(text).replace("%", "%%")


def _quoted(value: str) -> str:
    """A value as sbatch reads it from a script's comment: in double quotes where it needs any."""
    if not any(letter in " \t\"'\\#" for letter in value):
        return value
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
