"""A graph of users, items and values of attributes, by relation.

Nodes stand in one row: users, then items, then values. Interactions are those of training. A user is joined to the
values that enough of the user's training items have, and to those that are known of the user itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from torch import Tensor, nn

from augrec.artefacts.errors import DataError
from augrec.artefacts.names import suggestion
from recsys.augmentation import AttributeNodes
from recsys.graph.sparse_operator import Operator


class Heard(NamedTuple):
    """What every node hears of its neighbours, [n_nodes, d]: of all, and by relation."""

    everything: Tensor
    of_items: Tensor
    of_users: Tensor


class AttributeGraph(nn.Module):
    """`D^-1/2 (A + I) D^-1/2` of the whole graph, and the parts of it that join items, or users, with attributes.

    Args:
        edges: int64 [m, 2] of training (user, item) pairs, unique.
        items: int64 [k, 2] of (item, value) pairs, unique.
        users: int64 [l, 2] of (user, value) pairs, unique.
        sizes: users, items, values.
        item_loops: whether the relation of items and attributes has the loops of these nodes, too.
    """

    def __init__(
        self,
        edges: np.ndarray,
        items: np.ndarray,
        users: np.ndarray,
        sizes: tuple[int, int, int],
        *,
        item_loops: bool = False,
    ) -> None:
        super().__init__()
        self.sizes, self.item_loops = sizes, item_loops
        n_users, n_items, _ = sizes
        first_value, total = n_users + n_items, sum(sizes)
        ends = {
            "interactions": edges + np.array([0, n_users]),
            "items": items + np.array([n_users, first_value]),
            "users": users + np.array([0, first_value]),
        }
        degree = np.bincount(np.concatenate([pairs.ravel() for pairs in ends.values()]), minlength=total) + 1.0
        parts = {name: _both_ways(pairs, degree) for name, pairs in ends.items()}
        loops = sp.diags_array(1 / degree)
        own = np.where(np.arange(total) >= n_users, 1 / degree, 0.0) if item_loops else np.zeros(total)
        self.between = Operator(parts["interactions"] + loops - sp.diags_array(own), symmetric=True, checked=True)
        self.of_items = Operator(parts["items"] + sp.diags_array(own), symmetric=True, checked=True)
        self.of_users = Operator(parts["users"], symmetric=True, checked=True)

    def forward(self, x: Tensor) -> Heard:
        """One hop for embeddings of all nodes [n_nodes, d]; what all say is the sum of the three parts."""
        between, of_items, of_users = self.between(x), self.of_items(x), self.of_users(x)
        return Heard(between + of_items + of_users, of_items, of_users)


def joined(
    edges: np.ndarray,
    nodes: AttributeNodes,
    n_users: int,
    n_items: int,
    *,
    attributes: Sequence[str] | None,
    least_items: int,
    most_items: float,
    least_support: int,
) -> tuple[np.ndarray, np.ndarray, int]:
    """The (item, value) pairs and the (user, value) pairs of the graph, and how many values there are.

    Args:
        edges: int64 [m, 2] of training (user, item) pairs.
        nodes: who has which value.
        n_users, n_items: the sizes.
        attributes, least_items, most_items, least_support: see `TagcfOptions`.

    Raises:
        DataError: an attribute that is named is not there, or no value is left.
    """
    fields = [field for field, _ in nodes.names]
    for name in attributes or ():
        if name not in fields:
            raise DataError(
                f"the model 'tagcf' asks for the attribute '{name}', which nothing has",
                where=f"attributes of 'tagcf'; there are: {', '.join(dict.fromkeys(fields))}",
                remedy=f"{suggestion(name, fields)}generate it, or leave it out of `attributes`",
            )
    wanted = np.array([attributes is None or field in attributes for field in fields], dtype=np.bool_)
    items, users = (pairs[wanted[pairs[:, 1]]] for pairs in (nodes.items, nodes.users))
    having = sp.coo_array((np.ones(len(items)), items.T), shape=(n_items, len(fields))).tocsr()
    bought = sp.coo_array((np.ones(len(edges)), edges.T), shape=(n_users, n_items)).tocsr()
    support = sp.coo_array(bought @ having)
    enough = support.data >= least_support
    users = np.unique(np.concatenate([users, np.stack([*support.coords], axis=1)[enough]]), axis=0)
    count = np.bincount(items[:, 1], minlength=len(fields))
    known = count + np.bincount(nodes.users[:, 1], minlength=len(fields))
    kept = wanted & (known >= least_items) & (count <= most_items * n_items)
    if not kept.any():
        raise DataError(
            f"none of the {int(wanted.sum())} values of attributes joins {least_items} or more users and items, and "
            f"no more than {most_items:.0%} of the items",
            where="least_items and most_items of 'tagcf'",
            remedy="generate more attributes, lower least_items, or raise most_items",
        )
    place = np.cumsum(kept) - 1
    items, users = (np.stack([pairs[:, 0], place[pairs[:, 1]]], axis=1)[kept[pairs[:, 1]]] for pairs in (items, users))
    return items.astype(np.int64), users.astype(np.int64), int(kept.sum())


def _both_ways(pairs: np.ndarray, degree: np.ndarray) -> sp.csr_array:
    """1 / sqrt(d_a d_b) at (a, b) and (b, a)."""
    values = (degree[pairs[:, 0]] * degree[pairs[:, 1]]) ** -0.5
    upper = sp.coo_array((values, pairs.T), shape=(len(degree), len(degree))).tocsr()
    return sp.csr_array(upper + upper.T)
