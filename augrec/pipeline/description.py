"""`augrec describe`: what a data set is, before a config is written or anything of it is left out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from augrec.artefacts.counts import counted
from augrec.artefacts.errors import UsageError
from augrec.artefacts.progress import signs_of_life
from augrec.artefacts.run_folder import DatasetFolder, RunFolder
from augrec.pipeline.executors.commands import Overrides
from augrec.pipeline.host.answers import Json, Quiet, answer
from augrec.pipeline.host.terminal import Kind, OpenTable

if TYPE_CHECKING:
    from rich.console import Console

    from recsys.data.description import Degrees, Description
    from recsys.data.options import DatasetOptions

RECBOLE_FILES = "*.inter"


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(describe)


def describe(
    place: Annotated[
        str,
        typer.Argument(metavar="DATA-or-CONFIG", help="A folder of data, a run folder, or a config, e.g. data/shop."),
    ],
    overrides: Overrides = None,
    layout: Annotated[
        str | None, typer.Option("--format", metavar="NAME", help="The format of a publisher's files, e.g. ml-1m.")
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Describe a data set: counts, density, degrees, texts, times, and what thresholds would leave."""
    from augrec.pipeline.weights import resolve_path
    from recsys.data.description import describe as look
    from recsys.data.readers.registry import read

    options, own = options_of(place, overrides, layout)
    with signs_of_life("describe"):
        found = look(read(options, resolve_path(options.source.path)), options if own else None)
    counts = f"{found.rows}\t{found.users}\t{found.items}\t{found.density:.6g}"
    answer(found, lambda out: render(found, options.name, out), brief=[counts])


def options_of(place: str, overrides: list[str] | None, layout: str | None) -> tuple[DatasetOptions, bool]:
    """How the data of a folder or of a config are read, and whether that is a config's, with thresholds of its own.

    Of a config the section `dataset` alone is read, so the others need not be there yet.

    Raises:
        UsageError: nothing says how the files are laid out, or the config is wrong.
    """
    from augrec.pipeline.weights import resolve_path
    from recsys.data.formats import READERS

    if place.endswith((".yaml", ".yml")):
        return _options_of_config(Path(place), overrides), True
    folder = resolve_path(place)
    if RunFolder(folder).dataset_json.is_file():
        folder = RunFolder(folder).dataset
    if layout is None and DatasetFolder(folder).about.is_file():
        layout = "augrec"
    if layout is None and folder.is_dir() and any(folder.glob(RECBOLE_FILES)):
        layout = "recbole"
    if layout is None:
        raise UsageError(
            "nothing says how the files in this folder are laid out",
            where=place,
            remedy="name a publisher's layout (--format ml-1m), or a config whose section `dataset` names your columns",
        )
    split = "given" if layout in READERS and READERS[layout].brings_split else "random"
    raw = {"name": folder.name, "source": {"format": layout, "path": str(folder)}, "split": {"kind": split}}
    return _validated(raw, place, overrides), False


def _options_of_config(path: Path, overrides: list[str] | None) -> DatasetOptions:
    from augrec.pipeline.config.sections import read_sections

    raw = read_sections(path, overrides)
    base = raw.get("base")
    if "dataset" not in raw and isinstance(base, dict):
        raw = base
    elif "dataset" not in raw and isinstance(base, str):
        raw = read_sections(path.parent / base)
    if not isinstance(raw.get("dataset"), dict):
        raise UsageError("the config has no section `dataset`", where=path)
    return _validated(raw["dataset"], path, None)


def _validated(raw: Mapping[str, object], where: str | Path, overrides: list[str] | None) -> DatasetOptions:
    from augrec.pipeline.config.sections import validated
    from recsys.data.options import DatasetOptions

    if overrides:
        raise UsageError("a folder takes no overrides", where=where, remedy="name a config")
    return validated(dict(raw), DatasetOptions, where)


def render(found: Description, name: str, console: Console) -> None:
    """Tables for a person."""

    def line(text: str) -> None:
        console.print(text, markup=False, highlight=False)

    line(
        f"{name}: {counted(found.users, 'user')}, {counted(found.items, 'item')}, "
        f"{counted(found.rows, 'interaction')} "
        f"({counted(found.rows - found.pairs, 'of them repeats', 'of them repeat')} a pair), "
        f"density {found.density:.4%}"
    )
    _table(console, "Interactions", _degree_rows(found.user_degrees, found.item_degrees), first="of a")
    if found.ratings is not None:
        values = ", ".join(f"{value}: {count:,}" for value, count in found.ratings.counts.items())
        spread = ", ".join(f"{value:g}" for value in found.ratings.quantiles)
        line(f"ratings: {values or f'quantiles {spread}'}; {found.ratings.missing:,} missing")
    if found.times is not None:
        times = found.times
        line(
            f"times: {times.first} to {times.last} ({counted(round(times.days), 'day')}), "
            f"half of them before {times.median}; "
            f"{times.missing:,} missing, {times.at_once:.1%} in one second with another of the same user"
        )
    for side in found.described:
        line(
            f"{side.about}s: {side.with_row:,} with a row in their table, {side.without_row:,} without; "
            f"{counted(side.without_interaction, 'row')} of {side.about}s without an interaction"
        )
    _print_texts(found, console)
    _print_thresholds(found, console)
    for note in found.notes:
        line(f"note: {note}")


def _print_texts(found: Description, console: Console) -> None:
    """How long texts are, and how many have one."""
    if found.texts:
        rows = [
            [f"{text.about} {text.column}", f"{text.covered:.1%}", *(f"{words:,.0f}" for words in text.words)]
            for text in found.texts
        ]
        _table(console, "Texts, in words (lists in values)", rows, first="text", second="have one")


def _print_thresholds(found: Description, console: Console) -> None:
    """What filters would leave."""
    rows = []
    for left in found.left:
        least = "none" if left.min_rating is None else f"{left.min_rating:g}"
        counts = (f"{left.k_core}", f"{left.users:,}", f"{left.items:,}", f"{left.interactions:,}")
        rows.append((least, *counts, "this config" if left.own else ""))
    numbers: dict[str, Kind] = dict.fromkeys(("k_core", "users", "items", "interactions"), "number")
    console.print(OpenTable({"min_rating": "name", **numbers, "": "name"}, rows, title="What thresholds would leave"))


def _degree_rows(users: Degrees, items: Degrees) -> list[list[str]]:
    return [
        [about, f"{degrees.mean:,.1f}", *(f"{value:,.0f}" for value in degrees.quantiles)]
        for about, degrees in (("user", users), ("item", items))
    ]


def _table(console: Console, title: str, rows: list[list[str]], first: str, second: str = "mean") -> None:
    from recsys.data.description import QUANTILES

    names = ["least" if q == 0 else "most" if q == 1 else f"{q:.0%}" for q in QUANTILES]
    console.print(OpenTable({first: "name", **dict.fromkeys([second, *names], "number")}, rows, title=title))
