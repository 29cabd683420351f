"""`augrec import` and `augrec export`: the command line of this package."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from augrec.artefacts.counts import counted
from augrec.artefacts.progress import signs_of_life
from augrec.artefacts.tasks import About
from augrec.pipeline.host.answers import Json, Quiet, answer
from augrec.pipeline.host.command_list import CommandList
from augrec.pipeline.host.terminal import terminal

if TYPE_CHECKING:
    from rich.console import Console

import_app = typer.Typer(
    cls=CommandList,
    help="Read published files, or texts of your own, into artefacts.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
export_app = typer.Typer(
    cls=CommandList, help="Write a run for other people's code.", no_args_is_help=True, rich_markup_mode=None
)


def register(app: typer.Typer) -> None:
    """Adds `augrec push`."""
    app.command("push")(push_command)


requests_app = typer.Typer(
    cls=CommandList,
    help="Ask a source's questions by batch files instead of a server.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

ConfigPath = Annotated[Path, typer.Argument(metavar="CONFIG", help="The run's YAML file.")]
Source = Annotated[str, typer.Argument(metavar="SOURCE", help="A source whose engine is of kind openai.")]
Override = Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override a key of the config.")]
Folder = Annotated[Path, typer.Argument(metavar="DIR", help="The published folder.")]
Out = Annotated[Path, typer.Argument(metavar="OUT", help="A new folder for the artefacts.")]
Exported = Annotated[Path, typer.Argument(metavar="RUN", help="A run folder, or what `augrec import` wrote.")]
Sources = Annotated[list[str] | None, typer.Option("--source", metavar="NAME", help="Whose answers; all by default.")]
Tasks = Annotated[list[str] | None, typer.Option("--task", metavar="NAME", help="To which tasks; all by default.")]


@import_app.command("llmrec")
def import_llmrec_command(folder: Folder, out: Out) -> None:
    """LLMRec's released layout: splits, edges, profiles, attributes, vectors."""
    from augrec.pipeline.exchange.findings import render
    from augrec.pipeline.exchange.import_llmrec import import_llmrec

    with signs_of_life("import"):
        found = import_llmrec(folder, out)
    render(found, out, terminal())


@import_app.command("rlmrec")
def import_rlmrec_command(folder: Folder, out: Out) -> None:
    """RLMRec's released layout: splits, and profile texts of users and items."""
    from augrec.pipeline.exchange.findings import render
    from augrec.pipeline.exchange.import_rlmrec import import_rlmrec

    with signs_of_life("import"):
        found = import_rlmrec(folder, out)
    render(found, out, terminal())


@import_app.command("texts")
def import_texts_command(
    out: Out,
    users: Annotated[
        Path | None, typer.Option("--users", metavar="FILE", help="A text about each user: CSV, TSV, JSONL or Parquet.")
    ] = None,
    items: Annotated[Path | None, typer.Option("--items", metavar="FILE", help="A text about each item.")] = None,
    user_id: Annotated[str, typer.Option("--user-id", metavar="COLUMN", help="The column of users' ids.")] = "user",
    user_text: Annotated[str, typer.Option("--user-text", metavar="COLUMN", help="Of their texts.")] = "text",
    item_id: Annotated[str, typer.Option("--item-id", metavar="COLUMN", help="The column of items' ids.")] = "item",
    item_text: Annotated[str, typer.Option("--item-text", metavar="COLUMN", help="Of their texts.")] = "text",
    written_by: Annotated[
        str | None, typer.Option("--written-by", metavar="NAME", help="The model that wrote them, for the pages.")
    ] = None,
) -> None:
    """Texts of your own, one about each user or item, for a source to replay."""
    from augrec.pipeline.exchange.findings import render
    from augrec.pipeline.exchange.import_texts import TextTable, import_texts

    tables: dict[About, TextTable] = {}
    if users:
        tables["user"] = TextTable(users, user_id, user_text)
    if items:
        tables["item"] = TextTable(items, item_id, item_text)
    with signs_of_life("import"):
        found = import_texts(out, tables, written_by)
    render(found, out, terminal())


@export_app.command("llmrec")
def export_llmrec_command(
    run: Exported,
    out: Annotated[Path, typer.Argument(metavar="DIR", help="A new folder for the files.")],
    source: Annotated[str | None, typer.Option("--source", metavar="NAME", help="Whose augmentation.")] = None,
    zero_image: Annotated[
        bool, typer.Option("--zero-image", help="Write zeros for pictures where the run has none.")
    ] = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """LLMRec's released layout, so that its authors' code trains on this run's augmentation."""
    from augrec.pipeline.exchange.export_llmrec import export_llmrec
    from augrec.pipeline.exchange.exported import EXPORT_FILE
    from augrec.pipeline.exchange.findings import render

    with signs_of_life("export"):
        written = export_llmrec(run, out, source, zero_image=zero_image)
    _answer(written, out, lambda screen: render(written, out, screen, EXPORT_FILE))


@export_app.command("records")
def export_records_command(
    run: Exported,
    out: Annotated[Path, typer.Argument(metavar="DIR", help="A new folder for the tables.")],
    sources: Sources = None,
    tasks: Tasks = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """What sources answered, as Parquet with a column for each field and the ids of the data's source."""
    from augrec.pipeline.exchange.export_records import export_records

    with signs_of_life("export"):
        written = export_records(run, out, sources=sources or (), tasks=tasks or ())
    lines = [f"{out / table['file']}: {counted(table['rows'], 'row')}, {counted(len(table['columns']), 'column')}"
             for table in written["tables"]]  # fmt: skip
    _answer(written, out, lambda screen: screen.print("\n".join(lines)))


@export_app.command("dataset")
def export_dataset_command(
    run: Exported,
    out: Annotated[Path, typer.Argument(metavar="DIR", help="A new folder.")],
    sources: Sources = None,
    tasks: Tasks = None,
    user_ids: Annotated[bool, typer.Option("--user-ids", help="Also write users' source ids.")] = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """What sources answered, as a folder for `datasets`: tables, the prompts' templates, and a card."""
    from augrec.pipeline.exchange.export_dataset import export_dataset

    with signs_of_life("export"):
        written = export_dataset(run, out, sources=sources or (), tasks=tasks or (), user_ids=user_ids)
    line = f"{out}: {counted(len(written['tables']), 'table')}, {counted(written['prompts'], 'template')} of prompts"
    _answer(written, out, lambda screen: screen.print(line))


@export_app.command("recbole")
def export_recbole_command(
    run: Exported,
    out: Annotated[Path, typer.Argument(metavar="DIR", help="A new folder, which names the data for RecBole.")],
    vectors: Annotated[
        list[str] | None, typer.Option("--vector", metavar="GROUP/FIELD", help="These matrices; all by default.")
    ] = None,
    no_vectors: Annotated[bool, typer.Option("--no-vectors", help="Interactions and tables alone.")] = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """RecBole's atomic files with the run's split and vectors, and the settings to read them."""
    from augrec.pipeline.exchange.export_recbole import SETTINGS, export_recbole

    with signs_of_life("export"):
        written = export_recbole(run, out, vectors=[] if no_vectors else vectors or None)
    count, matrices = written["counts"]["train"], len(written["matrices"])
    line = f"{out / SETTINGS}: {counted(count, 'training interaction')}, {counted(matrices, 'matrix', 'matrices')}"
    _answer(written, out, lambda screen: screen.print(line))


@export_app.command("model")
def export_model_command(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder whose trainings kept their models.")],
    out: Annotated[Path, typer.Argument(metavar="DIR", help="A new folder.")],
    variant: Annotated[
        str | None, typer.Option("--variant", metavar="NAME", help="The best on validation by default.")
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", metavar="N", help="Its first training by default.")] = None,
    user_ids: Annotated[bool, typer.Option("--user-ids", help="Also write users' source ids.")] = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """A trained model: model.safetensors, what its rows mean, and a card."""
    from augrec.pipeline.exchange.export_model import export_model

    with signs_of_life("export"):
        written = export_model(run, out, variant=variant, seed=seed, user_ids=user_ids)
    line = f"{out}: {written['variant']}/seed-{written['seed']}, {written['why']}"
    _answer(written, out, lambda screen: screen.print(line))


def _answer(written: Mapping[str, Any], out: Path, show: Callable[[Console], object]) -> None:
    """What was written, as `export.json` says it, and where."""
    answer({"folder": out, "export": written}, show, brief=[out])


def push_command(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="What export dataset or export model wrote.")],
    repository: Annotated[str, typer.Argument(metavar="REPO", help="OWNER/NAME on the hub.")],
    yes: Annotated[bool, typer.Option("--yes", help="Upload what is listed.")] = False,
    public: Annotated[bool, typer.Option("--public", help="Make a new repository public.")] = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Upload an exported folder to a hub; without --yes, say what would go where."""
    from augrec.pipeline.exchange.push import push

    with signs_of_life("push"):
        done = push(folder, repository, yes=yes, public=public)
    where = f"{done.endpoint}, {done.kind} {done.repository}"
    last = f"uploaded: {done.url}" if done.url else f"nothing was uploaded; --yes uploads this to {where}"
    lines = [*(f"{size:>14,}  {name}" for name, size in done.files), last]
    files = [{"file": name, "bytes": size} for name, size in done.files]
    answer(vars(done) | {"files": files}, lambda out: out.print("\n".join(lines)), brief=[last])


@export_app.callback()
def _export() -> None:
    """Write a run for other people's code."""


@requests_app.command("export")
def export_requests_command(
    config: ConfigPath,
    source: Source,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The batch file to write (.jsonl).")],
    overrides: Override = None,
) -> None:
    """Write what has no answer yet, for OpenAI's batch service or `vllm run-batch`."""
    from augrec.pipeline.exchange.request_files import render, take_answers

    with signs_of_life("requests"):
        taken = take_answers(config, overrides, source, [], file)
    render(taken, terminal())


@requests_app.command("import")
def import_requests_command(
    config: ConfigPath,
    source: Source,
    results: Annotated[list[Path], typer.Argument(metavar="RESULTS...", help="Every file of results so far.")],
    again: Annotated[
        Path | None, typer.Option("--next", metavar="FILE", help="Write the open requests, second tries included.")
    ] = None,
    overrides: Override = None,
) -> None:
    """Store the answers of batch files; `augrec augment` then finishes the stage."""
    from augrec.pipeline.exchange.request_files import render, take_answers

    with signs_of_life("requests"):
        taken = take_answers(config, overrides, source, results, again)
    render(taken, terminal())
