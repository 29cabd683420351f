"""The sizes of a model that decide its speed, counted from config.json and the headers of its safetensors."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from augrec.artefacts.model_files import RECURRENT, WHOLE, model_config, read_tensor_header, weight_files

NOT_PLAIN = {
    "mixture of experts, of which a token meets only a part": ("num_experts", "num_local_experts", "n_routed_experts"),
    "compressed key-value cache": ("kv_lora_rank",),
    "layers without a key-value cache": RECURRENT,
    "several towers": ("text_config", "vision_config", "encoder_layers"),
}
"""Keys of architectures for which the plain formulas do not hold."""


@dataclass(frozen=True)
class Figures:
    """A dense decoder-only model.

    Args:
        parameters: how many, a table shared by input and output counted once.
        layers: of attention.
        width: query heads x head dimension.
        kv_width: key-value heads x head dimension.
        bytes_per_parameter: in memory.
    """

    parameters: int
    layers: int
    width: int
    kv_width: int
    bytes_per_parameter: float


def model_figures(folder: Path) -> dict[str, Any]:
    """Figures of a model folder as JSON values, or {"unknown": why they cannot be told}. Never raises."""
    try:
        return asdict(_read(folder))
    except _Unknown as error:
        return {"unknown": str(error)}
    except Exception as error:  # a figure for the summary must never end a run
        return {"unknown": f"the model folder cannot be read ({type(error).__name__}: {str(error)[:200]})"}


class _Unknown(Exception):
    pass


def _read(folder: Path) -> Figures:
    config = model_config(folder)
    if config is None:
        raise _Unknown("the model folder cannot be read (config.json is missing, or is not a JSON object)")
    for what, keys in NOT_PLAIN.items():
        if any(config.get(key) for key in keys):
            raise _Unknown(f"the model is not a plain decoder: {what}")
    if config.get("quantization_config"):
        raise _Unknown("the weights are quantised")
    lacking = [key for key in ("num_hidden_layers", "hidden_size", "num_attention_heads") if not config.get(key)]
    if lacking:
        raise _Unknown(f"its config.json has no {lacking[0]}")
    heads = int(config["num_attention_heads"])
    head_dim = int(config.get("head_dim") or int(config["hidden_size"]) // heads)
    parameters, size = _weights(folder, bool(config.get("tie_word_embeddings")))
    return Figures(
        parameters=parameters,
        layers=int(config["num_hidden_layers"]),
        width=heads * head_dim,
        kv_width=int(config.get("num_key_value_heads") or heads) * head_dim,
        bytes_per_parameter=round(size / parameters, 4),
    )


def _weights(folder: Path, tied: bool) -> tuple[int, int]:
    """(parameters, bytes) of a folder's weights."""
    parameters = size = 0
    for path in weight_files(folder):
        for name, tensor in _header(path).items():
            if tied and name == "lm_head.weight":
                continue
            if tensor["dtype"] not in WHOLE:
                raise _Unknown(f"the weights are quantised ({tensor['dtype']})")
            parameters += math.prod(tensor["shape"])
            first, last = tensor["data_offsets"]
            size += last - first
    if not parameters:
        raise _Unknown("there are no safetensors to count")
    return parameters, size


def _header(path: Path) -> dict[str, Any]:
    header = read_tensor_header(path)
    if header is None:
        raise _Unknown(f"{path.name} is not a safetensors file")
    return header
