"""What a run folder says of its sources of augmentation."""

from __future__ import annotations

from typing import Any

RULES = ("heuristic", "replay of heuristic")


def is_llm(engine: dict[str, Any]) -> bool:
    """Whether a source is a language model's work: what its engine recorded of itself, whatever the two are called.

    Args:
        engine: the source's entry `engine` in summary.json; records from before `llm` was in it are told by the kind.
    """
    return bool(engine.get("llm", engine.get("engine") not in RULES))
