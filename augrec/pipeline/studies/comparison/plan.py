"""Reads a comparison, and the one run config that follows from it: a variant for every arm and recommender."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from augrec.artefacts.errors import UsageError
from augrec.artefacts.study_folder import ComparisonFolder
from augrec.pipeline.config.controls import given_texts
from augrec.pipeline.config.kinds import COMPARISON, check_kind
from augrec.pipeline.config.run_config import Config
from augrec.pipeline.config.sections import read_sections, validated
from augrec.pipeline.reranking.options import RerankRow, rows_of
from augrec.pipeline.studies.comparison.local_models import add_model_sources
from augrec.pipeline.studies.comparison.options import Arm, Compare, Release, variant_name
from augrec.pipeline.studies.plan import Cell, Plan
from augrec.pipeline.studies.search.subject import Values
from augrec.pipeline.studies.sections import merged
from augrec.report.measures.downstream import Design


@dataclass(frozen=True)
class ComparisonPlan(Plan):
    """A comparison that was read and checked."""

    compare: Compare
    path: Path
    base: dict[str, Any]
    cells: list[Cell]
    """The one run: a variant, with a model of the same name, for every arm and recommender."""

    @property
    def folder(self) -> Path:
        """See `Plan.folder`."""
        return self.compare.folder

    @property
    def cell(self) -> Cell:
        """The only one."""
        return self.cells[0]

    def tuned(self, cell: Cell, options: Mapping[str, Values]) -> Config:
        """See `Plan.tuned`."""
        return validated(composed(self.compare, self.base, options), Config, self.path)

    def tuned_variants(self) -> list[tuple[str, str, str]]:
        """(variant, arm, recommender) of everything that has features to weigh."""
        return [
            (variant, arm, recommender)
            for (arm, recommender), variant in self.variants().items()
            if arm in self.compare.arms and self._has_texts(self.compare.arms[arm])
        ]

    def _has_texts(self, arm: Arm) -> bool:
        """Whether an arm is given texts about users, whose weight is tuned."""
        generation = self.cell.config.generation
        source = generation.sources.get(arm.source or "") if generation else None
        return bool(given_texts(arm.model_dump(), source, "user"))

    def variants(self) -> dict[tuple[str, str], str]:
        """(arm, recommender) -> the name in the run, of a variant or of a row of re-ranking, by recommender."""
        return {
            (arm, recommender): variant_name(arm, recommender)
            for recommender in self.compare.recommenders
            for arm in (*self.compare.arms, *self.reranked())
        }

    def reranked(self) -> dict[str, RerankRow]:
        """The arms that re-ranking adds, called like their rows but for the recommender: `none+ranking`. A row's
        `variant` is the arm whose lists it judges."""
        options, arms = self.cell.config.rerank, self.compare.reranked
        lists = None if options is None else options.model_copy(update={"variants": arms})
        return {row.name: row for row in rows_of(lists)}

    def design(self) -> Design:
        """What is compared with what."""
        compare, rows = self.compare, self.reranked()
        of_lists = {
            name: (row.variant, *(other for other, control in rows.items() if _is_control(control, row)))
            for name, row in rows.items()
        }
        return Design(
            arms=(*compare.arms, *rows),
            recommenders=tuple(compare.recommenders),
            baseline=compare.baseline,
            against={name: arm.against for name, arm in compare.arms.items()} | of_lists,
            metrics=compare.metrics,
            alpha=compare.alpha,
            bootstrap=compare.bootstrap,
            margin=compare.equivalence_margin,
        )

    def place_of(self, release: Release) -> str:
        """The folder of a released augmentation, as it is written in the config."""
        return release.path or str(self.base["dataset"]["source"]["path"])


def read_compare(path: Path, overrides: list[str] | None = None) -> ComparisonPlan:
    """Reads a comparison's YAML file and checks all that follows from it.

    Args:
        path: the file.
        overrides: `key=value`; keys of the base are reached by `change.KEY=value`.

    Raises:
        UsageError: the file, an override or a value is wrong, or the run config that results.
    """
    raw = read_sections(path, overrides)
    check_kind(raw, COMPARISON, path)
    compare = validated(raw, Compare, path, "comparison")
    base = read_sections(path.parent / compare.base) if isinstance(compare.base, Path) else compare.base
    base = merged(base, compare.change)
    models = [name for name, options in (base.get("models") or {}).items() if options is not None]
    for name, recommender in compare.recommenders.items():
        if recommender.model not in models:
            raise UsageError(
                f"recommenders.{name}.model: '{recommender.model}' is not one of {', '.join(models)}", where=path
            )
    config = validated(composed(compare, base), Config, path)
    _check_memorisation(compare, config, path)
    plan = ComparisonPlan(compare, path, base, [Cell("data", "base", config)])
    if compare.claim is not None and compare.claim not in (known := plan.design().arms):
        raise UsageError(f"claim: '{compare.claim}' is not one of the arms ({', '.join(known)})", where=path)
    return plan


def _is_control(row: RerankRow, claimed: RerankRow) -> bool:
    """Whether a row is a control of what another claims: of the same lists, by the same answers or by nobody's."""
    same = row.variant == claimed.variant and row.task in (claimed.task, None)
    return same and claimed.control is None and row.control is not None


def _check_memorisation(compare: Compare, config: Config, path: Path) -> None:
    sources = config.generation.sources if config.generation else {}
    for place, pair in enumerate(compare.memorisation):
        for key, name in (("named", pair.named), ("anonymous", pair.anonymous)):
            if name not in sources:
                raise UsageError(f"memorisation.{place}.{key}: '{name}' is not one of {', '.join(sources)}", where=path)


def composed(compare: Compare, base: Mapping[str, Any], tuned: Mapping[str, Values] | None = None) -> dict[str, Any]:
    """The sections of the run: the base, the published sources, and a model and a variant per arm and recommender.

    Args:
        compare: the comparison.
        base: the sections that everything starts from.
        tuned: options by model; those of others keep the first value of their grid.
    """
    raw = copy.deepcopy(dict(base))
    raw["name"], raw["output"], raw["seeds"] = compare.name, str(compare.folder), list(compare.seeds)
    _replay_published(compare, raw)
    if compare.models is not None:
        probed = {name for pair in compare.memorisation for name in (pair.named, pair.anonymous)}
        add_model_sources(compare.models, {arm.source for arm in compare.arms.values()} | probed, raw)
    models, variants = raw.setdefault("models", {}), {}
    for name, recommender in compare.recommenders.items():
        for arm, options in compare.arms.items():
            variant = variant_name(arm, name)
            options_tried = (tuned or {}).get(variant, {recommender.scale: recommender.scales[0]})
            models[variant] = merged(models[recommender.model], options_tried)
            variants[variant] = options.variant(variant, recommender.seeds).model_dump(mode="json")
    raw["variants"] = variants
    listed = [variant_name(arm, name) for name in compare.recommenders for arm in compare.reranked]
    raw["rerank"] = {**(raw.get("rerank") or {}), "variants": listed} if listed else None
    kept = {"keep_checkpoint": bool(listed)}  # lists are made by the trained models
    raw["training"] = {**kept, **(raw.get("training") or {}), "monitor": compare.metrics[0]}
    first = next(iter(compare.recommenders))
    raw["report"] = {
        "baseline": variant_name(compare.baseline, first),
        "primary": compare.metrics[0],
        "secondary": list(compare.metrics[1:]),
        "title": compare.title or compare.name,
        "hide_users": compare.hide_users,
        "alpha": compare.alpha,
        "bootstrap": compare.bootstrap,
        "equivalence_margin": compare.equivalence_margin,
        "co2_g_per_kwh": compare.co2_g_per_kwh,
    }
    return raw


def _replay_published(compare: Compare, raw: dict[str, Any]) -> None:
    """Points replaying sources at what is imported, and makes those that are not written down."""
    if not compare.published:
        return
    sources = raw.setdefault("generation", {}).setdefault("sources", {})
    for name in compare.published:
        used = [arm.source for arm in compare.arms.values()]
        if name in used and name not in sources:
            sources[name] = {"engine": {"kind": "replay", "records": name}, "tasks": ["user_profile"]}
    for source in sources.values():
        engine = source.get("engine") or {}
        if engine.get("kind") == "replay" and engine.get("records") in compare.published:
            engine["records"] = str(ComparisonFolder(compare.folder).published(engine["records"]))
