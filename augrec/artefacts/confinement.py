"""A second line of defence: while a folder is worked on, nothing is written outside of it.

Names are checked where they come in (`augrec.artefacts.names`). Should one slip through, or should a folder inside a
run be a link to somewhere else, the writers ask here and refuse.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from augrec.artefacts.errors import AugrecError

_root: ContextVar[Path | None] = ContextVar("root", default=None)


@contextmanager
def confined(root: Path | None) -> Iterator[None]:
    """Lets the writers write below `root` alone while the block runs; the innermost block counts, None ends it.

    `root` itself may be a link; nothing below it may lead outside.
    """
    before = _root.set(None if root is None else Path(os.path.realpath(root)))
    try:
        yield
    finally:
        _root.reset(before)


def check_inside(path: Path) -> None:
    """Raises AugrecError where writing (or deleting) `path` would touch something outside of the folder worked on.

    Its own last part is not followed: files are replaced by renaming, which replaces a link as well.
    """
    root = _root.get()
    if root is None:
        return
    place = Path(os.path.realpath(path.parent)) / path.name
    if path.name in ("", ".", "..") or not place.is_relative_to(root):
        raise AugrecError(
            "refused to write outside of the folder that is worked on",
            where=f"{path} (which is {place}, outside of {root})",
            remedy="a name in the data or a link inside the folder leads out of it; to keep the folder elsewhere, let "
            "`output` name that place",
        )
