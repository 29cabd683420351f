"""The two forms of the same adapter that are measured against each other are the same adapter."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

from augment.engines.vllm.lora import read_adapter
from benchmarks.tuned_weights import ALPHA, RANK, write_both
from tests.kit.tiny_llama import write_llama


def test_the_merged_weights_are_the_models_with_the_adapter_added(tmp_path: Path) -> None:
    model = write_llama(tmp_path / "llama")
    write_both(model, tmp_path / "adapter", tmp_path / "merged")
    base, merged = (load_file(folder / "model.safetensors") for folder in (model, tmp_path / "merged"))
    matrices = load_file(tmp_path / "adapter" / "adapter_model.safetensors")
    changed = {name for name in base if not np.array_equal(base[name], merged[name])}
    assert len(changed) == len(matrices) / 2 > 0
    for name in changed:
        down, up = (matrices[f"base_model.model.{name.removesuffix('weight')}lora_{side}.weight"] for side in "AB")
        np.testing.assert_allclose(merged[name], base[name] + ALPHA / RANK * up @ down, rtol=1e-4, atol=1e-5)
    assert read_adapter(tmp_path / "adapter").max_rank >= RANK
