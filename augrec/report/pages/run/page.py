"""The page of a run that a person reads: everything in one HTML file that needs no network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from augrec.artefacts.files import write_json, write_text
from augrec.artefacts.run_folder import RunFolder
from augrec.report.measures.reranking import read_reranking
from augrec.report.measures.spending import read_spending
from augrec.report.numbers.results import Results, describe_tests, results_json, summarise
from augrec.report.numbers.variants import Trained, read_trained
from augrec.report.numbers.verdicts import definitions
from augrec.report.options import ReportOptions
from augrec.report.pages.reranked import Reranked, reranked
from augrec.report.pages.run.checklist import Checklist, read_checklist
from augrec.report.pages.run.explained import variants_table
from augrec.report.pages.run.facts import Facts, read_facts
from augrec.report.pages.run.generated import read_cards
from augrec.report.pages.run.headline import Headline, find_headline
from augrec.report.pages.run.plots import curve_figures, primary_figure, training_curves, user_figures
from augrec.report.pages.run.prompts import AskedPrompt, shown_prompts
from augrec.report.pages.run.roles import PlannedVariant, Roles
from augrec.report.pages.run.tables import controls_table, results_table, tests_table, users_table
from augrec.report.pages.run.tuning import InstructionTuning, read_tuning
from augrec.report.pages.run.written import written
from augrec.report.pages.spending import spending_table
from augrec.report.render.glossary import TERMS
from augrec.report.render.html import Head, page, write_tables
from augrec.report.render.tables import Table
from augrec.report.user_names import without_examples

HERE = Path(__file__).parent
RERANKED = "reranked"
SECTIONS = (
    ("results", "Results"),
    ("run", "What was run"),
    ("training", "Training"),
    (RERANKED, "Re-ranking"),
    ("written", "What was written"),
    ("examples", "Examples"),
    ("requests", "Requests"),
    ("provenance", "Provenance"),
    ("glossary", "Glossary"),
)


def write_report(
    run: RunFolder,
    options: ReportOptions,
    config: dict[str, Any],
    *,
    variants: Sequence[str],
    plan: Mapping[str, PlannedVariant] | None = None,
    stages: Sequence[str] | None = None,
    prompts: Sequence[AskedPrompt] = (),
) -> str:
    """Writes results.json, checklist.md, index.html and tables/ below `report/` of a run folder, reading nothing else.

    Args:
        run: the run folder.
        options: what is compared with what.
        config: the resolved config, to be shown.
        variants: the trained variants, in the order in which they are shown.
        plan: what the config says of variants: which is a control of which, and which seeds are read (else all that
            there are).
        stages: the folders of the stages that made it, in their order; None for all that have a marker, by name.
        prompts: some of those that language models were asked.

    Returns:
        The page's first sentence, which is the verdict.

    Raises:
        UsageError: the options name a variant that is not among `variants`.
        DataError: a file of the run is missing, unfinished or does not fit the others.
    """
    plan = plan or {}
    seeds = {name: plan[name].seeds if name in plan else None for name in variants}
    reranked_rows = [name for name, planned in plan.items() if planned.reranked]
    draws = {name: planned.draws for name, planned in plan.items() if planned.draws}
    trained = read_trained(run, options, seeds, reranked_rows, draws)
    facts = read_facts(run.root, trained, config, stages)
    if options.hide_users:
        notes = without_examples(facts.dataset.get("notes") or [])
        facts = replace(facts, dataset={**facts.dataset, "notes": notes})
    cards = read_cards(run, [name for name, _, _ in facts.sources])
    kinds = {task: card.gives.kind for (_, task), card in cards.items()}
    roles = Roles(trained, options, plan, facts.llm_sources, kinds)
    claim = roles.claim()
    controls = [(claim.name, control.name) for control in roles.controls(claim)] if claim else []
    made_by = [path.parent.name for path in run.stage_markers()] if stages is None else stages
    report = RunReport(
        run=run,
        roles=roles,
        results=summarise(trained, options, controls),
        facts=facts,
        tuning=read_tuning(run, stages),
        checklist=read_checklist(run, config, trained, options, [name for name in made_by if name != run.report.name]),
        prompts=shown_prompts(prompts, hide_users=options.hide_users),
    )
    tables: list[Table] = []
    page_text = report.html(tables)
    write_tables(run.report_tables, tables, str(config.get("name") or ""))
    write_json(run.results, results_json(trained, report.results, options))
    write_text(run.checklist, report.checklist.markdown())
    write_text(run.page, page_text)
    return report.headline.lead


@dataclass(frozen=True)
class RunReport:
    """What the page of a run is made from.

    Attributes:
        run: the run folder, of which records, side tables and interactions are read.
        roles: the trained variants, what is compared with what, and why.
        results: the numbers.
        facts: what was run on what.
        tuning: how the language model was taught; None where it was not.
        checklist: what a reader needs to repeat the run.
        prompts: some of those that language models were asked.
    """

    run: RunFolder
    roles: Roles
    results: Results
    facts: Facts
    tuning: InstructionTuning | None
    checklist: Checklist
    prompts: Sequence[AskedPrompt]

    @property
    def headline(self) -> Headline:
        """What the page says first."""
        return find_headline(self.roles.trained, self.results, self.roles.options, self.roles)

    def html(self, tables: list[Table]) -> str:
        """The whole page; text from the data, the LLM and the config is escaped. `tables` is given all it shows."""
        options, trained = self.roles.options, self.roles.trained
        headline = self.headline
        lists = self._reranked()
        head = Head(
            options.title,
            kicker=self.facts.dataset.get("name") or "A run",
            lead=headline.lead,
            evidence=headline.evidence,
            findings=headline.details,
            family=self.results.family,
            words=definitions(options.alpha, options.equivalence_margin),
            sections=[section for section in SECTIONS if lists or section[0] != RERANKED],
        )
        claim, seeds = self.roles.claim(), {draw.name: list(draw.metrics) for draw in self._draws()}
        content = {
            "options": options,
            "facts": self.facts,
            "results": results_table(trained, self.results, options),
            "controls": controls_table(headline.controls, claim.name, options) if claim else None,
            "variants": variants_table(self.roles),
            "terms": TERMS,
            "compared": tests_table(trained, self.results, options),
            "tests": describe_tests(self.results, options),
            "spread": users_table(self.results, options),
            "user_figures": user_figures(self.results, options),
            "primary_figure": primary_figure(trained, self.results, options),
            "reranked": lists,
            "tuning": self.tuning,
            "prompts": self.prompts,
            "checklist": self.checklist,
            "checklist_file": self.run.checklist.name,
            "spending": spending_table(read_spending(self.run, seeds), options.co2_g_per_kwh),
            **self._curves(),
            **written(self.run, self.facts, self.roles),
        }
        return page("report.html.j2", HERE, head, content, tables=tables)

    def _draws(self) -> Iterator[Trained]:
        """Everything that was trained: of a variant that a language model was asked for several times, each draw."""
        return (draw for variant in self.roles.trained.values() for draw in variant.each_draw)

    def _reranked(self) -> Reranked | None:
        """What was said of lists; None where nothing was re-ranked."""
        if not any(planned.reranked for planned in self.roles.plan.values()):
            return None
        judged = read_reranking(self.run.rerank_summary)
        return None if judged is None else reranked(judged, self.roles.options.primary)

    def _curves(self) -> dict[str, Any]:
        """Training curves, and the variants that have none; rows of re-ranking were not trained."""
        roles, primary = self.roles, self.roles.options.primary
        curves = training_curves(roles.trained, primary)
        drawn = {curve.name for curve in curves} | {name for name, planned in roles.plan.items() if planned.reranked}
        return {
            "curves": curve_figures(curves, primary),
            "without_curves": [name for name in roles.trained if name not in drawn],
        }
