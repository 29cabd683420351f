"""`augrec clean RUN`: what lies in a run folder that its config no longer names; it is deleted when that is asked for.

Narrowing a config deletes nothing, because answers, vectors and trainings are expensive and the next config may name
them again. This is the only place that deletes them. It looks at `augment/`, `embed/` and `train/`, and at what killed
processes left of files that they were writing. It follows no link, and leaves everything else in the folder alone.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from augment.tasks import TASKS
from augrec.artefacts.confinement import check_inside
from augrec.artefacts.errors import AugrecError, UsageError
from augrec.artefacts.named import named_matrices
from augrec.pipeline.executors.chain import exclusive, stale_reason
from augrec.pipeline.host.terminal import cells
from augrec.pipeline.saved_run import run_at_home
from augrec.pipeline.stages import STAGES
from augrec.pipeline.stages.base import Run
from augrec.pipeline.stages.embed import embed_groups
from augrec.pipeline.stages.registry import chain

SCRAPS = (".*.tmp", ".copy-*")
"""Names of files that are renamed when they are whole, and of folders that are being copied."""


@dataclass(frozen=True)
class Leftover:
    """A file or folder that nothing in the config names."""

    path: Path
    why: str
    size: int
    """In bytes, of everything in it."""


def clean(folder: Path, *, delete: bool, console: Console) -> list[Leftover]:
    """Lists what the config of a run no longer names, and deletes it when told to.

    Args:
        folder: the run folder.
        delete: delete it; nobody may be at work in the folder then.
        console: where the list goes.

    Returns:
        What was listed.

    Raises:
        UsageError: the folder is no run.
    """
    _require_run(folder)
    with run_at_home(folder) as run, exclusive(run.folder) if delete else nullcontext():
        listed = leftovers(run)
        for leftover in listed if delete else ():
            _delete(leftover.path)
        _show(listed, run.folder, "deleted" if delete else "`augrec clean RUN --yes` deletes them", console)
    return listed


def leftovers(run: Run) -> list[Leftover]:
    """Everything that the run's config does not name, each folder once, in order of the paths."""
    named = {**_sources(run), **_tasks(run), **_groups(run), **_fields(run), **_trainings(run)}
    scraps = {path: "left by a process that was killed" for pattern in SCRAPS for path in _below(run.folder, pattern)}
    reasons = {**scraps, **named}
    outermost = [path for path in sorted(reasons) if not any(above in reasons for above in path.parents)]
    return [Leftover(path, reasons[path], _size(path)) for path in outermost]


def _require_run(folder: Path) -> None:
    if not folder.is_dir():
        raise UsageError("there is no such folder", where=folder, remedy="name a run folder, e.g. runs/demo")
    if not any((stage.folder_in(folder) / "stage.json").is_file() for stage in STAGES.values()):
        raise UsageError(
            "this is no run folder: no stage has finished in it", where=folder, remedy="name e.g. runs/demo"
        )


def _sources(run: Run) -> dict[Path, str]:
    sources = run.config.generation.sources if run.config.generation else {}
    return {
        path: "no such source in generation.sources"
        for path in _folders(run.folder / "augment")
        if path.name not in sources
        and (_holds_answers(path) or any((path / name).exists() for name in ("engine.json", "attempts")))
    }


def _tasks(run: Run) -> dict[Path, str]:
    sources = run.config.generation.sources if run.config.generation else {}
    return {
        path: f"the source {name} has no such task"
        for name, source in sources.items()
        for path in _folders(run.folder / "augment" / name)
        if path.name not in source.tasks and (path.name in TASKS or _is_task(path))
    }


def _holds_answers(source: Path) -> bool:
    return any(_is_task(path) for path in _folders(source))


def _is_task(path: Path) -> bool:
    return (path / "records.parquet").exists() or (path / "shards").is_dir()


def _groups(run: Run) -> dict[Path, str]:
    groups, folder = embed_groups(run), run.folder / "embed"
    unnamed = {
        path: "embedded for an earlier config"
        for path in _folders(folder)
        if path.name not in groups and any(path.glob("*.npy"))
    }
    notes = {
        path: "about matrices of an earlier config" for path in _files(folder, "*.jsonl") if path.stem not in groups
    }
    return unnamed | notes


def _fields(run: Run) -> dict[Path, str]:
    """Matrices of groups that are named, where the stage has said which of them it wrote for this config."""
    stage = STAGES["embed"]
    if not run.files.embed_summary.exists() or not _current(run, "embed"):
        return {}
    named, folder = set(named_matrices(run.folder)), stage.folder(run)
    return {
        path: "embedded for an earlier config"
        for group in embed_groups(run)
        for path in (*_files(folder / group, "*.npy"), *_files(folder / group, "*.json"))
        if path.with_suffix(".npy") not in named
    }


def _current(run: Run, name: str) -> bool:
    """Whether a stage is finished for this very config."""
    with suppress(AugrecError):  # what it was made from cannot be read any more
        for stage in chain(run.config):
            if stale_reason(stage, run, stage.marker(run), stage.identity(run)) is not None:
                return False
            if stage.name == name:
                return True
    return False


def _trainings(run: Run) -> dict[Path, str]:
    config, folder = run.config, run.folder / "train"
    unnamed = {
        path: "no such variant"
        for path in _folders(folder)
        if path.name not in config.variants and any(path.glob("seed-*"))
    }
    for variant in config.variants:
        wanted = {f"seed-{seed}" for seed in config.seeds_of(variant)}
        seeds = [path for path in _folders(folder / variant) if path.name.startswith("seed-")]
        unnamed |= {path: "no such seed" for path in seeds if path.name not in wanted}
    return unnamed


def _folders(folder: Path) -> list[Path]:
    """The folders in a folder of the run, not those behind links."""
    if folder.is_symlink() or not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.is_symlink())


def _files(folder: Path, pattern: str) -> list[Path]:
    if folder.is_symlink() or not folder.is_dir():
        return []
    return sorted(path for path in folder.glob(pattern) if path.is_file() and not path.is_symlink())


def _below(folder: Path, pattern: str) -> Iterator[Path]:
    for path in sorted(folder.glob(pattern)):
        if not path.is_symlink():
            yield path
    for inner in _folders(folder):
        yield from _below(inner, pattern)


def _size(path: Path) -> int:
    files = [path] if path.is_file() else [inner for inner in path.rglob("*") if not inner.is_dir()]
    return sum(file.lstat().st_size for file in files)


def _delete(path: Path) -> None:
    check_inside(path)
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _show(listed: list[Leftover], folder: Path, what_next: str, console: Console) -> None:
    if not listed:
        console.print("nothing lies here that the config does not name", highlight=False)
        return
    table = Table(box=None, pad_edge=False)
    table.add_column("path", overflow="fold")
    table.add_column("size", justify="right", no_wrap=True)
    table.add_column("why", overflow="fold")
    for leftover in listed:
        table.add_row(*cells(leftover.path.relative_to(folder).as_posix(), _bytes(leftover.size), leftover.why))
    console.print(table)
    total = sum(leftover.size for leftover in listed)
    things = "1 thing" if len(listed) == 1 else f"{len(listed)} things"
    console.print(f"{things}, {_bytes(total)}: {what_next}", markup=False, highlight=False)


def _bytes(size: float) -> str:
    for unit in ("B", "KB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"
