"""Tensors as torch saves them, read without torch: as views of the bytes that are there, so never larger than these.

`torch.load(weights_only=True)` runs no code, but allocates what a file claims, inflates compressed archives, and gives
a tensor of stride 0 for a few bytes the size of its claim. Two layouts (torch/serialization.py): a zip archive with
`data.pkl` and one member per storage, and the older stream of pickles with the storages after them, which is also how a
storage inside a plain pickle is written.
"""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from recsys.data.released.stand_ins import Refused, Storage, StorageType

Read = Callable[[BinaryIO, Callable[[Any], Any]], Any]
"""Reads one pickle from a stream; the second argument resolves its persistent ids."""
MAGIC = 0x1950A86A20F9469CFC6C
PROTOCOL = 1001


def stored_after_pickles(raw: bytes, read: Read) -> Storage:
    """The storage in the older layout, as `torch.storage._load_from_bytes` gets it."""
    stream = io.BytesIO(raw)
    asked: list[tuple[StorageType, int]] = []

    def persistent(identity: Any) -> Any:
        kind, key, count = _identity(identity)
        asked.append((kind, count))
        return key

    if read(stream, persistent) != MAGIC or read(stream, persistent) != PROTOCOL:
        raise Refused("a torch storage of another layout")
    about = read(stream, persistent)
    key, keys = read(stream, persistent), read(stream, persistent)
    if not isinstance(about, dict) or about.get("little_endian") is not True or keys != [key] or len(asked) != 1:
        raise Refused("a torch storage that holds something else")
    start = stream.tell() + 8
    (count,) = struct.unpack("<q", raw[start - 8 : start])
    kind, claimed = asked[0]
    if count != claimed or count < 0:
        raise Refused(f"a torch storage of {claimed} numbers that holds {count}")
    return kind.storage(memoryview(raw)[start:], count)


def archived(path: Path, read: Read) -> Any:
    """The tensor that `torch.save` wrote to a zip archive, as an array."""
    with zipfile.ZipFile(path) as archive:
        members = {info.filename.partition("/")[2]: info for info in archive.infolist()}
        if any(info.compress_type != zipfile.ZIP_STORED for info in members.values()):
            raise Refused("a compressed archive, which torch does not write")
        if sum(info.file_size for info in members.values()) > path.stat().st_size:
            raise Refused("an archive whose members overlap")
        if "data.pkl" not in members:
            raise Refused("an archive without data.pkl, so none of torch's,")
        if "byteorder" in members and archive.read(members["byteorder"]) != b"little":
            raise Refused("a big-endian archive")
        storages: dict[str, Storage] = {}

        def persistent(identity: Any) -> Storage:
            kind, key, count = _identity(identity)
            if key not in storages:
                if f"data/{key}" not in members:
                    raise Refused(f"a storage {key!r:.40} that is not in the archive")
                storages[key] = kind.storage(memoryview(archive.read(members[f"data/{key}"])), count)
            return storages[key]

        value = read(io.BytesIO(archive.read(members["data.pkl"])), persistent)
    if not isinstance(value, np.ndarray):
        raise Refused(f"a {type(value).__name__} where a tensor is expected")
    return value


def _identity(identity: Any) -> tuple[StorageType, str, int]:
    """Kind, key and number of elements of ("storage", kind, key, device, elements[, None])."""
    if not isinstance(identity, tuple) or len(identity) not in (5, 6) or identity[0] != "storage":
        raise Refused("a persistent id")
    kind, key, count = identity[1], identity[2], identity[4]
    view = identity[5] if len(identity) == 6 else None
    if not isinstance(kind, StorageType) or not isinstance(key, str) or type(count) is not int or view is not None:
        raise Refused("a torch storage of another kind")
    return kind, key, count
