"""Whether texts that were written elsewhere may know what is held out here.

Whoever wrote about a user had the training interactions of another data set. Records that say what their prompts showed
are judged one by one where they are read (`augment.replay`). Where nobody kept the prompts, as of published texts, a
record may tell of everything its data set trains on: after another split that includes test interactions, and no
comparison with such texts means anything.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from augrec.artefacts.errors import UsageError
from augrec.artefacts.interactions import read_interactions
from augrec.artefacts.records import read_records
from augrec.artefacts.run_folder import DatasetFolder
from augrec.artefacts.side_tables import count_rows, read_side_table
from augrec.artefacts.sorted_rows import among
from augrec.artefacts.source_folder import SourceFolder
from augrec.artefacts.tasks import About, read_card

if TYPE_CHECKING:
    from augment.options import SourceOptions
    from augment.replay.options import ReplayOptions
    from augrec.pipeline.stages.base import Run


def refuse_foreknown(run: Run, name: str, source: SourceOptions) -> None:
    """Refuses a replayed source whose writer may have had this run's test interactions.

    Args:
        run: the run, its data set prepared.
        name: of the source.
        source: its options.

    Raises:
        UsageError: there are such interactions, and the records do not say what their prompts showed.
    """
    from augment.replay.replay import records_folder
    from augment.replay.translation import dataset_folder

    options: ReplayOptions = source.engine  # type: ignore[assignment]
    records = records_folder(options.records)
    other = dataset_folder(options, records)
    if other is None or not any(_is_silent(records, task) for task in source.tasks):
        return
    known = foreknown(run.files.dataset, other, by_position=options.match == "position")
    if len(known):
        raise UsageError(
            f"the texts of '{name}' may know {len(known):,} of this run's test interactions, those of "
            f"{len(np.unique(known[:, 0])):,} users: they are training interactions of the data that the texts were "
            "written over, and the records do not say what their prompts showed",
            where=other,
            remedy="keep the split that they were written over (dataset.split.kind=given), or leave the source out",
        )


def _is_silent(records: Path, task: str) -> bool:
    """Whether a task's records are about users, and none says which interactions its prompt showed."""
    files = SourceFolder(records).task(task)
    if not files.records.exists() or (files.card.exists() and read_card(files.card).about != "user"):
        return False
    return not any(len(shown or ()) for shown in read_records(files.records).column("shown_history") or ())


def foreknown(dataset: Path, other: Path, *, by_position: bool = False) -> np.ndarray:
    """The test interactions of a data set that are training interactions of another one.

    Args:
        dataset: the folder of the one.
        other: the folder of the other; nothing is known of one without interactions.
        by_position: users and items have the same ids in both; else those with the same `source_id` are the same.

    Returns:
        int64 [m, 2] of (user, item), by the ids of the first, sorted.
    """
    here, there = DatasetFolder(dataset), DatasetFolder(other)
    if not there.interactions.exists():
        return np.empty((0, 2), dtype=np.int64)
    n_users, n_items = count_rows(here.users), count_rows(here.items)
    test = read_interactions(here.interactions, n_users, n_items, splits=("test",)).of("test")
    counts = count_rows(there.users), count_rows(there.items)
    trained = read_interactions(there.interactions, *counts, splits=("train",)).of("train")
    if not by_position:
        users, items = _places(here.users, there.users, "user"), _places(here.items, there.items, "item")
        trained = np.stack([users[trained[:, 0]], items[trained[:, 1]]], axis=1)
    trained = trained[(trained >= 0).all(axis=1) & (trained < [n_users, n_items]).all(axis=1)]
    return test[among(test @ [n_items, 1], trained @ [n_items, 1])]


def _places(here: Path, there: Path, about: About) -> np.ndarray:
    """int64 [those there], the id here of everyone there; -1 of those who are not here."""
    known = {str(name): place for place, name in enumerate(read_side_table(here, about)["source_id"].to_pylist())}
    names = read_side_table(there, about)["source_id"].to_pylist()
    return np.array([known.get(str(name), -1) for name in names], dtype=np.int64)
