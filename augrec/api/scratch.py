"""Where things lie that nobody gave a folder for."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path


def scratch_folder(purpose: str) -> Path:
    """A new empty folder that is removed when the process ends."""
    return Path(tempfile.mkdtemp(prefix=f"{purpose}-", dir=_root().name))


@cache
def _root() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="augrec-")
