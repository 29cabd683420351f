"""Files of weights by their headers: is a file as long as its tensors, and holds it what an index promises?"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path

from augrec.artefacts.model_files import header_bytes, read_tensor_header

POINTER = b"version https://git-lfs"
ARCHIVE = b"PK\x03\x04"
SAFETENSORS = ".safetensors"


def shard_faults(path: Path, weight_map: Mapping[str, str] | None = None) -> str:
    """What is wrong with a file of weights, in words; "" where nothing is, or where it does not say.

    A pickled file is a zip archive, whose last bytes list what is in it; older ones say nothing.

    Args:
        path: the file.
        weight_map: tensor name -> name of the file that holds it, of the index beside it.
    """
    if is_pointer(path):
        return f"the content of {pointer_in_words(path)}"
    header, there = read_tensor_header(path), f"({path.stat().st_size:,} bytes are there)"
    if header is None and path.suffix == SAFETENSORS:
        return f"a readable header in {path.name} {there}"
    if header is None:
        cut_short = begins_with(path, ARCHIVE) and not zipfile.is_zipfile(path)
        return f"the end of {path.name} {there}" if cut_short else ""
    ends = [entry["data_offsets"][1] for entry in header.values()]
    length = header_bytes(path) + max(ends, default=0)
    if path.stat().st_size < length:
        return f"the end of {path.name} ({path.stat().st_size:,} of {length:,} bytes are there)"
    promised = [name for name, file in (weight_map or {}).items() if file == path.name]
    absent = [name for name in promised if name not in header]
    if absent:
        return f"tensors that its index promises in {path.name} ({', '.join(absent[:5])})"
    return ""


def is_pointer(path: Path) -> bool:
    """Whether the file only names the weights that Git LFS would put in its place."""
    return begins_with(path, POINTER)


def pointer_in_words(path: Path) -> str:
    """That a file is such a name, and what to do about it."""
    return f"{path.name}, which is a Git LFS pointer (`git lfs pull` gets it)"


def begins_with(path: Path, start: bytes) -> bool:
    """Whether these are the first bytes of a file."""
    with path.open("rb") as file:
        return file.read(len(start)) == start
