"""A constant sparse matrix as a module: stored with its transpose, multiplied by one of two backends."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor, nn

from augrec.artefacts.errors import DataError, UsageError
from recsys.compiled import WORTH_LOADING

if TYPE_CHECKING:
    from recsys.graph.row_sums import Part

Backend = Literal["csr", "torch-sparse"]
BUFFERS = ("row_pointers", "columns", "values")
NARROW = 16  # columns of x, below which little is read for an entry and torch's product is as fast
ENTRIES, LEAST = 8, 2**13  # of a row in a block of columns; columns of a block: 8,192 rows of 64 floats are 2 MiB


class Operator(nn.Module):
    """A constant sparse matrix [rows, columns] that multiplies dense ones, with a cheap backward.

    Its buffers follow `.to(device)` and `.double()` but are no part of `state_dict`: they are rebuilt from the data.

    Args:
        matrix: the entries; duplicates are summed, explicit zeros kept.
        transpose: its transpose, where it is at hand (not checked); else it is built.
        symmetric: the matrix equals its transpose, which is then not stored.
        checked: the caller vouches for the symmetry; else it is checked.

    Attributes:
        backend: what multiplies, see `use_backend`.
        row_pointers, columns, values: the entries in CSR form.
    """

    row_pointers: Tensor
    columns: Tensor
    values: Tensor

    def __init__(
        self,
        matrix: sp.spmatrix | sp.sparray,
        transpose: sp.csr_array | None = None,
        *,
        symmetric: bool = False,
        checked: bool = False,
    ) -> None:
        super().__init__()
        forward = _sorted(matrix)
        if transpose is None and not (symmetric and checked):
            transpose = _sorted(forward.T)
        if symmetric and not checked and (forward.shape[0] != forward.shape[1] or abs(forward - transpose).max() > 0):
            raise DataError("the matrix is declared symmetric and is not")
        self.shape: tuple[int, int] = forward.shape
        self.symmetric = symmetric
        self.backend: Backend = "csr"
        self._store("", forward)
        if not symmetric:
            assert transpose is not None
            self._store("transposed_", _sorted(transpose))
        self._cache: dict[str, Any] = {}

    @staticmethod
    def index_type(entries: int, size: int) -> type[np.int32] | type[np.int64]:
        """int32 where it can hold the number of entries and every column."""
        return np.int32 if max(entries, size) <= np.iinfo(np.int32).max else np.int64

    def _store(self, prefix: str, matrix: sp.csr_array) -> None:
        index = self.index_type(matrix.nnz, max(matrix.shape))
        value = np.float64 if torch.get_default_dtype() == torch.float64 else np.float32
        parts = (
            matrix.indptr.astype(index, copy=False),
            matrix.indices.astype(index, copy=False),
            matrix.data.astype(value, copy=False),
        )
        for name, part in zip(BUFFERS, parts, strict=True):
            self.register_buffer(prefix + name, torch.from_numpy(part), persistent=False)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Operator:
        self._cache = {}
        return super()._apply(fn, recurse)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_cache": {}}

    def _stored(self, transposed: bool) -> tuple[str, tuple[int, int]]:
        flip = transposed and not self.symmetric
        return ("transposed_", self.shape[::-1]) if flip else ("", self.shape)

    def matrix(self, *, transposed: bool = False) -> Tensor:
        """The stored matrix as a torch CSR tensor of the buffers' device and type (transposed: its transpose)."""
        prefix, shape = self._stored(transposed)
        if prefix not in self._cache:
            self._cache[prefix] = csr_tensor([getattr(self, prefix + name) for name in BUFFERS], shape)
        return self._cache[prefix]

    def _parts(self, transposed: bool) -> list[Part]:
        """The matrix cut into `block_count` blocks of columns, each with the columns it holds.

        A product reads rows of x at random. One block's rows of x stay near while all its entries are used, for another
        copy of the matrix. The result is read and written once for each block, so rows should have some entries in it.
        """
        prefix, shape = self._stored(transposed)
        key = prefix + "parts"
        if key not in self._cache:
            from recsys.graph.row_sums import Part

            mirror = self._stored(not transposed)[0]  # the transpose's rows are the columns to cut by
            pointers, rows, values = (getattr(self, mirror + name).numpy() for name in BUFFERS)
            count, parts = block_count(*shape, len(values)), []
            size = -(-shape[1] // count)
            for start in range(0, shape[1] if count > 1 else 0, size):
                part = pointers[start : start + size + 1]
                entries = slice(part[0], part[-1])
                block = sp.csc_array((values[entries], rows[entries], part - part[0]), shape=(shape[0], len(part) - 1))
                csr = block.tocsr()
                parts.append(Part(slice(start, start + size), csr.indptr, csr.indices, csr.data))
            whole = Part(slice(None), *(getattr(self, prefix + name).numpy() for name in BUFFERS))
            self._cache[key] = parts or [whole]
        return self._cache[key]

    def _torch_sparse(self, transposed: bool) -> Any:
        prefix, shape = self._stored(transposed)
        key = prefix + "torch-sparse"
        if key not in self._cache:
            from torch_sparse import SparseTensor

            rows, columns, values = (getattr(self, prefix + name) for name in BUFFERS)
            self._cache[key] = SparseTensor(
                rowptr=rows.long(),
                col=columns.long(),
                value=values,
                sparse_sizes=shape,
                is_sorted=True,
                trust_data=True,
            )
        return self._cache[key]

    def cast(self, x: Tensor) -> Tensor:
        """x in the operator's type: sparse products exist in float32 and float64 only, also under autocast."""
        return x.to(self.values.dtype)

    def multiply(
        self, x: Tensor, *, plus: Tensor | None = None, scale: float = 1.0, transposed: bool = False
    ) -> Tensor:
        """`scale * (plus + A x)`, without a gradient; x is of the operator's type."""
        with torch.autocast(x.device.type, enabled=False):
            if self.backend == "torch-sparse":
                product = self._torch_sparse(transposed).matmul(x.contiguous())
                product = product if plus is None else product.add_(plus)
                return product if scale == 1.0 else product.mul_(scale)
            if self.is_compiled(x):
                return self.multiply_some(x, plus=plus, scale=scale, transposed=transposed)
            matrix = self.matrix(transposed=transposed)
            if plus is None:
                return matrix @ x if scale == 1.0 else (matrix @ x).mul_(scale)
            return torch.addmm(plus, matrix, x, beta=scale, alpha=scale)

    def is_compiled(self, x: Tensor) -> bool:
        """Whether products with x are those of `row_sums`."""
        return self.backend == "csr" and worth_compiling(x, len(self.values))

    def multiply_some(
        self,
        x: Tensor,
        *,
        plus: Tensor | None = None,
        scale: float = 1.0,
        transposed: bool = False,
        rows: np.ndarray | None = None,
        held: np.ndarray | None = None,
        given: np.ndarray | None = None,
    ) -> Tensor:
        """`multiply` on the CPU by `row_sums`: the same to the last bit, but for sums that are cut into blocks.

        Rows of the result that are not among `rows` hold anything. See `row_sums.product`.
        """
        size = self._stored(transposed)[1][0]
        return compiled_product(self._parts(transposed), size, x, plus, scale, rows=rows, held=held, given=given)

    def entries_of(self, rows: np.ndarray, *, transposed: bool = False) -> int:
        """How many entries the rows (int64 [m]) of the matrix have (transposed: of its transpose)."""
        pointers = getattr(self, self._stored(transposed)[0] + "row_pointers").numpy()
        return int((pointers[rows + 1] - pointers[rows]).sum(dtype=np.int64))

    def neighbours(self, rows: np.ndarray, *, transposed: bool = False) -> np.ndarray:
        """bool [columns]: which have an entry in one of these rows (int64 [m]) of the matrix. On the CPU."""
        from recsys.graph.row_sums import neighbours

        prefix, (_, columns) = self._stored(transposed)
        pointers, indices = (getattr(self, prefix + name).numpy() for name in BUFFERS[:2])
        return neighbours(pointers, indices, rows, columns)

    def apply_to(self, x: Tensor) -> Tensor:
        """`A x` for dense x [columns, d]; result [rows, d], of the operator's type also under autocast."""
        return _Product.apply(x, self, False)

    def mean_of_powers(self, x: Tensor, layers: int) -> Tensor:
        """`(x + A x + ... + A^layers x) / (layers + 1)` for a square A, as one autograd node that stores no layer."""
        return _MeanOfPowers.apply(x, self, layers, False)

    def powers(self, x: Tensor, layers: int) -> Tensor:
        """`x || A x || .. || A^layers x` for a square A and dense x [n, d]: [n, (layers + 1) d], one autograd node."""
        return _Powers.apply(x, self, layers)

    def forward(self, x: Tensor) -> Tensor:
        """The same as `apply_to`."""
        return self.apply_to(x)

    __matmul__ = apply_to


class _Product(torch.autograd.Function):
    """`A x`; the gradient with respect to x is `A^T g`."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, operator: Operator, transposed: bool) -> Tensor:
        ctx.operator, ctx.transposed = operator, transposed
        return operator.multiply(operator.cast(x), transposed=transposed)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        return _Product.apply(gradient, ctx.operator, not ctx.transposed), None, None


class _MeanOfPowers(torch.autograd.Function):
    """Horner's scheme `h <- x + A h`. The transpose of a polynomial in A is that polynomial in A^T."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, operator: Operator, layers: int, transposed: bool) -> Tensor:
        ctx.operator, ctx.layers, ctx.transposed = operator, layers, transposed
        x = operator.cast(x)
        powers = x if layers else x.clone()
        for layer in range(layers):
            scale = 1.0 if layer < layers - 1 else 1.0 / (layers + 1)
            powers = operator.multiply(powers, plus=x, scale=scale, transposed=transposed)
        return powers

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        return _MeanOfPowers.apply(gradient, ctx.operator, ctx.layers, not ctx.transposed), None, None, None


class _Powers(torch.autograd.Function):
    """The gradients of the powers, g_0 .. g_L, meet in Horner's scheme: `g_0 + A^T (g_1 + A^T (g_2 + ..))`."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, operator: Operator, layers: int) -> Tensor:
        ctx.operator, ctx.layers = operator, layers
        x = operator.cast(x)
        powers = x.new_empty(len(x), layers + 1, x.shape[1])
        powers[:, 0] = x
        for layer in range(1, layers + 1):
            x = operator.multiply(x)
            powers[:, layer] = x
        return powers.flatten(1)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        *others, total = gradient.unflatten(1, (ctx.layers + 1, -1)).unbind(1)
        for other in reversed(others):
            total = ctx.operator.multiply(total.contiguous(), plus=other, transposed=True)
        return total, None, None


def block_count(rows: int, columns: int, entries: int) -> int:
    """Blocks of so many columns that a row has about `ENTRIES` entries in each, but not fewer columns than `LEAST`."""
    return max(1, round(columns / max(LEAST, ENTRIES * rows * columns / max(1, entries))))


def worth_compiling(x: Tensor, entries: int) -> bool:
    """Whether the product of a matrix of so many entries with x is better one of `row_sums`."""
    return x.device.type == "cpu" and x.shape[1] >= NARROW and x.shape[1] * entries >= WORTH_LOADING


def compiled_product(
    parts: Sequence[Part], size: int, x: Tensor, plus: Tensor | None, scale: float, **some: np.ndarray | None
) -> Tensor:
    """`scale * (plus + A x)` [size, d] by `row_sums.product`, without a gradient; see there for parts and `some`."""
    from recsys.graph.row_sums import product

    x, plus = x.detach().contiguous(), None if plus is None else plus.detach().contiguous()
    out, before = x.new_empty(size, x.shape[1]), None if plus is None else plus.numpy()
    product(parts, x.numpy(), before, scale, out.numpy(), torch.get_num_threads(), **some)
    return out


def use_backend(model: nn.Module, backend: Backend) -> None:
    """Lets every operator in `model` multiply by `backend`: torch's CSR products, or the package torch-sparse.

    Both give the same results; which is faster depends on the device, see docs/performance.md.

    Raises:
        UsageError: torch-sparse is wanted and cannot be imported.
    """
    if backend == "torch-sparse":
        try:
            import torch_sparse  # noqa: F401
        except (ImportError, OSError) as error:  # OSError: built for another version of torch
            raise UsageError(
                f"training.backend is torch-sparse, and that package cannot be imported ({error})",
                remedy='install the extra, pip install "augrec[torch-sparse]", or set training.backend=csr',
            ) from error
    for module in model.modules():
        if isinstance(module, Operator):
            module.backend = backend


def csr_tensor(parts: list[Tensor], shape: tuple[int, ...]) -> Tensor:
    """The CSR tensor of row pointers, columns and values; nothing is copied or checked."""
    rows, columns, values = parts
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta state", UserWarning)
        return torch.sparse_csr_tensor(rows, columns, values, size=shape, check_invariants=False)


def _sorted(matrix: sp.spmatrix | sp.sparray) -> sp.csr_array:
    entries = sp.csr_array(matrix)
    entries.sum_duplicates()
    return entries
