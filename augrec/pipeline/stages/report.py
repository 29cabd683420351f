"""report: the audit, then the page a person reads and the numbers behind it."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from augrec.artefacts.counts import counted
from augrec.artefacts.errors import AugrecError
from augrec.artefacts.progress import step
from augrec.artefacts.run_folder import RunFolder
from augrec.artefacts.treatments import changes
from augrec.pipeline.stages.base import Run, Stage
from augrec.pipeline.stages.registry import stages_before

if TYPE_CHECKING:
    from augrec.pipeline.config.run_config import Config
    from augrec.report.pages.run.roles import PlannedVariant


class Report(Stage):
    """Writes `audit.json`, and results.json, checklist.md and index.html below `report/`.

    It refuses when the audit finds a violation.
    """

    name = "report"
    help = "Audit the run and write results.json and index.html."
    last = True
    per_variant = True

    def code(self, run: Run) -> tuple[str, ...]:
        """See `Stage.code`; with what turns a config's values into the rows that the page shows, and prompts."""
        asked = "augrec.pipeline.stages.asked_prompts"
        return (*super().code(run), asked, "augrec.pipeline.config.llm_draws", "augrec.pipeline.reranking.options")

    def section(self, run: Run) -> dict[str, Any]:
        """See `Stage.section`: the whole config but for places."""
        from augrec.pipeline.config.run_config import without_places

        return without_places(run.config)  # the page shows all of it, and is the same wherever the folder lies

    def finish(self, run: Run) -> dict[str, Any]:
        """See `Stage.finish`: audits the run, compares its variants and writes the page.

        Raises:
            AugrecError: the audit found a violation.
        """
        from augrec.pipeline.audit import audit_run
        from augrec.pipeline.config.run_config import as_plain
        from augrec.pipeline.stages.asked_prompts import asked_prompts
        from augrec.report.pages.run.page import write_report

        step("auditing")
        audit = audit_run(run.folder)
        step("comparing variants, and writing the page")
        if audit.violations:
            command = f"augrec audit {shlex.quote(str(run.folder))}"
            raise AugrecError(
                f"the audit found {counted(audit.violations, 'violation')}; no report is written over artefacts that "
                "do not fit",
                where=run.files.audit_json,
                remedy=f"see them with `{command}`, then run the stage that wrote them with --force",
            )
        config = run.config
        plan = {name: _planned(config, name) for name in config.shown_variants()}
        plan |= {name: _planned_row(config, name) for name in config.reranked}
        stages = [stage.folder(run).name for stage in stages_before(self, config)]
        lead = write_report(
            run.files,
            config.report,
            as_plain(config),
            variants=list(plan),
            plan=plan,
            stages=stages,
            prompts=asked_prompts(run),
        )
        return {"audit_checks": len(audit.checks), "variants": len(plan), "lead": lead}

    def outputs(self, run: Run) -> Iterable[Path]:
        """See `Stage.outputs`."""
        return [run.files.results, run.files.checklist, run.files.page]

    def summary(self, details: dict[str, Any]) -> str:
        """See `Stage.summary`."""
        return f"audit ok ({counted(details['audit_checks'], 'check')}), {RunFolder(Path()).page}"


def _planned(config: Config, name: str) -> PlannedVariant:
    """What the config says of a variant, for the page."""
    from augrec.report.pages.run.roles import PlannedVariant

    variant = config.variants[name]
    changed = changes(variant.model_dump())
    seeds, draws = tuple(config.seeds_of(name)), tuple(config.draws_of(name))
    return PlannedVariant(variant.model, variant.source, changed, seeds, draws=draws)


def _planned_row(config: Config, name: str) -> PlannedVariant:
    """What the config says of a row of re-ranking."""
    from augrec.report.pages.run.roles import RerankedLists

    row = config.reranked[name]
    return replace(_planned(config, row.variant), draws=(), reranked=RerankedLists(row.variant, row.task, row.control))
