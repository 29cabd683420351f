"""`augrec du FOLDER`: what of a run, an experiment or a comparison takes the disk, and what all runs share."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from augrec.artefacts.cache import cache_folder
from augrec.artefacts.errors import UsageError
from augrec.artefacts.files import tree_size
from augrec.artefacts.memory import size_in_words
from augrec.artefacts.run_folder import RunFolder, nearest_run
from augrec.artefacts.study_folder import ComparisonFolder, ExperimentFolder
from augrec.pipeline.host.terminal import cells
from augrec.pipeline.stages import STAGES

SPLIT_UP = ("augment", "base", "embed", "train", "rerank", "search", "published")
"""Folders of which each source, group of matrices, variant and model has one of its own inside."""


@dataclass(frozen=True)
class Use:
    """What one part takes."""

    part: str
    """A folder or file, counted from the folder that was asked about; the sum of all parts is that of its own row."""
    bytes: int
    inside: tuple[Use, ...] = ()
    """By source, group of matrices, variant or model; the largest first."""


@dataclass(frozen=True)
class DiskUse:
    """What a folder takes, and what is shared."""

    folder: Path
    bytes: int
    parts: tuple[Use, ...]
    """Stages in their order, then all else."""
    cache: Path
    cache_bytes: int
    cached: tuple[Use, ...]


def disk_use(folder: Path) -> DiskUse:
    """Measures a folder; links are not followed, and a file of several names counts under each.

    Raises:
        UsageError: it is no run, experiment or comparison.
    """
    studies = ExperimentFolder(folder).options, ComparisonFolder(folder).options
    if not any(path.exists() for path in (RunFolder(folder).config, RunFolder(folder).layout, *studies)):
        raise UsageError(
            "this is no folder of a run, an experiment or a comparison",
            where=folder,
            remedy=f"{nearest_run(folder)}name e.g. runs/demo",
        )
    order = [stage.folder_in(Path()).name for stage in STAGES.values()]
    parts = sorted(
        (_use(path) for path in folder.iterdir()),
        key=lambda use: (order.index(use.part) if use.part in order else len(order), -use.bytes),
    )
    cache = cache_folder()
    cached = _largest_first(_use(path) for path in cache.iterdir()) if cache.is_dir() else ()
    return DiskUse(
        folder, sum(use.bytes for use in parts), tuple(parts), cache, sum(use.bytes for use in cached), cached
    )


def _use(path: Path) -> Use:
    study = path.is_dir() and any(RunFolder(inner).layout.exists() for inner in path.iterdir() if inner.is_dir())
    split = path.is_dir() and not path.is_symlink() and (study or path.name in SPLIT_UP)
    inside = _largest_first(Use(inner.name, tree_size(inner)) for inner in path.iterdir()) if split else ()
    return Use(path.name, tree_size(path), inside)


def _largest_first(uses: Iterable[Use]) -> tuple[Use, ...]:
    return tuple(sorted(uses, key=lambda use: (-use.bytes, use.part)))


def render(found: DiskUse, console: Console) -> None:
    """Prints a row for each part, and for each source, group, variant or model in it."""
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(overflow="fold")
    table.add_column(justify="right", no_wrap=True)
    for title, size, parts in (
        (str(found.folder), found.bytes, found.parts),
        (f"{found.cache} (shared by all runs)", found.cache_bytes, found.cached),
    ):
        table.add_row(*cells(title, size_in_words(size)), style="bold")
        for use in parts:
            table.add_row(*cells(f"  {use.part}", size_in_words(use.bytes)))
            for inner in use.inside:
                table.add_row(*cells(f"    {inner.part}", size_in_words(inner.bytes)), style="dim")
    console.print(table)
