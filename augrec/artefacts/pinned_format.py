"""The number format that something was begun in, kept in a file: it goes on in it on other machines."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import cast

from augrec.artefacts.errors import DataError
from augrec.artefacts.files import read_json, write_json_once
from augrec.artefacts.processor import FastestFormat, Format, processor_name


@dataclass(frozen=True)
class PinnedFormat:
    """A number format, the reason for it, and the processor on which it was chosen."""

    dtype: Format
    why: str
    processor: str

    @property
    def chosen_here(self) -> bool:
        """Whether this processor has the name of the one that chose; two kinds of processor may have one name."""
        return self.processor == processor_name()


def pinned_format(path: Path, chosen: FastestFormat | None, *, what: str, remedy: str) -> PinnedFormat:
    """What a file keeps; of several processes that write it, the first one's choice.

    Args:
        path: the file.
        chosen: what it is to keep where it is not there; None reads it alone.
        what: has the format, for the message: "the run is computed in".
        remedy: for a file that says none.

    Raises:
        DataError: the file says no format.
    """
    if chosen is None:
        kept = read_json(path, remedy=remedy)
    else:
        kept = write_json_once(path, {"dtype": chosen.dtype, "why": chosen.why, "processor": processor_name()})
    try:
        dtype, why, processor = (str(kept[name]) for name in ("dtype", "why", "processor"))
    except (KeyError, TypeError):
        dtype = why = processor = ""
    if dtype not in ("bfloat16", "float32"):
        raise DataError(f"the file does not say what {what}", where=path, remedy=remedy)
    return PinnedFormat(cast(Format, dtype), why, processor)
