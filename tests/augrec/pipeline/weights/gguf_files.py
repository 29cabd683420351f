"""GGUF files made from others: whole, without some tensors, or split as llama.cpp's gguf-split does it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

LAYERS, WIDTH, INNER, HEADS, KV_HEADS, VOCABULARY = 3, 32, 64, 4, 2, 1000
SPECIAL, BYTES = 17, 256
"""Tokens of SmolLM2 before those that its merges make, one a merge and in their order."""
SHORTER = {
    "tokenizer.ggml.tokens": VOCABULARY,
    "tokenizer.ggml.token_type": VOCABULARY,
    "tokenizer.ggml.merges": VOCABULARY - SPECIAL - BYTES,
}
SIZES = {
    "llama.block_count": LAYERS,
    "llama.embedding_length": WIDTH,
    "llama.feed_forward_length": INNER,
    "llama.attention.head_count": HEADS,
    "llama.attention.head_count_kv": KV_HEADS,
    "llama.rope.dimension_count": WIDTH // HEADS,
    "llama.vocab_size": VOCABULARY,
}


@cache
def metadata(like: Path) -> dict[str, tuple[Any, Any]]:
    """Key-value pairs of SmolLM2's file, with the first tokens of its vocabulary: name -> (kind, value)."""
    from gguf import GGUFReader

    pairs = {
        name: (field.types[0], field.contents()[: SHORTER[name]] if name in SHORTER else field.contents())
        for name, field in GGUFReader(like).fields.items()
    }
    return {
        name: pair for name, pair in pairs.items() if not name.startswith("GGUF.") and name != "general.architecture"
    }


def tiny_tensors(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """The tensors of a small Llama with tied embeddings, drawn at random."""
    kv = WIDTH // HEADS * KV_HEADS
    shapes: dict[str, tuple[int, ...]] = {"token_embd.weight": (VOCABULARY, WIDTH), "output_norm.weight": (WIDTH,)}
    for layer in range(LAYERS):
        shapes |= {
            f"blk.{layer}.attn_norm.weight": (WIDTH,),
            f"blk.{layer}.ffn_norm.weight": (WIDTH,),
            f"blk.{layer}.attn_q.weight": (WIDTH, WIDTH),
            f"blk.{layer}.attn_k.weight": (kv, WIDTH),
            f"blk.{layer}.attn_v.weight": (kv, WIDTH),
            f"blk.{layer}.attn_output.weight": (WIDTH, WIDTH),
            f"blk.{layer}.ffn_gate.weight": (INNER, WIDTH),
            f"blk.{layer}.ffn_up.weight": (INNER, WIDTH),
            f"blk.{layer}.ffn_down.weight": (WIDTH, INNER),
        }
    return {name: rng.normal(scale=0.05, size=shape).astype(np.float32) for name, shape in shapes.items()}


def write_gguf(
    target: Path,
    like: Path,
    tensors: dict[str, np.ndarray],
    *,
    fields: dict[str, Any] | None = None,
    carries_metadata: bool = True,
) -> Path:
    """A file with the metadata of `like`, some of it replaced or added by `fields`, and the given tensors."""
    from gguf import GGUFValueType, GGUFWriter

    fields = dict(fields or {})
    writer = GGUFWriter(target, "llama")
    for name, (kind, value) in metadata(like).items() if carries_metadata else ():
        if kind == GGUFValueType.ARRAY:
            writer.add_array(name, value)
        else:
            writer.add_key_value(name, fields.pop(name, value), kind)
    for name, value in fields.items():
        kind = GGUFValueType.UINT16 if name in ("split.no", "split.count") else GGUFValueType.INT32
        writer.add_key_value(name, value, kind)
    for name, value in tensors.items():
        writer.add_tensor(name, value)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return target


def split_gguf(folder: Path, stem: str, like: Path, tensors: dict[str, np.ndarray], **options: Any) -> list[Path]:
    """The same model in two parts, `STEM-00001-of-00002.gguf` and the second; only the first has the metadata."""
    names = list(tensors)
    halves: Sequence[Sequence[str]] = (names[: len(names) // 2], names[len(names) // 2 :])
    fields: Callable[[int], dict[str, int]] = lambda part: {  # noqa: E731
        "split.no": part,
        "split.count": len(halves),
        "split.tensors.count": len(names),
    }
    return [
        write_gguf(
            folder / f"{stem}-{part + 1:05d}-of-{len(halves):05d}.gguf",
            like,
            {name: tensors[name] for name in half},
            fields=fields(part) | (options.get("fields") or {} if part == 0 else {}),
            carries_metadata=part == 0,
        )
        for part, half in enumerate(halves)
    ]
