"""The page a person reads: everything of the run in one HTML file that needs no network."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from augrec.artefacts.files import read_parquet, write_json, write_text
from augrec.artefacts.visible import shown
from augrec.pipeline.controls import training_seeds
from augrec.report.numbers.results import Summaries, Summary, describe_tests, results_json, summarise
from augrec.report.numbers.runs import Trained, read_trained
from augrec.report.options import ReportOptions
from augrec.report.pages.run.examples import item_examples, user_examples
from augrec.report.pages.run.facts import Facts, read_facts
from augrec.report.pages.run.generated import count_values, genre_shares, read_records
from augrec.report.pages.run.headline import find_headline
from augrec.report.pages.run.plots import curve_figures, genre_figure, primary_figure, training_curves
from augrec.report.pages.run.roles import Roles
from augrec.report.pages.run.throughput import read_throughput
from augrec.report.pages.run.tokens import read_spreads, spread_figures
from augrec.report.pages.run.troubles import failures, repairs, without_failures
from augrec.report.render import wording

HERE = Path(__file__).parent
RENDER = HERE.parents[1] / "render"


@dataclass(frozen=True)
class Cell:
    """One number of the main table: as shown, as sorted, why it is missing, and whether it is the column's best."""

    text: str
    value: float | None
    note: str | None = None
    spread: str = ""
    best: bool = False


def write_report(run: Path, options: ReportOptions, config: dict[str, Any], *, variants: list[str]) -> None:
    """Writes `report/results.json` and `report/index.html` into a run folder, reading nothing else.

    Args:
        run: the run folder.
        options: what is compared with what.
        config: the resolved config. It is shown on the page; its `seeds`, when there, say which seeds are read (else
            every `seed-<n>` folder is), and its `variants` which variant is a control of which or has its own seeds.
        variants: the trained variants, in the order in which they are shown.

    Raises:
        UsageError: the options name a variant that is not among `variants`.
        DataError: a file of the run is missing, unfinished or does not fit the others.
    """
    trained = read_trained(run, options, variants, config.get("seeds"), _own_seeds(config))
    summaries = summarise(trained, options)
    page = render(run, trained, summaries, options, config)
    write_json(run / "report" / "results.json", results_json(trained, summaries, options))
    write_text(run / "report" / "index.html", page)


def _own_seeds(config: dict[str, Any]) -> dict[str, list[int]]:
    variants = config.get("variants") or {}
    return {
        name: training_seeds(entry, config.get("seeds") or entry["seeds"])
        for name, entry in variants.items()
        if entry.get("seeds")
    }


def render(
    run: Path, trained: dict[str, Trained], summaries: Summaries, options: ReportOptions, config: dict[str, Any]
) -> str:
    """The whole page as HTML; text from the data, the LLM and the config is escaped."""
    facts = read_facts(run, trained, config)
    roles = Roles(trained, options, config.get("variants") or {}, facts.llm_sources)
    curves = training_curves(trained, options.primary)
    context = {
        "options": options,
        "facts": facts,
        "headline": find_headline(trained, summaries, options, roles),
        "columns": [options.primary, *options.secondary],
        "rows": [(name, _cells(name, summaries, options)) for name in trained],
        "reasons": _reasons(trained, summaries, options),
        "tests": describe_tests(trained, options),
        "primary_figure": primary_figure(trained, summaries, options),
        "curves": curve_figures(curves, options.primary),
        "without_curves": [name for name in trained if name not in {curve.name for curve in curves}],
        **_written(run, facts, options),
    }
    environment = Environment(
        loader=FileSystemLoader([HERE, RENDER]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=shown,
    )
    environment.globals["w"] = wording
    script = (RENDER / "report.js").read_text(encoding="utf-8")
    return environment.get_template("report.html.j2").render(
        context,
        style=Markup((RENDER / "report.css").read_text(encoding="utf-8")),
        script=Markup(script),
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )


def _written(run: Path, facts: Facts, options: ReportOptions) -> dict[str, Any]:
    """What the sources wrote: distributions and examples. The examples depend on the seed alone."""
    records = read_records(run, [name for name, _, _ in facts.sources])
    interactions = read_parquet(run / "dataset" / "interactions.parquet")
    items = read_parquet(run / "dataset" / "items.parquet")
    users = read_parquet(run / "dataset" / "users.parquet")
    genres, shares = genre_shares(records, interactions, items, facts.dataset.get("genres") or [])
    n, rng = options.examples, np.random.default_rng(options.seed)
    return {
        "genre_figure": genre_figure(genres, shares) if genres else None,
        "genre_rows": [(genre, [source[i] for source in shares.values()]) for i, genre in enumerate(genres)],
        "genre_sources": list(shares),
        "fields": count_values(records),
        "users": user_examples(records, interactions, items, users, n, rng),
        "items": item_examples(records, items, n, rng),
        "failures": failures(records, rng),
        "repairs": repairs(records, rng),
        "unfailing": without_failures(records),
        "spreads": spread_figures(read_spreads(run, facts.summaries)),
        "speeds": read_throughput(run, facts.llm_sources),
    }


def _cells(name: str, summaries: Summaries, options: ReportOptions) -> list[Cell]:
    cells = [_metric_cell(summaries[name, metric], summaries) for metric in (options.primary, *options.secondary)]
    versus = summaries[name, options.primary].versus
    if name == options.baseline:
        return [*cells, *(Cell(wording.DASH, None, "the baseline") for _ in range(6))]
    return [
        *cells,
        Cell(wording.signed(versus.difference), versus.difference),
        Cell(wording.interval(versus.ci_low, versus.ci_high), versus.ci_low),
        Cell(wording.p_value(versus.p_users), versus.p_users, versus.users_reason),
        Cell(wording.p_value(versus.p_users_holm), versus.p_users_holm, versus.users_reason),
        Cell(wording.p_value(versus.p_users_randomisation), versus.p_users_randomisation, versus.users_reason),
        Cell(wording.p_value(versus.p_seeds), versus.p_seeds, versus.seeds_reason),
    ]


def _metric_cell(summary: Summary, summaries: Summaries) -> Cell:
    column = [s.mean for (_, metric), s in summaries.items() if metric == summary.metric and s.mean is not None]
    spread = f"± {wording.number(summary.std)}" if summary.std is not None else ""
    best = summary.mean is not None and len(column) > 1 and summary.mean == max(column)
    return Cell(wording.number(summary.mean), summary.mean, spread=spread, best=best)


def _reasons(trained: dict[str, Trained], summaries: Summaries, options: ReportOptions) -> list[tuple[str, str]]:
    """(variant, why it has no p-value) for the note under the table."""
    notes = []
    for name in trained:
        versus = summaries[name, options.primary].versus
        if name != options.baseline and versus.p_users is None:
            notes.append((name, f"over users: {versus.users_reason}"))
        if name != options.baseline and versus.p_seeds is None:
            notes.append((name, f"over seeds: {versus.seeds_reason}"))
    return notes
