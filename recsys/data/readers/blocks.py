"""A text file block by block, each of whole lines: decompressed, in UTF-8, without a byte order mark.

For files that are larger than the memory: nothing of one block is held when the next one is read.
"""

from __future__ import annotations

import bz2
import codecs
import gzip
import lzma
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

import pyarrow as pa

from augrec.artefacts.errors import DataError
from recsys.data.readers.contents import (
    DAMAGED,
    cut_short,
    empty_file,
    is_encoding,
    line_of,
    packed_inside,
    refuse_encoding,
    refuse_nul,
    refuse_utf16,
    suffixes,
)

SIZE = 4 << 20
"""Bytes read at a time, after decompression."""


class Block(NamedTuple):
    """Lines of a file, each with its end but perhaps the last one of the file."""

    first: int
    """The number of the first of them, from 1."""
    data: bytes
    """UTF-8."""


def _zstandard(path: Path) -> BinaryIO:
    return cast(BinaryIO, pa.CompressedInputStream(pa.OSFile(str(path)), "zstd"))


OPEN: dict[str, Callable[[Path], BinaryIO]] = {
    "": lambda path: path.open("rb"),
    ".gz": lambda path: cast(BinaryIO, gzip.GzipFile(path)),
    ".bz2": lambda path: cast(BinaryIO, bz2.BZ2File(path)),
    ".xz": lambda path: cast(BinaryIO, lzma.LZMAFile(path)),  # noqa: SIM115 - who calls it closes it
    ".zst": _zstandard,
}


def blocks(path: Path, encoding: str = "utf-8", size: int = SIZE) -> Iterator[Block]:
    """The lines of a file, some at a time; empty lines are among them.

    Args:
        path: the file; its compression is told by its name, or by its first bytes.
        encoding: of the text.
        size: bytes of a block, or more where a line is longer.

    Raises:
        DataError: the file is empty, damaged, not in `encoding`, or holds NUL bytes; names the line, or how many lines
            there were before.
    """
    if not path.stat().st_size:
        raise empty_file(path)
    line, begun, blank = 1, list[bytes](), True
    for part in _decoded(path, encoding, size):
        end = part.rfind(b"\n") + 1
        if end:
            whole, begun = b"".join([*begun, part[:end]]), []
            yield _checked(Block(line, whole), path)
            line += whole.count(b"\n")
            blank = blank and not whole.strip()
        begun.append(part[end:])
    last = b"".join(begun)
    if last.strip():
        yield _checked(Block(line, last), path)
    elif blank:
        raise empty_file(path)


def numbered_lines(path: Path, encoding: str = "utf-8") -> Iterator[list[tuple[int, bytes]]]:
    """Line numbers, from 1, and the lines that are not empty, without blanks around them; those of a block at a time,
    see `blocks`."""
    for block in blocks(path, encoding):
        stripped = ((number, line.strip()) for number, line in enumerate(block.data.split(b"\n"), start=block.first))
        if lines := [entry for entry in stripped if entry[1]]:
            yield lines


def _decoded(path: Path, encoding: str, size: int) -> Iterator[bytes]:
    """The file's bytes in UTF-8, part by part; characters may be cut in two."""
    decoder = None if is_encoding(encoding, "utf-8") else codecs.getincrementaldecoder(encoding)()
    packed, lines = suffixes(path)[1] or packed_inside(path), 0
    with OPEN[packed](path) as source:
        for number in count():
            try:
                part = source.read(size)
            except DAMAGED as error:
                raise cut_short(path, packed, error, f" after {lines:,} lines") from None
            if number == 0:
                refuse_utf16(part, path, encoding)
                decoder = None if part.startswith(codecs.BOM_UTF8) else decoder
                part = part.removeprefix(codecs.BOM_UTF8)
            yield part if decoder is None else _utf8(decoder, part, path, encoding, lines)
            if not part:
                return
            lines += part.count(b"\n")


def _utf8(decoder: codecs.IncrementalDecoder, part: bytes, path: Path, encoding: str, lines: int) -> bytes:
    """The next part in UTF-8, of which `lines` stand before; the last one is empty."""
    try:
        return decoder.decode(part, final=not part).lstrip("\ufeff").encode()
    except UnicodeError as error:
        raise DataError(
            f"the file is not {encoding}",
            where=f"{path}:{lines + line_of(part, getattr(error, 'start', 0))}",
            remedy="use the file as it was published",
        ) from None


def _checked(block: Block, path: Path) -> Block:
    refuse_nul(block.data, path, block.first)
    refuse_encoding(block.data, path, block.first)
    return block
