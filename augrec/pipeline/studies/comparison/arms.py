"""What each arm is: its kind, what wrote it, and whom it was asked about."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from augrec.artefacts.files import read_json
from augrec.artefacts.run_folder import RunFolder
from augrec.artefacts.study_folder import ComparisonFolder
from augrec.artefacts.treatments import WITHOUT_CONTENT, changes
from augrec.pipeline.config.run_config import Config
from augrec.pipeline.reranking.options import WITHOUT_CHOICE, RerankRow
from augrec.pipeline.studies.comparison.options import Arm
from augrec.pipeline.studies.comparison.plan import ComparisonPlan
from augrec.report.pages.comparison.results import ArmFacts, Kind
from augrec.report.pages.run.explained import ORDERED
from augrec.report.sources import NOT_RECORDED, SourceSummary, summary_of


def arms_of(plan: ComparisonPlan, config: Config, summaries: Mapping[str, SourceSummary]) -> tuple[ArmFacts, ...]:
    """What each arm is, those of re-ranked lists last.

    Args:
        plan: the comparison.
        config: its run config.
        summaries: what the augment stage recorded, by source.
    """
    arms = tuple(
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
    titles = {arm.name: arm.title for arm in arms}
    return arms + tuple(_of_lists(name, row, config, titles) for name, row in plan.reranked().items())


def _of_lists(name: str, row: RerankRow, config: Config, titles: Mapping[str, str]) -> ArmFacts:
    """An arm whose lists are those of another one in another order; `titles` are of the arms."""
    assert config.rerank is not None
    first = config.rerank.variants[0]
    summary = summary_of(
        read_json(RunFolder(config.folder).reranking(first, config.seeds_of(first)[0], "test").summary)
    )
    how = f"by the answers to {row.task}" if row.control is None else ORDERED[row.control]
    asked = config.rerank.users
    some = "" if asked is None else f"; {asked} users of a split were asked about, the lists of the others stay"
    blind = row.control is not None and row.control not in WITHOUT_CHOICE
    return ArmFacts(
        name=name,
        title=titles[row.variant] + name.removeprefix(row.variant),
        kind="control" if blind else "llm" if summary.llm else "rule",
        source=config.rerank.source if row.task else None,
        model=summary.model if row.task else None,
        change={row.task: row.control} if row.task and row.control else {},
        users=None,
        note=f"The first {config.rerank.list_size} items of the lists of {titles[row.variant]} {how}{some}",
        lists_of=row.variant,
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
