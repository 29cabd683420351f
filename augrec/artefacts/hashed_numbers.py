"""Numbers that look random and follow from names: a draw that another user or item changes for nobody else."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np


def hashed_names(names: Sequence[str] | np.ndarray, salt: bytes) -> np.ndarray:
    """uint64 [n]: eight bytes of the sha256 of each name."""
    return np.array(
        [int.from_bytes(hashlib.sha256(salt + str(name).encode()).digest()[:8]) for name in names], np.uint64
    )


def mixed(words: np.ndarray) -> np.ndarray:
    """A bijection of uint64 in which every bit depends on all: SplitMix64's finaliser (Steele, Lea, Flood 2014)."""
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB), (31, 1)):
        words = (words ^ (words >> np.uint64(shift))) * np.uint64(factor)
    return words
