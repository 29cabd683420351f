"""A fixed feature after one and after two hops over the graph, kept as constants that a layer projects row by row.

Projection and propagation are linear, so with P a hop, X the features, m their mask and z = X W^T + m b^T
    P z = (P X) W^T + (P m) b^T = [P X, P m] [W, b]^T
and [P X, P m] never changes. A training step then projects only the rows that its batch needs. Where the features have
few distinct rows V, with X = S V, it is cheaper to project those and to apply the constant P S: `prefers_distinct`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
import scipy.sparse as sp
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from recsys.augmentation import FeatureMatrix
from recsys.compiled import NARROW, WORTH_LOADING
from recsys.graph.sparse_operator import Operator
from recsys.models.parts.feature_projection import centred

Preprocess = Literal["none", "centre"]
ROWS = 1024  # of a batch, in the rule that chooses the form
ENTRY = 4  # a sparse entry costs as much as so many multiplications in a dense product: it reads memory at random
COLUMNS_AT_ONCE, ROWS_AT_ONCE, GATHERED_AT_ONCE = 128, 4096, 256


class PropagatedFeature(nn.Module):
    """A feature on the receivers of a first hop (`near`) and on those of a second hop from there (`far`).

    Its buffers are no part of `state_dict`: they are computed from the data again. The features themselves are not kept
    unless their distinct rows are what is projected.

    Args:
        matrix: the features of n ids.
        first: the hop from these ids, [n_near, n].
        second: the hop back, [n_far, n_near].
        preprocess: see `Features`.
        penalised: whether `squared_norm` is wanted.
        distinct: whether the distinct rows are projected; chosen by `prefers_distinct` if None.
    """

    values: Tensor
    near_table: Tensor
    far_table: Tensor
    gram: Tensor

    def __init__(
        self,
        matrix: FeatureMatrix,
        first: Operator,
        second: Operator,
        preprocess: Preprocess = "none",
        *,
        penalised: bool = False,
        distinct: bool | None = None,
    ) -> None:
        super().__init__()
        self.dim = matrix.dim
        values = centred(matrix)[0] if preprocess == "centre" else matrix.values
        hops = _scipy(first), _scipy(second)
        rows = np.flatnonzero(matrix.mask)
        places = sp.csr_array((np.ones(len(rows)), (rows, matrix.index[rows])), shape=(matrix.rows, len(values)))
        self.distinct = prefers_distinct(places, hops, matrix.dim) if distinct is None else distinct
        if self.distinct:
            self._keep("values", torch.tensor(values, dtype=torch.get_default_dtype()))
            near = hops[0] @ places
            composite = near, hops[1] @ near
            self.near_operator, self.far_operator = (Operator(part) for part in composite)
            gram = _gram_of_places(composite, values) if penalised else None
        else:
            tables = _tables(places, values, hops)
            self._keep("near_table", tables[0])
            self._keep("far_table", tables[1])
            gram = _gram_of_rows(tables[0]) + _gram_of_rows(tables[1]) if penalised else None
        if gram is not None:
            self._keep("gram", gram.to(torch.get_default_dtype()))

    def _keep(self, name: str, tensor: Tensor) -> None:
        self.register_buffer(name, tensor, persistent=False)

    def rows(self, layer: nn.Linear, near: Tensor | None = None, far: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The projected feature at the ids `near` and `far` (int64), at all ids where None: [len(near), dim], ..."""
        if self.distinct:
            projected = self.near_operator.cast(layer(self.values))
            return _composed(self.near_operator, projected, near), _composed(self.far_operator, projected, far)
        return _ProjectedRows.apply(_augmented(layer), self.near_table, near, self.far_table, far)

    def squared_norm(self, layer: nn.Linear) -> Tensor:
        """`|near|^2 + |far|^2` of the projected feature over all ids, by its Gram matrix. Scalar."""
        weights = _augmented(layer).T
        return ((weights @ self.gram) * weights).sum()


def prefers_distinct(places: sp.csr_array, hops: tuple[sp.csr_array, sp.csr_array], dim: int) -> bool:
    """Whether projecting the distinct rows is cheaper than projecting a batch's rows.

    A batch of 1,024 triplets has 1,024 rows on one side of the graph and 2,048 on the other, so the constants cost
    3,072 dim multiplications per output, and d floats of memory per id. K distinct rows cost K dim, and `ENTRY` for
    each entry of the composite operator in the rows of the batch, of which a bound is taken.
    """
    distinct = len(np.unique(places.indices))
    if distinct >= 3 * ROWS:
        return False
    near = np.minimum(_ones(hops[0]) @ np.diff(places.indptr), distinct)
    far = np.minimum(_ones(hops[1]) @ near, distinct)
    entries = 2 * ROWS * max(near.mean() if len(near) else 0, far.mean() if len(far) else 0)
    return distinct * dim + ENTRY * entries < 3 * ROWS * dim


class _ProjectedRows(torch.autograd.Function):
    """`table[ids] @ weights` of two tables; the backward reads only rows that have a gradient.

    Large products on the CPU read the rows where they lie (`gathered_products`), others by blocks that fit the cache.
    """

    @staticmethod
    def forward(
        ctx: Any, weights: Tensor, near_table: Tensor, near: Tensor | None, far_table: Tensor, far: Tensor | None
    ) -> tuple[Tensor, ...]:
        ctx.asked = ((near_table, near), (far_table, far))
        with torch.autocast(near_table.device.type, enabled=False):
            weights = weights.to(near_table.dtype)
            return tuple(_projected(table, ids, weights) for table, ids in ctx.asked)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        total = gradients[0].new_zeros(ctx.asked[0][0].shape[1], gradients[0].shape[1])
        for (table, ids), gradient in zip(ctx.asked, gradients, strict=True):
            used = (gradient.abs().amax(1) > 0).nonzero()[:, 0]
            _add_gradient(table, used if ids is None else ids[used], gradient[used], total)
        return total, None, None, None, None


def _projected(table: Tensor, ids: Tensor | None, weights: Tensor) -> Tensor:
    if ids is None:
        return table @ weights
    if _large(table, ids, weights):
        from recsys.models.parts.gathered_products import project

        found = project(table.numpy(), ids.numpy(), weights.detach().numpy(), torch.get_num_threads())
        return torch.from_numpy(found)
    result = table.new_empty(len(ids), weights.shape[1])
    for block, rows in _blocks(table, ids):
        torch.mm(rows, weights, out=result[block])
    return result


def _add_gradient(table: Tensor, ids: Tensor, slopes: Tensor, total: Tensor) -> None:
    """Adds `table[ids]^T @ slopes` to the total."""
    if _large(table, ids, slopes):
        from recsys.models.parts.gathered_products import add_gradient

        add_gradient(table.numpy(), ids.numpy(), slopes.numpy(), total.numpy(), torch.get_num_threads())
        return
    for block, rows in _blocks(table, ids):
        total.addmm_(rows.T, slopes[block])


def _large(table: Tensor, ids: Tensor, outputs: Tensor) -> bool:
    """Whether a product is one for `gathered_products`."""
    width = outputs.shape[1]
    known = table.device.type == "cpu" and table.dtype == torch.float32 and width % NARROW == 0
    return known and len(ids) * table.shape[1] * width >= WORTH_LOADING


def _blocks(table: Tensor, ids: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Rows `ids` of the table, some at a time; on the CPU each block overwrites the last."""
    size = GATHERED_AT_ONCE if table.device.type == "cpu" else max(len(ids), 1)
    buffer = table.new_empty(min(size, len(ids)), table.shape[1])
    for start in range(0, len(ids), size):
        part = ids[start : start + size]
        yield slice(start, start + size), torch.index_select(table, 0, part, out=buffer[: len(part)])


def _augmented(layer: nn.Linear) -> Tensor:
    return torch.cat([layer.weight.T, layer.bias[None]])


def _composed(operator: Operator, projected: Tensor, ids: Tensor | None) -> Tensor:
    """Rows `ids` of `operator @ projected`, and only those are computed."""
    if ids is None:
        return operator @ projected
    start = operator.row_pointers[ids].long()
    length = operator.row_pointers[ids + 1] - start
    offsets = length.cumsum(0) - length
    entries = torch.arange(int(length.sum()), device=ids.device) + (start - offsets).repeat_interleave(length)
    columns, values = operator.columns[entries].long(), operator.values[entries]
    with torch.autocast(ids.device.type, enabled=False):
        return F.embedding_bag(columns, projected, offsets, mode="sum", per_sample_weights=values)


def _scipy(operator: Operator) -> sp.csr_array:
    """The stored entries, float64, so that constants equal what the operator would give."""
    rows, columns, values = (getattr(operator, name).cpu().numpy() for name in ("row_pointers", "columns", "values"))
    return sp.csr_array((values.astype(np.float64), columns, rows), shape=operator.shape)


def _ones(matrix: sp.csr_array) -> sp.csr_array:
    return sp.csr_array((np.ones(matrix.nnz), matrix.indices, matrix.indptr), shape=matrix.shape)


def _tables(places: sp.csr_array, values: np.ndarray, hops: tuple[sp.csr_array, sp.csr_array]) -> tuple[Tensor, Tensor]:
    """[P X, P m] and [Q P X, Q P m], a few columns at a time so that little beside the results is held."""
    dim = values.shape[1]
    tables = torch.empty(hops[0].shape[0], dim + 1), torch.empty(hops[1].shape[0], dim + 1)
    for start in range(0, dim, COLUMNS_AT_ONCE):
        end = min(start + COLUMNS_AT_ONCE, dim)
        _fill(tables, places @ values[:, start:end].astype(np.float64), hops, slice(start, end))
    _fill(tables, places @ np.ones((len(values), 1)), hops, slice(dim, dim + 1))
    return tables


def _fill(
    tables: tuple[Tensor, ...], block: np.ndarray, hops: tuple[sp.csr_array, sp.csr_array], columns: slice
) -> None:
    for table, hop in zip(tables, hops, strict=True):
        block = hop @ block
        table[:, columns] = torch.from_numpy(block)


def _gram_of_rows(table: Tensor) -> Tensor:
    """`C^T C` in float64."""
    gram = torch.zeros(table.shape[1], table.shape[1], dtype=torch.float64)
    for rows in table.split(ROWS_AT_ONCE):
        gram.addmm_(rows.double().T, rows.double())
    return gram


def _gram_of_places(composite: tuple[sp.csr_array, sp.csr_array], values: np.ndarray) -> Tensor:
    """`[V, 1]^T (sum over operators of A^T A) [V, 1]`, the same for distinct rows V."""
    extended = np.hstack([values.astype(np.float64), np.ones((len(values), 1))])
    operators = [_stored(part) for part in composite]
    return torch.from_numpy(sum(extended.T @ ((part.T @ part) @ extended) for part in operators))


def _stored(matrix: sp.csr_array) -> sp.csr_array:
    kept = np.float64 if torch.get_default_dtype() == torch.float64 else np.float32
    return matrix.astype(kept).astype(np.float64)  # as the operator keeps it
