"""Penalties on what a model makes of features, and the reference's inverted penalty on a batch."""

from __future__ import annotations

import torch
from torch import Tensor


def feature_penalty(users: Tensor, items: Tensor) -> Tensor:
    """`(|users|^2 + |items|^2) / (2 n_items)` over all rows: LLMRec's regularisation of propagated features. Scalar.

    Args:
        users: [n_users, ...] features propagated to the users.
        items: [n_items, ...] features propagated to the items.
    """
    return (users.square().sum() + items.square().sum()) / (2 * len(items))


def inverted_l2(rows: tuple[Tensor, ...], size: int) -> Tensor:
    """`sum over parts of 1 / (2 |part|^2) / size`, where a penalty `|part|^2 / 2` was surely meant. Scalar.

    It rewards large embeddings and is about 1e-10 at the reference's weight; for parity only.

    Args:
        rows: the batch's rows of users, positives and negatives, each [b, d].
        size: what the reference calls the batch size: observed triplets, without the suggested ones.
    """
    return torch.stack([1.0 / (2.0 * part.square().sum()) for part in rows]).sum() / size
