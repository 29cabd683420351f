"""What a GGUF file says of itself before its weights are read: is it whole, and is it one part of several?

Layout (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md): magic, version, counts, key-value pairs, one entry
for every tensor, then the tensors. A model that was split has `split.no`, `split.count` and `split.tensors.count` in
every part, and everything else of its metadata in the first.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import BinaryIO

from augrec.artefacts.errors import DataError
from augrec.artefacts.visible import visible

MAGIC = b"GGUF"
VERSIONS = (2, 3)
"""Of the layout; the first had counts of 32 bits, and no later one is known."""
WHOLE_NUMBERS = ("general.alignment", "split.count", "split.no", "split.tensors.count")
SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
STRING, ARRAY = 8, 9
MOST_DIMENSIONS = 8
CHUNK = 1 << 24
PART_NAME = re.compile(r"(?P<stem>.+)-(?P<part>\d{5})-of-(?P<count>\d{5})")


@dataclass(frozen=True)
class Tensor:
    """One tensor of a file."""

    name: str
    shape: tuple[int, ...]
    kind: int
    """Its number format, as GGUF counts them."""
    offset: int
    """Bytes from where the file's tensors begin."""


@dataclass(frozen=True)
class Header:
    """The part of a file before its tensors."""

    version: int
    scalars: dict[str, int | float | bool | str]
    """Key-value pairs that are no arrays."""
    pairs: dict[str, tuple[int, int]]
    """Where each key-value pair begins and ends in the file."""
    tensors: tuple[Tensor, ...]
    data: int
    """Where the tensors begin in the file."""

    @property
    def alignment(self) -> int:
        """Bytes that the beginning of every tensor is a multiple of."""
        return int(self.scalars.get("general.alignment", 32))

    @property
    def parts(self) -> int:
        """How many files the model was split into."""
        return int(self.scalars.get("split.count", 0)) or 1


class _Reader:
    """Little-endian values of a file, never beyond its end."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self.file, self.size = file, size

    def take(self, count: int) -> bytes:
        if count > self.size - self.file.tell():
            raise ValueError("the file ends inside its header")
        return self.file.read(count)

    def number(self, code: str) -> int:
        return struct.unpack(f"<{code}", self.take(struct.calcsize(f"<{code}")))[0]

    def text(self) -> str:
        return self.take(self.number("Q")).decode("utf-8", "replace")

    def value(self, kind: int) -> int | float | bool | str | None:
        """A scalar; None for an array, which is passed over."""
        if kind == STRING:
            return self.text()
        if kind in SCALARS:
            return self.number(SCALARS[kind])
        if kind != ARRAY:
            raise ValueError(f"a value is of kind {kind}, which GGUF does not have")
        inner, count = self.number("I"), self.number("Q")
        if inner in SCALARS:
            self.take(count * struct.calcsize(f"<{SCALARS[inner]}"))
        elif inner == STRING:
            for _ in range(count):
                self.take(self.number("Q"))
        else:
            raise ValueError("an array holds arrays")
        return None


def read_header(path: Path) -> Header:
    """What stands before a file's tensors.

    Raises:
        ValueError: it is not GGUF, or ends inside its header.
    """
    with path.open("rb") as file:
        reader = _Reader(file, path.stat().st_size)
        if reader.take(4) != MAGIC:
            raise ValueError("the file does not begin with GGUF")
        version = _version(reader.take(4))
        tensor_count, pair_count = reader.number("Q"), reader.number("Q")
        scalars: dict[str, int | float | bool | str] = {}
        pairs: dict[str, tuple[int, int]] = {}
        for _ in range(pair_count):
            begin = file.tell()
            name = reader.text()
            value = reader.value(reader.number("I"))
            pairs[name] = begin, file.tell()
            if value is not None:
                scalars[name] = value
        tensors = []
        for _ in range(tensor_count):
            name, dimensions = reader.text(), reader.number("I")
            if dimensions > MOST_DIMENSIONS:
                raise ValueError(f"the tensor {name[:80]} has {dimensions} dimensions")
            shape = tuple(reader.number("Q") for _ in range(dimensions))
            tensors.append(Tensor(name, shape, reader.number("I"), reader.number("Q")))
        header = Header(version, scalars, pairs, tuple(tensors), file.tell())
    odd = [name for name in WHOLE_NUMBERS if type(scalars.get(name, 0)) is not int]
    if odd:
        raise ValueError(f"{odd[0]} is no whole number")
    if not 0 < header.alignment <= CHUNK:
        raise ValueError(f"the alignment is {header.alignment}")
    return Header(version, scalars, pairs, tuple(tensors), _aligned(header.data, header.alignment))


def _version(data: bytes) -> int:
    version = int.from_bytes(data, "little")
    if version in VERSIONS:
        return version
    if int.from_bytes(data, "big") in VERSIONS:
        raise ValueError("its numbers are big-endian, as of another kind of processor")
    raise ValueError(f"its layout has version {version}, and {' and '.join(map(str, VERSIONS))} are known")


def check_is_model(path: Path, headers: list[Header]) -> None:
    """Raises DataError where the files of a model, the first part first, hold none."""
    first = headers[0].scalars
    kind = first.get("general.type", "model")
    fault = ""
    if kind != "model":
        fault = f"the file is of type {visible(str(kind))[:40]!r} (general.type), and no model"
    elif not any(header.tensors for header in headers):
        fault = "the file holds no tensors"
    elif not first.get("general.architecture"):
        fault = "the file does not say of which architecture it is (general.architecture)"
    if fault:
        raise DataError(fault, where=path, remedy="name the file of the model itself, or download it again")


def check_whole(path: Path, header: Header) -> None:
    """Raises DataError when the file ends before its last tensor does, or holds fewer than the model has."""
    size = path.stat().st_size
    need = max((header.data + tensor.offset + _bytes(tensor) for tensor in header.tensors), default=0)
    if size < need:
        raise DataError(
            f"the file is cut short: its tensors take {need:,} bytes, and it has {size:,}",
            where=path,
            remedy="copy or download it again; pieces that a tool cut by size are joined with `cat` first",
        )
    promised = int(header.scalars.get("split.tensors.count", 0)) if header.parts == 1 else 0
    if promised > len(header.tensors):
        raise DataError(
            f"the file holds {len(header.tensors)} tensors of the model's {promised}",
            where=path,
            remedy="download the whole model again",
        )


def parts_of(path: Path) -> list[Path]:
    """The files of the model that `path` belongs to, first part first; only `path` when it was not split.

    Raises:
        DataError: the model was split, and not all of its parts lie beside each other under their own names.
    """
    stat = path.stat()
    count, part = _split(path, stat.st_size, stat.st_mtime_ns)
    if count == 1:
        return [path]
    named = PART_NAME.fullmatch(path.stem)
    if not named or (int(named["count"]), int(named["part"])) != (count, part):
        raise DataError(
            f"the file is part {part} of {count} of a model, and its name does not say so",
            where=path,
            remedy="give the parts their names, NAME-00001-of-0000N.gguf, or join them: "
            "llama-gguf-split --merge <first part> <whole file>",
        )
    parts = [path.with_name(f"{named['stem']}-{part:05d}-of-{count:05d}.gguf") for part in range(1, count + 1)]
    absent = [part.name for part in parts if not part.is_file()]
    if absent:
        raise DataError(
            f"the file is one of {count} parts of a model, and {', '.join(absent[:5])} "
            f"{'is' if len(absent) == 1 else 'are'} missing",
            where=path,
            remedy="copy all parts into its folder, or name the file that they were joined into "
            "(llama-gguf-split --merge <first part> <whole file>)",
        )
    return parts


@cache
def _split(path: Path, size: int, time: int) -> tuple[int, int]:
    """How many files the model was split into, and which of them this is, from 1; a large vocabulary is read once."""
    try:
        header = read_header(path)
    except (ValueError, struct.error, OverflowError):
        return 1, 1  # whoever reads the weights says what is wrong
    return header.parts, int(header.scalars.get("split.no", 0)) + 1


def model_stem(path: Path) -> str:
    """The name of a file without suffix, and without what makes it one part of several."""
    named = PART_NAME.fullmatch(path.stem)
    return named["stem"] if named else path.stem


def join(parts: list[Path], target: Path) -> None:
    """Writes the parts of a split model into one file.

    Raises:
        DataError: a part is cut short, of another model, or they do not hold all tensors together.
    """
    headers = []
    for number, part in enumerate(parts):
        try:
            headers.append(read_header(part))
        except (ValueError, struct.error, OverflowError) as error:
            raise DataError(f"cannot read this GGUF file ({error})", where=part, remedy="download it again") from error
        check_whole(part, headers[-1])
        if (headers[-1].parts, headers[-1].scalars.get("split.no")) != (len(parts), number):
            raise DataError(
                f"the file is not part {number + 1} of {len(parts)}", where=part, remedy="download the parts again"
            )
    first = headers[0]
    names = [tensor.name for header in headers for tensor in header.tensors]
    promised = int(first.scalars.get("split.tensors.count", len(names)))
    if len(set(names)) != len(names) or len(names) != promised:
        raise DataError(
            f"the parts hold {len(set(names))} different tensors, and the model has {promised}",
            where=parts[0],
            remedy="they are parts of different models, or damaged: download them again",
        )
    kept = {name: span for name, span in first.pairs.items() if not name.startswith("split.")}
    with target.open("wb") as out, parts[0].open("rb") as source:
        out.write(MAGIC + struct.pack("<IQQ", first.version, len(names), len(kept)))
        for begin, end in kept.values():
            source.seek(begin)
            out.write(source.read(end - begin))
        offset = 0
        for header in headers:
            for tensor in header.tensors:
                name = tensor.name.encode()
                out.write(struct.pack("<Q", len(name)) + name + struct.pack("<I", len(tensor.shape)))
                out.write(struct.pack(f"<{len(tensor.shape)}QIQ", *tensor.shape, tensor.kind, offset))
                offset = _aligned(offset + _bytes(tensor), first.alignment)
        _pad(out, first.alignment)
        for part, header in zip(parts, headers, strict=True):
            with part.open("rb") as data:
                for tensor in header.tensors:
                    data.seek(header.data + tensor.offset)
                    _copy(data, out, _bytes(tensor))
                    _pad(out, first.alignment)


def _copy(source: BinaryIO, target: BinaryIO, count: int) -> None:
    while count:
        block = source.read(min(count, CHUNK))
        target.write(block)
        count -= len(block)


def _pad(out: BinaryIO, alignment: int) -> None:
    out.write(bytes(_aligned(out.tell(), alignment) - out.tell()))


def _aligned(position: int, alignment: int) -> int:
    return -(-position // alignment) * alignment


def _bytes(tensor: Tensor) -> int:
    """Bytes of a tensor in the file; 0 for a number format that this gguf package does not know."""
    from gguf import GGML_QUANT_SIZES, GGMLQuantizationType

    try:
        block, size = GGML_QUANT_SIZES[GGMLQuantizationType(tensor.kind)]
    except (ValueError, KeyError):
        return 0
    count = 1
    for length in tensor.shape:
        count *= length
    return count // block * size
