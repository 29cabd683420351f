"""The number format in which this processor multiplies matrices fastest.

It is part of what an answer is known by, so the same machine must choose the same every time: the processor's flags
decide, which no load can change. A processor without flags that we know is measured once, and the result is remembered.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from augrec.artefacts.confinement import confined
from augrec.artefacts.files import write_json

CPUINFO = Path("/proc/cpuinfo")
BF16_FLAGS: Mapping[str, tuple[str, ...]] = {
    "x86_64": ("amx_bf16", "avx512_bf16"),
    "aarch64": ("bf16",),
}
"""Per architecture, the flags, as Linux names them, that stand for instructions that multiply bfloat16 matrices.

Without one of them oneDNN makes no bfloat16 product and vLLM falls back to a loop that takes several times as long as
float32. bf16 on ARM is FEAT_BF16.
"""
SAME_AS = {"amd64": "x86_64", "x86-64": "x86_64", "arm64": "aarch64"}
CLEARLY = 1.25
"""How many times as fast as float32 a measured bfloat16 must be to be chosen."""

Format = Literal["bfloat16", "float32"]


@dataclass(frozen=True)
class FastestFormat:
    """A number format and the reason for it, in words."""

    dtype: Format
    why: str


def processor_flags(cpuinfo: Path = CPUINFO) -> frozenset[str]:
    """The flags of the first processor in a file like Linux' /proc/cpuinfo; none where there is no such file."""
    with suppress(OSError):
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() in ("flags", "Features"):
                return frozenset(value.split())
    return frozenset()


def processor_name(cpuinfo: Path = CPUINFO) -> str:
    """The model of the first processor, or the architecture where the system does not name it."""
    with suppress(OSError):
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name" and value.strip():
                return value.strip()
    return platform.processor() or platform.machine()


def format_by_flags(flags: frozenset[str], machine: str | None = None) -> FastestFormat | None:
    """What the flags say; None for an architecture, or a system, whose flags say nothing of it.

    Args:
        flags: see `processor_flags`.
        machine: the architecture as `platform.machine()` names it; None is this one.
    """
    name = (machine or platform.machine()).lower()
    wanted = BF16_FLAGS.get(SAME_AS.get(name, name))
    if wanted is None or not flags:
        return None
    found = [flag for flag in wanted if flag in flags]
    if found:
        return FastestFormat("bfloat16", f"the processor has {found[0]}")
    return FastestFormat("float32", f"the processor has no bfloat16 products ({', '.join(wanted)})")


def format_by_measurement(seconds: Mapping[str, float]) -> FastestFormat:
    """What measured seconds of one product say: bfloat16 where it is clearly faster."""
    times = seconds["float32"] / max(seconds["bfloat16"], 1e-12)
    dtype: Format = "bfloat16" if times >= CLEARLY else "float32"
    return FastestFormat(dtype, f"measured: bfloat16 is {times:.2g} times as fast as float32")


def fastest_format(
    measure: Callable[[], Mapping[str, float]],
    memory: Path,
    *,
    flags: frozenset[str] | None = None,
    machine: str | None = None,
) -> FastestFormat:
    """What this processor is fastest in.

    Args:
        measure: seconds of one product in "float32" and in "bfloat16"; called where flags say nothing and nothing is
            remembered.
        memory: the JSON file that remembers measurements by the processor's name.
        flags: those of this processor where None.
        machine: see `format_by_flags`.
    """
    known = format_by_flags(processor_flags() if flags is None else flags, machine)
    if known is not None:
        return known
    name = f"{machine or platform.machine()}: {processor_name()}"
    remembered = recalled(memory)
    if name not in remembered:
        remembered[name] = {kind: float(value) for kind, value in measure().items()}
        # The cache is nobody's run. One that cannot be written costs a measurement per run, which keeps its own.
        with suppress(OSError), confined(None):
            write_json(memory, remembered)
    return format_by_measurement(remembered[name])


def recalled(memory: Path) -> dict[str, dict[str, float]]:
    """The measurements in a file; none where it is not there or not readable."""
    with suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
        kept = json.loads(memory.read_text(encoding="utf-8"))
        return {name: {kind: float(one[kind]) for kind in ("float32", "bfloat16")} for name, one in kept.items()}
    return {}
