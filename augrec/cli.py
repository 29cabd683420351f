"""The command line: `augrec run CONFIG`, each stage alone, and the checks around them."""

from __future__ import annotations

import errno
import io
import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from augrec.artefacts.errors import AugrecError, UsageError
from augrec.artefacts.plugins import load_plugins
from augrec.pipeline.exchange.commands import export_app, import_app, requests_app
from augrec.pipeline.exchange.instructions import register as register_tuning_commands
from augrec.pipeline.executors.commands import ConfigPath, Download, Overrides
from augrec.pipeline.executors.commands import register as register_stage_commands
from augrec.pipeline.executors.slurm.commands import register as register_cluster_commands
from augrec.pipeline.host.stopping import Stopped
from augrec.pipeline.host.terminal import say, terminal

app = typer.Typer(
    name="augrec",
    help="LLM augmentation for graph recommenders: offline, on open weights, with controls and tests built in.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

ExperimentPath = Annotated[
    Path, typer.Argument(metavar="CONFIG", help="An experiment, e.g. configs/ml-100k/table2.yaml.")
]


@app.callback()
def _main(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    _State.debug = debug


class _State:
    debug = False


@app.command()
def run(
    config: ConfigPath,
    overrides: Overrides = None,
    force: Annotated[
        list[str] | None, typer.Option("--force", metavar="STAGE", help="Run a stage from nothing.")
    ] = None,
    download: Download = False,
    workers: Annotated[
        int | None,
        typer.Option("--workers", metavar="N", min=1, help="Processes that share shards and trainings."),
    ] = None,
) -> None:
    """Run the whole chain; finished stages are skipped."""
    from augrec.pipeline.config import read_config
    from augrec.pipeline.executors.chain import run_all
    from augrec.pipeline.stages.base import Run

    _check_stages(force)
    job = Run(read_config(config, overrides), download)
    with job.stop.listening():
        run_all(job, force=force or [], console=_console(), workers=workers)
    _console().print(f"\nReport: {job.files.page}", markup=False, highlight=False)


@app.command()
def experiment(
    config: ExperimentPath,
    overrides: Overrides = None,
    force: Annotated[
        list[str] | None, typer.Option("--force", metavar="STAGE", help="Run a stage from nothing, in every run.")
    ] = None,
    download: Download = False,
) -> None:
    """Run variants x seeds x data sets x settings, and tabulate them; what is finished is kept."""
    from augrec.artefacts.study_folder import ExperimentFolder
    from augrec.pipeline.studies.experiment.plan import read_experiment
    from augrec.pipeline.studies.experiment.run import run_experiment

    _check_stages(force)
    plan = read_experiment(config, overrides)
    _, failures = run_experiment(plan, console=_console(), force=force or [], download=download)
    folder = ExperimentFolder(plan.experiment.folder)
    _console().print(f"\nTables and plots: {folder.page}", markup=False, highlight=False)
    if failures:
        raise AugrecError(
            f"{len(failures)} of the experiment's steps failed; their rows say why",
            where=folder.failures,
            remedy="mend the cause and run the same command again; what is finished is kept",
        )


@app.command()
def compare(
    config: Annotated[
        Path, typer.Argument(metavar="CONFIG", help="A comparison, e.g. configs/amazon-book/compare.yaml.")
    ],
    overrides: Overrides = None,
    force: Annotated[
        list[str] | None, typer.Option("--force", metavar="STAGE", help="Run a stage from nothing.")
    ] = None,
    download: Download = False,
) -> None:
    """Judge augmentations side by side: downstream, by their text, by their cost."""
    from augrec.pipeline.studies.comparison.plan import read_compare
    from augrec.pipeline.studies.comparison.run import run_compare

    _check_stages(force)
    page = run_compare(read_compare(config, overrides), console=_console(), force=force or [], download=download)
    _console().print(f"\nComparison: {page}", markup=False, highlight=False)


def _check_stages(names: list[str] | None) -> None:
    from augrec.pipeline.stages import STAGES

    unknown = [name for name in names or [] if name not in STAGES]
    if unknown:
        raise UsageError(f"--force: there is no stage '{unknown[0]}'", remedy=f"one of {', '.join(STAGES)}")


register_stage_commands(app)
register_cluster_commands(app)
register_tuning_commands(app)


@app.command()
def audit(run_folder: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder, e.g. runs/demo.")]) -> None:
    """Prove that only training interactions were used, and that the artefacts of a run fit together."""
    from augrec.pipeline.audit import audit_run, render

    findings = audit_run(run_folder)
    render(findings, _console())
    if findings.violations:
        raise typer.Exit(1)


@app.command()
def distant(
    run_folder: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder whose trainings kept their models.")],
    hops: Annotated[int, typer.Option(help="Far is more than so many hops away: 3 or 5.")] = 3,
    near: Annotated[int, typer.Option(min=1, help="How many far users with the likest texts are looked at.")] = 5,
    users: Annotated[int, typer.Option(min=2, help="Users that are drawn.")] = 1000,
    seed: Annotated[int, typer.Option(help="Of the draws.")] = 0,
    source: Annotated[str | None, typer.Option(help="Whose texts say who is alike.")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Also write the figures.")] = None,
) -> None:
    """Measure whether models hold users near who are far apart in the graph and alike in their texts."""
    from dataclasses import asdict

    from augrec.artefacts.files import write_json
    from augrec.pipeline.distant import measure, render

    found = measure(run_folder, hops=hops, near=near, sample=users, seed=seed, source=source)
    render(found, _console())
    if json_file is not None:
        write_json(json_file, asdict(found))


@app.command()
def clean(
    run_folder: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder, e.g. runs/demo.")],
    yes: Annotated[bool, typer.Option("--yes", help="Delete what is listed.")] = False,
) -> None:
    """List what of a run folder nobody reads: what its config no longer names, set-aside files, old trials."""
    from augrec.pipeline.clean import clean as clean_run

    clean_run(run_folder, delete=yes, console=_console())


@app.command()
def validate(
    configs: Annotated[
        list[Path] | None, typer.Argument(metavar="[CONFIG]...", help="Files or folders; configs/ by default.")
    ] = None,
) -> None:
    """Check config files without running anything."""
    from augrec.pipeline.studies.config_files import check_file

    paths = [file for path in configs or [Path("configs")] for file in _yaml_files(path)]
    failed = 0
    for path in paths:
        try:
            kind = check_file(path)
        except UsageError as error:
            failed += 1
            say(f"{path}  wrong\n{error}", error=True)
        else:
            say(f"{path}  ok  ({kind})")
    if failed:
        raise typer.Exit(UsageError.exit_code)


def _yaml_files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    files = sorted(path.rglob("*.yaml"))
    if not files:
        raise UsageError("no .yaml file here", where=path)
    return files


@app.command()
def schema(
    kind: Annotated[str, typer.Argument(metavar="[run|experiment|compare]", help="The kind of config.")] = "run",
) -> None:
    """Print the JSON schema of a config, for editors."""
    import json

    from augrec.pipeline.schema import config_schema

    print(json.dumps(config_schema(kind), indent=2, ensure_ascii=False))


@app.command()
def models(
    family: Annotated[str | None, typer.Argument(metavar="[FAMILY]", help="Show the options of this one.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """List the recommenders: paper, inputs, options."""
    from augrec.pipeline import model_list

    if as_json:
        print(model_list.render_json(family))
    elif family is None:
        model_list.render_families(_console())
    else:
        model_list.render_family(family, _console())


@app.command()
def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """Show versions, devices, and which engines, models and data are usable offline."""
    from augrec.pipeline.doctor import checks

    sections = checks.collect()
    if as_json:
        print(checks.as_json(sections))
    else:
        checks.render(sections)
    raise typer.Exit(checks.exit_code(sections))


app.add_typer(import_app, name="import")
app.add_typer(export_app, name="export")
app.add_typer(requests_app, name="requests")


def _console() -> Console:
    return terminal()


def main() -> None:
    """Runs the command line; every expected error becomes a message and an exit code (2 usage, 1 failure)."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)  # in a log file the stages' lines stand between those of progress
    try:
        load_plugins()
        register_stage_commands(app)  # those of plugins
        app(standalone_mode=True)
    except Stopped as stop:
        _fail(str(stop), stop.exit_code)
    except AugrecError as error:
        _fail(str(error), error.exit_code)
    except OSError as error:
        if _State.debug or error.errno is None:
            raise
        _fail(_os_problem(error), 1)
    except Exception as error:
        if _State.debug:
            raise
        _fail(
            f"unexpected {type(error).__name__}: {error}\n"
            "  remedy: run the same command with --debug before the subcommand (augrec --debug run ...) to see where",
            1,
        )


def _os_problem(error: OSError) -> str:
    remedies = {
        errno.ENOSPC: "free some space or choose another `output`, then run the same command: finished work is kept",
        errno.EDQUOT: "free some quota or choose another `output`, then run the same command: finished work is kept",
        errno.EROFS: "the file system is read-only: choose another `output`",
        errno.EACCES: "you may not write (or read) there: choose another `output` or mend the permissions",
        errno.EPERM: "you may not write (or read) there: choose another `output` or mend the permissions",
    }
    remedy = remedies.get(error.errno or 0, "see the path above; --debug shows where in the code")
    reason = os.strerror(error.errno) if error.errno else str(error)
    return f"{reason}\n  where:  {error.filename or 'unknown file'}\n  remedy: {remedy}"


def _fail(message: str, code: int) -> None:
    if _State.debug:
        raise
    say(f"augrec: {message}", error=True)
    sys.exit(code)


if __name__ == "__main__":
    main()
