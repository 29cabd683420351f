"""Weights on a node's own disk: copied once per node, found again by their hash."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

from artefacts.locks import hold

VARIABLE = "AUGREC_LOCAL_MODELS"


def staged(folder: Path, sha256: str) -> Path:
    """A copy of a model's folder below $AUGREC_LOCAL_MODELS; the folder itself where that is not set or too small.

    The first process of a node copies, under a lock; the others wait and share the copy. It is whole or absent.
    """
    place = os.environ.get(VARIABLE)
    if not place:
        return folder
    root = Path(place)
    copy = root / sha256[:16]
    root.mkdir(parents=True, exist_ok=True)
    with hold(root / f"{sha256[:16]}.lock", "another process copies these weights", wait=True):
        if copy.exists():
            return copy
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        if size * 1.05 > shutil.disk_usage(root).free:
            print(f"{root} has no room for {size / 2**30:.1f} GiB; reading {folder}", file=sys.stderr)
            return folder
        with tempfile.TemporaryDirectory(prefix=".copy-", dir=root) as temporary:
            Path(shutil.copytree(folder, Path(temporary) / "model")).rename(copy)  # links are followed: the hub's cache
    return copy
