"""Embeddings that another training learned, as the ones a training begins with.

Source: Table 3 of RLMRec (Ren et al., WWW 2024), where embeddings learned on earlier years initialise LightGCN on later
ones. There, users and items are the same; here they are matched by what the source calls them, and those that were not
there before keep the embeddings that the seed draws. Nothing but the two tables is taken: no weight of an aligner or a
layer, and no state of an optimiser.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import nn

from augrec.artefacts.errors import DataError, UsageError
from recsys.models.base import Recommender

TABLES = ("user_embedding", "item_embedding")
"""The parameters with a row for each user and each item, in every family that has such."""


@dataclass(frozen=True, eq=False)
class Rows:
    """Embeddings of some users, or of some items."""

    ids: np.ndarray
    """int64 [k], contiguous ids in the data set of the training that begins."""
    values: np.ndarray
    """float32 [k, d]."""


@dataclass(frozen=True, eq=False)
class Start:
    """What a training begins with. Can be sent to other processes."""

    users: Rows
    items: Rows
    where: str
    """The file they are from, for messages."""

    def put_into(self, model: Recommender, family: str) -> dict[str, int]:
        """Overwrites the rows of a model that has its initial parameters; how many of each kind.

        Raises:
            UsageError: the family has no embeddings of users and items, or they are of another length.
        """
        tables = {name: getattr(model, name, None) for name in TABLES}
        taken = {}
        for (name, table), rows in zip(tables.items(), (self.users, self.items), strict=True):
            if not isinstance(table, nn.Parameter):
                raise UsageError(
                    f"the family {family} has no embeddings of users and items to begin with",
                    remedy="leave start_from out, or choose a model of embeddings, such as lightgcn",
                )
            if table.shape[1] != rows.values.shape[1]:
                raise UsageError(
                    f"embeddings of {rows.values.shape[1]} numbers cannot begin a model of {table.shape[1]}",
                    where=self.where,
                    remedy=f"set the model's dim to {rows.values.shape[1]}, as the model has that it starts from",
                )
            with torch.no_grad():
                table[torch.from_numpy(rows.ids)] = torch.from_numpy(rows.values).to(table)
            taken[name.partition("_")[0] + "s"] = len(rows.ids)
        return taken


def read_start(weights: Path, theirs: Sequence[Sequence[str]], ours: Sequence[Sequence[str]]) -> Start:
    """The embeddings that a training wrote, for the users and items of another data set.

    Args:
        weights: its model.safetensors.
        theirs: what its source calls its users and its items, by id.
        ours: the same of the training that begins.

    Raises:
        DataError: the file is damaged, has no such embeddings or other numbers of them, or nobody is known to both.
    """
    found = []
    try:
        with safe_open(weights, "np") as file:
            for name, their_ids, our_ids in zip(TABLES, theirs, ours, strict=True):
                if name not in file.keys():  # noqa: SIM118 (not a dict)
                    raise DataError(
                        f"the trained model has no {name.replace('_', ' ')}s to start from",
                        where=weights,
                        remedy="name a variant whose model has embeddings of users and items, such as lightgcn",
                    )
                found.append(_matched(file.get_tensor(name), their_ids, our_ids, weights))
    except SafetensorError as error:
        raise DataError(f"the trained model cannot be read ({error})", where=weights, remedy="train it again") from None
    users, items = found
    if not len(users.ids) and not len(items.ids):
        raise DataError(
            f"none of the {len(ours[0]):,} users and {len(ours[1]):,} items is known to the run to start from",
            where=weights,
            remedy="start from a run over data of the same source, whose ids are written alike",
        )
    return Start(users, items, str(weights))


def _matched(table: np.ndarray, theirs: Sequence[str], ours: Sequence[str], where: Path) -> Rows:
    if table.ndim != 2 or len(table) != len(theirs):
        raise DataError(
            f"the trained model has {len(table):,} rows for {len(theirs):,} ids of its data set",
            where=where,
            remedy="its run was prepared anew since: train it again",
        )
    place = {name: row for row, name in enumerate(theirs)}
    ids = np.array([row for row, name in enumerate(ours) if name in place], np.int64)
    rows = np.array([place[ours[row]] for row in ids.tolist()], np.int64)
    return Rows(ids, np.ascontiguousarray(table[rows], np.float32))
