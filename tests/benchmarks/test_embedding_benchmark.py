"""The benchmark of embedding: its texts, and that what is held is not the matrix. No model runs here."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import scipy.sparse as sp

from benchmarks.embedding import ROWS_PER_ATTRIBUTE, attributes, memory_results, profiles


def test_profiles_are_distinct_and_the_same_every_time() -> None:
    texts = profiles(200, None)
    assert len(set(texts)) == len(texts) == 200
    assert texts == profiles(200, None)


def test_attributes_stand_in_several_rows() -> None:
    texts = attributes(400)
    there = [text for text in texts if text is not None]
    assert 0 < len(texts) - len(there) < 100
    assert len(set(there)) <= 400 // ROWS_PER_ATTRIBUTE


def test_a_release_gives_its_own_texts(tmp_path: Path) -> None:
    for shift, name in enumerate(("trn_mat.pkl", "val_mat.pkl", "tst_mat.pkl")):
        (tmp_path / name).write_bytes(pickle.dumps(sp.coo_matrix(np.roll(np.eye(4, 3), shift, axis=1))))
    for name, size in (("usr_prf.pkl", 4), ("itm_prf.pkl", 3)):
        texts = {row: {"profile": f"{name} {row}", "reasoning": ""} for row in range(size)}
        (tmp_path / name).write_bytes(pickle.dumps(texts))
    found = profiles(5, tmp_path)
    assert len(set(found)) == 5
    assert all(str(text).startswith(("usr_prf", "itm_prf")) for text in found)


def test_what_is_held_of_a_row_is_judged_against_its_vector() -> None:
    (result,) = memory_results((2_000, 8_000))
    assert result.ok
    assert result.value is not None
    assert result.value > 0
