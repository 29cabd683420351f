"""Arrays of others in NumPy's format (.npy): mapped from the disk, never unpickled."""

from __future__ import annotations

from pathlib import Path
from zipfile import BadZipFile

import numpy as np


def mapped_array(path: Path) -> np.ndarray:
    """The array of a file, memory-mapped, read only.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is no such file, cut short, an archive (.npz), or holds pickled objects; says which.
    """
    try:
        values = np.load(path, mmap_mode="r", allow_pickle=False)
    except (EOFError, BadZipFile, OverflowError, TypeError) as error:  # what a damaged header can end in
        raise ValueError(str(error)) from None
    if not isinstance(values, np.ndarray):
        values.close()
        raise ValueError("it is an archive of several arrays, .npz: save the one array with numpy.save")
    return values
