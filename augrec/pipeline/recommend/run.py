"""`augrec recommend RUN`: what a finished run's model would show to whom."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
from rich.console import Console

from augrec.artefacts.counts import counted
from augrec.artefacts.errors import UsageError
from augrec.artefacts.files import only_readable
from augrec.artefacts.run_folder import RunFolder
from augrec.pipeline.recommend.asked import Asked, everybody, read_items, read_users
from augrec.pipeline.recommend.choice import Choice, chosen_training
from augrec.pipeline.recommend.files import format_of, write_tables
from augrec.pipeline.recommend.lists import Exclude, recommendation_lists
from augrec.pipeline.recommend.restored import restored
from augrec.pipeline.stages.base import Run
from augrec.pipeline.stages.saved_run import run_at_home
from recsys.data.dataset import Dataset
from recsys.data.newcomers import Newcomers


@dataclass(frozen=True)
class Recommended:
    """What was written."""

    path: Path
    choice: Choice
    users: int
    rows: int
    notes: tuple[str, ...]
    """What a person should know of the files that were read."""

    def as_json(self) -> dict[str, Any]:
        """What `--json` prints."""
        training = self.choice.training
        return {
            "file": str(self.path),
            "variant": training.variant,
            "seed": training.seed,
            "why": self.choice.why,
            "users": self.users,
            "rows": self.rows,
            "notes": list(self.notes),
        }


def recommend(
    folder: Path,
    *,
    variant: str | None = None,
    seed: int | None = None,
    k: int = 20,
    users: Path | None = None,
    new_items: Path | None = None,
    exclude: Exclude | None = None,
    out: Path | None = None,
    form: str | None = None,
) -> Recommended:
    """Writes the lists of a run's users, or of those that a file names.

    Args:
        folder: of a run whose trainings kept their models.
        variant, seed: see `chosen_training`.
        k: length of the lists.
        users: a file, see `read_users`; None is everybody.
        new_items: a file, see `read_items`.
        exclude: see `recommendation_lists`.
        out: the file to write; `recommendations/<variant>-seed-<n>.<format>` in the run folder unless given.
        form: parquet, csv or jsonl; by the ending of `out` unless given.

    Raises:
        UsageError: there is no such variant, seed or format, or its model cannot do what is asked; or the run folder
            may only be read, and no other place is named.
        DataError: the training has not finished or kept no model, or a file is wrong.
    """
    if k < 1:
        raise UsageError(f"lists of {k} items were asked for", where="--k", remedy="ask for one or more")
    if out is None and only_readable(folder):
        raise UsageError("the run folder may only be read", where=folder, remedy="--out FILE names a place to write to")
    chosen_format = format_of(out, form)
    users, new_items, out = (path.absolute() if path is not None else None for path in (users, new_items, out))
    with run_at_home(folder) as run:
        choice = chosen_training(run, variant, seed)
        asked = _asked(Dataset.load(run.files.dataset), users, new_items)
        name = f"{choice.training.variant}-seed-{choice.training.seed}"
        path = out or RunFolder(folder.absolute()).recommendations(f"{name}.{chosen_format}")
        rows = write_tables(path, tables(run, choice, asked, k, exclude), chosen_format)
    return Recommended(path, choice, len(asked.users), rows, asked.notes)


def render(done: Recommended, console: Console) -> None:
    """Prints what was read, taken and written."""
    training = done.choice.training
    chosen = f"{training.variant}/seed-{training.seed}: {done.choice.why}"
    for line in (*done.notes, chosen, f"{counted(done.rows, 'item')} for {counted(done.users, 'user')}: {done.path}"):
        console.print(line, markup=False, highlight=False)


def tables(run: Run, choice: Choice, asked: Asked, k: int, exclude: Exclude | None = None) -> Iterator[pa.Table]:
    """The lists of those that are asked for, a block of users at a time, see `recommendation_lists`."""
    ready = restored(run, choice.training, Dataset.load(run.files.dataset), asked.newcomers)
    return recommendation_lists(ready, asked.users, k, options=run.config.evaluation, exclude=exclude)


def _asked(dataset: Dataset, users: Path | None, new_items: Path | None) -> Asked:
    newcomers, notes = Newcomers(), list[str]()
    if new_items is not None:
        items, notes = read_items(new_items, dataset)
        newcomers = Newcomers(items=items)
    asked = everybody(dataset, newcomers) if users is None else read_users(users, dataset, newcomers)
    return replace(asked, notes=(*notes, *asked.notes))
