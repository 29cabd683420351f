"""What a model folder in Hugging Face format says of itself, read without loading a weight."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

from augrec.artefacts.files import parse_json

BY_HASH = "sha256:"
"""Before the hash of weights where they are named by it, as tuning names the base of its adapter."""
LONGEST_HEADER = 100_000_000
"""Bytes; safetensors refuses a longer one."""
WHOLE = ("F64", "F32", "F16", "BF16")
"""Formats in which one stored element is one parameter; others are quantised, and may hold several."""
RECURRENT = ("mamba_d_state", "ssm_cfg", "state_size", "linear_num_key_heads")
"""Keys of config.json of models some of whose layers keep a state instead of a key-value cache."""


def model_config(folder: Path) -> dict[str, Any] | None:
    """The content of config.json; None where there is none, or it is not a JSON object."""
    try:
        config = parse_json((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return config if isinstance(config, dict) else None


def is_quantised(folder: Path) -> bool:
    """Whether a model's weights are packed by a quantisation method, as its config says."""
    return bool((model_config(folder) or {}).get("quantization_config"))


def weight_files(folder: Path) -> list[Path]:
    """The safetensors that are loaded; a folder may hold the same weights a second time under another name.

    Raises:
        ValueError, LookupError, OSError: its index cannot be read.
    """
    for index in sorted(folder.glob("*.safetensors.index.json")):
        weights = parse_json(index.read_text(encoding="utf-8"))["weight_map"]
        return sorted(folder / name for name in set(weights.values()))
    whole = folder / "model.safetensors"
    return [whole] if whole.exists() else sorted(folder.glob("*.safetensors"))


def read_tensor_header(path: Path) -> dict[str, dict[str, Any]] | None:
    """Tensor name -> its entry (dtype, shape, data_offsets) in the header of a safetensors file.

    Returns:
        None for a file of another kind, and for a header that cannot be read.
    """
    if path.suffix != ".safetensors":
        return None
    try:
        length = header_bytes(path) - 8
        with path.open("rb") as file:
            file.seek(8)
            header = parse_json(file.read(length))
        header.pop("__metadata__", None)
        return {name: entry for name, entry in header.items() if int(entry["data_offsets"][1]) >= 0}
    except (OSError, ValueError, LookupError, TypeError, AttributeError, struct.error):
        return None


def header_bytes(path: Path) -> int:
    """Bytes before the tensors of a safetensors file.

    Raises:
        ValueError: no header is so long.
        struct.error: the file is shorter than the number that says so.
    """
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
    if length > LONGEST_HEADER:
        raise ValueError("no header is so long")
    return int(8 + length)
