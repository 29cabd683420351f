"""What an engine was answering when its process ended: requests that may have ended it are asked alone afterwards.

An engine that computes in this process takes the process with it. Where the same request does so every time, no run
would ever come past it. So the keys that are handed over together are written down before, and taken away when the
engine is through with them. What a new process finds written is suspect: those requests are asked one by one, and one
that ended the process `MOST_DEATHS` times while nothing else was asked is the one.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from augment.engines.base import EngineFailed
from augrec.artefacts.errors import DataError
from augrec.artefacts.files import read_json, remove_file, write_json
from augrec.artefacts.source_folder import SourceFolder

MOST_DEATHS = 2
"""Once may have been the machine's doing."""


class UnderWay:
    """The note of one process.

    Args:
        folder: R/augment/<source>.
        shards: those of the process; notes of earlier processes over any of them are read.
        answered: keys that have a record, and so ended no process.

    Attributes:
        suspects: keys of the requests that were under way when an earlier process ended.
    """

    def __init__(self, folder: Path, shards: Sequence[int], answered: Container[str]) -> None:
        paths = [SourceFolder(folder).note("under_way", shard) for shard in shards]
        self._path, self._asked = paths[0], list[str]()
        self.suspects, self._deaths = set[str](), dict[str, int]()
        for path in paths:
            asked, suspects, deaths = _read(path)
            if len(asked) == 1:
                deaths[asked[0]] = deaths.get(asked[0], 0) + 1
            self._deaths |= deaths
            self.suspects.update(key for key in (*suspects, *asked) if key not in answered)
        self._write()
        for path in paths[1:]:
            if path.exists():
                remove_file(path)

    def is_fatal(self, key: str) -> bool:
        """Whether a request ended the process again and again, alone."""
        return self._deaths.get(key, 0) >= MOST_DEATHS

    @contextmanager
    def asking(self, keys: Iterable[str]) -> Iterator[None]:
        """Notes what is asked inside the block; it stays noted where the engine fails, or the process ends, in it."""
        self._asked = list(keys)
        self._write()
        failed = False
        try:
            yield
        except EngineFailed:
            failed = True
            raise
        finally:
            if not failed:
                self.suspects.difference_update(self._asked)
                self._asked = []
                self._write()

    def settle(self, key: str) -> None:
        """Nothing more is to be found out about a request."""
        self.suspects.discard(key)
        self._deaths.pop(key, None)
        self._write()

    def _write(self) -> None:
        if self._asked or self.suspects:
            content = {"asked": self._asked, "suspects": sorted(self.suspects), "deaths": self._deaths}
            write_json(self._path, content)
        elif self._path.exists():
            remove_file(self._path)


def _read(path: Path) -> tuple[list[str], list[str], dict[str, int]]:
    """What was asked, what is suspect, and how often each ended a process; nothing where that is lost."""
    if not path.exists():
        return [], [], {}
    try:
        note = read_json(path)
        deaths = {str(key): int(count) for key, count in note["deaths"].items()}
        return [str(key) for key in note["asked"]], [str(key) for key in note["suspects"]], deaths
    except (DataError, KeyError, TypeError, ValueError, AttributeError):
        return [], [], {}  # the records are the truth; this only tells where to be careful
