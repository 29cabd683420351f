"""A command for each stage: `augrec augment CONFIG`, as the stage's declaration says."""

from __future__ import annotations

from collections.abc import Callable
from inspect import Parameter, Signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from augrec.artefacts.errors import UsageError
from augrec.pipeline.host.answers import Json, Quiet, answer, console
from augrec.pipeline.stages import STAGES

if TYPE_CHECKING:
    from augrec.pipeline.stages.base import Stage

ConfigPath = Annotated[Path, typer.Argument(metavar="CONFIG", help="A YAML file, e.g. configs/ml-100k/demo.yaml.")]
Overrides = Annotated[
    list[str] | None, typer.Argument(metavar="KEY=VALUE", help="Overrides, e.g. dataset.k_core=10 'seeds=[1,2]'.")
]
Download = Annotated[bool, typer.Option("--download", help="Allow fetching the data set from its publisher.")]
Force = Annotated[bool, typer.Option("--force", help="Run the stage from scratch.")]
ForcedStages = Annotated[
    list[str] | None,
    typer.Option("--force", metavar="STAGE", help="Run this stage from scratch.", autocompletion=lambda: list(STAGES)),
]
"""Of a command that runs several; `check_stages` says which are none."""
Attempts = Annotated[
    int | None,
    typer.Option("--attempts", metavar="N", min=1, help="In a job: exit with 75, to be tried again, N times at most."),
]


def check_stages(names: list[str] | None) -> None:
    """Raises `UsageError` where what is to be forced is no stage."""
    unknown = [name for name in names or [] if name not in STAGES]
    if unknown:
        raise UsageError(f"--force: there is no stage '{unknown[0]}'", remedy=f"one of {', '.join(STAGES)}")


def register(app: typer.Typer) -> None:
    """Adds a command for every stage that has none yet."""
    there = {command.name for command in app.registered_commands}
    for stage in STAGES.values():
        if stage.name not in there:
            app.command(name=stage.name, help=stage.help)(stage_command(stage))


def stage_command(stage: Stage) -> Callable[..., None]:
    """The function behind a stage's command, with the parameters that the stage declares."""

    def command(**values: Any) -> None:
        _run_stage(stage, **values)

    parameters: dict[str, tuple[Any, Any]] = {
        "config": (ConfigPath, Parameter.empty),
        "overrides": (Overrides, None),
        "force": (Force, False),
        "download": (Download, False),
        "as_json": (Json, False),
        "quiet": (Quiet, False),
    }
    if stage.has_pieces:
        for option in stage.selection.options:
            annotation = Annotated[str | None, typer.Option(option.name, metavar=option.metavar, help=option.help)]
            parameters[option.key] = (annotation, None)
        merge = f"Only finish the stage: refuse where {stage.pieces_name} are not done yet."
        parameters["merge"] = (Annotated[bool, typer.Option("--merge", help=merge)], False)
        parameters["attempts"] = (Attempts, None)
    command.__annotations__ = {name: annotation for name, (annotation, _) in parameters.items()}
    command.__signature__ = Signature(  # type: ignore[attr-defined]
        [
            Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
            for name, (annotation, default) in parameters.items()
        ]
    )
    return command


def _run_stage(
    stage: Stage,
    config: Path,
    overrides: list[str] | None,
    force: bool,
    download: bool,
    as_json: bool,
    quiet: bool,
    merge: bool = False,
    attempts: int | None = None,
    **chosen: str | None,
) -> None:
    from augrec.pipeline.config.run_config import read_config
    from augrec.pipeline.executors.chain import run_one
    from augrec.pipeline.executors.share import check_done, do_share
    from augrec.pipeline.stages.base import Run

    options = stage.selection.options if stage.has_pieces else ()
    named = [option.name for option in options if chosen[option.key] is not None]
    if named and named[0] != options[0].name:
        raise UsageError(f"{named[0]} needs {options[0].name}", remedy=f"name it with {options[0].name}")
    if named and force:
        raise UsageError(f"--force starts a whole stage from nothing and cannot go with {named[0]}")
    run = Run(read_config(config, overrides), download)
    with run.stop.listening():
        if named:
            do_share(run, stage, chosen, attempts=attempts, console=console())
            answer({"run": run.folder, "stages": []}, lambda out: None)
            return
        if merge:
            check_done(run, stage)
        outcome = run_one(run, stage.name, force=force, console=console())
        answer({"run": run.folder, "stages": [outcome]}, lambda out: None)
