"""The bytes of a text file as a parser wants them: decompressed, in UTF-8, without a byte order mark.

A plain UTF-8 file is mapped, not read, so that a large one costs no memory; any other is held once as a whole.
"""

from __future__ import annotations

import bz2
import codecs
import gzip
import lzma
import mmap
import zlib
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa

from augrec.artefacts.errors import DataError

Buffer = bytes | mmap.mmap
FETCH = "fetch or export it again"
UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def _zstandard(data: bytes) -> bytes:
    with pa.CompressedInputStream(pa.BufferReader(data), "zstd") as stream:
        return bytes(stream.read())


DECOMPRESS: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.decompress,
    ".bz2": bz2.decompress,
    ".xz": lzma.decompress,
    ".zst": _zstandard,
}


MAGIC = {b"\x1f\x8b": ".gz", b"BZh": ".bz2", b"\xfd7zXZ\0": ".xz", b"\x28\xb5\x2f\xfd": ".zst"}
"""How compressed files begin, whatever they are called."""
DAMAGED = (OSError, EOFError, zlib.error, lzma.LZMAError, pa.ArrowException, ValueError)
"""What decompression raises where a file is damaged."""
ARCHIVE = b"PK\x03\x04"
FOREIGN = {
    ARCHIVE: ("an archive or a workbook", "unpack it, or save the sheet as CSV in UTF-8"),
    b"\xd0\xcf\x11\xe0": ("an old workbook (.xls)", "save the sheet as CSV in UTF-8"),
    b"PAR1": ("Parquet", "let its name end in .parquet"),
    b"ARROW1": ("Arrow's (Feather)", "write it as Parquet: pandas.read_feather(FILE).to_parquet(OTHER)"),
    b"SQLite format 3": ("a database of SQLite", "export the table as CSV"),
    b"\x89HDF": ("HDF5", "write it as Parquet: pandas.read_hdf(FILE).to_parquet(OTHER)"),
    b"\x80\x04\x95": ("a pickle", "where you trust whoever made it, write it as CSV or Parquet"),
    b"\x80\x05\x95": ("a pickle", "where you trust whoever made it, write it as CSV or Parquet"),
    b"%PDF-": ("a PDF", "fetch the data themselves"),
    b"7z\xbc\xaf": ("an archive (7z)", "unpack it"),
    b"Rar!": ("an archive (RAR)", "unpack it"),
    **dict.fromkeys(
        (b"<!doctype", b"<html"), ("a web page", "fetch the data themselves: the page may ask for a login or a licence")
    ),
}
"""How files begin that are no table, what they are, and the remedy; tags of pages in small letters."""


def suffixes(path: Path) -> tuple[str, str]:
    """The file type and the compression a name stands for, in small letters: ("", "") where it has no ending."""
    ends = [end.lower() for end in path.suffixes]
    packed = ends.pop() if ends and ends[-1] in DECOMPRESS else ""
    return (ends[-1] if ends else ""), packed


def contents(path: Path, encoding: str = "utf-8") -> Buffer:
    """The file as UTF-8 bytes, without compression and byte order mark, which says that it is UTF-8 already.

    Raises:
        DataError: the file is empty, its compression is broken, it is not in `encoding`, or it holds NUL bytes; names
            the line.
    """
    data = _decompressed(path)
    refuse_utf16(data, path, encoding)
    data = _as_utf8(data, path, encoding)
    refuse_nul(data, path)
    if not len(data) or (len(data) < 1000 and not data[:].strip()):
        raise empty_file(path)
    return data


def line_of(data: Buffer, place: int) -> int:
    """The number, from 1, of the line that holds the byte at `place`."""
    return data[:place].count(b"\n") + 1


def refuse_utf16(data: Buffer, path: Path, encoding: str) -> None:
    """Raises `DataError` for a file that begins as UTF-16 or UTF-32 does and is to be read as something else."""
    wide = "utf-32" if data[:4] == codecs.BOM_UTF32_LE else "utf-16"
    if data[:2] in UTF16 and not is_encoding(encoding, wide):
        raise DataError(
            f"the file begins as {wide.upper()} does, and is read as {encoding}",
            where=path,
            remedy=f"set source.table.encoding: {wide}, or save the file as UTF-8",
        )


def refuse_nul(data: Buffer, path: Path, first_line: int = 1) -> None:
    """Raises `DataError` naming the first line that holds a NUL byte, if there is one."""
    place = data.find(b"\0")
    if place >= 0:
        raise DataError(
            "the line holds a NUL byte, so the file is damaged or no text",
            where=f"{path}:{line_of(data, place) + first_line - 1}",
            remedy=f"{FETCH}, or set source.table.encoding when it is in another one",
        )


def refuse_encoding(data: Buffer, path: Path, first_line: int = 1) -> None:
    """Raises `DataError` naming the first line that is not UTF-8, if there is one."""
    try:
        codecs.decode(data, "utf-8")
    except UnicodeDecodeError as error:
        raise DataError(
            f"the file is not utf-8 (byte {error.start})",
            where=f"{path}:{line_of(data, error.start) + first_line - 1}",
            remedy="name its encoding, e.g. source.table.encoding: latin-1, or use the file as it was published",
        ) from None


def cut_short(path: Path, packed: str, error: Exception, after: str = "") -> DataError:
    """The error about a compressed file that is damaged; `after` says how much of it could be read."""
    return DataError(
        f"the file cannot be decompressed as {packed} ({error}){after}",
        where=path,
        remedy=f"{FETCH}; it may be cut short",
    )


def _decompressed(path: Path) -> Buffer:
    if not path.stat().st_size:
        raise empty_file(path)
    packed = suffixes(path)[1] or packed_inside(path)
    if not packed:
        with path.open("rb") as file:
            try:
                return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            except (OSError, ValueError):  # a file system that cannot
                return file.read()
    try:
        data = DECOMPRESS[packed](path.read_bytes())
    except DAMAGED as error:
        raise cut_short(path, packed, error) from None
    if not data:
        raise empty_file(path)
    return data


def packed_inside(path: Path) -> str:
    """The compression that the first bytes show, "" for none; `DataError` where they show what is no text."""
    with path.open("rb") as file:
        start = file.read(40)
    beginning = start.removeprefix(codecs.BOM_UTF8).lstrip()
    for magic, (what, remedy) in FOREIGN.items():
        if beginning.startswith(magic) or (magic.startswith(b"<") and beginning.lower().startswith(magic)):
            raise DataError(f"the file is {what}, not text", where=path, remedy=remedy)
    return next((packed for magic, packed in MAGIC.items() if start.startswith(magic)), "")


def _as_utf8(data: Buffer, path: Path, encoding: str) -> Buffer:
    marked = data[:3] == codecs.BOM_UTF8  # whoever saved the file anew, whatever its publisher writes
    if not marked and not is_encoding(encoding, "utf-8"):
        try:
            return codecs.decode(data, encoding).lstrip("\ufeff").encode()
        except (UnicodeDecodeError, UnicodeError) as error:
            start = getattr(error, "start", 0)
            raise DataError(
                f"the file is not {encoding} (byte {start})",
                where=f"{path}:{line_of(data, start)}",
                remedy="name its encoding under source.table.encoding, or use the file as it was published",
            ) from None
    return data[len(codecs.BOM_UTF8) :] if marked else data


def is_encoding(encoding: str, known: str) -> bool:
    """Whether two names are those of one encoding, with or without a byte order mark."""
    return codecs.lookup(encoding).name.replace("-sig", "").startswith(known)


def empty_file(path: Path) -> DataError:
    """The error about a file without content."""
    return DataError("the file is empty", where=path, remedy=FETCH)
