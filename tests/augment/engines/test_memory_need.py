"""What a model takes on each GPU: counted as by hand, and as the known figures of known models."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest

from augment.accounting.devices import devices_called
from augment.engines.memory import COMMON_SIZES, MemoryNeed, UnknownSize
from augment.engines.vllm.options import VllmOptions
from augment.engines.vllm.sizes import memory_need
from tests.kit.tiny_llama import write_llama

LLAMA_8B = {
    "num_hidden_layers": 32,
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "vocab_size": 128256,
    "max_position_embeddings": 8192,
}
LLAMA_70B = LLAMA_8B | {
    "num_hidden_layers": 80,
    "hidden_size": 8192,
    "intermediate_size": 28672,
    "num_attention_heads": 64,
}


def model(folder: Path, config: dict[str, Any], parameters: float, dtype: str = "BF16") -> Path:
    """A folder whose weights are a header: nothing but their sizes is read."""
    size = int(parameters) * {"BF16": 2, "F8_E4M3": 1}[dtype]
    entry = {"all.weight": {"dtype": dtype, "shape": [int(parameters)], "data_offsets": [0, size]}}
    header = json.dumps(entry).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header)
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def need(folder: Path, **options: Any) -> MemoryNeed:
    return memory_need(folder, VllmOptions(model=str(folder), **options))


@pytest.mark.parametrize(
    ("config", "parameters", "options", "weights", "per_token"),
    [
        (LLAMA_8B, 8.03e9, {}, 16.06e9, 128 * 1024),
        (LLAMA_8B, 8.03e9, {"dtype": "float32"}, 32.12e9, 256 * 1024),
        (LLAMA_8B, 8.03e9, {"quantization": "fp8"}, 8.03e9, 128 * 1024),
        (LLAMA_70B, 70.6e9, {}, 141.2e9, 320 * 1024),
        (LLAMA_70B, 70.6e9, {"tensor_parallel": 4}, 35.3e9, 80 * 1024),
        (LLAMA_70B, 70.6e9, {"tensor_parallel": 16}, 8.825e9, 40 * 1024),  # a head of eight is on two GPUs
        (LLAMA_70B, 70.6e9, {"pipeline_parallel": 2}, 70.6e9, 160 * 1024),
    ],
)
def test_weights_and_cache_of_known_models(
    tmp_path: Path, config: dict[str, Any], parameters: float, options: dict[str, Any], weights: float, per_token: int
) -> None:
    found = need(model(tmp_path, config, parameters), max_model_len=4096, **options)
    assert found.weights == pytest.approx(weights, rel=1e-6)
    assert found.one_request == per_token * 4096


def test_windows_and_compressed_caches_are_counted(tmp_path: Path) -> None:
    whole = need(model(tmp_path, LLAMA_8B, 1e9), max_model_len=4096).one_request
    kinds = ["sliding_attention", "sliding_attention", "sliding_attention", "full_attention"] * 8
    windowed = model(tmp_path, LLAMA_8B | {"sliding_window": 1024, "layer_types": kinds}, 1e9)
    assert need(windowed, max_model_len=4096).one_request == whole * (0.25 + 0.75 / 4)
    compressed = model(tmp_path, LLAMA_8B | {"kv_lora_rank": 512, "qk_rope_head_dim": 64}, 1e9)
    assert need(compressed, max_model_len=4096, tensor_parallel=4).one_request == 32 * 4096 * 576 * 2


def test_a_folder_as_transformers_writes_it(tmp_path: Path) -> None:
    folder = write_llama(tmp_path / "tiny")
    found, weights = need(folder, max_model_len=128), (folder / "model.safetensors").stat().st_size
    assert found.weights == pytest.approx(weights / 2, rel=0.1)  # written in float32, computed in two bytes
    assert found.one_request == 2 * 2 * 32 * 2 * 128
    assert found.most_tokens == 512


def test_what_is_packed_keeps_its_bytes(tmp_path: Path) -> None:
    assert need(model(tmp_path, LLAMA_8B, 8e9, "F8_E4M3")).weights == 8e9


@pytest.mark.parametrize(
    ("config", "why"),
    [
        (LLAMA_8B | {"mamba_d_state": 16}, "state"),
        (LLAMA_8B | {"layer_types": ["linear_attention"] * 32}, "state"),
        (LLAMA_8B | {"num_hidden_layers": None}, "do not say"),
        ({}, "do not say"),
    ],
)
def test_what_cannot_be_told_is_said(tmp_path: Path, config: dict[str, Any], why: str) -> None:
    with pytest.raises(UnknownSize, match=why):
        need(model(tmp_path, config, 1e9))


def test_it_fits_from_the_size_on_at_which_one_request_has_room(tmp_path: Path) -> None:
    found = need(model(tmp_path, LLAMA_8B, 8.03e9), max_model_len=8192, max_num_seqs=64)
    least = (found.weights + found.working + found.one_request) / found.fraction
    assert (found.full_requests(least * 0.999), found.full_requests(least * 1.001)) == (0, 1)
    assert found.smallest_gpu() == next(size for size in COMMON_SIZES if size * 1e9 >= least) == 24
    assert found.on(80e9, "80 GB").startswith("fits into 80 GB: weights 14.96 GiB")
    counted = (found.weights + found.one_request) / found.fraction
    assert "does not fit into 16 GB" in found.on(16e9, "16 GB")
    assert found.on(counted * 0.999, "A").startswith("does not fit into A")
    assert found.on(counted * 1.001, "B").startswith("may not fit into B")
    assert need(model(tmp_path, LLAMA_70B, 405e9)).smallest_gpu() is None


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("NVIDIA L4", ["NVIDIA L4"]),
        ("l4", ["NVIDIA L4"]),
        ("H200", ["NVIDIA H200"]),
        ("a100-40gb", ["NVIDIA A100-SXM4-40GB", "NVIDIA A100-PCIE-40GB"]),
        ("tpu", []),
        ("", []),
    ],
)
def test_gpus_go_by_words_of_their_names(text: str, names: list[str]) -> None:
    assert [device.name for device in devices_called(text)] == names
    assert all(20e9 < device.memory < 200e9 for device in devices_called(text))
