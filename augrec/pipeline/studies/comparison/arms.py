"""What each arm is: its kind, what wrote it, and whom it was asked about."""

from __future__ import annotations

from typing import Any, Literal

from augrec.pipeline.config import Config
from augrec.pipeline.controls import PARTS, WITHOUT_CONTENT, treatment
from augrec.pipeline.studies.comparison.options import Arm
from augrec.pipeline.studies.comparison.plan import Plan
from augrec.report.pages.run.roles import is_llm

Kind = Literal["published", "llm", "rule", "control", "none"]


def arms_of(plan: Plan, config: Config, summary: dict[str, Any]) -> list[dict[str, Any]]:
    """The entries `arms` of compare.json.

    Args:
        plan: the comparison.
        config: its run config.
        summary: R/augment/summary.json.
    """
    return [
        {
            "name": name,
            "title": arm.title or name,
            "kind": kind_of(plan, config, arm, summary),
            "source": arm.source,
            "model": _model(summary, arm.source),
            "profiles": arm.profiles if arm.source else "none",
            "edges": arm.edges if arm.source else "none",
            "attributes": arm.attributes if arm.source else "none",
            "users": _asked(config, arm.source),
            "note": arm.note,
        }
        for name, arm in plan.compare.arms.items()
    ]


def kind_of(plan: Plan, config: Config, arm: Arm, summary: dict[str, Any]) -> Kind:
    """A control keeps the scale of an augmentation and loses its content; a rule writes without a language model.

    Arguments as for `arms_of`: a replay is what its records are, which the summary says.
    """
    if arm.source is None:
        return "none"
    if any(treatment(arm.model_dump(), part) in WITHOUT_CONTENT for part in PARTS):
        return "control"
    assert config.generation is not None
    engine: Any = config.generation.sources[arm.source].engine
    if not engine.writes_text or not is_llm(_engine(summary, arm.source)):
        return "rule"
    published = {str(plan.folder / "published" / name) for name in plan.compare.published}
    return "published" if engine.replays and str(engine.records) in published else "llm"


def _asked(config: Config, source: str | None) -> int | None:
    """How many users a source was asked about; None for all."""
    if source is None or config.generation is None:
        return None
    return config.generation.sources[source].users


def _engine(summary: dict[str, Any], source: str) -> dict[str, Any]:
    return (summary.get("sources") or {}).get(source, {}).get("engine") or {}


def _model(summary: dict[str, Any], source: str | None) -> str | None:
    if source is None:
        return None
    engine = _engine(summary, source)
    name = engine.get("model") or engine.get("engine")
    return None if name is None else str(name)
