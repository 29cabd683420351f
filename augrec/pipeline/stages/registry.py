"""The stages there are, and those that a run goes through, in order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from augrec.artefacts.registry import Registry

if TYPE_CHECKING:
    from augrec.pipeline.config.run_config import Config
    from augrec.pipeline.stages.base import Stage

STAGES: Registry[Stage] = Registry("stage")
"""Every stage by name."""


def chain(config: Config) -> list[Stage]:
    """The stages of a run, in the order they run: each behind those that it reads, else as they were registered.

    A stage whose section the config lacks is left out.
    """
    waiting = {name: stage for name, stage in STAGES.items() if _has_section(stage, config)}
    ordered: list[Stage] = []
    while waiting:
        ready = next((stage for stage in waiting.values() if not _before(stage, waiting)), None)
        if ready is None:
            raise ValueError(f"these stages wait for each other: {', '.join(waiting)}")
        ordered.append(waiting.pop(ready.name))
    return ordered


def stages_before(stage: Stage, config: Config) -> list[Stage]:
    """The stages of a run that have to be finished before this one begins."""
    ordered = chain(config)
    return ordered[: next((place for place, other in enumerate(ordered) if other.name == stage.name), 0)]


def _has_section(stage: Stage, config: Config) -> bool:
    return stage.section_name is None or bool(getattr(config, stage.section_name, None))


def _before(stage: Stage, waiting: dict[str, Stage]) -> set[str]:
    """The names of waiting stages that come before this one."""
    named = set(stage.after)
    if stage.last:
        named |= {other.name for other in waiting.values() if not other.last}
    return named & (waiting.keys() - {stage.name})
