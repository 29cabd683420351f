"""What a variant is given of a source within a budget of users, as if nobody had been asked about the others.

A budget is a number of users and an order. `tail` begins with those of whom the graph knows least (fewest training
interactions; equal ones in a drawn order), because a text can tell most of them; `head` with the others; `random` is a
control. More users add to fewer, so that one generation shows a whole curve of gain against budget. A source with
`users_by` really asks about so few.
"""

from __future__ import annotations

import numpy as np

from augment.samples import by_degree
from augrec.pipeline.side.budget import Budget
from recsys.augmentation import Edges, FeatureMatrix, Insertions
from recsys.data.dataset import Dataset

STREAM = "asked"


def asked_users(budget: Budget, dataset: Dataset) -> np.ndarray:
    """bool [n_users], who is asked about; by training interactions alone."""
    degrees = np.bincount(dataset.train[:, 0], minlength=dataset.n_users)
    names = [str(name) for name in dataset.users["source_id"].to_pylist()]
    ranks = {"random": None, "tail": degrees, "head": -degrees}[budget.by]
    users = by_degree(np.flatnonzero(degrees).tolist(), budget.users, ranks, names.__getitem__, STREAM)
    return np.isin(np.arange(dataset.n_users), users)


def vectors_of(matrix: FeatureMatrix, asked: np.ndarray) -> FeatureMatrix:
    """Vectors of users in which those that were not asked about (bool [n_users]) are missing."""
    return FeatureMatrix.from_dense(matrix.dense(), missing=np.flatnonzero(~(matrix.mask & asked)).tolist())


def edges_of(edges: Edges, asked: np.ndarray) -> Edges:
    """Those of users that were asked about (bool [n_users])."""
    kept = asked[edges.user]
    return Edges(edges.user[kept], edges.positive[kept], edges.negative[kept], edges.weight[kept])


def insertions_of(insertions: Insertions, asked: np.ndarray) -> Insertions:
    """Those of users that were asked about (bool [n_users])."""
    kept = asked[insertions.user]
    return Insertions(insertions.user[kept], insertions.item[kept], insertions.position[kept])
