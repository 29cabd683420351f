"""The number format that a processor is fastest in: by its flags, the same every time, measured only without any."""

from __future__ import annotations

from pathlib import Path

import pytest

from augrec.artefacts.confinement import confined
from augrec.artefacts.processor import (
    fastest_format,
    format_by_flags,
    format_by_measurement,
    processor_flags,
    processor_name,
)

X86 = "processor\t: 0\nmodel name\t: AMD EPYC\nflags\t\t: fpu avx2 {more}\n\nprocessor\t: 1\nflags\t\t: fpu\n"
ARM = "processor\t: 0\nFeatures\t: fp asimd {more}\nCPU part\t: 0xd49\n"


def flags(tmp_path: Path, text: str) -> frozenset[str]:
    path = tmp_path / "cpuinfo"
    path.write_text(text)
    return processor_flags(path)


@pytest.mark.parametrize(
    ("machine", "text", "more", "dtype"),
    [
        ("x86_64", X86, "", "float32"),
        ("x86_64", X86, "avx512f avx512bw avx512_vnni", "float32"),
        ("x86_64", X86, "avx512f avx512_bf16", "bfloat16"),
        ("AMD64", X86, "amx_tile amx_bf16 amx_int8", "bfloat16"),
        ("x86_64", X86, "amx_tile amx_int8", "float32"),
        ("x86_64", X86, "avx512_bf16x", "float32"),
        ("x86_64", X86, "bf16", "float32"),
        ("aarch64", ARM, "bf16 i8mm", "bfloat16"),
        ("arm64", ARM, "bf16", "bfloat16"),
        ("aarch64", ARM, "i8mm", "float32"),
    ],
)
def test_flags_decide(tmp_path: Path, machine: str, text: str, more: str, dtype: str) -> None:
    found = format_by_flags(flags(tmp_path, text.format(more=more)), machine)
    assert found is not None
    assert found.dtype == dtype
    assert found.why


@pytest.mark.parametrize(("machine", "known"), [("riscv64", {"fpu"}), ("ppc64le", set()), ("x86_64", set())])
def test_flags_that_say_nothing_decide_nothing(machine: str, known: set[str]) -> None:
    assert format_by_flags(frozenset(known), machine) is None


def test_a_system_without_cpuinfo_has_no_flags(tmp_path: Path) -> None:
    assert processor_flags(tmp_path / "nowhere") == frozenset()
    assert processor_name(tmp_path / "nowhere")


def test_the_model_of_a_processor_is_its_name(tmp_path: Path) -> None:
    flags(tmp_path, X86)
    assert processor_name(tmp_path / "cpuinfo") == "AMD EPYC"


@pytest.mark.parametrize(
    ("float32", "bfloat16", "dtype"),
    [
        (1.0, 6.0, "float32"),
        (1.0, 1.0, "float32"),
        (1.0, 0.9, "float32"),
        (1.0, 0.5, "bfloat16"),
        (1.0, 0.0, "bfloat16"),
    ],
)
def test_a_measurement_has_to_be_clear(float32: float, bfloat16: float, dtype: str) -> None:
    assert format_by_measurement({"float32": float32, "bfloat16": bfloat16}).dtype == dtype


def test_known_flags_are_never_measured(tmp_path: Path) -> None:
    def measure() -> dict[str, float]:
        raise AssertionError("measured")

    memory = tmp_path / "processor.json"
    assert fastest_format(measure, memory, flags=frozenset({"avx2"}), machine="x86_64").dtype == "float32"
    assert not memory.exists()


def test_what_was_measured_once_holds_whatever_a_busy_machine_would_say_later(tmp_path: Path) -> None:
    memory, measured = tmp_path / "cache" / "processor.json", []

    def measure() -> dict[str, float]:
        measured.append(1)
        return {"float32": 1.0, "bfloat16": 0.2 if len(measured) == 1 else 9.0}

    with confined(tmp_path / "run"):
        found = [fastest_format(measure, memory, flags=frozenset(), machine="riscv64") for _ in range(3)]
    assert {one.dtype for one in found} == {"bfloat16"}
    assert len(measured) == 1
    fastest_format(measure, memory, flags=frozenset(), machine="ppc64le")
    assert len(measured) == 2


@pytest.mark.parametrize("content", ["", "{", "[1]", '{"riscv64: x": {"float32": 1}}', '{"a": 3}', '{"a": null}'])
def test_a_broken_memory_is_measured_over(tmp_path: Path, content: str) -> None:
    memory = tmp_path / "processor.json"
    memory.write_text(content)
    seconds = {"float32": 3.0, "bfloat16": 1.0}
    for _ in range(2):
        assert fastest_format(lambda: seconds, memory, flags=frozenset(), machine="riscv64").dtype == "bfloat16"


def test_a_cache_that_cannot_be_written_costs_a_measurement_only(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    seconds = {"float32": 1.0, "bfloat16": 3.0}
    assert fastest_format(lambda: seconds, blocked / "p.json", flags=frozenset(), machine="riscv64").dtype == "float32"
