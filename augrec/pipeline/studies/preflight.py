"""What the runs of a study lack, or the run of a config file of any kind."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

from augrec.artefacts.study_folder import ComparisonFolder
from augrec.pipeline.config.kinds import COMPARISON, EXPERIMENT, SEARCH_SPACE, kind_of
from augrec.pipeline.config.run_config import read_config
from augrec.pipeline.config.sections import read_sections
from augrec.pipeline.preflight.checks import look_at_run
from augrec.pipeline.preflight.findings import Finding, Look, refusals
from augrec.pipeline.stages.base import Run
from augrec.pipeline.studies.comparison.plan import ComparisonPlan, read_compare
from augrec.pipeline.studies.experiment.plan import read_experiment
from augrec.pipeline.studies.plan import Plan
from augrec.pipeline.weights import resolve_path


def look_at_plan(plan: Plan, look: Look = look_at_run, *, download: bool) -> list[Finding]:
    """What the runs of a study would lack, each thing once; with the names of the runs where not all lack it."""
    coming: list[Path] = []
    found: list[Finding] = []
    if isinstance(plan, ComparisonPlan):
        for name, release in plan.compare.published.items():
            coming.append(ComparisonFolder(plan.folder).published(name))
            found += refusals(f"published.{name}", partial(resolve_path, plan.place_of(release)))
    runs: dict[Finding, list[str]] = {}
    for cell in plan.cells:
        for finding in look(Run(cell.config, download), coming=coming):
            names = runs.setdefault(finding, [])
            names += [] if cell.name in names else [cell.name]
    for finding, names in runs.items():
        some = f" ({', '.join(names)})" if len(names) < len(plan.cells) else ""
        found.append(replace(finding, where=f"{finding.where}{some}"))
    return found


def look_at_file(
    path: Path,
    overrides: list[str] | None,
    look: Look = look_at_run,
    *,
    of_studies: Look = look_at_run,
) -> list[Finding]:
    """What the run or the study of a config file would lack; nothing of a search space, which needs nothing.

    Args:
        path: the file.
        overrides: `key=value`.
        look: looks at a run.
        of_studies: looks at the runs of a study; as for this machine unless given.

    Raises:
        UsageError: the config is wrong.
    """
    kind = kind_of(read_sections(path, overrides))
    if kind is COMPARISON:
        return look_at_plan(read_compare(path, overrides), of_studies, download=False)
    if kind is EXPERIMENT:
        return look_at_plan(read_experiment(path, overrides), of_studies, download=False)
    if kind is SEARCH_SPACE:
        return []
    return look(Run(read_config(path, overrides)))
