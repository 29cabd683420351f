"""`augrec clean RUN`: what lies in a run folder and is read by nobody; it is deleted when that is asked for.

Narrowing a config deletes nothing, because answers, vectors and trainings are expensive and the next config may name
them again. Damaged lines and records of an older layout are set aside, and trials of a search stay when it is over.
This is the only place that deletes any of them. It looks at `augment/`, `base/`, `embed/`, `train/`, `rerank/` and
`search/`, and at what killed processes left of files that they were writing. It follows no link, and leaves everything
else in the folder alone: the trials of a grid too, which are the only memory of what came of them.
"""

from __future__ import annotations

import csv
import shutil
from collections.abc import Iterator
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from augment.tasks import TASKS
from augrec.artefacts.confinement import check_inside
from augrec.artefacts.counts import counted
from augrec.artefacts.errors import AugrecError, UsageError
from augrec.artefacts.files import tree_size
from augrec.artefacts.matrices import ANY_BLOCKS, ANY_MATRIX, matrix_of
from augrec.artefacts.memory import size_in_words
from augrec.artefacts.named import named_matrices
from augrec.artefacts.run_folder import MARKER, TRAINING, nearest_run
from augrec.artefacts.source_folder import SourceFolder, TaskFolder
from augrec.artefacts.study_folder import SearchFolder
from augrec.pipeline.executors.chain import exclusive, stale_reason
from augrec.pipeline.host.terminal import OpenTable
from augrec.pipeline.stages import STAGES
from augrec.pipeline.stages.base import Run
from augrec.pipeline.stages.embed import embed_groups
from augrec.pipeline.stages.registry import chain
from augrec.pipeline.stages.saved_run import run_at_home
from augrec.pipeline.training.base_training import base_trainings

SCRAPS = (".*.tmp", ".copy-*")
"""Names of files that are renamed when they are whole, and of folders that are being copied."""


@dataclass(frozen=True)
class Leftover:
    """A file or folder that nobody reads."""

    path: Path
    """Counted from the run folder."""
    why: str
    size: int
    """In bytes, of everything in it."""


def clean(folder: Path, *, delete: bool) -> list[Leftover]:
    """Lists what of a run nobody reads, above all what its config no longer names, and deletes it when told to.

    Args:
        folder: the run folder.
        delete: delete it; nobody may be at work in the folder then.

    Returns:
        What is there, or was.

    Raises:
        UsageError: the folder is no run.
    """
    _require_run(folder)
    with run_at_home(folder) as run, exclusive(run.folder) if delete else nullcontext():
        listed = leftovers(run)
        for leftover in listed if delete else ():
            _delete(run.folder / leftover.path)
    return listed


def render(listed: list[Leftover], console: Console, *, deleted: bool) -> None:
    """Prints what is there as a table, and what deletes it."""
    if not listed:
        console.print("nothing lies here that nobody reads", highlight=False)
        return
    rows = [(leftover.path.as_posix(), size_in_words(leftover.size), leftover.why) for leftover in listed]
    console.print(OpenTable({"path": "text", "size": "number", "why": "text"}, rows))
    total = size_in_words(sum(leftover.size for leftover in listed))
    what_next = "deleted" if deleted else "`augrec clean RUN --yes` deletes them"
    console.print(f"{counted(len(listed), 'thing')}, {total}: {what_next}", markup=False, highlight=False)


def leftovers(run: Run) -> list[Leftover]:
    """Everything that nobody reads while the run's config is what it is, each folder once, in order of the paths."""
    unnamed = {
        **_sources(run),
        **_tasks(run),
        **_groups(run),
        **_fields(run),
        **_trainings(run),
        **_rerankings(run),
        **_folds(run),
    }
    scraps = {path: "left by a process that was killed" for pattern in SCRAPS for path in _below(run.folder, pattern)}
    reasons = {**scraps, **_set_aside(run), **_trials(run), **unnamed}
    outermost = [path for path in sorted(reasons) if not any(above in reasons for above in path.parents)]
    return [Leftover(path.relative_to(run.folder), reasons[path], tree_size(path)) for path in outermost]


def _require_run(folder: Path) -> None:
    if not folder.is_dir():
        raise UsageError(
            "there is no such folder", where=folder, remedy=f"{nearest_run(folder)}name a run folder, e.g. runs/demo"
        )
    if not any((stage.folder_in(folder) / MARKER).is_file() for stage in STAGES.values()):
        raise UsageError(
            "this is no run folder: no stage has finished in it", where=folder, remedy="name e.g. runs/demo"
        )


def _sources(run: Run) -> dict[Path, str]:
    sources = run.config.generation.sources if run.config.generation else {}
    return {
        path: "no such source in generation.sources"
        for path in _folders(run.files.augment)
        if path.name not in sources and _is_source(SourceFolder(path))
    }


def _tasks(run: Run) -> dict[Path, str]:
    sources = run.config.generation.sources if run.config.generation else {}
    return {
        path: f"the source {name} has no such task"
        for name, source in sources.items()
        for path in _folders(run.files.source(name).root)
        if path.name not in source.tasks and (path.name in TASKS or _is_task(path))
    }


def _is_source(source: SourceFolder) -> bool:
    own = source.engine_json, source.attempts
    return any(path.exists() for path in own) or any(_is_task(path) for path in _folders(source.root))


def _is_task(path: Path) -> bool:
    task = TaskFolder(path)
    return task.records.exists() or task.shards.is_dir()


def _set_aside(run: Run) -> dict[Path, str]:
    """What lies beside records and is none: it was kept in case somebody wants to look at it."""
    sources = [SourceFolder(path) for path in _folders(run.files.augment)]
    older = [source.set_aside for source in sources if source.set_aside in _folders(source.root)]
    tasks = [TaskFolder(path) for source in sources for path in _folders(source.root)]
    damaged = [path for task in tasks for path in task.damaged() if path.is_file() and not task.shards.is_symlink()]
    return dict.fromkeys(older, "records of an older layout, asked again since") | dict.fromkeys(
        damaged, "damaged lines, asked again since"
    )


def _trials(run: Run) -> dict[Path, str]:
    """Trials of searches that are over: of models that are gone, and those whose values a journal keeps."""
    listed: dict[Path, str] = {}
    for folder in _folders(run.files.search):
        search = SearchFolder(folder)
        trials = {trial.root: trial for trial in search.trials() if not trial.root.is_symlink()}
        if folder.name not in run.config.models:
            if trials or search.trials_csv.is_file():
                listed[folder] = "trials of a model that the config does not name"
        elif search.journal.is_file():
            ended = [search.trial(position).root for position in _ended(search)]
            listed |= {path: "a trial of a search; its value stays in the journal" for path in ended if path in trials}
    return listed


def _ended(search: SearchFolder) -> list[int]:
    """The positions of trials to which nothing more will be done."""
    if not search.trials_csv.is_file():
        return []
    with search.trials_csv.open(encoding="utf-8", newline="") as table:
        return [int(row["trial"]) for row in csv.DictReader(table) if row["state"] in ("complete", "fail")]


def _groups(run: Run) -> dict[Path, str]:
    groups = embed_groups(run)
    unnamed = {
        path: "embedded for an earlier config"
        for path in _folders(run.files.embed)
        if path.name not in groups and any([*path.glob(ANY_MATRIX), *path.glob(ANY_BLOCKS)])
    }
    attempts = {
        path: "about matrices of an earlier config"
        for group, path in run.files.attempted_groups().items()
        if group not in groups and _is_own(path)
    }
    return unnamed | attempts


def _fields(run: Run) -> dict[Path, str]:
    """Matrices of groups that are named, where the stage has said which of them it wrote for this config."""
    if not run.files.embed_summary.exists() or not _current(run, "embed"):
        return {}
    named = set(named_matrices(run.folder))
    begun = {
        path: "a field that was begun for an earlier config"
        for group in embed_groups(run)
        for path in _folders(run.files.group(group))
        if path.match(ANY_BLOCKS)
    }
    return begun | {
        path: "embedded for an earlier config"
        for group in embed_groups(run)
        for path in (*_files(run.files.group(group), ANY_MATRIX), *_files(run.files.group(group), "*.json"))
        if matrix_of(path.with_suffix("")) not in named
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


def _rerankings(run: Run) -> dict[Path, str]:
    """Folders of variants whose lists nobody judges any more, and of rows that are made no more."""
    named = {*(run.config.rerank.variants if run.config.rerank else ()), *run.config.reranked}
    return {path: "no such row of re-ranking" for path in _folders(run.files.rerank) if path.name not in named}


def _folds(run: Run) -> dict[Path, str]:
    """Trainings of a base recommender that the config does not name, or not in as many folds."""
    files, config = run.files, run.config
    if config.base is None:
        return {path: "no section `base`" for path in _folders(files.root) if path == files.base.root}
    named = {training.name for training in base_trainings(config, files, None)}
    return {path: "no such fold" for path in _folders(files.base.trainings) if path.name not in named}


def _trainings(run: Run) -> dict[Path, str]:
    config, files = run.config, run.files
    unnamed = {
        path: "no such variant"
        for path in _folders(files.train)
        if path.name not in config.variants and any(TRAINING.fullmatch(inner.name) for inner in path.iterdir())
    }
    for variant in config.variants:
        wanted = {files.training(variant, seed).root for seed in config.seeds_of(variant)}
        seeds = [path for path in _folders(files.train / variant) if TRAINING.fullmatch(path.name)]
        unnamed |= {path: "no such seed" for path in seeds if path not in wanted}
    return unnamed


def _folders(folder: Path) -> list[Path]:
    """The folders in a folder of the run, not those behind links."""
    if folder.is_symlink() or not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.is_symlink())


def _files(folder: Path, pattern: str) -> list[Path]:
    return sorted(path for path in folder.glob(pattern) if _is_own(path))


def _is_own(path: Path) -> bool:
    """Whether a path is a file, and neither it nor its folder is a link."""
    return path.is_file() and not path.is_symlink() and not path.parent.is_symlink()


def _below(folder: Path, pattern: str) -> Iterator[Path]:
    for path in sorted(folder.glob(pattern)):
        if not path.is_symlink():
            yield path
    for inner in _folders(folder):
        yield from _below(inner, pattern)


def _delete(path: Path) -> None:
    check_inside(path)
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
