"""A small random Llama with a tokenizer of bytes: what a model folder holds, in a tenth of a second."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from tests.kit.chat_folders import VOCABULARY, write_tokenizer

WIDTH, INNER, LAYERS, HEADS, KV_HEADS, RANK = 64, 128, 2, 2, 1, 4


def write_llama(folder: Path, *, tied: bool = True, layers: int = LAYERS) -> Path:
    """A model folder: config.json, model.safetensors, a tokenizer."""
    write_tokenizer(folder)
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": VOCABULARY,
        "hidden_size": WIDTH,
        "intermediate_size": INNER,
        "num_hidden_layers": layers,
        "num_attention_heads": HEADS,
        "num_key_value_heads": KV_HEADS,
        "max_position_embeddings": 512,
        "tie_word_embeddings": tied,
        "torch_dtype": "float32",
    }
    (folder / "config.json").write_text(json.dumps(config))
    write_weights(folder, tensors(layers, tied=tied))
    return folder


def tensors(layers: int = LAYERS, *, tied: bool = True) -> dict[str, np.ndarray]:
    """Name in the file -> numbers."""
    rng, kv = np.random.default_rng(0), WIDTH // HEADS * KV_HEADS
    shapes: dict[str, tuple[int, ...]] = {
        "model.embed_tokens.weight": (VOCABULARY, WIDTH),
        "model.norm.weight": (WIDTH,),
    }
    if not tied:
        shapes["lm_head.weight"] = (VOCABULARY, WIDTH)
    for layer in range(layers):
        before = f"model.layers.{layer}"
        shapes |= {
            f"{before}.input_layernorm.weight": (WIDTH,),
            f"{before}.post_attention_layernorm.weight": (WIDTH,),
            f"{before}.self_attn.q_proj.weight": (WIDTH, WIDTH),
            f"{before}.self_attn.k_proj.weight": (kv, WIDTH),
            f"{before}.self_attn.v_proj.weight": (kv, WIDTH),
            f"{before}.self_attn.o_proj.weight": (WIDTH, WIDTH),
            f"{before}.mlp.gate_proj.weight": (INNER, WIDTH),
            f"{before}.mlp.up_proj.weight": (INNER, WIDTH),
            f"{before}.mlp.down_proj.weight": (WIDTH, INNER),
        }
    return {name: rng.normal(scale=0.05, size=shape).astype(np.float32) for name, shape in shapes.items()}


def write_weights(folder: Path, content: dict[str, np.ndarray]) -> None:
    """All of them in one file."""
    from safetensors.numpy import save_file

    save_file(content, folder / "model.safetensors", metadata={"format": "pt"})


def write_adapter(
    folder: Path,
    *,
    prefix: str = "base_model.model.model.layers",
    width: int = WIDTH,
    out: int = WIDTH,
    layers: int = LAYERS,
    scale: float = 1.0,
    module: str = "self_attn.q_proj",
) -> Path:
    """An adapter on one module of every layer; `scale` 0 leaves its second matrices zero, as before any training."""
    from safetensors.numpy import save_file

    rng, content = np.random.default_rng(1), dict[str, np.ndarray]()
    for layer in range(layers):
        name = f"{prefix}.{layer}.{module}"
        content[f"{name}.lora_A.weight"] = rng.normal(size=(RANK, width)).astype(np.float32)
        content[f"{name}.lora_B.weight"] = (scale * rng.normal(size=(out, RANK))).astype(np.float32)
    folder.mkdir(parents=True, exist_ok=True)
    save_file(content, folder / "adapter_model.safetensors")
    about = {"peft_type": "LORA", "r": RANK, "lora_alpha": RANK, "target_modules": [module.rpartition(".")[2]]}
    (folder / "adapter_config.json").write_text(json.dumps(about | {"bias": "none"}))
    return folder
