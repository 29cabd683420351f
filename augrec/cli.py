"""The command line: `augrec run CONFIG`, each stage alone, and the checks around them."""

from __future__ import annotations

import io
import sys
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from augrec.artefacts.errors import UsageError
from augrec.artefacts.huge_pages import ask_for_huge_pages
from augrec.artefacts.plugins import load_plugins
from augrec.artefacts.progress import signs_of_life
from augrec.pipeline.config.shipped import configs_app
from augrec.pipeline.description import register as register_description
from augrec.pipeline.exchange.commands import export_app, import_app, requests_app
from augrec.pipeline.exchange.commands import register as register_push
from augrec.pipeline.exchange.instructions import register as register_tuning_commands
from augrec.pipeline.executors.choice import Address, ExecutorName, TaskProfile, chosen_executor
from augrec.pipeline.executors.commands import ConfigPath, Download, ForcedStages, Overrides, check_stages
from augrec.pipeline.executors.commands import register as register_stage_commands
from augrec.pipeline.executors.slurm.commands import register as register_cluster_commands
from augrec.pipeline.host.answers import Json, Quiet, answer, answering, console
from augrec.pipeline.host.command_list import CommandList
from augrec.pipeline.host.exit_codes import exit_code
from augrec.pipeline.host.terminal import say
from augrec.pipeline.preview.command import register as register_preview
from augrec.pipeline.recommend.commands import register as register_recommend
from augrec.pipeline.studies.commands import register as register_studies

app = typer.Typer(
    name="augrec",
    cls=CommandList,
    help="LLM augmentation for graph recommenders: offline, on open weights, with controls and tests built in.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _family_names() -> list[str]:
    from recsys.models.registry import FAMILIES

    return list(FAMILIES)


def _say_version(wanted: bool) -> None:
    if wanted:
        say(f"augrec {version('augrec')}")
        raise typer.Exit


@app.callback()
def _main(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", is_eager=True, callback=_say_version)
    ] = False,
) -> None:
    _State.debug = debug


class _State:
    debug = False


@app.command()
def run(
    config: ConfigPath,
    overrides: Overrides = None,
    force: ForcedStages = None,
    download: Download = False,
    workers: Annotated[
        int | None,
        typer.Option("--workers", metavar="N", min=1, help="Processes that share shards and trainings."),
    ] = None,
    executor: ExecutorName = "local",
    address: Address = None,
    profile: TaskProfile = None,
    hooks: Annotated[bool, typer.Option("--hooks", help="Call the config's hooks when it is done or failed.")] = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Run the whole chain; finished stages are skipped."""
    from augrec.pipeline.config.run_config import read_config
    from augrec.pipeline.executors.chain import run_all
    from augrec.pipeline.host.hooks import hooked
    from augrec.pipeline.preflight.checks import begin
    from augrec.pipeline.preview.ahead import expected_answers
    from augrec.pipeline.stages.base import Run, require_marker

    check_stages(force)
    job = Run(read_config(config, overrides), download)
    with chosen_executor(executor, workers=workers, address=address, profile=profile) as chosen:
        with signs_of_life("looking for what the stages need"):
            begin(chosen.look(job), config)
        with job.stop.listening(), hooked(job.config.hooks, job.config.name, job.folder, allowed=hooks):
            stages = run_all(
                job, force=force or [], console=console(), executor=chosen.executor, guess=expected_answers
            )
    lead = require_marker(job, "report").details["lead"]
    answer(
        {"run": job.folder, "page": job.files.page, "results": job.files.results, "lead": lead, "stages": stages},
        lambda out: out.print(f"\n{lead}\nReport: {job.files.page}", highlight=False, markup=False),
        brief=[job.files.page],
    )


register_studies(app)
register_stage_commands(app)
register_cluster_commands(app)
register_tuning_commands(app)
register_recommend(app)
register_push(app)
register_preview(app)
register_description(app)


@app.command()
def audit(
    run_folder: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder, e.g. runs/demo.")],
    instructions: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A file of `augrec instructions` instead, against the run's data and base."),
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Prove that only training interactions were used, and that the artefacts of a run fit together."""
    from augrec.pipeline.audit import audit_file, audit_run, render

    with signs_of_life("audit"):
        findings = audit_run(run_folder) if instructions is None else audit_file(run_folder, instructions)
    answer(
        findings.as_json(),
        lambda out: render(findings, out),
        brief=[f"{check.name}: {violation}" for check in findings.checks for violation in check.violations],
        exit_code=1 if findings.violations else 0,
    )


@app.command()
def status(
    folder: Annotated[
        Path, typer.Argument(metavar="RUN", help="The folder of a run, an experiment or a comparison, e.g. runs/demo.")
    ],
    watch: Annotated[
        bool, typer.Option("--watch", help="Follow it until nobody is at work; exit 1 if it is not done then.")
    ] = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Show how far a run, an experiment or a comparison is: what is done, running, failed and missing."""
    from augrec.pipeline.folders import standing

    found = standing.watch(folder, console()) if watch else standing.standing(folder)
    answer(
        found,
        lambda out: out.print(standing.shown(found)),
        brief=standing.brief(found),
        exit_code=int(watch and found.state != "done"),
    )


@app.command()
def distant(
    run_folder: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder whose trainings kept their models.")],
    hops: Annotated[int, typer.Option(help="Far is more than this many hops away: 3 or 5.")] = 3,
    near: Annotated[int, typer.Option(min=1, help="How many far users with the most similar texts are looked at.")] = 5,
    users: Annotated[int, typer.Option(min=2, help="Users that are drawn.")] = 1000,
    seed: Annotated[int, typer.Option(help="Of the draws.")] = 0,
    source: Annotated[str | None, typer.Option(help="Whose texts say who is similar.")] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Measure whether models hold users near who are far apart in the graph and have similar texts."""
    from augrec.pipeline.distant import measure, render

    found = measure(run_folder, hops=hops, near=near, sample=users, seed=seed, source=source)
    answer(found, lambda out: render(found, out), brief=[f"{row.variant}\t{row.near:.1f}" for row in found.variants])


@app.command()
def clean(
    run_folder: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder, e.g. runs/demo.")],
    yes: Annotated[bool, typer.Option("--yes", help="Delete what is listed.")] = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """List what nobody reads in a run folder: what its config no longer names, set-aside files, old trials."""
    from augrec.pipeline.folders.clean import clean as clean_run
    from augrec.pipeline.folders.clean import render

    listed = clean_run(run_folder, delete=yes)
    answer(
        {"run": run_folder, "deleted": yes, "bytes": sum(leftover.size for leftover in listed), "leftovers": listed},
        lambda out: render(listed, out, deleted=yes),
        brief=[run_folder / leftover.path for leftover in listed],
    )


@app.command()
def du(
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run, an experiment or a comparison.")],
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Show a folder's disk use, by stage and source or variant, and of the caches that all runs share."""
    from augrec.pipeline.folders.disk_use import disk_use, render

    found = disk_use(folder)
    answer(found, lambda out: render(found, out), brief=[f"{use.bytes}\t{use.part}" for use in found.parts])


@app.command()
def validate(
    configs: Annotated[
        list[str] | None,
        typer.Argument(metavar="CONFIG or KEY=VALUE", help="Files or folders; configs/ by default. Overrides."),
    ] = None,
    deep: Annotated[
        bool, typer.Option("--deep", help="Also look for the data, models and memory that its stages need.")
    ] = False,
    profile: Annotated[
        Path | None, typer.Option("--profile", metavar="FILE", help="With --deep: the profile of the cluster.")
    ] = None,
    executor: ExecutorName = "local",
    address: Address = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Check config files without running anything."""
    from augrec.pipeline.executors.profile import read_profile
    from augrec.pipeline.preflight.checks import look_at_run
    from augrec.pipeline.studies.config_files import check_files, render

    overrides = [text for text in configs or () if "=" in text and not Path(text).exists()]
    named = [Path(text) for text in configs or () if text not in overrides] or [Path("configs")]
    files = (file for place in named for file in _yaml_files(place))
    with signs_of_life("validate"):
        if not deep:
            found = check_files(files, overrides)
        elif executor == "local" and profile is not None:  # for SLURM
            found = check_files(files, overrides, look=partial(look_at_run, profile=read_profile(profile)))
        else:
            with chosen_executor(executor, address=address, profile=profile) as chosen:
                found = check_files(files, overrides, look=chosen.look, of_studies=chosen.look)
    wrong = [file for file in found if not file.ok]
    answer(
        [file.as_json() for file in found],
        lambda out: render(found, out),
        brief=[file.in_words() for file in wrong],
        exit_code=UsageError.exit_code if wrong else 0,
    )


def _yaml_files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    files = sorted(path.rglob("*.yaml"))
    if not files:
        raise UsageError("no .yaml file here", where=path)
    return files


@app.command()
def schema(
    kind: Annotated[str, typer.Argument(metavar="run|experiment|compare", help="The kind of config.")] = "run",
) -> None:
    """Print the JSON schema of a config, for editors."""
    import json

    from augrec.pipeline.schema import config_schema

    print(json.dumps(config_schema(kind), indent=2, ensure_ascii=False))


@app.command()
def models(
    family: Annotated[
        str | None,
        typer.Argument(metavar="FAMILY", help="Show the options of this family.", autocompletion=_family_names),
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """List the recommenders: paper, inputs, options."""
    from augrec.pipeline import model_list

    if family is None:
        families = model_list.describe_families()
        answer(families, model_list.render_families, brief=[entry["family"] for entry in families])
        return
    described = model_list.describe_family(family)
    answer(
        described,
        lambda out: model_list.render_family(family, out),
        brief=[option["option"] for option in described["options"]],
    )


@app.command()
def doctor(
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Show versions, devices, and which engines, models and data are usable offline."""
    from augrec.pipeline.doctor import checks

    sections = checks.collect()
    answer(
        checks.as_json(sections),
        lambda out: checks.render(sections, out),
        brief=[f"{row.name}  {row.state}  {row.value}" for row in checks.lacking(sections)],
        exit_code=checks.exit_code(sections),
    )


app.add_typer(configs_app, name="configs")
app.add_typer(import_app, name="import")
app.add_typer(export_app, name="export")
app.add_typer(requests_app, name="requests")


def main() -> None:
    """Runs the command line; every expected error becomes a message and an exit code (2 usage, 1 failure)."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)  # in a log file the stages' lines stand between those of progress
    ask_for_huge_pages()  # before anything, a plugin say, loads torch
    with answering(sys.argv[1:]):
        sys.exit(exit_code(_called, lambda: _State.debug))


def _called() -> int | None:
    """Runs what was typed, by a command of this package or of a plugin."""
    load_plugins()
    register_stage_commands(app)  # those of plugins
    code: int | None = app(prog_name="augrec", standalone_mode=False)
    return code


if __name__ == "__main__":
    main()
