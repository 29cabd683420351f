"""The page of a comparison: everything of `compare.json` in one HTML file that needs no network and no script."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import yaml

from augrec.artefacts.files import write_text
from augrec.report.measures.examples import UserExample
from augrec.report.measures.intrinsic import FieldValues
from augrec.report.numbers.verdicts import definitions
from augrec.report.pages.alignment import alignment_table
from augrec.report.pages.comparison.cost_tables import cost_table, per_cost_table
from augrec.report.pages.comparison.facts import (
    count_facts,
    data_facts,
    protocol_facts,
    run_facts,
    stage_facts,
    versions_facts,
)
from augrec.report.pages.comparison.legend import arm_looks, legend_of, source_looks
from augrec.report.pages.comparison.model_curves import budget_figures, budgets_table, models_table, size_figures
from augrec.report.pages.comparison.plots import forest, tuning_figures, user_figures
from augrec.report.pages.comparison.result_tables import (
    against_table,
    arms_table,
    recommenders_table,
    results_table,
    tuning_table,
    users_table,
)
from augrec.report.pages.comparison.results import ComparisonResults
from augrec.report.pages.comparison.text_plots import consistency_figure, leak_figure, length_figures, position_figures
from augrec.report.pages.comparison.text_tables import (
    agreement_matrices,
    agreement_table,
    consistency_table,
    coverage_table,
    intrinsic_table,
    leak_table,
    memorisation_table,
    position_table,
    task_name,
)
from augrec.report.pages.edges import edges_table
from augrec.report.pages.reranked import reranked
from augrec.report.pages.spending import spending_table
from augrec.report.render.html import Head, page, write_tables
from augrec.report.render.legend import Look
from augrec.report.render.safe_text import beginning
from augrec.report.render.tables import Table

HERE = Path(__file__).parent


def write_page(results: ComparisonResults, path: Path, tables: Path | None = None) -> None:
    """Writes the page.

    Args:
        results: what `compare.json` holds.
        path: the HTML file to write.
        tables: the folder `tables` beside it, for each of its tables as CSV, Markdown and LaTeX; None: without them.
    """
    shown: list[Table] | None = None if tables is None else []
    text = render(results, shown)
    if tables is not None:
        write_tables(tables, shown or (), results.name)
    write_text(path, text)


def render(results: ComparisonResults, tables: list[Table] | None = None) -> str:
    """The whole page as HTML; all text is escaped, and none acts unseen. `tables` is given all it shows and links."""
    results = results.shown()
    left_out = {name for name, there in ((MODELS, results.local_models), (RERANKED, results.reranking)) if not there}
    head = Head(
        results.title or results.name,
        kicker=results.data.name or "A comparison",
        lead=results.headline.lead or "Nothing was found.",
        evidence=results.headline.evidence,
        findings=results.headline.details,
        family=results.family,
        words=definitions(results.alpha, results.equivalence_margin),
        sections=[section for section in SECTIONS if section[0] not in left_out],
    )
    shown = {
        "c": results,
        **_results(results),
        **_texts(results),
        **{facts.__name__: facts(results) for facts in _FACTS},
        "models": models_table(results),
        "sizes": size_figures(results),
        "budgets": budgets_table(results),
        "budget_figures": budget_figures(results),
        "reranked": None if results.reranking is None else reranked(results.reranking, results.primary),
        "spending": spending_table(results.spending, results.co2_g_per_kwh),
        "cost": cost_table(results),
        "per_cost": per_cost_table(results),
        "examples": _examples(results),
        "config": _config_text(results),
    }
    styles, scripts = [HERE / "compare.css"], [HERE / "compare.js"]
    return page("compare.html.j2", HERE, head, shown, styles=styles, scripts=scripts, tables=tables)


MODELS = "models"
RERANKED = "reranked"
SECTIONS = (
    ("results", "Results"),
    (MODELS, "Local models"),
    ("compared", "What was compared"),
    ("tuning", "Tuning"),
    (RERANKED, "Re-ranking"),
    ("texts", "The texts"),
    ("alignment", "Texts and ids"),
    ("leak", "Leak and memory"),
    ("cost", "Cost"),
    ("examples", "Examples"),
    ("provenance", "Provenance"),
)
_FACTS = (data_facts, count_facts, protocol_facts, versions_facts, stage_facts, run_facts)


def _results(results: ComparisonResults) -> dict[str, object]:
    groups = [
        (group, forest(results, group, n), results_table(results, group, n), against_table(results, group, n))
        for n, group in enumerate(results.groups)
    ]
    return {
        "titles": results.arm_titles,
        "legend": legend_of(results),
        "groups": [parts for parts in groups if parts[2] is not None],
        "users": users_table(results, results.groups[0], 0) if results.groups else None,
        "user_figures": user_figures(results, results.groups[0].name) if results.groups else [],
        "arms": arms_table(results),
        "recommenders": recommenders_table(results),
        "tuning": tuning_figures(results),
        "tuned": tuning_table(results),
    }


def _texts(results: ComparisonResults) -> dict[str, object]:
    return {
        "intrinsic": intrinsic_table(results),
        "lengths": length_figures(results),
        "matrices": agreement_matrices(results),
        "agreement": agreement_table(results),
        "consistency": consistency_table(results),
        "consistency_figure": consistency_figure(results),
        "position": position_table(results),
        "positions": position_figures(results),
        "values": _values(results),
        "edges": edges_table(results.edge_worth),
        "alignment": alignment_table(results.alignment),
        "leak": leak_table(results),
        "leak_figure": leak_figure(results),
        "memorisation": memorisation_table(results),
        "coverage": coverage_table(results),
        "source_looks": source_looks(results),
    }


def _values(results: ComparisonResults) -> list[tuple[str, list[tuple[str, FieldValues]]]]:
    """(task and field, [(source, distinct and top)]) of the closed fields."""
    by_field: dict[str, list[tuple[str, FieldValues]]] = {}
    for texts in results.intrinsic:
        for field, values in texts.values.items():
            name = f"{task_name(texts.task)}: {field.replace('_', ' ')}"
            by_field.setdefault(name, []).append((texts.source, values))
    return list(by_field.items())


@dataclass(frozen=True)
class ShownText:
    """What one arm says of a user: the beginning and how many characters follow, or why there is nothing."""

    title: str
    look: Look | None
    text: tuple[str, int] | None
    failed: str | None


def _examples(results: ComparisonResults) -> list[tuple[UserExample, list[ShownText]]]:
    titles, looks = results.arm_titles, arm_looks(results)
    return [
        (
            example,
            [
                ShownText(
                    titles.get(text.arm, text.arm),
                    looks.get(text.arm),
                    beginning(text.text) if text.text else None,
                    text.failed,
                )
                for text in example.texts
            ],
        )
        for example in results.examples
    ]


def _config_text(results: ComparisonResults) -> str | None:
    config = results.provenance.config
    return yaml.safe_dump(config, sort_keys=False, allow_unicode=True, width=100) if config else None
