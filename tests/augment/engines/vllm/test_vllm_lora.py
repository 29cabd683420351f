"""A LoRA adapter in the real engine: applied, and told apart from the plain model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from augment.engines.base import EngineInputs
from augment.engines.registry import build_engine
from augment.engines.vllm.options import VllmOptions
from augment.messages import Message
from tests.kit.real_parts import SMOLLM2

RANK = 12  # none of the ranks that vLLM takes as a maximum

pytestmark = pytest.mark.vllm


def write_adapter(folder: Path, model: Path) -> Path:
    """One with random matrices, large enough to be seen, on the queries of every layer."""
    from safetensors.numpy import save_file

    config = json.loads((model / "config.json").read_text())
    width, rng = config["hidden_size"], np.random.default_rng(0)
    queries = config["num_attention_heads"] * (config.get("head_dim") or width // config["num_attention_heads"])
    tensors = {}
    for layer in range(config["num_hidden_layers"]):
        name = f"base_model.model.model.layers.{layer}.self_attn.q_proj"
        tensors[f"{name}.lora_A.weight"] = rng.normal(size=(RANK, width)).astype(np.float32)
        tensors[f"{name}.lora_B.weight"] = rng.normal(size=(queries, RANK)).astype(np.float32)
    folder.mkdir()
    save_file(tensors, folder / "adapter_model.safetensors")
    about = {"peft_type": "LORA", "r": RANK, "lora_alpha": RANK, "target_modules": ["q_proj"], "bias": "none"}
    (folder / "adapter_config.json").write_text(json.dumps(about))
    return folder


def written(engine: Any, lora: Any) -> str:
    """The model's own continuation, without a grammar.

    Of a prompt that is computed as a whole: where a part is cached products have other shapes, and on some processors
    (AMX) other last digits, which is much for a model that random matrices have disturbed.
    """
    from vllm import SamplingParams

    prompt = {"prompt_token_ids": list(engine.tokens((Message("user", "Name three films."),)))}
    parameters = SamplingParams(temperature=0.0, max_tokens=24)
    engine.clear_cache()
    output = engine.llm.generate([prompt], [parameters], use_tqdm=False, lora_request=lora)
    return output[0].outputs[0].text


def test_an_adapter_changes_what_is_written(tmp_path: Path) -> None:
    model = pytest.importorskip("augrec.pipeline.weights").resolve(SMOLLM2)
    options = VllmOptions(
        model=SMOLLM2,
        max_model_len=512,
        max_num_seqs=4,
        kv_cache_gib=0.25,
        threads=1,
        lora=write_adapter(tmp_path / "adapter", model.path),
    )
    log = tmp_path / "engine.log"
    with build_engine(options, EngineInputs(log, model=model.path, model_sha256=model.sha256)) as engine:
        engine.start()  # the grammar's test runs with the adapter
        assert engine.describe()["lora_sha256"] == engine.identity["lora_sha256"] is not None
        lora = engine._started.lora
        plain, adapted = written(engine, None), written(engine, lora)
        assert plain != adapted
        assert written(engine, lora) == adapted
