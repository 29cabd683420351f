"""safetensors files by their headers: is the file as long as its tensors, and holds it what an index promises?"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from augrec.artefacts.files import parse_json

LONGEST_HEADER = 100_000_000
"""Bytes; safetensors refuses a longer one."""
POINTER = b"version https://git-lfs"


def shard_faults(path: Path, weight_map: Mapping[str, str] | None = None) -> str:
    """What is wrong with a file of weights, in words; "" where nothing is, or where it is not safetensors.

    Args:
        path: the file.
        weight_map: tensor name -> name of the file that holds it, of the index beside it.
    """
    header = read_header(path)
    if header is None:
        return ""
    ends = [entry["data_offsets"][1] for entry in header.values()]
    length = _header_length(path) + max(ends, default=0)
    if path.stat().st_size < length:
        return f"the end of {path.name} ({path.stat().st_size:,} of {length:,} bytes are there)"
    promised = [name for name, file in (weight_map or {}).items() if file == path.name]
    absent = [name for name in promised if name not in header]
    if absent:
        return f"tensors that its index promises in {path.name} ({', '.join(absent[:5])})"
    return ""


def read_header(path: Path) -> dict[str, dict[str, Any]] | None:
    """Tensor name -> its entry in a safetensors file's header; None for a file of another kind."""
    if path.suffix != ".safetensors":
        return None
    try:
        length = _header_length(path) - 8
        with path.open("rb") as file:
            file.seek(8)
            header = parse_json(file.read(length))
        header.pop("__metadata__", None)
        return {name: entry for name, entry in header.items() if int(entry["data_offsets"][1]) >= 0}
    except (OSError, ValueError, LookupError, TypeError, AttributeError, struct.error):
        return None


def is_pointer(path: Path) -> bool:
    """Whether the file only names the weights that Git LFS would put in its place."""
    with path.open("rb") as file:
        return file.read(len(POINTER)) == POINTER


def _header_length(path: Path) -> int:
    """Bytes before the tensors. Raises ValueError for a length that no header has."""
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
    if length > LONGEST_HEADER:
        raise ValueError("no header is so long")
    return 8 + length
