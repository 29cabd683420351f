"""A file that does something where it is unpickled."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path


class _Planted:
    def __init__(self, mark: Path) -> None:
        self._mark = mark

    def __reduce__(self) -> tuple[Callable[[Path], None], tuple[Path]]:
        return Path.touch, (self._mark,)


def planted_pickle(mark: Path) -> bytes:
    """A pickle that makes the file `mark` when it is read."""
    return pickle.dumps(_Planted(mark))
