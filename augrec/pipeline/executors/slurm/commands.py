"""The commands for clusters: submit, status, logs, and the stages whose work can be shared out."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from augrec.artefacts.errors import UsageError
from augrec.pipeline.host.terminal import say, terminal

if TYPE_CHECKING:
    from augrec.pipeline.stages.base import Run

ConfigPath = Annotated[Path, typer.Argument(metavar="CONFIG", help="A YAML file, e.g. configs/ml-100k/demo.yaml.")]
RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="A run folder, e.g. runs/demo.")]
Overrides = Annotated[list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Overrides.")]
Force = Annotated[bool, typer.Option("--force", help="Run the stage from nothing.")]
Attempts = Annotated[
    int | None,
    typer.Option("--attempts", metavar="N", min=1, help="In a job: exit with 75, to be tried again, N times at most."),
]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    commands: tuple[Callable[..., None], ...] = (augment, embed, train, submit, status, logs)
    for command in commands:
        app.command()(command)


def augment(
    config: ConfigPath,
    overrides: Overrides = None,
    force: Force = False,
    source: Annotated[
        str | None, typer.Option("--source", metavar="NAME", help="Only answer for this source; nothing is merged.")
    ] = None,
    shards: Annotated[
        str | None, typer.Option("--shards", metavar="LIST", help="Of that source only these, e.g. 3-5,9.")
    ] = None,
    merge: Annotated[
        bool, typer.Option("--merge", help="Only merge: refuse where a shard is not answered yet.")
    ] = False,
    attempts: Attempts = None,
) -> None:
    """Let each source (an LLM, or the heuristic control) write edges, profiles and attributes."""
    from augrec.pipeline.executors.ranges import parse_ranges
    from augrec.pipeline.executors.work import answer_shards, check_answered

    if shards is not None and source is None:
        raise UsageError("--shards needs --source", remedy="name the source whose shards are meant")
    if source is None:
        _stage("augment", config, overrides, force, check_answered if merge else None)
        return
    _refuse_both(force, "--source")
    with _listening(config, overrides) as run:
        total = run.config.generation.shards if run.config.generation else 0
        chosen = parse_ranges(shards) if shards is not None else range(total)
        answer_shards(run, source, chosen, attempts=attempts, console=_console())


def embed(
    config: ConfigPath,
    overrides: Overrides = None,
    force: Force = False,
    group: Annotated[
        str | None,
        typer.Option("--group", metavar="NAME", help="Only these matrices: a source, data, or features."),
    ] = None,
    attempts: Attempts = None,
) -> None:
    """Encode the generated text and the items' own text."""
    from augrec.pipeline.executors.work import embed_group

    if group is None:
        _stage("embed", config, overrides, force)
        return
    _refuse_both(force, "--group")
    with _listening(config, overrides) as run:
        embed_group(run, group, attempts=attempts, console=_console())


def train(
    config: ConfigPath,
    overrides: Overrides = None,
    force: Force = False,
    only: Annotated[
        str | None,
        typer.Option("--only", metavar="LIST", help="Only these trainings, e.g. llmrec/seed-1,llmrec/seed-2."),
    ] = None,
    attempts: Attempts = None,
) -> None:
    """Train and evaluate every variant with every seed."""
    from augrec.pipeline.executors.work import train_only

    if only is None:
        _stage("train", config, overrides, force)
        return
    _refuse_both(force, "--only")
    with _listening(config, overrides) as run:
        train_only(run, [name.strip() for name in only.split(",")], attempts=attempts, console=_console())


def submit(
    config: ConfigPath,
    overrides: Overrides = None,
    profile: Annotated[
        Path | None, typer.Option("--profile", metavar="FILE", help="The cluster, e.g. slurm/profiles/gpu.toml.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the batch scripts; submit and write nothing.")] = (
        False
    ),
) -> None:
    """Submit what is not finished to SLURM, as a chain of jobs and arrays."""
    from augrec.pipeline.config import read_config
    from augrec.pipeline.executors.slurm.profile import read_profile
    from augrec.pipeline.executors.slurm.submit import submit as hand_over
    from augrec.pipeline.stages.base import Run

    cluster = read_profile(profile)
    hand_over(Run(read_config(config, overrides)), cluster, dry_run=dry_run, console=_console())


def status(
    run_folder: RunFolder,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Show how far a run is: what is done, running, failed and missing, per stage."""
    from augrec.pipeline.executors.slurm import status as standing

    with standing.run_at_home(run_folder) as run:
        rows = standing.collect(run)
    if as_json:
        print(json.dumps(standing.as_json(rows), indent=2))
    else:
        standing.render(rows, _console())


def logs(
    run_folder: RunFolder,
    failed: Annotated[bool, typer.Option("--failed", help="Only what failed: the reason, and the end of its log.")] = (
        False
    ),
) -> None:
    """List the logs of a run's jobs, or show why some failed."""
    from augrec.pipeline.executors.slurm.logs import all_logs, failures, tail
    from augrec.pipeline.executors.slurm.status import run_at_home

    if not failed:
        for path in all_logs(run_folder):
            say(str(path))
        return
    with run_at_home(run_folder) as run:
        found = failures(run)
    for trouble in found:
        say(f"{trouble.what}: {trouble.why}\n  log: {trouble.log}\n{tail(trouble.log)}\n")
    if not found:
        print("nothing failed")


def _refuse_both(force: bool, option: str) -> None:
    if force:
        raise UsageError(f"--force starts a whole stage from nothing and cannot go with {option}")


def _stage(
    name: str,
    config: Path,
    overrides: list[str] | None,
    force: bool,
    check: Callable[[Run], None] | None = None,
) -> None:
    from augrec.pipeline.executors.chain import run_one

    with _listening(config, overrides) as run:
        if check is not None:
            check(run)
        run_one(run, name, force=force, console=_console())


@contextmanager
def _listening(config: Path, overrides: list[str] | None) -> Iterator[Run]:
    """The run of a config, while this process can be asked to stop."""
    from augrec.pipeline.config import read_config
    from augrec.pipeline.stages.base import Run

    run = Run(read_config(config, overrides))
    with run.stop.listening():
        yield run


def _console() -> Console:
    return terminal()
