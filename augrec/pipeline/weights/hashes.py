"""Hashes of big files, remembered so that weights are read once.

A file is the remembered one if its size, times and place on the disk are: whoever exchanges a file may set its
modification time (`cp -p`, `rsync -t`, `touch -r`), but not the time of its last change, nor keep its inode.
"""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

from augrec.artefacts.confinement import confined
from augrec.artefacts.files import sha256_file, write_json

# A small file is hashed faster than it is looked up, and a config that was just edited is always read.
REMEMBERED_FROM = 1 << 20


class HashCache:
    """sha256 of files; those of at least 1 MiB are remembered in the JSON file `path`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            known = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            known = {}
        self._known: dict[str, list] = known if isinstance(known, dict) else {}

    def sha256(self, path: Path) -> str:
        """The sha256 (hex) of the file's bytes, from memory where the file is the remembered one."""
        real = path.resolve()
        stat = real.stat()
        mark = [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino, stat.st_dev]
        if stat.st_size < REMEMBERED_FROM:
            return sha256_file(real)
        known = self._known.get(str(real))
        if isinstance(known, list) and known[:-1] == mark:
            return known[-1]
        value = sha256_file(real)
        self._known[str(real)] = [*mark, value]
        # A cache folder that cannot be written costs time, not correctness.
        with contextlib.suppress(OSError), confined(self._path.parent):
            write_json(self._path, self._known)
        return value
