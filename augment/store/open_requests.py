"""What a run left unanswered: a small file beside the records, for `augrec status` and for whoever runs it again.

The records are the truth: this note only says why the last run ended without some of them. A run that answers
everything takes it away.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from augrec.artefacts.errors import DataError
from augrec.artefacts.files import read_json, remove_file, write_json
from augrec.artefacts.source_folder import SourceFolder

REMEDY = (
    "what was answered is kept: run the same command again when the server is well. Where one request always breaks "
    "it, `record_unanswered: true` in the engine's section records what then stays unanswered as failed"
)

Reasons = Mapping[str, Mapping[str, int]]
"""task -> reason -> how many."""


@dataclass(frozen=True)
class OpenRequests:
    """What the last run over a source left open, over the processes that shared it."""

    requests: int = 0
    recorded: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    error: str | None = None
    """What ended a run before everything was asked."""

    @property
    def open(self) -> int:
        """How many requests have no record."""
        return self.requests - self.recorded

    def __str__(self) -> str:
        text = f"{self.open:,} of {self.requests:,} requests are not answered yet"
        listed = ", ".join(f"{count:,} {reason}" for reason, count in self.reasons.most_common())
        return text + (f" ({listed})" if listed else "") + (f"; the last run ended: {self.error}" if self.error else "")


class OpenNote:
    """The note of one process.

    Args:
        folder: R/augment/<source>.
        shards: those of the process; notes of all of them are its to take away.
    """

    def __init__(self, folder: Path, shards: Sequence[int]) -> None:
        self._files, self._shards = SourceFolder(folder), shards

    def clear(self) -> None:
        """Takes away what earlier runs over these shards said."""
        for path in self._files.notes("open"):
            if path.stem.isdecimal() and int(path.stem) in set(self._shards):
                remove_file(path)

    def write(self, requests: int, recorded: int, reasons: Reasons, error: str | None) -> None:
        """Says how many requests there are, how many have their record, and why others have none."""
        content = {"requests": requests, "recorded": recorded, "reasons": reasons, "error": error}
        write_json(self._files.note("open", self._shards[0]), content)


def read_open(folder: Path) -> OpenRequests | None:
    """What the last run over a source left open; None where it left nothing, or was killed before it could say so."""
    notes = [note for path in SourceFolder(folder).notes("open") if (note := _read(path)) is not None]
    if not notes:
        return None
    reasons = Counter[str]()
    for note in notes:
        for counts in note["reasons"].values():
            reasons.update(counts)
    requests, recorded = (sum(note[key] for note in notes) for key in ("requests", "recorded"))
    error = next((note["error"] for note in notes if note["error"]), None)
    return OpenRequests(requests, recorded, reasons, error)


def _read(path: Path) -> dict[str, Any] | None:
    try:
        note = read_json(path)
        note["requests"] - note["recorded"], note["reasons"].values(), note["error"]
    except (DataError, KeyError, TypeError, AttributeError):
        return None  # no truth hangs on it
    return note
