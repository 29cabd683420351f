"""Whoever reads a matrix of somebody else's reads numbers, and runs no pickle."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from augrec.artefacts.errors import DataError
from augrec.artefacts.matrices import read_matrix
from embed.given import place_features
from embed.options import FeatureFileOptions
from recsys.data.released.features import npy_features
from tests.kit.planted_pickle import planted_pickle

READERS: dict[str, Callable[[Path], object]] = {
    "of a run": lambda path: read_matrix(path, remedy="again"),
    "given": lambda path: place_features("x", FeatureFileOptions(path=path), ["a"], path.parent / "out"),
    "released": lambda path: npy_features(path, lambda *said, **more: None),
}


@pytest.mark.parametrize("reader", READERS)
def test_a_pickle_in_the_place_of_a_matrix_is_not_run(tmp_path: Path, reader: str) -> None:
    path, mark = tmp_path / "x.npy", tmp_path / "ran"
    np.save(path, np.ones((1, 2)))
    READERS[reader](path)
    path.write_bytes(planted_pickle(mark))
    with pytest.raises(DataError) as error:
        READERS[reader](path)
    assert error.value.where == str(path)
    assert not mark.exists()
