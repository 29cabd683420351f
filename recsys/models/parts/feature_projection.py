"""A fixed feature matrix and the layer that brings it to the size of an embedding."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from recsys.augmentation import FeatureMatrix
from recsys.gather import lookup


class Features(nn.Module):
    """A feature matrix on the device: its distinct rows, and which of them belongs to each id.

    Its buffers are no part of `state_dict`: they are read from the data again.

    Args:
        matrix: the features.
        preprocess: `centre` subtracts the mean over the ids that have a vector.
    """

    values: Tensor
    mean: Tensor
    index: Tensor | None
    mask: Tensor | None
    present: Tensor

    def __init__(self, matrix: FeatureMatrix, preprocess: Literal["none", "centre"] = "none") -> None:
        super().__init__()
        values, mean = centred(matrix) if preprocess == "centre" else (matrix.values, _mean(matrix))
        one_row_each = len(values) == matrix.rows and bool((matrix.index == np.arange(matrix.rows)).all())
        self._keep("values", values)
        self._keep("mean", mean)
        self._keep("index", None if one_row_each else matrix.index)
        self._keep("mask", None if matrix.mask.all() else matrix.mask[:, None])
        self._keep("present", np.flatnonzero(matrix.mask))

    def _keep(self, name: str, array: np.ndarray | None) -> None:
        tensor = None if array is None else torch.tensor(array)
        self.register_buffer(name, tensor, persistent=False)

    @property
    def dim(self) -> int:
        """The length of a vector."""
        return self.values.shape[1]

    def rows(self, ids: Tensor) -> Tensor:
        """The vectors of `ids` (int64 [m]): [m, d]."""
        return self.values[ids if self.index is None else self.index[ids]]

    def projected(self, layer: Callable[[Tensor], Tensor], hidden: Tensor | None = None) -> Tensor:
        """`layer` applied to every id's vector: [n, dim]. Only distinct vectors are multiplied.

        Ids without a vector get zeros: they would contribute the layer's bias otherwise.

        Args:
            layer: the projection.
            hidden: int64 [m], ids whose vector is replaced by the mean vector.
        """
        projected = layer(self.values)
        if self.index is not None:
            projected = lookup(projected, self.index)
        if hidden is not None and len(hidden):
            stand_in = layer(self.mean).expand(len(hidden), -1)
            projected = projected.index_copy(0, hidden, stand_in)
        return projected if self.mask is None else projected * self.mask


def centred(matrix: FeatureMatrix) -> tuple[np.ndarray, np.ndarray]:
    """The distinct rows [k, d] less the mean over the ids that have a vector, and the mean that is left: zeros [d]."""
    mean = _mean(matrix)
    return matrix.values - mean, np.zeros_like(mean)


def _mean(matrix: FeatureMatrix) -> np.ndarray:
    """float32 [d], the mean over the ids that have a vector (zeros where none has)."""
    count = np.bincount(matrix.index[matrix.mask], minlength=len(matrix.values)).astype(np.float64)
    return (count @ matrix.values.astype(np.float64) / max(count.sum(), 1.0)).astype(np.float32)
