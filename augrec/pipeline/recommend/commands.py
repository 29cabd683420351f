"""The command `augrec recommend`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from augrec.artefacts.errors import UsageError
from augrec.artefacts.progress import signs_of_life
from augrec.pipeline.host.answers import Json, Quiet, answer

if TYPE_CHECKING:
    from augrec.pipeline.recommend.lists import Exclude

EXCLUDE = ("train", "valid", "test")


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(recommend)


def recommend(
    run_folder: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder whose trainings kept their models.")],
    variant: Annotated[
        str | None, typer.Option("--variant", metavar="NAME", help="Whose lists; the best on validation by default.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option("--seed", metavar="N", help="Which of its trainings; the first by default.")
    ] = (None),
    k: Annotated[int, typer.Option("--k", metavar="K", min=1, help="Items per user.")] = 20,
    users: Annotated[
        Path | None,
        typer.Option(
            "--users", metavar="FILE", help="Only these: .txt, an id a line; or a table with user, or user and item."
        ),
    ] = None,
    new_items: Annotated[
        Path | None,
        typer.Option(
            "--new-items", metavar="FILE", help="Items that came after training: a table with item, title, ..."
        ),
    ] = None,
    exclude: Annotated[
        str | None,
        typer.Option(
            "--exclude",
            metavar="SPLIT",
            help="Leave out a user's items up to train, valid or test; as tested by default.",
        ),
    ] = None,
    form: Annotated[
        str | None, typer.Option("--format", metavar="FORMAT", help="parquet, csv or jsonl; by the ending of --out.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="The file to write; in the run folder by default.")
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write a trained model's top-k lists, by the ids of the data's source."""
    from augrec.pipeline.recommend.run import recommend as write
    from augrec.pipeline.recommend.run import render

    if exclude is not None and exclude not in EXCLUDE:
        raise UsageError(f"there is no split '{exclude}'", where="--exclude", remedy=f"one of {', '.join(EXCLUDE)}")
    with signs_of_life("recommend"):
        done = write(
            run_folder,
            variant=variant,
            seed=seed,
            k=k,
            users=users,
            new_items=new_items,
            exclude=cast("Exclude | None", exclude),
            out=out,
            form=form,
        )
    answer(done.as_json(), lambda out: render(done, out), brief=[done.path])
