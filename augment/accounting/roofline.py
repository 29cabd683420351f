"""The least time a machine needs for what a source was asked, beside the time it took.

P parameters of b bytes, N requests of Lp prompt tokens (a share c of them in the prefix cache) and Lo written tokens, B
requests decoded at once, n layers of attention width d, k = 2 n (key-value width) (bytes of a number) of cache per
token, a device of F FLOP/s and W bytes/s:

    prefill FLOPs   N [2 P (1 - c) Lp + 2 n d (1 - c^2) Lp^2]
    decode FLOPs    2 P N Lo
    decode bytes    N Lo [b P / B + k (Lp + Lo / 2)]
    overlap         max((prefill + decode FLOPs) / F, decode bytes / W): everything at once, the least of all schedules
    serial          prefill FLOPs / F + max(decode FLOPs / F, decode bytes / W): first the prompts, then the answers

All prompts of a task count with their mean length. P counts the tables of tokens too, although a look-up multiplies
nothing and only a prompt's last token meets the output layer: prefill is too high by their share of P. Several devices
count as one that is so many times as fast.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from augment.accounting.model_figures import Figures

DEVICES = Path(__file__).with_name("devices.toml")
BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
ASSUMED = "assumed, because the engine does not say: as many as it may decode at once; fewer would raise the floor"
ACHIEVED = (
    "seconds of all tasks; prompts and answers share the engine's steps, so they cannot be told apart. Work that was "
    "computed twice, after an interruption or a changed question, is in the seconds and not in the floor"
)
SERVED = "the model and the device of a server are not known here"


@dataclass(frozen=True)
class Peaks:
    """What a device can do at most: FLOP/s of dense bf16 matrices, bytes/s of its memory; and who says so."""

    flops: float
    bytes_per_second: float
    source: str = "the config"


@dataclass(frozen=True)
class Load:
    """What one task asked: requests (every attempt is one) and tokens."""

    requests: int
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int


@dataclass(frozen=True)
class Floor:
    """Seconds. The first four are parts, the last two what the parts add up to."""

    prefill: float
    decode_compute: float
    decode_weights: float
    decode_cache: float

    @property
    def overlap(self) -> float:
        """Compute and memory traffic all at once."""
        return max(self.prefill + self.decode_compute, self.decode_weights + self.decode_cache)

    @property
    def serial(self) -> float:
        """First all prompts, then all answers."""
        return self.prefill + max(self.decode_compute, self.decode_weights + self.decode_cache)


def floor(model: Figures, loads: Iterable[Load], peaks: Peaks, batch: float, bytes_of_number: float = 2) -> Floor:
    """The floor of several tasks together.

    Args:
        model: its sizes.
        loads: one per task.
        peaks: of all devices together.
        batch: mean number of requests decoded at once.
        bytes_of_number: in the key-value cache.
    """
    prefill = decode = weights = cache = 0.0
    per_token = 2 * model.layers * model.kv_width * bytes_of_number
    for load in loads:
        if not load.requests:
            continue
        prompt, written = load.prompt_tokens / load.requests, load.completion_tokens / load.requests
        cached = load.cached_tokens / load.prompt_tokens if load.prompt_tokens else 0.0
        attention = 2 * model.layers * model.width * (1 - cached**2) * prompt**2
        prefill += load.requests * (2 * model.parameters * (1 - cached) * prompt + attention)
        decode += 2 * model.parameters * load.completion_tokens
        weights += load.completion_tokens * model.bytes_per_parameter * model.parameters / batch
        cache += load.completion_tokens * per_token * (prompt + written / 2)
    return Floor(
        prefill / peaks.flops, decode / peaks.flops, weights / peaks.bytes_per_second, cache / peaks.bytes_per_second
    )


def known_peaks(device: str) -> Peaks | None:
    """The peaks of a device by the name its driver gives it; None for one that is not in devices.toml."""
    with DEVICES.open("rb") as file:
        entries = tomllib.load(file)["device"]
    for entry in entries:
        if device in entry["names"]:
            return Peaks(entry["flops"], entry["bytes_per_second"], entry["source"])
    return None


def roofline(engine: dict[str, Any], tasks: dict[str, dict[str, Any]], peaks: Peaks | None) -> dict[str, Any] | None:
    """A source's floor and what it took, for the summary; None when no language model was run.

    Args:
        engine: what describes the engine, see Engine.describe.
        tasks: the summary of each task.
        peaks: of one device, where the config gives them; they go before what is known of the device.

    Returns:
        JSON values; `left_out` says why there is no floor, else it is None.
    """
    if engine.get("engine") not in ("vllm", "openai"):
        return None
    loads = [
        Load(*(task[name] for name in ("attempts", "prompt_tokens", "cached_tokens", "completion_tokens")))
        for task in tasks.values()
    ]
    prompt, cached = (sum(getattr(load, name) for load in loads) for name in ("prompt_tokens", "cached_tokens"))
    achieved = sum(task["seconds"] for task in tasks.values())
    device, devices = engine.get("device"), engine.get("devices", 1)
    summary: dict[str, Any] = {
        "device": device,
        "devices": devices,
        "model": engine.get("figures"),
        "requests": sum(load.requests for load in loads),
        "cached_fraction": round(cached / prompt, 4) if prompt else None,
        "achieved_seconds": round(achieved, 3),
        "achieved_is": ACHIEVED,
    }
    peaks = peaks or known_peaks(str(device))
    reason = _left_out(engine, peaks, prompt)
    if reason is not None or peaks is None:
        return summary | {"left_out": reason}
    batch = min(engine["max_num_seqs"], summary["requests"])
    size = BYTES[engine["dtype"]]
    model = Figures(**engine["figures"] | {"bytes_per_parameter": size})
    together = Peaks(peaks.flops * devices, peaks.bytes_per_second * devices)
    least = floor(model, loads, together, batch, size)
    totals = {"overlap": least.overlap, "serial": least.serial}
    return summary | {
        "left_out": None,
        "model": asdict(model),
        "peaks": asdict(peaks),
        "decode_batch": batch,
        "decode_batch_is": ASSUMED,
        "floor_seconds": {name: float(f"{value:.4g}") for name, value in (asdict(least) | totals).items()},
        "ratio": {name: round(achieved / value, 3) if value else None for name, value in totals.items()},
    }


def _left_out(engine: dict[str, Any], peaks: Peaks | None, prompt_tokens: int) -> str | None:
    """Why there can be no floor."""
    if engine["engine"] != "vllm":
        return SERVED
    figures = engine.get("figures") or {"unknown": "its records were written before they were counted"}
    if "unknown" in figures:
        return f"the model's figures are not known: {figures['unknown']}"
    if engine.get("quantization"):
        return "the weights are quantised: neither their size in memory nor the device's peak for them is known"
    if engine.get("dtype") not in BYTES or "device" not in engine:
        return "no engine was started, so its device is not known"
    if peaks is None:
        return (
            f"no peaks are known of the device {engine['device']!r}; give them as "
            "`roofline: {flops: ..., bytes_per_second: ...}` in the engine's options"
        )
    return None if prompt_tokens else "nothing was generated"
