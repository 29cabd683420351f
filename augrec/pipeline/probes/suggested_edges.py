"""The edges that the sources of a run or an import suggest, and what each source's are worth."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from augrec.artefacts.records import read_records
from augrec.artefacts.run_folder import RunFolder
from augrec.artefacts.tasks import Edges, Insertions, read_card
from augrec.report.measures.edge_worth import EdgeWorth, edge_worth
from augrec.report.pages.edges import percent_2


def judge_edges(
    run: RunFolder,
    tasks: Mapping[str, Iterable[str]],
    train: np.ndarray,
    valid: np.ndarray,
    *,
    n_users: int,
    n_items: int,
) -> tuple[EdgeWorth, ...]:
    """Judges the edges of every source of a folder in the layout of a run, by validation.

    Args:
        run: the folder.
        tasks: source -> the tasks it was asked; those that suggest no items are passed over.
        train, valid: int64 [m, 2] of (user, item). Test is no business of this.
        n_users, n_items: of the data.

    Raises:
        DataError: a file of records is missing or damaged.
    """
    found = []
    for source, asked in tasks.items():
        for task in (run.source(source).task(name) for name in asked):
            if not task.records.exists() or not isinstance(gives := read_card(task.card).gives, Edges | Insertions):
                continue
            answered = list(read_records(task.records, columns=["shown_candidates"]).answered())
            pairs = [(record.entity, (record.fields or {})[gives.items[0]]) for record in answered]
            found.append(
                edge_worth(
                    source,
                    task.name,
                    np.array(pairs, dtype=np.int64).reshape(-1, 2),
                    train,
                    valid,
                    n_users=n_users,
                    n_items=n_items,
                    shown=[record.shown_candidates for record in answered],
                )
            )
    return tuple(found)


def edge_lines(found: Iterable[EdgeWorth]) -> list[str]:
    """A line for each source of edges, as commands print it."""
    return [
        f"{one.source} {one.task}: {percent_2(one.precision.mean)} of {one.edges:,} edges are validation interactions; "
        f"item-kNN with as many: {percent_2(one.knn.mean)}"
        + ("" if one.random.mean is None else f"; a draw from the same candidates: {percent_2(one.random.mean)}")
        for one in found
    ]
