"""Vectors as directions: what a cosine is of, dense or sparse."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp

Vectors = Any  # a dense array, or a sparse one in rows: TF-IDF has too many columns to be dense


def unit_rows(vectors: Vectors) -> Vectors:
    """float64 rows of length 1; dense rows of zeros, or with what is not finite, are zeros.

    Args:
        vectors: [n, d], dense or CSR.
    """
    if sp.issparse(vectors):
        size = np.sqrt(np.asarray(vectors.multiply(vectors).sum(axis=1)).ravel())
        inverse = np.divide(1.0, size, out=np.zeros_like(size, dtype=np.float64), where=size > 0)
        return sp.csr_array(sp.diags_array(inverse) @ vectors)
    vectors = np.asarray(vectors)
    rows = np.where(np.isfinite(vectors).all(axis=1, keepdims=True), vectors, 0.0).astype(np.float64)
    size = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.divide(rows, size, out=np.zeros_like(rows), where=size > 0)


def present(vectors: Vectors) -> np.ndarray:
    """bool [n]: which rows are no rows of zeros."""
    there: np.ndarray = np.diff(vectors.indptr) > 0 if sp.issparse(vectors) else vectors.any(axis=1)
    return there
