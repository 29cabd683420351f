"""What each arm is: its kind, what wrote it, and whom it was asked about."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from augrec.artefacts.study_folder import ComparisonFolder
from augrec.artefacts.treatments import WITHOUT_CONTENT, changes
from augrec.pipeline.config import Config
from augrec.pipeline.studies.comparison.options import Arm
from augrec.pipeline.studies.comparison.plan import ComparisonPlan
from augrec.report.pages.comparison.results import ArmFacts, Kind
from augrec.report.sources import NOT_RECORDED, SourceSummary


def arms_of(plan: ComparisonPlan, config: Config, summaries: Mapping[str, SourceSummary]) -> tuple[ArmFacts, ...]:
    """What each arm is.

    Args:
        plan: the comparison.
        config: its run config.
        summaries: what the augment stage recorded, by source.
    """
    return tuple(
        ArmFacts(
            name=name,
            title=arm.title or name,
            kind=kind_of(plan, config, arm, summaries),
            source=arm.source,
            model=summaries.get(arm.source or "", NOT_RECORDED).model,
            change=changes(arm.model_dump()),
            users=arm.asked.users if arm.asked is not None else _asked(config, arm.source),
            users_by=_order(config, arm),
            note=arm.note,
        )
        for name, arm in plan.compare.arms.items()
    )


def kind_of(plan: ComparisonPlan, config: Config, arm: Arm, summaries: Mapping[str, SourceSummary]) -> Kind:
    """A control keeps the scale of an augmentation and loses its content; a rule writes without a language model.

    Arguments as for `arms_of`: a replay is what its records are, which the summary says.
    """
    if arm.source is None:
        return "none"
    if any(how in WITHOUT_CONTENT for how in changes(arm.model_dump()).values()):
        return "control"
    assert config.generation is not None
    engine: Any = config.generation.sources[arm.source].engine
    if not engine.writes_text or not summaries.get(arm.source, NOT_RECORDED).llm:
        return "rule"
    published = {str(ComparisonFolder(plan.folder).published(name)) for name in plan.compare.published}
    return "published" if engine.replays and str(engine.records) in published else "llm"


def _order(config: Config, arm: Arm) -> str | None:
    """In which order the users were chosen that an arm has texts of; None where it has those of all."""
    if arm.asked is not None:
        return arm.asked.by
    if _asked(config, arm.source) is None or config.generation is None:
        return None
    return config.generation.sources[str(arm.source)].users_by


def _asked(config: Config, source: str | None) -> int | None:
    """How many users a source was asked about; None for all."""
    if source is None or config.generation is None:
        return None
    return config.generation.sources[source].users
