"""A shard: append-only JSONL, one record a line, each with a checksum of its own.

What a disk or a crash did to lines in the middle is found on reading; the whole lines around it stay. Damaged lines are
moved into a file beside the shard, which nobody reads.
"""

from __future__ import annotations

import os
import re
import sys
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from augment.store.lines import OtherVersion, Stored
from augrec.artefacts.errors import DataError
from augrec.artefacts.files import atomic_path, said_when_full
from augrec.artefacts.source_folder import damaged_of
from augrec.artefacts.tasks import Kind
from augrec.artefacts.visible import visible

MOST_SAID = 10
"""Damaged lines of a shard that are said one by one."""
BEGIN = b'{"key":'
"""How a line begins. It cannot stand inside of one, because quotes in a JSON string are escaped."""
SUM = b',"crc":"%08x"}'
SUM_BYTES = len(SUM % 0)
END = re.compile(rb',"crc":"[0-9a-f]{8}"\}')


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of a shard: a whole line with its content, or what is no line, and why."""

    number: int
    """Of the line, from 1."""
    data: bytes
    stored: Stored | None = None
    problem: str = ""
    torn: bool = False
    """Whether it is the end of a file that was being written."""
    offset: int = 0
    """Where it begins in the file."""


def line_of(stored: Stored) -> bytes:
    """A line of a shard, with its checksum (CRC-32 of what stands before it) as the last field."""
    content = stored.line().encode()[:-1]
    return content + SUM % zlib.crc32(content) + b"\n"


def read_pieces(path: Path, gives: Kind) -> Iterator[Piece]:
    """Everything in a shard, in order; nothing for one that does not exist. `gives` says what its task gives.

    Raises DataError for a line that is whole but was written by another version.
    """
    if not path.exists():
        return
    with path.open("rb") as lines:
        offset = 0
        for number, line in enumerate(lines, start=1):
            if not line.endswith(b"\n") and b"\0" not in line:
                yield Piece(number, line, problem="torn", torn=True, offset=offset)
                return
            for piece in _pieces(path, number, line, gives):
                yield replace(piece, offset=offset + piece.offset)
            offset += len(line)


def read_piece(path: Path, offset: int, gives: Kind) -> Stored:
    """The content of a whole line that `read_pieces` found at an offset.

    Raises DataError when it cannot be read any more.
    """
    with path.open("rb") as lines:
        lines.seek(offset)
        line = lines.readline()
    end = END.search(line)
    try:
        return _stored(path, 0, line[: end.end()] + b"\n" if end else line, gives)
    except ValueError as problem:
        what = f"a record that was there cannot be read ({problem})"
        raise DataError(what, where=path, remedy="check the disk and run the same command again") from None


def _pieces(path: Path, number: int, line: bytes, gives: Kind) -> Iterator[Piece]:
    """One line; of a damaged one also the whole records in it, as when only the newline between two is lost."""
    try:
        stored = _stored(path, number, line, gives)
    except ValueError as problem:
        yield Piece(number, line, problem=str(problem))
        for begin in re.finditer(BEGIN, line):
            found = END.search(line, begin.end())
            inner = line[begin.start() : found.end()] + b"\n" if found else b""
            if _sum_fits(inner):
                with suppress(ValueError):
                    yield Piece(number, inner, _stored(path, number, inner, gives), offset=begin.start())
    else:
        yield Piece(number, line, stored)


def _stored(path: Path, number: int, line: bytes, gives: Kind) -> Stored:
    """The content of a line. Raises ValueError when the line is damaged, DataError when it is of another version."""
    fits = _sum_fits(line)
    if not fits and SUM[:8] in line[-SUM_BYTES - 1 :]:
        raise ValueError("its checksum does not fit")
    content = line[: -SUM_BYTES - 1] + b"}" if fits else line
    try:
        return Stored.from_line(content.decode(), gives)
    except OtherVersion as error:
        if not fits:
            raise
        raise DataError(
            f"the line was written by another version of augrec ({error})",
            where=f"{path}:{number}",
            remedy="go on with that version, or give this run another `output`",
        ) from None


def _sum_fits(line: bytes) -> bool:
    """Whether a line ends with the checksum of its content."""
    content, end = line[: -SUM_BYTES - 1], line[-SUM_BYTES - 1 :]
    return end == SUM % zlib.crc32(content) + b"\n"


def set_lines_aside(path: Path, damaged: list[Piece], gives: Kind) -> None:
    """Moves what is no line into a file beside the shard, and says so; whole lines stay as they are."""
    aside = damaged_of(path)
    with said_when_full(aside), aside.open("ab") as out:
        for piece in damaged:
            out.write(piece.data.removesuffix(b"\n") + b"\n")
        out.flush()
        os.fsync(out.fileno())
    with atomic_path(path) as temporary, temporary.open("wb") as kept:
        kept.writelines(piece.data for piece in read_pieces(path, gives) if piece.stored is not None)
    for piece in damaged[:MOST_SAID]:
        print(
            f"{path}:{piece.number}: damaged ({visible(str(piece.problem))}); the line is now in {aside.name}, "
            "and what it held is asked again",
            file=sys.stderr,
            flush=True,
        )
    if len(damaged) > MOST_SAID:
        print(f"{path}: and {len(damaged) - MOST_SAID:,} more damaged lines", file=sys.stderr, flush=True)
