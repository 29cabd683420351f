"""Publishers' files as tests write them."""

from __future__ import annotations

import gzip
from collections.abc import Sequence


def packed(lines: Sequence[str]) -> bytes:
    """The lines as a .gz file."""
    return gzip.compress("".join(f"{line}\n" for line in lines).encode(), mtime=0)


def unpacked(lines: Sequence[str]) -> bytes:
    """The lines as a file."""
    return "".join(f"{line}\n" for line in lines).encode()
