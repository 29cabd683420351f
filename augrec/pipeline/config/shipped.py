"""`augrec configs`: the configs and the profiles of clusters that are installed with the package.

In a checkout they lie in `configs/` and `slurm/profiles/`; a wheel carries them. A copy keeps these places, so that the
command at the head of each config holds, and takes along what the config names.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.resources import files
from itertools import groupby, takewhile
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from augrec.artefacts.errors import UsageError
from augrec.artefacts.files import atomic_path
from augrec.artefacts.names import suggestion
from augrec.pipeline.host.answers import Json, Quiet, answer

PLACES = {"configs": (Path("configs"), "", ".yaml"), "profiles": (Path("slurm", "profiles"), "slurm/", ".toml")}
"""Folder in the package -> where its files stand in a copy, what their names begin with, and how they end."""
SENTENCE = re.compile(r"(?<=[.?!])\s+(?=[A-Z\d])")
"""Between two sentences of a comment."""

configs_app = typer.Typer(
    help="The configs that are installed with augrec.", no_args_is_help=True, rich_markup_mode=None
)


@dataclass(frozen=True)
class Shipped:
    """A config, or the profile of a cluster."""

    name: str
    """As `augrec configs` calls it, e.g. ml-100k/demo or slurm/gpu."""
    source: Path
    target: Path
    """Where it stands in a copy, relative to that."""

    @property
    def own_name(self) -> str:
        """The last part of its name."""
        return self.name.rpartition("/")[2]

    @property
    def folder(self) -> str:
        """What stands before that, with the slash."""
        return self.name.removesuffix(self.own_name)

    @property
    def about(self) -> str:
        """The first sentence of what it says of itself; "" where it says nothing."""
        lines = takewhile(bool, (line.lstrip("# ").strip() for line in _head(self.source)))
        return SENTENCE.split(" ".join(lines), 1)[0]


def shipped() -> list[Shipped]:
    """Everything that is installed, in order of the names."""
    root = Path(str(files("augrec"))) / "shipped"
    found = []
    for folder, (place, prefix, ending) in PLACES.items():
        base = (root / folder).resolve()
        for path in sorted(base.rglob(f"*{ending}")):
            inside = path.relative_to(base)
            found.append(Shipped(prefix + inside.with_suffix("").as_posix(), path, place / inside))
    return sorted(found, key=lambda one: one.name)


def copy_shipped(name: str, destination: Path) -> list[Path]:
    """Copies a config, or a folder of them, with the files that they name; what is there already is left alone.

    Args:
        name: e.g. ml-100k/demo, ml-100k or slurm/gpu.
        destination: gets configs/ and slurm/profiles/; or, where it ends as a config does, the file that a config which
            names no others becomes.

    Returns:
        What was asked for, as it stands now.

    Raises:
        UsageError: there is no such config, or a file that differs stands where one would.
    """
    there = shipped()
    wanted = name.removesuffix(".yaml").removesuffix(".toml").removeprefix("configs/").rstrip("/")
    asked = [one for one in there if one.name == wanted or one.name.startswith(f"{wanted}/")]
    if not asked:
        known = [one.name for one in there]
        raise UsageError(
            f"no config is called '{name}'",
            where="NAME",
            remedy=f"{suggestion(wanted, known)}`augrec configs list` names all",
        )
    chosen = list(_with_named(asked, there))
    targets = {one: destination / one.target for one in chosen}
    if destination.suffix in (".yaml", ".yml", ".toml"):
        if len(chosen) > 1:
            raise UsageError(
                f"'{wanted}' takes {len(chosen) - 1} other files along, so it needs a folder",
                where=destination,
                remedy=f"augrec configs copy {name} {destination.with_suffix('')}",
            )
        targets = dict.fromkeys(chosen, destination)
    for one, target in targets.items():
        if target.exists() and target.read_bytes() != one.source.read_bytes():
            raise UsageError(
                "another file stands there",
                where=target,
                remedy="move it away, or name another folder: nothing was copied",
            )
    for one, target in targets.items():
        if not target.exists():
            with atomic_path(target) as temporary:
                shutil.copyfile(one.source, temporary)
    return [targets[one] for one in asked]


@configs_app.command("list")
def list_configs(as_json: Json = False, quiet: Quiet = False) -> None:
    """What configs and profiles of clusters are installed, each in a sentence."""
    there = shipped()
    answer([{"name": one.name, "about": one.about} for one in there], lambda out: _show(there, out),
           brief=[one.name for one in there])  # fmt: skip


@configs_app.command("copy")
def copy_configs(
    name: Annotated[str, typer.Argument(metavar="NAME", help="E.g. ml-100k/demo, ml-100k or slurm/gpu.")],
    destination: Annotated[
        Path, typer.Argument(metavar="DEST", help="The folder that gets configs/, or NEW.yaml.")
    ] = Path(),
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Copy one, with what it names, to edit and run."""
    copied = copy_shipped(name, destination)
    answer([str(path) for path in copied], lambda out: _said(copied, out), brief=copied)


def _show(there: Iterable[Shipped], console: Console) -> None:
    """A line each; those that say the same but for their name, as search spaces do, have one."""
    for (folder, about), alike in groupby(there, lambda one: (one.folder, one.about.replace(one.own_name, "NAME"))):
        first, *more = alike
        line = f"{first.name:<36}{first.about}"
        if more:
            line = f"{folder + 'NAME':<36}{about} NAME: {', '.join(one.own_name for one in (first, *more))}"
        console.print(line, markup=False, highlight=False)


def _said(copied: Iterable[Path], console: Console) -> None:
    for path in copied:
        console.print(str(path), markup=False, highlight=False)


def _with_named(asked: list[Shipped], there: list[Shipped]) -> Iterator[Shipped]:
    """These, and every file or folder of them that they name, and so on."""
    waiting, seen = list(asked), set[str]()
    while waiting:
        one = waiting.pop(0)
        if one.name in seen:
            continue
        seen.add(one.name)
        yield one
        for text in _texts(_content(one.source)):
            named = (one.source.parent / text).resolve() if text else one.source
            waiting += [other for other in there if named in (other.source, other.source.parent)]


def _content(path: Path) -> Any:
    import yaml

    return yaml.safe_load(path.read_text(encoding="utf-8")) if path.suffix == ".yaml" else None


def _texts(value: Any) -> Iterator[str]:
    """The strings in a config that may be paths."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for part in value:
            yield from _texts(part)
    elif isinstance(value, str) and ("/" in value or value.endswith(".yaml")) and "\0" not in value:
        yield value


def _head(path: Path) -> Iterator[str]:
    """The lines of the comment that a file begins with."""
    with path.open(encoding="utf-8") as text:
        for line in text:
            if not line.startswith("#"):
                return
            yield line
