"""The folder of what is kept between runs: converted weights, remembered hashes and measurements."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder(cache: Path | None = None) -> Path:
    """The argument, else $AUGREC_CACHE, else ~/.cache/augrec."""
    if cache is not None:
        return cache
    return Path(os.environ.get("AUGREC_CACHE") or Path.home() / ".cache" / "augrec").expanduser()
