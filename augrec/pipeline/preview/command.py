"""`augrec preview CONFIG`: the very prompts, their schemas and lengths, and what they will take."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from augrec.artefacts.progress import signs_of_life
from augrec.pipeline.executors.commands import ConfigPath, Download, Overrides
from augrec.pipeline.host.answers import Json, Quiet, answer


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(preview)


def preview(
    config: ConfigPath,
    overrides: Overrides = None,
    source: Annotated[str | None, typer.Option("--source", metavar="NAME", help="Only this source.")] = None,
    task: Annotated[str | None, typer.Option("--task", metavar="NAME", help="Only this task.")] = None,
    user: Annotated[
        str | None, typer.Option("--user", metavar="ID", help="Show the prompts of this user, by the source's id.")
    ] = None,
    item: Annotated[
        str | None, typer.Option("--item", metavar="ID", help="Show the prompts of this item, by the source's id.")
    ] = None,
    show: Annotated[int, typer.Option("--show", metavar="N", min=0, help="Users or items shown of each task.")] = 1,
    sample: Annotated[
        int, typer.Option("--sample", metavar="N", min=1, help="Users and items of each task behind the estimate.")
    ] = 20,
    gpu: Annotated[
        str | None, typer.Option("--gpu", metavar="NAME", help="Estimate from the peak rates of this GPU, e.g. h100.")
    ] = None,
    like: Annotated[
        Path | None, typer.Option("--like", metavar="RUN", help="Estimate from the measured rate of this run.")
    ] = None,
    tokenizer: Annotated[
        Path | None, typer.Option("--tokenizer", metavar="FOLDER", help="The tokenizer of the model behind a server.")
    ] = None,
    download: Download = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Print the exact prompts, schemas and token counts, and estimate requests, tokens, disk and hours."""
    from augrec.pipeline.config.run_config import read_config
    from augrec.pipeline.preview.look import PreviewOptions, look
    from augrec.pipeline.preview.render import brief, render
    from augrec.pipeline.stages.base import Run

    asked = PreviewOptions(source, task, user, item, show, sample, gpu, like, tokenizer)
    with signs_of_life("preview"):
        found = look(Run(read_config(config, overrides), download), asked)
    answer(found, lambda out: render(found, out), brief=brief(found))
