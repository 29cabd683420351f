"""How near each LLM's generation came to what its device could do at most, as the summary tells it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pipeline.report.wording import count, percent, rate, seconds


@dataclass(frozen=True)
class Limit:
    """One source beside its floor, ready to show: `shares` are (what, share of the time taken, in words)."""

    source: str
    sentence: str
    shares: tuple[tuple[str, float, str], ...] = ()


def read_limits(sources: dict[str, dict[str, Any]]) -> list[Limit]:
    """Of every source whose summary has a `roofline`; nothing for runs without an LLM."""
    return [_limit(name, found["roofline"]) for name, found in sources.items() if found.get("roofline")]


def _limit(source: str, found: dict[str, Any]) -> Limit:
    taken = found.get("achieved_seconds") or 0.0
    if found.get("left_out") or not found.get("floor_seconds") or not taken:
        reason = found.get("left_out") or "no time was recorded"
        return Limit(source, f"What the device could do at most is not told: {reason}.")
    least, devices = found["floor_seconds"], found.get("devices", 1)
    device = found["device"] if devices == 1 else f"{count(devices)} × {found['device']}"
    work = f"{count(found['requests'])} requests ({percent(found['cached_fraction'])} of the prompts from the cache)"
    sentence = (
        f"Generating took {seconds(taken)} on {device}; no schedule takes less than {seconds(least['overlap'])} for "
        f"these {work}, so it took {rate(taken / least['overlap'], 1)} times the floor. "
        f"{count(found['decode_batch'])} requests decoded at once are assumed."
    )
    named = [
        ("everything at once", least["overlap"]),
        ("prompts first, then answers", least["serial"]),
        ("prompts alone", least["prefill"]),
    ]
    return Limit(source, sentence, tuple((what, min(1.0, value / taken), seconds(value)) for what, value in named))
