"""The comparison as `compare.md`, in the layout that GitHub shows: the page's tables, and the texts side by side."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from augrec.artefacts.files import write_text
from augrec.report.measures.downstream import GroupSize
from augrec.report.measures.examples import ExampleText
from augrec.report.numbers.verdicts import definitions
from augrec.report.pages.alignment import alignment_table
from augrec.report.pages.comparison.cost_tables import cost_table, per_cost_table
from augrec.report.pages.comparison.facts import count_facts, data_facts, protocol_facts, run_facts
from augrec.report.pages.comparison.model_curves import budgets_table, models_table
from augrec.report.pages.comparison.result_tables import (
    against_table,
    arms_table,
    recommenders_table,
    results_table,
    tuning_table,
    users_table,
)
from augrec.report.pages.comparison.results import ComparisonResults
from augrec.report.pages.comparison.text_tables import (
    agreement_table,
    consistency_table,
    coverage_table,
    intrinsic_table,
    leak_table,
    memorisation_table,
    position_table,
)
from augrec.report.pages.edges import edges_table
from augrec.report.pages.reranked import reranked
from augrec.report.pages.spending import spending_table
from augrec.report.render.safe_text import beginning, code, one_line, plain
from augrec.report.render.tables import Table
from augrec.report.render.text_tables import markdown
from augrec.report.render.wording import DASH, counted

TEXT_IN_MARKDOWN = 600


def write_markdown(results: ComparisonResults, path: Path) -> None:
    """Writes the Markdown.

    Args:
        results: what `compare.json` holds.
        path: the file to write.
    """
    write_text(path, "\n\n".join(_parts(results.shown())) + "\n")


def _parts(results: ComparisonResults) -> Iterator[str]:
    headline = results.headline
    yield f"# {plain(results.title or results.name)}"
    yield f"**{plain(headline.lead or 'Nothing was found.')}**"
    if headline.evidence:
        yield plain(headline.evidence)
    yield from _list(plain(sentence) for sentence in headline.details)
    if results.family:
        yield plain(results.family)
    words = definitions(results.alpha, results.equivalence_margin)
    yield from _list(f"{name}: {plain(meaning)}" for name, meaning in words)
    yield "## Results"
    for n, group in enumerate(results.groups):
        yield from _group(results, group, n)
    if results.groups and (users := users_table(results, results.groups[0], 0)) is not None:
        yield from _section("How users differ", [users])
    if results.local_models:
        yield from _section("The local models", [models_table(results), budgets_table(results)])
    yield from _section("What was compared", [arms_table(results), recommenders_table(results)])
    facts = (*data_facts(results), *count_facts(results), *protocol_facts(results))
    yield from _list(f"{plain(name)}: {plain(value)}" for name, value in facts)
    yield from _section("Tuning", [tuning_table(results)])
    if results.reranking is not None:
        lists = reranked(results.reranking, results.primary)
        yield from _section("Re-ranking", [lists.rows, lists.grid, lists.answers])
        yield plain(lists.sentence)
    texts = [intrinsic_table(results), agreement_table(results), consistency_table(results), position_table(results)]
    texts.append(edges_table(results.edge_worth))
    yield from _section("The texts", texts)
    yield from _section("Texts and ids", [alignment_table(results.alignment)])
    yield from _list(f"{plain(probe.of)}: {probe.verdict}: {plain(probe.why)}" for probe in results.alignment)
    yield from _section("Leak and memory", [leak_table(results), memorisation_table(results), coverage_table(results)])
    verdicts = [(check.source, check.verdict) for check in results.leak]
    verdicts += [(probe.named, probe.verdict) for probe in results.memorisation]
    yield from _list(f"{plain(source)}: {plain(verdict)}" for source, verdict in verdicts)
    spent = spending_table(results.spending, results.co2_g_per_kwh)
    yield from _section("Cost", [cost_table(results), per_cost_table(results), spent])
    yield from _examples(results)
    yield from _provenance(results)


def _list(items: Iterable[str]) -> Iterator[str]:
    lines = "\n".join(f"- {item}" for item in items)
    if lines:
        yield lines


def _section(title: str, tables: Sequence[Table | None]) -> Iterator[str]:
    yield f"## {title}"
    filled = [table for table in tables if table is not None]
    yield from (markdown(table) for table in filled)
    if not filled:
        yield f"{DASH} not recorded"


def _group(results: ComparisonResults, group: GroupSize, number: int) -> Iterator[str]:
    tables = [results_table(results, group, number), against_table(results, group, number)]
    filled = [table for table in tables if table is not None]
    if not filled:
        return
    yield f"### {plain(group.title or group.name)}, {counted(group.users, 'user')}"
    if group.rule:
        yield plain(group.rule)
    yield from (markdown(table) for table in filled)


def _examples(results: ComparisonResults) -> Iterator[str]:
    titles = results.arm_titles
    if results.examples:
        yield "## The same users, told by each arm"
    for example in results.examples:
        yield f"### User {code(example.user)}"
        yield from _list(code(title) for title in example.history)
        rows = [f"| {plain(titles.get(text.arm, text.arm))} | {_text(text)} |" for text in example.texts]
        if rows:
            yield "\n".join(["| arm | text |", "| --- | --- |", *rows])


def _text(text: ExampleText) -> str:
    failed = f"failed: {code(text.failed, in_table=True)}" if text.failed else ""
    if not text.text:
        return failed or f"{DASH} no text for this user"
    shown, left = beginning(one_line(text.text), TEXT_IN_MARKDOWN)
    more = f"({counted(left, 'more character')})" if left else ""
    return " ".join(part for part in (code(shown, in_table=True), more, failed) if part)


def _provenance(results: ComparisonResults) -> Iterator[str]:
    yield "## Provenance"
    yield from _list(f"{plain(name)}: {plain(value)}" for name, value in run_facts(results))
    rows = [
        f"| {plain(source)} | {plain(task)} | {code(sha, in_table=True)} |"
        for source, tasks in results.provenance.records.items()
        for task, sha in tasks.items()
    ]
    if rows:
        yield "\n".join(["| source | task | sha256 of the records |", "| --- | --- | --- |", *rows])
