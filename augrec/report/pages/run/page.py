"""The page of a run that a person reads: everything in one HTML file that needs no network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from augrec.artefacts.files import write_json, write_text
from augrec.artefacts.interactions import read_interactions
from augrec.artefacts.run_folder import RunFolder
from augrec.artefacts.side_tables import read_side_table
from augrec.artefacts.tasks import Attributes, TaskCard
from augrec.report.measures.attribute_accuracy import AttributeAccuracy, attribute_accuracy
from augrec.report.measures.reranking import read_reranking
from augrec.report.measures.spending import read_spending
from augrec.report.numbers.results import Results, describe_tests, results_json, summarise
from augrec.report.numbers.variants import Trained, read_trained
from augrec.report.numbers.verdicts import definitions
from augrec.report.options import ReportOptions
from augrec.report.pages.reranked import reranked
from augrec.report.pages.run.checklist import Checklist, read_checklist
from augrec.report.pages.run.examples import item_examples, user_examples
from augrec.report.pages.run.explained import variants_table
from augrec.report.pages.run.facts import Facts, read_facts
from augrec.report.pages.run.generated import Records, count_values, genre_shares, read_cards, read_records
from augrec.report.pages.run.groups import groups_table, kinds_of_users
from augrec.report.pages.run.headline import find_headline
from augrec.report.pages.run.plots import curve_figures, genre_figure, primary_figure, training_curves, user_figures
from augrec.report.pages.run.prompts import AskedPrompt, shown_prompts
from augrec.report.pages.run.roles import PlannedVariant, Roles
from augrec.report.pages.run.single_users import single_users
from augrec.report.pages.run.tables import (
    accuracy_table,
    controls_table,
    genres_table,
    lengths_table,
    results_table,
    speed_table,
    tests_table,
    troubles_table,
    users_table,
)
from augrec.report.pages.run.throughput import read_throughput
from augrec.report.pages.run.tokens import read_spreads, spread_figures
from augrec.report.pages.run.troubles import failures, repairs, without_failures, without_users
from augrec.report.pages.run.tuning import Tuning, read_tuning
from augrec.report.pages.spending import spending_table
from augrec.report.render.glossary import TERMS
from augrec.report.render.html import Head, page, write_tables
from augrec.report.render.tables import Table
from augrec.report.user_names import UserNames, without_examples

ABOUT = ("user", "item")
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
) -> None:
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
    results = summarise(trained, options, controls)
    tables: list[Table] = []
    made_by = [path.parent.name for path in run.stage_markers()] if stages is None else stages
    checklist = read_checklist(run, config, trained, options, [name for name in made_by if name != run.report.name])
    asked = shown_prompts(prompts, hide_users=options.hide_users)
    shown = render(run, trained, results, options, roles, facts, read_tuning(run, stages), tables, checklist, asked)
    write_tables(run.report_tables, tables)
    write_json(run.results, results_json(trained, results, options))
    write_text(run.checklist, checklist.markdown())
    write_text(run.page, shown)


def render(
    run: RunFolder,
    trained: dict[str, Trained],
    results: Results,
    options: ReportOptions,
    roles: Roles,
    facts: Facts,
    tuning: Tuning | None = None,
    tables: list[Table] | None = None,
    checklist: Checklist | None = None,
    prompts: Sequence[AskedPrompt] = (),
) -> str:
    """The whole page as HTML; text from the data, the LLM and the config is escaped. `tables` is given all it shows."""
    headline = find_headline(trained, results, options, roles)
    judged = read_reranking(run.rerank_summary) if any(one.reranked for one in roles.plan.values()) else None
    lists = None if judged is None else reranked(judged, options.primary)
    curves = training_curves(trained, options.primary)
    head = Head(
        options.title,
        kicker=facts.dataset.get("name") or "A run",
        lead=headline.lead,
        evidence=headline.evidence,
        findings=headline.details,
        family=results.family,
        words=definitions(options.alpha, options.equivalence_margin),
        sections=[section for section in SECTIONS if lists or section[0] != RERANKED],
    )
    content = {
        "options": options,
        "facts": facts,
        "results": results_table(trained, results, options),
        "controls": controls_table(headline.controls, claim.name, options) if (claim := roles.claim()) else None,
        "variants": variants_table(roles),
        "terms": TERMS,
        "compared": tests_table(trained, results, options),
        "tests": describe_tests(results, options),
        "spread": users_table(results, options),
        "user_figures": user_figures(results, options),
        "primary_figure": primary_figure(trained, results, options),
        "reranked": lists,
        "tuning": tuning,
        "prompts": prompts,
        "checklist": checklist,
        "checklist_file": run.checklist.name,
        "spending": spending_table(
            read_spending(run, {draw.name: list(draw.metrics) for one in trained.values() for draw in one.each_draw}),
            options.co2_g_per_kwh,
        ),
        "curves": curve_figures(curves, options.primary),
        "without_curves": [
            name
            for name in trained
            if name not in {curve.name for curve in curves} and not (name in roles.plan and roles.plan[name].reranked)
        ],
        **_written(run, facts, options, roles),
    }
    return page("report.html.j2", HERE, head, content, tables=tables)


def _accuracies(
    records: Records, cards: Mapping[tuple[str, str], TaskCard], items: pa.Table
) -> Iterator[AttributeAccuracy]:
    """Of every source of attributes."""
    for (source, task), answered in records.items():
        if isinstance(cards[source, task].gives, Attributes):
            answers = {record.entity: record.fields for record in answered.values() if record.fields is not None}
            yield from attribute_accuracy(source, answers, items)


def _written(run: RunFolder, facts: Facts, options: ReportOptions, roles: Roles) -> dict[str, Any]:
    """What the sources wrote, whom the variants serve, and examples. The random ones depend on the seed alone."""
    sources = [name for name, _, _ in facts.sources]
    records, cards = read_records(run.root, sources), read_cards(run, sources)
    of = {about: {key: rows for key, rows in records.items() if cards[key].about == about} for about in ABOUT}
    items, users = read_side_table(run.items, "item"), read_side_table(run.users, "user")
    trained = read_interactions(run.interactions, users.num_rows, items.num_rows, splits=("train", "test"), times=True)
    histories, held_out = (trained.histories(split, users.num_rows) for split in ("train", "test"))
    baseline = roles.trained[options.baseline]
    judged = baseline.users[np.isfinite(baseline.per_user[options.primary])]
    groups = kinds_of_users(trained.of("train"), trained.of("test"), users.num_rows, items.num_rows, judged)
    genres, shares = genre_shares(records, histories, items, facts.dataset.get("genres") or [])
    n, rng = options.examples, np.random.default_rng(options.seed)
    spreads, speeds = read_spreads(run.root, facts.summaries), read_throughput(run.root, facts.llm_sources)
    names = UserNames(users, histories, options.hide_users)
    user = user_examples(of["user"], histories, items, users, n, rng, names)
    item = item_examples(of["item"], items, n, rng)
    failed, repaired = failures(records, rng), repairs(records, rng)
    if names.hide:
        failed, repaired = (without_users(found, of["user"], names) for found in (failed, repaired))
    return {
        "groups": groups_table(roles.trained, groups, options),
        "single_users": single_users(roles, histories, held_out, items, names, n, options.seed),
        "genre_figure": genre_figure(genres, shares) if genres else None,
        "genres": genres_table(genres, shares),
        "fields": count_values(records),
        "accuracy": accuracy_table(_accuracies(of["item"], cards, items)),
        "users": user,
        "items": item,
        "failures": failed,
        "failures_table": troubles_table("failures-table", "Failures by reason", "reason", failed),
        "repairs": repaired,
        "repairs_table": troubles_table("repairs-table", "Repairs by kind", "repair", repaired),
        "unfailing": without_failures(records),
        "spreads": spread_figures(spreads),
        "lengths": lengths_table(spreads),
        "speeds": [(speed, speed_table(speed, n)) for n, speed in enumerate(speeds)],
    }
