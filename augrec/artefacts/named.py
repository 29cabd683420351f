"""What of a run folder its config names: a folder may hold more, left by a config that named more.

Nothing is deleted when a config names less (`augrec clean` does that), so whoever reads matrices or records asks here
which ones the last finished `embed` and `augment` made. Of folders without their summaries, such as imports, everything
that is there counts.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from augrec.artefacts.files import read_json
from augrec.artefacts.matrices import ANY_MATRIX, matrix_of
from augrec.artefacts.run_folder import RunFolder


def named_matrices(run: Path) -> list[Path]:
    """Every matrix `embed/<group>/<field>.npy` that the run's config names, in order of their names.

    Args:
        run: the run folder.
    """
    here = RunFolder(run)
    groups = _mapping(here.embed_summary, "groups")
    if groups is None:
        return sorted(here.embed.glob(f"*/{ANY_MATRIX}"))
    return sorted(matrix_of(here.matrix(group, field)) for group, fields in groups.items() for field in fields)


def matrix_facts(run: Path) -> list[Path]:
    """The JSON files beside the matrices that the run's config names."""
    here = RunFolder(run)
    if not here.embed_summary.exists():
        return sorted(here.embed.glob("*/*.json"))
    return [path.with_suffix(".json") for path in named_matrices(run)]


def group_matrices(run: Path, group: str) -> list[Path]:
    """The matrices of one group: of a source, of the data set's own text, or of features that were brought along."""
    return [path for path in named_matrices(run) if path.parent.name == group]


def named_sources(run: Path) -> list[str]:
    """The sources of augmentation that the run's config names; every one that has records where nothing names them."""
    here = RunFolder(run)
    sources = _mapping(here.summary, "sources")
    return [source.name for source in here.sources()] if sources is None else list(sources)


def named_records(run: Path, source: str) -> list[Path]:
    """The records of every task that the run's config names, in order of their names."""
    here = RunFolder(run)
    summary = _mapping(here.summary, "sources")
    tasks = None if summary is None else (summary.get(source) or {}).get("tasks")
    if not isinstance(tasks, dict):
        return [task.records for task in here.source(source).tasks()] if summary is None else []
    return [here.source(source).task(task).records for task in sorted(tasks)]


def _mapping(path: Path, key: str) -> dict[str, Any] | None:
    content = read_json(path, remedy="delete this file; its stage will run again") if path.exists() else None
    value = content.get(key) if isinstance(content, dict) else None
    return value if isinstance(value, dict) else None
