"""Inverses in place, whole and by tiles, against NumPy's in float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from recsys.models.parts import definite_inverse
from recsys.models.parts.definite_inverse import inverted


def definite(size: int, plus: float = 1.0) -> Tensor:
    """float64; its smallest eigenvalue is `plus` where there are more than 40 rows."""
    rows = torch.randn(size, 40, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return rows @ rows.T + plus * torch.eye(size)


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("size", [1, 5, 1100])
def test_the_inverse_of_a_matrix_is_whole_and_symmetric(
    size: int, whole: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(definite_inverse, "WHOLE", size if whole else 0)
    matrix = definite(size)
    inverse, place = inverted(given := matrix.clone()), given.data_ptr()
    assert inverse.data_ptr() == place, "in its own memory"
    assert torch.equal(inverse, inverse.T)
    torch.testing.assert_close(matrix @ inverse, torch.eye(size, dtype=torch.float64), atol=1e-10, rtol=0)
    with pytest.raises(ArithmeticError, match="not positive definite"):
        inverted(-matrix)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("tile", "strip", "long"), [(16, 16, 16), (16, 5, 7), (30, 64, 11), (48, 7, 5), (100, 8, 8)])
def test_by_tiles_of_any_size_it_is_that_of_numpy(
    tile: int, strip: int, long: int, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    """96 rows: several tiles, with a shorter one at the end, and one tile."""
    for name, value in {"WHOLE": 0, "TILE": tile, "STRIP": strip, "LONG": long, "ROWS": 20}.items():
        monkeypatch.setattr(definite_inverse, name, value)
    matrix = definite(96, 20.0)
    found, expected = inverted(matrix.to(dtype, copy=True)), np.linalg.inv(matrix.numpy())
    assert torch.equal(found, found.T)
    atol = {torch.float32: 1e-6, torch.float64: 1e-13}[dtype]
    np.testing.assert_allclose(found.numpy(), expected, atol=atol, rtol=0)


def test_a_later_tile_that_is_not_positive_definite_is_named_by_its_column(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every tile on the diagonal is definite by itself: what is left of the third is not."""
    monkeypatch.setattr(definite_inverse, "WHOLE", 0)
    monkeypatch.setattr(definite_inverse, "TILE", 16)
    matrix = definite(60)
    matrix[2, 40] = matrix[40, 2] = 2 * (matrix[2, 2] * matrix[40, 40]).sqrt()
    with pytest.raises(ArithmeticError, match="column 41: not positive definite"):
        inverted(matrix)


def test_items_that_meet_nobody_are_inverted_by_themselves() -> None:
    rows = torch.randn(30, 40, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    rows[::3] = 0
    matrix = rows @ rows.T + 3.0 * torch.eye(30, dtype=torch.float64)
    torch.testing.assert_close(inverted(matrix.clone()), torch.linalg.inv(matrix), atol=1e-12, rtol=0)
    with pytest.raises(ArithmeticError, match="not positive definite"):
        inverted(matrix - 3.0 * torch.eye(30, dtype=torch.float64))
