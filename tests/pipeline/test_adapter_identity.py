"""The augment stage runs again when a LoRA adapter's content changes, and not because it lies elsewhere."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pipeline.config import read_config
from pipeline.stages import augment
from pipeline.stages.base import Run


def section(finished_run: Path, lora: Path | None) -> dict[str, Any]:
    """Of the finished run with a vLLM source beside its own."""
    config = read_config(finished_run / "config.yaml", [])
    engine: dict[str, Any] = {"kind": "vllm", "model": "m"} | ({} if lora is None else {"lora": str(lora)})
    generation = type(config.generation).model_validate({"sources": {"tuned": {"engine": engine}}})
    return augment.Augment().section(Run(config.model_copy(update={"generation": generation})))


def test_the_content_of_an_adapter_decides(finished_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(augment, "source_model", lambda source: SimpleNamespace(sha256="weights", path=tmp_path))
    first = tmp_path / "first"
    first.mkdir()
    (first / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "r": 8}))
    (first / "adapter_model.safetensors").write_bytes(b"matrices")
    second = shutil.copytree(first, tmp_path / "second")
    assert section(finished_run, first) == section(finished_run, second)
    assert "adapters" not in section(finished_run, None)
    before = section(finished_run, first)
    (first / "adapter_model.safetensors").write_bytes(b"others")
    assert section(finished_run, first) != before
