"""How near each LLM's generation came to what its device could do at most, as the summary tells it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from augrec.report.render.wording import count, listed, percent, rate, seconds

GRAMMAR = {"compile": "compiling them and finding them again", "mask": "working out which tokens may come next"}
CACHED = "{} of the prompts from the cache"


@dataclass(frozen=True)
class Limit:
    """One source beside its floor, ready to show: `shares` are (what, share of the time taken, in words).

    `grammar` says what was spent on grammars, nothing where it was not measured.
    """

    source: str
    sentence: str
    shares: tuple[tuple[str, float, str], ...] = ()
    grammar: str = ""


def read_limits(sources: dict[str, dict[str, Any]]) -> list[Limit]:
    """Of every source whose summary has a `roofline`; nothing for runs without an LLM."""
    return [
        replace(_limit(name, summary["roofline"]), grammar=_grammar(summary, summary["roofline"]))
        for name, summary in sources.items()
        if summary.get("roofline")
    ]


def _grammar(source: dict[str, Any], roofline: dict[str, Any]) -> str:
    spent, taken = source.get("grammar_seconds") or {}, roofline.get("achieved_seconds") or 0.0
    named = [f"{seconds(spent[kind])} {what}" for kind, what in GRAMMAR.items() if kind in spent]
    if not named or not taken:
        return ""
    together = percent(sum(spent.values()) / taken)
    return (
        f"Of the time taken, {together} was work on grammars, on the CPU: {listed(named)}. On a GPU the second passes "
        "while the model computes."
    )


def _limit(source: str, roofline: dict[str, Any]) -> Limit:
    taken = roofline.get("achieved_seconds") or 0.0
    cached = percent(roofline.get("cached_fraction"))
    if roofline.get("left_out") or not roofline.get("floor_seconds") or not taken:
        reason = roofline.get("left_out") or "no time was recorded"
        achieved = f"Generating took {seconds(taken)}, {CACHED.format(cached)}. " if taken else ""
        return Limit(source, f"{achieved}What the device could do at most is not told: {reason}.")
    least, devices = roofline["floor_seconds"], roofline.get("devices", 1)
    device = roofline["device"] if devices == 1 else f"{count(devices)} × {roofline['device']}"
    work = f"{count(roofline['requests'])} requests ({CACHED.format(cached)})"
    sentence = (
        f"Generating took {seconds(taken)} on {device}; no schedule takes less than {seconds(least['overlap'])} for "
        f"these {work}, so it took {rate(taken / least['overlap'], 1)} times the floor. "
        f"{count(roofline['decode_batch'])} requests decoded at once are assumed."
    )
    named = [
        ("time taken", taken),
        ("everything at once", least["overlap"]),
        ("prompts first, then answers", least["serial"]),
        ("prompts alone", least["prefill"]),
        ("answers alone", least["serial"] - least["prefill"]),
    ]
    return Limit(source, sentence, tuple((what, min(1.0, value / taken), seconds(value)) for what, value in named))
