"""The data that a config names: its files, the columns that stages ask for, and matrices that are brought along."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pyarrow.parquet as pq

from augrec.artefacts.array_formats import refuse_other_format
from augrec.artefacts.errors import AugrecError, DataError
from augrec.artefacts.files import readable_parquet
from augrec.artefacts.matrices import read_matrix
from augrec.artefacts.run_folder import DatasetFolder
from augrec.pipeline.preflight.findings import Finding, Level, refusals
from augrec.pipeline.stages.base import Run
from augrec.pipeline.weights import resolve_path
from embed.options import FeatureFileOptions
from recsys.data.options import TableOptions
from recsys.options import Judged


def look_at_data(run: Run) -> Iterator[Finding]:
    """What of the data set and the feature files is missing, as far as names and headers tell."""
    source = run.config.dataset.source
    if run.download:
        return
    missing = refusals("dataset.source.path", partial(resolve_path, source.path))
    yield from missing
    folder = None if missing else resolve_path(source.path)
    if source.table is not None:
        if folder is not None:
            yield from _look_at_tables(source.table, folder)
        yield from _look_at_uses(run, source.table)
    for name, feature in run.config.features.items():
        yield from refusals(f"features.{name}", partial(_look_at_matrix, feature))
    yield from _look_at_item_columns(run, folder)


def _look_at_tables(options: TableOptions, folder: Path) -> Iterator[Finding]:
    for key in ("interactions", "items", "users"):
        name = getattr(options, key)
        if name is not None and not (folder / name).is_file():
            near = sorted(path.name for path in folder.iterdir())[:10] if folder.is_dir() else []
            remedy = f"the folder has {', '.join(near)}" if near else "dataset.source.path names a folder"
            yield Finding("problem", f"there is no file {folder / name}", f"dataset.source.table.{key}", remedy)
    from recsys.data.readers.header import Lack, lacking_columns  # pandas, which most runs need not wait for

    lacks: list[Lack] = []
    yield from refusals("dataset.source.table", lambda: lacks.extend(lacking_columns(options, folder)))
    for lack in lacks:
        level: Level = "problem" if lack.header.whole else "caution"
        yield Finding(level, lack.what, f"dataset.source.table.{lack.key}", lack.remedy)


def _look_at_uses(run: Run, options: TableOptions) -> Iterator[Finding]:
    """What the protocol and the models ask of tables that name no column for it."""
    dataset, rated = run.config.dataset, options.rating is not None
    if dataset.min_rating is not None and not rated:
        yield Finding(
            "problem", "there are no ratings to compare it with", "dataset.min_rating",
            "name the column in dataset.source.table.rating, or set min_rating: null",
        )  # fmt: skip
    if dataset.needs_time and options.timestamp is None:
        key = "dataset.period" if dataset.period else "dataset.split"
        remedy = "name the column in dataset.source.table.timestamp, or choose another split"
        yield Finding("problem", "it needs times, and no column holds them", key, remedy)
    models = {variant.model for variant in run.config.variants.values()}
    if not rated and any(run.config.models[model].judged is Judged.RATING for model in models):
        yield Finding(
            "problem", "the models rate, and no column holds ratings", "dataset.source.table.rating", "name the column"
        )


def _look_at_matrix(feature: FeatureFileOptions) -> None:
    """Raises where a feature is no matrix, or its ids are not as many as its rows."""
    if not feature.path.is_file():
        raise DataError("the feature file does not exist", where=feature.path, remedy="correct the path")
    refuse_other_format(feature.path)
    shape = read_matrix(feature.path, remedy="save it with numpy.save, without pickled objects").shape
    if len(shape) != 2:
        raise DataError(f"the feature file has {len(shape)} dimensions, not 2", where=feature.path)
    if feature.ids is None:
        return
    if not feature.ids.is_file():
        raise DataError("the file of ids does not exist", where=feature.ids, remedy="correct the path")
    ids = len(feature.ids.read_text(encoding="utf-8", errors="replace").splitlines())
    if ids != shape[0]:
        raise DataError(
            f"the matrix has {shape[0]} rows and its ids are {ids}", where=feature.ids, remedy="one id per line and row"
        )


def _look_at_item_columns(run: Run, folder: Path | None) -> Iterator[Finding]:
    """Columns of the items that prompts show or that are embedded, where it can be told which there are."""
    generation, embedding = run.config.generation, run.config.embedding
    asked = {
        "generation.item_text.columns": generation.item_text.columns if generation and generation.item_text else (),
        "embedding.columns": (embedding.columns if embedding else None) or (),
    }
    if not any(asked.values()):
        return
    there = _item_columns(run, folder)
    if there is None:
        return
    for key, names in asked.items():
        for name in names:
            if name not in there:
                remedy = f"they have {', '.join(there)}" if there else "name the file of the items"
                yield Finding("problem", f"the items have no column '{name}'", key, remedy)


def _item_columns(run: Run, folder: Path | None) -> tuple[str, ...] | None:
    """The columns of the data set that is prepared already, else those of the table; None where nobody can say yet."""
    table = run.config.dataset.source.table
    if table is not None and folder is not None:
        from recsys.data.readers.header import item_columns

        try:
            return item_columns(table, folder)
        except AugrecError:
            return None  # what is wrong with the file is said of the file
    items = DatasetFolder(run.files.dataset).items
    if not items.exists():
        return None
    with readable_parquet(items, remedy="run with `--force prepare`"):
        return tuple(pq.read_schema(items).names[2:])
