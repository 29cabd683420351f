"""The memory that a model's weights and key-value cache take on each GPU, counted before anything is loaded.

P bytes of weights over T x Q GPUs (tensor x pipeline parallel), n layers in the largest of Q groups, k = 2 x key-value
heads on a GPU x head dimension x bytes of a number; w layers of them look back W tokens at most (sliding window):

    weights                        P / (T Q)
    cache of a request of L tokens k [(n - w) L + w min(L, W)]
    working memory                 logits and activations of one step, and a GiB for graphs and libraries

A compressed cache (DeepSeek's) has rank + rotary width numbers per token and layer instead, on every GPU. vLLM refuses
to start where weights, working memory and one request of max_model_len tokens do not fit into its share of a GPU.
Working memory is an estimate; the rest is counted.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from augment.accounting.roofline import BYTES
from augment.engines.memory import MemoryNeed, UnknownSize
from augment.engines.vllm.options import VllmOptions
from augrec.artefacts.model_files import RECURRENT, WHOLE, model_config, read_tensor_header, weight_files

LIBRARIES = 1 << 30
"""Bytes of CUDA graphs, and of what the libraries keep for themselves."""
STEP_TOKENS = 8192
"""Tokens of one step on a GPU where the options do not say: vLLM's default on large ones."""
QUANTISED_ON_LOADING = {"fp8": 1.0, "experts_int8": 1.0, "bitsandbytes": 0.5625}
"""Bytes per parameter of the methods that quantise ordinary weights while they are loaded."""


def memory_need(folder: Path, options: VllmOptions) -> MemoryNeed:
    """What a model takes on each GPU, from its config.json and the headers of its weights.

    Args:
        folder: the model, in Hugging Face format.
        options: of the engine.

    Raises:
        UnknownSize: the architecture is none of those above, or the files cannot be read.
    """
    config = model_config(folder)
    if config is None:
        raise UnknownSize("config.json cannot be read")
    inner = config.get("text_config")
    text: dict[str, Any] = inner if isinstance(inner, dict) else config
    if any(text.get(key) for key in RECURRENT):
        raise UnknownSize("some of its layers keep a state instead of a key-value cache")
    if config.get("is_encoder_decoder"):
        raise UnknownSize("it is no decoder-only model")
    number = BYTES[options.dtype] if options.dtype != "auto" else 2  # vLLM's auto is two bytes, of float32 too
    try:
        return MemoryNeed(
            weights=_weights(folder, bool(config.get("tie_word_embeddings")), number, options) / options.gpus,
            working=_working(text, number, options),
            one_request=_cache_of_a_request(text, 1 if options.kv_cache_dtype.startswith("fp8") else number, options),
            longest=options.max_model_len,
            requests=options.max_num_seqs,
            fraction=options.gpu_memory_fraction,
            gpus=options.gpus,
            most_tokens=_most_tokens(text),
        )
    except (LookupError, TypeError, ValueError, ArithmeticError, OSError) as error:
        raise UnknownSize(f"its files do not say ({type(error).__name__}: {error})") from error


def _weights(folder: Path, tied: bool, number: int, options: VllmOptions) -> float:
    """Bytes of all weights as they lie in memory."""
    files = weight_files(folder)
    if not files:
        size = sum(path.stat().st_size for path in folder.glob("*.bin"))
        if not size:
            raise UnknownSize("there are no weights to count")
        return float(size)
    plain = packed = 0
    for path in files:
        header = read_tensor_header(path)
        if header is None:
            raise UnknownSize(f"{path.name} is not a safetensors file")
        for name, tensor in header.items():
            if tied and name == "lm_head.weight":
                continue
            first, last = tensor["data_offsets"]
            if tensor["dtype"] in WHOLE:
                plain += math.prod(tensor["shape"])
            else:
                packed += last - first
    each = number if packed else QUANTISED_ON_LOADING.get(options.quantization or "", number)
    return plain * each + packed


def _cache_of_a_request(text: Mapping[str, Any], number: int, options: VllmOptions) -> float:
    """Bytes of the key-value cache of a request of `max_model_len` tokens, on one GPU."""
    layers, tokens = math.ceil(int(text["num_hidden_layers"]) / options.pipeline_parallel), options.max_model_len
    if text.get("kv_lora_rank"):
        return float(layers * tokens * number * (int(text["kv_lora_rank"]) + int(text.get("qk_rope_head_dim") or 0)))
    heads = int(text["num_attention_heads"])
    kv_heads = int(text.get("num_key_value_heads") or heads)
    head_dim = int(text.get("head_dim") or int(text["hidden_size"]) // heads)
    per_layer = 2 * max(1, math.ceil(kv_heads / options.tensor_parallel)) * head_dim * number
    kinds, window = text.get("layer_types") or [], text.get("sliding_window")
    if any(kind not in ("full_attention", "sliding_attention", "chunked_attention") for kind in kinds):
        raise UnknownSize("some of its layers keep a state instead of a key-value cache")
    share = kinds.count("sliding_attention") / len(kinds) if kinds and window else 0.0
    seen = (1 - share) * tokens + share * min(tokens, int(window or tokens))
    return layers * per_layer * seen


def _working(text: Mapping[str, Any], number: int, options: VllmOptions) -> float:
    """Logits of one step in float32, twice, the widest activations of its tokens, and what the libraries keep."""
    hidden = int(text["hidden_size"])
    inner = int(text.get("intermediate_size") or 4 * hidden)
    tokens = options.max_num_batched_tokens or max(STEP_TOKENS, options.max_model_len)
    logits = 2 * 4 * options.max_num_seqs * int(text["vocab_size"]) / options.tensor_parallel
    return LIBRARIES + logits + tokens * number * (4 * hidden + 3 * inner / options.tensor_parallel)


def _most_tokens(text: Mapping[str, Any]) -> int | None:
    """The longest text that a model takes; None where its positions are stretched, which has rules of its own."""
    most = text.get("max_position_embeddings")
    stretched = text.get("rope_scaling") or (text.get("rope_parameters") or {}).get("factor")
    return int(most) if most and not stretched else None
