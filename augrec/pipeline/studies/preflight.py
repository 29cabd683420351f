"""What the runs of a study lack, or the run of a config file of any kind."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

from augrec.artefacts.study_folder import ComparisonFolder
from augrec.pipeline.config import read_config, read_sections
from augrec.pipeline.config_kinds import COMPARISON, EXPERIMENT, SEARCH_SPACE, kind_of
from augrec.pipeline.executors.slurm.profile import Profile
from augrec.pipeline.preflight.checks import look_at_run
from augrec.pipeline.preflight.findings import Finding, refusals
from augrec.pipeline.stages.base import Run
from augrec.pipeline.studies.comparison.plan import ComparisonPlan, read_compare
from augrec.pipeline.studies.experiment.plan import read_experiment
from augrec.pipeline.studies.plan import Plan
from augrec.pipeline.weights import resolve_path


def look_at_plan(plan: Plan, *, download: bool) -> list[Finding]:
    """The same of every run of a study: what all of them lack is said once, other things with the run's name."""
    coming: list[Path] = []
    found: list[Finding] = []
    if isinstance(plan, ComparisonPlan):
        for name, release in plan.compare.published.items():
            coming.append(ComparisonFolder(plan.folder).published(name))
            found += refusals(f"published.{name}", partial(resolve_path, plan.place_of(release)))
    cells = {cell.name: look_at_run(Run(cell.config, download), coming=coming) for cell in plan.cells}
    shared = set.intersection(*map(set, cells.values()))
    found += dict.fromkeys(finding for findings in cells.values() for finding in findings if finding in shared)
    for name, findings in cells.items():
        found += [replace(each, where=f"{each.where} ({name})") for each in findings if each not in shared]
    return found


def look_at_file(
    path: Path, overrides: list[str] | None, profile: Profile | None, *, download: bool = False
) -> list[Finding]:
    """What the run or the study of a config file would lack; nothing of a search space, which needs nothing.

    Raises:
        UsageError: the config is wrong.
    """
    kind = kind_of(read_sections(path, overrides))
    if kind is COMPARISON:
        return look_at_plan(read_compare(path, overrides), download=download)
    if kind is EXPERIMENT:
        return look_at_plan(read_experiment(path, overrides), download=download)
    if kind is SEARCH_SPACE:
        return []
    return look_at_run(Run(read_config(path, overrides), download), profile=profile)
