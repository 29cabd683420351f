"""The floor against figures that were worked out by hand, and what is left out with its reason."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from augment.accounting.model_figures import Figures, model_figures
from augment.accounting.roofline import DEVICES, Load, Peaks, floor, known_peaks, roofline
from augment.options import GenerationOptions
from augment.runner import device_limits

LLAMA_2_7B = Figures(6_738_415_616, 32, 4096, 4096, 2)
LLAMA_3_1_8B = Figures(8_030_261_248, 32, 4096, 1024, 2)
QWEN_2_5_7B = Figures(7_615_616_512, 28, 3584, 512, 2)
H200, A100 = "NVIDIA H200", "NVIDIA A100-SXM4-80GB"
WORK = Load(13_187, 13_187 * 600, 0, 13_187 * 60)


@pytest.mark.parametrize(
    ("model", "device", "prefill", "weights", "cache", "overlap", "serial"),
    [
        (LLAMA_2_7B, H200, 109, 9, 54, 120, 172),
        (LLAMA_2_7B, A100, 346, 20, 128, 381, 494),
        (LLAMA_3_1_8B, H200, 130, 10, 14, 143, 154),
        (QWEN_2_5_7B, H200, 123, 10, 6, 135, 139),
        (QWEN_2_5_7B, A100, 390, 23, 14, 429, 429),
    ],
)
def test_published_models_on_known_devices(
    model: Figures, device: str, prefill: int, weights: int, cache: int, overlap: int, serial: int
) -> None:
    peaks = known_peaks(device)
    assert peaks is not None
    least = floor(model, [WORK], peaks, 256)
    found = (least.prefill, least.decode_weights, least.decode_cache, least.overlap, least.serial)
    assert found == pytest.approx((prefill, weights, cache, overlap, serial), abs=0.6, rel=4e-3)


def test_the_sum_over_single_tokens() -> None:
    """Every product and every cached vector counted one by one, for a toy model."""
    model, peaks, n, prompt, cached, written = Figures(1000, 3, 8, 4, 2), Peaks(1e6, 1e6), 5, 40, 16, 10
    attention = 0.0
    compute = traffic = 0.0
    for _ in range(n):
        for position in range(cached, prompt):
            compute += 2 * 1000
            attention += 3 * 2 * 2 * 8 * (position + 0.5)  # scores and weighted sum, over the positions before
        for token in range(written):
            traffic += 2 * 1000 / 4 + 3 * 2 * 4 * 2 * (prompt + token + 0.5)
    least = floor(model, [Load(n, n * prompt, n * cached, n * written)], peaks, batch=4)
    assert least.prefill == pytest.approx((compute + attention) / 1e6, rel=1e-9)
    assert least.decode_weights + least.decode_cache == pytest.approx(traffic / 1e6, rel=1e-9)
    assert least.decode_compute == pytest.approx(2 * 1000 * n * written / 1e6)


def test_tasks_add_up_and_an_empty_one_costs_nothing() -> None:
    peaks = Peaks(1e12, 1e11)
    one = floor(LLAMA_3_1_8B, [WORK], peaks, 64)
    two = floor(LLAMA_3_1_8B, [WORK, Load(0, 0, 0, 0), WORK], peaks, 64)
    assert two.overlap == pytest.approx(2 * one.overlap)
    assert two.serial == pytest.approx(2 * one.serial)
    assert one.overlap <= one.serial


def test_every_device_is_a_plausible_one() -> None:
    entries = tomllib.loads(DEVICES.read_text())["device"]
    names = [name for entry in entries for name in entry["names"]]
    assert len(set(names)) == len(names)
    for entry in entries:
        assert set(entry) == {"names", "flops", "bytes_per_second", "memory", "source"}
        assert 50 < entry["flops"] / entry["bytes_per_second"] < 500
        assert 0.01 < entry["memory"] / entry["bytes_per_second"] < 0.1  # seconds to read all of it
    assert known_peaks("NVIDIA H200 MIG 1g.18gb") is None


def write_model(folder: Path, config: dict[str, Any] | None = None, dtype: Any = np.float16) -> Path:
    folder.mkdir()
    base = {"num_hidden_layers": 2, "hidden_size": 8, "num_attention_heads": 4, "num_key_value_heads": 2}
    (folder / "config.json").write_text(json.dumps(base | (config or {})))
    save_file({"embed": np.zeros((10, 8), dtype), "lm_head.weight": np.zeros((10, 8), dtype)}, folder / "a.safetensors")
    save_file({"layer": np.zeros((8, 5), dtype)}, folder / "b.safetensors", metadata={"format": "pt"})
    return folder


def test_figures_of_a_folder(tmp_path: Path) -> None:
    expected = {"parameters": 200, "layers": 2, "width": 8, "kv_width": 4, "bytes_per_parameter": 2.0}
    assert model_figures(write_model(tmp_path / "plain")) == expected
    tied = model_figures(write_model(tmp_path / "tied", {"tie_word_embeddings": True, "head_dim": 16}))
    assert tied == expected | {"parameters": 120, "width": 64, "kv_width": 32}
    twice = write_model(tmp_path / "twice")
    (twice / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"layer": "b.safetensors"}}))
    assert model_figures(twice)["parameters"] == 40


@pytest.mark.parametrize(
    ("config", "dtype", "reason"),
    [
        ({"num_local_experts": 8}, np.float16, "mixture of experts"),
        ({"kv_lora_rank": 512}, np.float16, "compressed key-value cache"),
        ({"quantization_config": {"bits": 4}}, np.float16, "quantised"),
        ({}, np.int32, "quantised (I32)"),
        ({"num_hidden_layers": None}, np.float16, "no num_hidden_layers"),
    ],
)
def test_models_that_the_formulas_do_not_fit(tmp_path: Path, config: dict[str, Any], dtype: Any, reason: str) -> None:
    assert reason in model_figures(write_model(tmp_path / "model", config, dtype))["unknown"]


def test_a_folder_without_weights_or_with_broken_ones(tmp_path: Path) -> None:
    assert "cannot be read" in model_figures(tmp_path / "nowhere")["unknown"]
    broken = write_model(tmp_path / "broken")
    (broken / "a.safetensors").write_bytes(b"\xff" * 40)
    assert "not a safetensors file" in model_figures(broken)["unknown"]
    for path in broken.glob("*.safetensors"):
        path.unlink()
    assert "no safetensors" in model_figures(broken)["unknown"]


TASK = {"attempts": 1000, "prompt_tokens": 600_000, "cached_tokens": 0, "completion_tokens": 60_000, "seconds": 40.0}
ENGINE = {
    "engine": "vllm",
    "max_num_seqs": 256,
    "device": H200,
    "devices": 1,
    "dtype": "bfloat16",
    "quantization": None,
    "figures": {"parameters": 8_030_261_248, "layers": 32, "width": 4096, "kv_width": 1024, "bytes_per_parameter": 4.0},
}


def test_a_source_beside_its_floor() -> None:
    found = roofline(ENGINE, {"edges": TASK, "user_profile": TASK}, None)
    assert found is not None
    assert found["left_out"] is None
    least = floor(LLAMA_3_1_8B, [Load(2000, 1_200_000, 0, 120_000)], Peaks(989e12, 4.8e12), 256)
    assert found["floor_seconds"]["overlap"] == pytest.approx(least.overlap, rel=1e-3)
    assert found["floor_seconds"]["serial"] == pytest.approx(least.serial, rel=1e-3)
    assert found["ratio"]["overlap"] == pytest.approx(80.0 / least.overlap, rel=1e-3)
    assert (found["requests"], found["decode_batch"], found["cached_fraction"]) == (2000, 256, 0.0)
    assert found["model"]["bytes_per_parameter"] == 2, "weights are loaded in the engine's number format"
    assert "assumed" in found["decode_batch_is"]
    assert json.loads(json.dumps(found)) == found
    pair = roofline(ENGINE | {"devices": 2}, {"edges": TASK, "user_profile": TASK}, None)
    assert pair is not None
    assert pair["floor_seconds"]["overlap"] == pytest.approx(least.overlap / 2, rel=1e-3)


@pytest.mark.parametrize(
    ("changed", "task", "reason"),
    [
        ({"device": "CPU, 2 threads"}, TASK, "no peaks are known of the device 'CPU, 2 threads'"),
        ({"quantization": "fp8"}, TASK, "quantised"),
        ({"figures": {"unknown": "because"}}, TASK, "because"),
        ({"figures": None}, TASK, "before they were counted"),
        ({"dtype": "auto"}, TASK, "no engine was started"),
        ({}, TASK | dict.fromkeys(TASK, 0), "nothing was generated"),
        ({"engine": "openai"}, TASK, "a server"),
    ],
)
def test_no_floor_without_its_reason(changed: dict[str, Any], task: dict[str, Any], reason: str) -> None:
    found = roofline(ENGINE | changed, {"edges": task}, None)
    assert found is not None
    assert reason in found["left_out"]
    assert "floor_seconds" not in found


@pytest.mark.parametrize("engine", ["heuristic", "replay of vllm", "fake"])
def test_nothing_is_said_where_no_model_was_run(engine: str) -> None:
    assert roofline(ENGINE | {"engine": engine}, {"edges": TASK}, None) is None


def test_peaks_from_the_config_go_first() -> None:
    engine = {"kind": "vllm", "model": "m", "roofline": {"flops": 1e12, "bytes_per_second": 1e11}}
    source = GenerationOptions.model_validate({"sources": {"small": {"engine": engine}}}).sources["small"]
    summary = {"engine": ENGINE | {"device": "CPU, 2 threads"}, "tasks": {"edges": TASK}}
    said = device_limits(source, summary, None)["roofline"]
    assert device_limits(source, summary, [0]) == {}, "a part of the shards has no floor of the whole"
    assert said["peaks"] == {"flops": 1e12, "bytes_per_second": 1e11, "source": "the config"}
    least = floor(LLAMA_3_1_8B, [Load(1000, 600_000, 0, 60_000)], Peaks(1e12, 1e11), 256)
    assert said["floor_seconds"]["serial"] == pytest.approx(least.serial, rel=1e-3)
