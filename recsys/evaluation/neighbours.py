"""The users whose vectors are most like each user's, exactly, by cosine."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from augrec.artefacts.neighbours import Neighbours
from recsys.evaluation.ranking import default_chunk
from recsys.evaluation.top_items import TieBreak, top_items


@torch.no_grad()
def nearest_users(vectors: Tensor, known: np.ndarray, count: int) -> Neighbours:
    """The `count` nearest other users of every user, nearest first; of users at the same distance lower ids first.

    A user of whom nothing is known has no neighbours and is nobody's.

    Args:
        vectors: float [n_users, d].
        known: bool [n_users], whether anything is known of a user.
        count: neighbours of each, fewer where there are fewer users.
    """
    n_users, unit = len(vectors), normalize(vectors.float(), dim=1)
    strangers = torch.from_numpy(~known)
    found: list[np.ndarray] = []
    similarity: list[np.ndarray] = []
    ties, chunk = TieBreak.lower_id_first(n_users, n_users), default_chunk(n_users)
    for users in torch.arange(n_users).split(chunk):
        cosines = unit[users] @ unit.T
        cosines[:, strangers] = -torch.inf
        cosines[torch.arange(len(users)), users] = -torch.inf
        cosines[strangers[users]] = -torch.inf
        top = top_items(cosines, users, count, ties)
        found.append(top.items.numpy())
        similarity.append(top.values.numpy())
    nearest = np.concatenate(found) if found else np.empty((0, count), dtype=np.int64)
    there = nearest >= 0
    starts = np.concatenate([[0], np.cumsum(there.sum(axis=1))]).astype(np.int64)
    values = np.concatenate(similarity)[there] if found else np.empty(0, dtype=np.float32)
    return Neighbours(starts, nearest[there], values)
