"""Files block by block hold what they hold as a whole."""

from __future__ import annotations

import bz2
import gzip
import lzma
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from augrec.artefacts.errors import DataError
from recsys.data.readers.blocks import blocks, numbered_lines
from recsys.data.readers.contents import contents

PACK = {
    "": bytes,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": lambda data: pa.Codec("zstd").compress(data, asbytes=True),
}
TEXT = "".join(f"line {n} ☃ {'x' * (n % 97)}\n" for n in range(500))


@settings(max_examples=30)
@given(
    lines=st.lists(st.text(st.characters(exclude_characters="\0\r\n", codec="utf-8"), max_size=9)),
    size=st.integers(1, 40),
)
def test_blocks_are_whole_lines_and_lose_nothing(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str], size: int
) -> None:
    path = tmp_path_factory.mktemp("b") / "x.txt"
    path.write_bytes("\n".join(["first", *lines, "last"]).encode())
    read = list(blocks(path, size=size))
    assert b"".join(block.data for block in read) == path.read_bytes()
    assert all(block.data.endswith(b"\n") for block in read[:-1])
    before = 0
    for block in read:
        assert block.first == before + 1
        before += block.data.count(b"\n")
    kept = [(n, line.encode().strip()) for n, line in enumerate(["first", *lines, "last"], 1) if line.encode().strip()]
    assert [line for part in numbered_lines(path) for line in part] == kept


@pytest.mark.parametrize("packed", PACK)
@pytest.mark.parametrize("named", [True, False])
def test_compression_is_told_by_name_or_first_bytes(tmp_path: Path, packed: str, named: bool) -> None:
    path = tmp_path / f"x.txt{packed if named else ''}"
    path.write_bytes(PACK[packed](TEXT.encode()))
    assert b"".join(block.data for block in blocks(path, size=999)) == TEXT.encode() == bytes(contents(path)[:])


@pytest.mark.parametrize("packed", [".gz", ".bz2", ".xz"])
def test_a_file_cut_short_says_how_much_of_it_was_there(tmp_path: Path, packed: str) -> None:
    path = tmp_path / f"x.txt{packed}"
    path.write_bytes(PACK[packed](TEXT.encode())[:-20])
    with pytest.raises(DataError, match=rf"(?s)cannot be decompressed as \{packed}.* after \d+ lines.*cut short"):
        list(blocks(path, size=999))


@pytest.mark.parametrize(("encoding", "letters"), [("latin-1", "é\n"), ("utf-16", "é☃\n"), ("utf-8", "\ufeffé\n")])
def test_other_encodings_become_utf8(tmp_path: Path, encoding: str, letters: str) -> None:
    path = tmp_path / "x.txt"
    path.write_bytes((letters * 50).encode(encoding))
    data = b"".join(block.data for block in blocks(path, encoding, size=7))
    assert data.decode() == (letters * 50).removeprefix("\ufeff")


@pytest.mark.parametrize(
    ("content", "encoding", "message"),
    [
        (b"", "utf-8", r"empty"),
        (b" \n\r\n \n", "utf-8", r"empty"),
        (b"one\ntwo\nthr\xe9e\n", "utf-8", r"not utf-8.*x\.txt:3"),
        (b"one\n\ntwo\0\n", "utf-8", r"NUL byte.*x\.txt:3"),
        ("one\n".encode("utf-16"), "utf-8", r"begins as UTF-16"),
        (b"one\ntwo\n\x81\n", "cp1252", r"not cp1252.*x\.txt:3"),
        (b"PK\x03\x04rest", "utf-8", r"archive"),
    ],
)
@pytest.mark.parametrize("size", [1, 4, 1000])
def test_what_is_no_text_is_named_by_line(
    tmp_path: Path, content: bytes, encoding: str, message: str, size: int
) -> None:
    path = tmp_path / "x.txt"
    path.write_bytes(content)
    if size == 1 and "UTF-16" in message:
        size = 2
    with pytest.raises(DataError, match=f"(?s){message}"):
        list(blocks(path, encoding, size=size))
