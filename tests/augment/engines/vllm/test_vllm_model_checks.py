"""The real engine refuses models and adapters that are not what they claim, and says so before it answers anything."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from augment.engines.base import EngineInputs
from augment.engines.registry import build_engine
from augment.engines.vllm.options import VllmOptions
from augrec.artefacts.errors import AugrecError
from tests.kit.tiny_llama import tensors, write_adapter, write_llama, write_weights

pytestmark = pytest.mark.vllm


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_llama(tmp_path / "model")


@pytest.fixture
def started(tmp_path: Path, model: Path) -> Callable[..., dict[str, Any]]:
    """started(**options) starts the engine over the small random model, and returns how it describes itself."""

    def call(**options: Any) -> dict[str, Any]:
        settings = VllmOptions(
            **{"model": str(model), "dtype": "float32", "max_model_len": 128, "max_num_seqs": 4, **options},
            kv_cache_gib=0.05,
            threads=1,
        )
        with build_engine(settings, EngineInputs(tmp_path / "engine.log", model=model, model_sha256="0")) as engine:
            engine.start()
            return engine.describe()

    return call


def test_a_random_model_is_noise_unless_it_is_wanted(started: Callable) -> None:
    with pytest.raises(AugrecError, match="writes noise") as error:
        started()
    assert "check_text: false" in str(error.value.remedy)
    assert started(check_text=False)["files_compared"] is True


def test_zeros_where_weights_should_be_are_noise(started: Callable, model: Path) -> None:
    write_weights(model, {name: np.zeros_like(value) for name, value in tensors().items()})
    with pytest.raises(AugrecError, match="writes noise"):
        started()


def test_part_of_a_fused_matrix_is_missed_before_anything_is_loaded(started: Callable, model: Path) -> None:
    write_weights(model, {name: value for name, value in tensors().items() if "layers.1.self_attn.k_proj" not in name})
    with pytest.raises(AugrecError, match="k_proj"):
        started(check_text=False)


def test_an_untrained_adapter_changes_nothing_and_a_trained_one_passes(started: Callable, tmp_path: Path) -> None:
    with pytest.raises(AugrecError, match="the adapter changes nothing"):
        started(check_text=False, lora=write_adapter(tmp_path / "untrained", scale=0.0))
    described = started(check_text=False, lora=write_adapter(tmp_path / "trained"))
    assert described["lora_sha256"]
