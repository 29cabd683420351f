"""Which variant the headline is about, and which are its controls: as the options say, else by name."""

from __future__ import annotations

import re
from typing import Any

from pipeline.report.options import ReportOptions
from pipeline.report.runs import Trained

KINDS = {
    "content": {"shuffled", "shuffle", "permuted", "random", "constant"},
    "heuristic": {"heuristic", "heuristics", "rules"},
    "without": {"without", "none", "plain", "base", "noaug"},
}


def control_kind(name: str) -> str | None:
    """ "content", "heuristic" or "without" for the name of a control such as "llmrec-shuffled", else None."""
    words = set(re.split(r"[^a-z0-9]+", name.lower()))
    return next((kind for kind, tokens in KINDS.items() if words & tokens), None)


def is_llm(source: str, engine: dict[str, Any]) -> bool:
    """Whether an augmentation source is an LLM's work; everything but the heuristic engine is."""
    said = [source, *(str(engine.get(key, "")) for key in ("engine", "name", "kind", "type"))]
    return not any("heuristic" in text.lower() for text in said)


def find_claim(trained: dict[str, Trained], options: ReportOptions, llm_sources: list[str]) -> Trained | None:
    """The variant the headline is about; None when there is only the baseline."""
    if options.claim is not None:
        return trained[options.claim]
    others = [variant for name, variant in trained.items() if name != options.baseline]
    candidates = [variant for variant in others if control_kind(variant.name) is None]
    for source in llm_sources:
        for variant in candidates:
            if source.lower() in variant.name.lower():
                return variant
    model = trained[options.baseline].model
    same_model = [variant for variant in candidates if variant.model == model]
    return next(iter([*same_model, *candidates, *others]), None)


def find_controls(trained: dict[str, Trained], options: ReportOptions, claim: Trained) -> list[Trained]:
    """The claim's controls, without the baseline, which it is compared to anyway."""
    if options.controls is not None:
        named = [trained[name] for name in options.controls]
    else:
        named = [v for v in trained.values() if v.model == claim.model and control_kind(v.name) is not None]
    return [variant for variant in named if variant.name not in (claim.name, options.baseline)]
