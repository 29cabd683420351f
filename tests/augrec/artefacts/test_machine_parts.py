"""Memory, sizes, GPUs and model folders, as files and programs of the machine describe them."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from safetensors.numpy import save_file

from augrec.artefacts.gpus import query_gpus, visible_gpus
from augrec.artefacts.memory import free_memory, give_back, memory_limit, physical_memory, size_in_words
from augrec.artefacts.model_files import header_bytes, is_quantised, model_config, read_tensor_header

KIB = 1024


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1536 * KIB, "1.5 MiB"),
        (9 * KIB**3 // 4, "2.25 GiB"),
        (5 * KIB**4, "5.00 TiB"),
        (5000 * KIB**4, "5000.00 TiB"),
    ],
)
def test_a_size_has_the_largest_unit_that_it_fills(size: int, words: str) -> None:
    assert size_in_words(size) == words


def test_free_memory_is_the_smaller_of_machine_and_container(tmp_path: Path) -> None:
    meminfo, group = tmp_path / "meminfo", tmp_path / "group"
    assert free_memory(meminfo, group) is None
    meminfo.write_text("MemTotal:  9000 kB\nMemAvailable:   5000 kB\n", encoding="utf-8")
    assert free_memory(meminfo, group) == 5000 * KIB
    group.mkdir()
    (group / "memory.max").write_text("max\n", encoding="utf-8")
    (group / "memory.current").write_text("1000\n", encoding="utf-8")
    assert memory_limit(group) is None
    assert free_memory(meminfo, group) == 5000 * KIB
    (group / "memory.max").write_text("3000\n", encoding="utf-8")
    assert memory_limit(group) == 3000
    assert free_memory(meminfo, group) == 2000


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="Linux says how much a process holds")
def test_what_was_freed_is_given_back() -> None:
    def held() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1])

    before = held()
    texts = [pa.array(np.arange(20_000)).cast(pa.string()) for _ in range(400)]
    arrays = [np.ones(2000) for _ in range(4000)]
    most, last = held(), arrays[-1]  # the last one lies behind the others, so that the heap cannot simply end earlier
    del texts, arrays
    give_back()
    assert held() - before < 0.5 * (most - before)
    assert last.sum() == 2000


def test_this_machine_has_memory() -> None:
    total, free = physical_memory(), free_memory()
    assert total is not None
    assert free is not None
    assert 0 < free <= total


@pytest.fixture
def nvidia_smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Puts a program of that name in the place of all others."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)

    def install(body: str) -> None:
        program = tmp_path / "nvidia-smi"
        program.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
        program.chmod(0o755)

    return install


def test_without_nvidia_smi_there_are_no_gpus(nvidia_smi: Any) -> None:
    assert query_gpus(["index"]) is None
    assert visible_gpus() == []


def test_gpus_are_those_listed_unless_some_are_named(nvidia_smi: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    nvidia_smi('echo "0, [N/A]"; echo "1, 80"; echo')
    assert query_gpus(["index", "memory.total"]) == [["0", "[N/A]"], ["1", "80"]]
    nvidia_smi('echo "0"; echo "1"')
    assert visible_gpus() == ["0", "1"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,GPU-abc")
    assert visible_gpus() == ["3", "GPU-abc"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert visible_gpus() == []


def test_a_driver_that_does_not_answer_is_an_error_only_where_it_is_asked_for(nvidia_smi: Any) -> None:
    nvidia_smi("exit 9")
    with pytest.raises(subprocess.CalledProcessError):
        query_gpus(["index"])
    assert visible_gpus() == []


def test_a_header_is_read_and_its_end_known(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_file({"a": np.zeros((2, 3), np.float32), "b": np.ones(4, np.float16)}, path, metadata={"format": "pt"})
    header = read_tensor_header(path)
    assert header is not None
    assert {name: (entry["dtype"], entry["shape"]) for name, entry in header.items()} == {
        "a": ("F32", [2, 3]),
        "b": ("F16", [4]),
    }
    assert header_bytes(path) + 2 * 3 * 4 + 4 * 2 == path.stat().st_size


@pytest.mark.parametrize(
    "content",
    [b"", b"1234", (10**12).to_bytes(8, "little"), (2).to_bytes(8, "little") + b"[]", (9).to_bytes(8, "little") + b"{"],
)
def test_what_is_no_header_is_none(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    assert read_tensor_header(path) is None
    path = tmp_path / "model.bin"
    path.write_bytes(content)
    assert read_tensor_header(path) is None


@pytest.mark.parametrize(("text", "quantised"), [
    (None, False), ("{", False), ("[]", False), ('"x"', False), ("{}", False), ('{"quantization_config": null}', False),
    (json.dumps({"quantization_config": {"quant_method": "gptq"}}), True),
])  # fmt: skip
def test_a_config_that_is_no_object_says_nothing(tmp_path: Path, text: str | None, quantised: bool) -> None:
    if text is not None:
        (tmp_path / "config.json").write_text(text, encoding="utf-8")
    assert is_quantised(tmp_path) is quantised
    assert (model_config(tmp_path) is not None) == (text is not None and text.startswith("{") and text.endswith("}"))
