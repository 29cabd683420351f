"""What a run folder says of its sources of augmentation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from augrec.artefacts.files import read_json

RULES = ("heuristic", "replay of heuristic")


def is_llm(engine: dict[str, Any]) -> bool:
    """Whether a source is a language model's work: what its engine recorded of itself, whatever the two are called.

    Args:
        engine: the source's entry `engine` in summary.json; records from before `llm` was in it are told by the kind.
    """
    return bool(engine.get("llm", engine.get("engine") not in RULES))


@dataclass(frozen=True)
class SourceSummary:
    """One source.

    Attributes:
        llm: whether a language model wrote it.
        model: what wrote it, or the engine's name.
        weights: the model, None where there is none.
        device, devices: the accelerator, and how many worked at the same time.
        seconds: of generating, over all tasks; None where nothing was generated.
        energy_joules: of all devices; None where nobody measured it.
    """

    llm: bool
    model: str | None
    weights: str | None
    device: str | None
    devices: int | None
    seconds: float | None
    energy_joules: float | None


NOT_RECORDED = SourceSummary(is_llm({}), None, None, None, None, None, None)


def read_summaries(path: Path) -> Mapping[str, SourceSummary]:
    """By source.

    Args:
        path: R/augment/summary.json; without the file nothing was recorded.
    """
    content = read_json(path) if path.exists() else {}
    return {name: summary_of(entry) for name, entry in (content.get("sources") or {}).items()}


def summary_of(entry: Mapping[str, Any]) -> SourceSummary:
    """Of what the runner of a source counted of it."""
    engine, tasks = entry.get("engine") or {}, entry.get("tasks") or {}
    model = engine.get("model") or engine.get("engine")
    return SourceSummary(
        llm=is_llm(engine),
        model=None if model is None else str(model),
        weights=engine.get("model"),
        device=engine.get("device"),
        devices=engine.get("devices"),
        seconds=sum(task.get("seconds") or 0.0 for task in tasks.values()) or None,
        energy_joules=entry.get("energy_joules"),
    )
