"""The augment stage runs again when an adapter's or tokenizer's content changes, not because it lies elsewhere."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from augrec.pipeline.config.run_config import read_config
from augrec.pipeline.stages import augment
from augrec.pipeline.stages.base import Run


def section(finished_run: Path, lora: Path | None = None, tokenizer: Path | None = None) -> dict[str, Any]:
    """Of the finished run with a vLLM source beside its own."""
    config = read_config(finished_run / "config.yaml", [])
    paths = {"lora": lora, "tokenizer": tokenizer}
    engine = {"kind": "vllm", "model": "m"} | {name: str(path) for name, path in paths.items() if path is not None}
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
    assert section(finished_run, None)["files"] == {"tuned": {}}
    before = section(finished_run, first)
    (first / "adapter_model.safetensors").write_bytes(b"others")
    assert section(finished_run, first) != before


def test_the_content_of_a_tokenizer_decides(
    finished_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(augment, "source_model", lambda source: SimpleNamespace(sha256="weights", path=tmp_path))
    first = tmp_path / "first"
    first.mkdir()
    (first / "tokenizer.json").write_text("{}")
    second = shutil.copytree(first, tmp_path / "second")
    known = section(finished_run, tokenizer=first)
    assert known == section(finished_run, tokenizer=second)
    assert section(finished_run)["files"] == {"tuned": {}}
    (first / "chat_template.jinja").write_text("{{ messages }}")
    assert section(finished_run, tokenizer=first) != known
