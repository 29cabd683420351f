"""Everything an experiment shows: results.json, tables, plots, and the pages that put them together."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from augrec.artefacts.files import write_json, write_text
from augrec.artefacts.run_folder import RunFolder
from augrec.artefacts.study_folder import ExperimentFolder
from augrec.report.numbers.comparison import describe_family, family_sizes
from augrec.report.numbers.verdicts import definitions
from augrec.report.pages.across import NOTE, across_table
from augrec.report.pages.experiment.across import across
from augrec.report.pages.experiment.decided import findings, lead
from augrec.report.pages.experiment.options import TableOptions
from augrec.report.pages.experiment.plots import bars_on_page, draw_bars, draw_lines, lines_on_page
from augrec.report.pages.experiment.results import ExperimentResults, results_json
from augrec.report.pages.experiment.tables import (
    block_markdown,
    means_table,
    search_table,
    stem,
    sweep_markdown,
    sweep_table,
    sweep_values,
    tests_table,
    trials_table,
    users_table,
    values_table,
)
from augrec.report.pages.experiment.times import times_table
from augrec.report.pages.experiment.values import SweepLine, TableValues, comparisons_of
from augrec.report.render.html import Head, add_tables, page
from augrec.report.render.safe_text import markdown_cell
from augrec.report.render.tables import Table
from augrec.report.render.text_tables import csv, latex, markdown, markdown_rows
from augrec.report.render.wording import counted, seconds
from augrec.report.study import Study

HERE = Path(__file__).parent
Sweeps = Mapping[str, Sequence[SweepLine]]
"""Sweep -> its lines, one for each run."""


@dataclass(frozen=True)
class _Content:
    """What the pages of an experiment show.

    Attributes:
        study: the runs.
        tables: the options of each table, by name.
        blocks: each table on each data set.
        sweeps: the lines of each sweep.
        together: of each table that several data sets have, the one over these.
    """

    study: Study
    tables: Mapping[str, TableOptions]
    blocks: Sequence[TableValues]
    sweeps: Sweeps
    together: Sequence[Table]


def write_pages(study: Study, tables: Mapping[str, TableOptions]) -> None:
    """Writes the results, tables, plots and pages of an experiment from what the trainings wrote."""
    files = ExperimentFolder(study.folder)
    results = ExperimentResults(study, tables)
    blocks, lines = results.blocks(), results.lines()
    for folder in (files.tables, files.plots):
        shutil.rmtree(folder, ignore_errors=True)
    sweeps = {name: [line for line in lines if line.sweep == name] for name in study.sweeps}
    content = _Content(study, tables, blocks, sweeps, across_tables(study, tables, blocks))
    write_json(files.results, results_json(study, blocks, lines))
    _write_tables(content, files)
    write_text(files.markdown, _markdown(content))
    shown: list[Table] = []
    text = _html(content, shown)
    add_tables(files.tables, shown)
    write_text(files.page, text)


def _write_tables(content: _Content, files: ExperimentFolder) -> None:
    """Every table as Markdown, CSV and LaTeX, and every plot as SVG and PNG."""
    for found in content.together:
        for suffix, text in {"md": markdown(found), "csv": csv(found), "tex": latex(found)}.items():
            write_text(files.tables / f"{found.name}.{suffix}", f"{text}\n" if suffix == "md" else text)
    for block in content.blocks:
        texts = {"md": block_markdown(block), "csv": csv(values_table(block)), "tex": latex(means_table(block))}
        for suffix, text in texts.items():
            write_text(files.tables / f"{stem(block)}.{suffix}", text)
        if (tests := tests_table(block)) is not None:
            write_text(files.tables / f"{tests.name}.tex", latex(tests))
        if (times := times_table(stem(block), block.title, block.times)) is not None:
            write_text(files.tables / f"{times.name}.csv", csv(times))
        if content.tables[block.table].plot:
            draw_bars(block, files.plots / stem(block))
    if (trials := trials_table(content.study)) is not None:
        write_text(files.trials_csv, csv(trials))
    for name, of_sweep in content.sweeps.items():
        write_text(files.tables / f"{name}.csv", csv(sweep_values(name, of_sweep)))
        write_text(files.tables / f"{name}.md", sweep_markdown(name, of_sweep))
        draw_lines(of_sweep, files.plots / name)


def across_tables(study: Study, tables: Mapping[str, TableOptions], blocks: Sequence[TableValues]) -> list[Table]:
    """Of each table that several data sets have: their effects and the random-effects mean."""
    rows = across(blocks)
    titles = {name: dataset.title for name, dataset in study.datasets.items()}
    made = [
        across_table(name, options.title, [row for row in rows if row.table == name], titles, options.alpha)
        for name, options in tables.items()
    ]
    return [found for found in made if found is not None]


def _family(blocks: Sequence[TableValues]) -> str:
    """What the p-values of the page are corrected over."""
    return describe_family(family_sizes(comparisons_of(blocks)))


def _words(blocks: Sequence[TableValues]) -> Sequence[tuple[str, str]]:
    """What the verdicts mean, where a table has any and all have one level and margin; else each table says its own."""
    rules = {(block.alpha, block.margin) for block in blocks if tests_table(block) is not None}
    return definitions(*next(iter(rules))) if len(rules) == 1 else ()


def _markdown(content: _Content) -> str:
    study, blocks = content.study, content.blocks
    parts = [f"# {markdown_cell(study.title)}\n"]
    if decided := lead(blocks):
        parts.append(f"**{markdown_cell(decided)}**\n")
    if further := findings(blocks):
        parts.append("\n".join(f"- {markdown_cell(sentence)}" for sentence in further) + "\n")
    if family := _family(blocks):
        parts.append(f"{family}\n")
    if words := _words(blocks):
        parts.append("\n".join(f"- {name}: {markdown_cell(meaning)}" for name, meaning in words) + "\n")
    if study.failures:
        parts.append(f"**{counted(len(study.failures), 'failure')}**, see [failures.json](failures.json).\n")
    for block in blocks:
        parts.append(block_markdown(block))
        if content.tables[block.table].plot:
            parts.append(f"![{markdown_cell(block.title)}](plots/{stem(block)}.svg)\n")
    parts += [f"## {markdown_cell(found.caption)}\n\n{markdown_rows(found)}\n\n{NOTE}\n" for found in content.together]
    for name, lines in content.sweeps.items():
        parts += [sweep_markdown(name, lines), f"![{markdown_cell(lines[0].title)}](plots/{name}.svg)\n"]
    if (searched := search_table(study)) is not None:
        parts.append(f"## Search\n\n{markdown_rows(searched)}\n\n[Every trial](tables/trials.csv)\n")
    parts.append("## Runs\n")
    parts.append("\n".join(f"- [{name}]({link})" for name, link, _ in _runs(study)) + "\n")
    return "\n".join(parts)


def _html(content: _Content, shown: list[Table]) -> str:
    """The page; `shown` is given every table of it."""
    study, blocks = content.study, content.blocks
    searched, failed = search_table(study), ""
    if study.failures:
        failed = f"{counted(len(study.failures), 'failure')}; the rows concerned say why."
    sections = [(stem(block), block.title) for block in blocks]
    sections += [(f"{found.name}-section", found.caption) for found in content.together]
    sections += [(name, lines[0].title) for name, lines in content.sweeps.items()]
    sections += [*([("search", "Search")] if searched else []), ("runs", "Runs")]
    head = Head(
        study.title,
        kicker="Experiment",
        lead=" ".join(filter(None, (failed, lead(blocks)))),
        findings=findings(blocks),
        family=_family(blocks),
        words=_words(blocks),
        sections=sections,
    )
    values = {
        "blocks": [
            (
                block,
                stem(block),
                replace(means_table(block), name=f"{stem(block)}-means", caption="By variant"),
                tests_table(block),
                users_table(block),
                bars_on_page(block, stem(block)) if content.tables[block.table].plot else None,
                times_table(stem(block), block.title, block.times),
            )
            for block in blocks
        ],
        "together": content.together,
        "sweeps": {
            name: (
                lines[0].title,
                lines_on_page(lines, f"sweep-{name}"),
                replace(sweep_table(name, lines), name=f"{name}-table", caption="By value"),
            )
            for name, lines in content.sweeps.items()
        },
        "searched": searched,
        "runs": _runs(study),
        "failures": study.failures,
    }
    return page("experiment.html.j2", HERE, head, values, styles=[HERE / "experiment.css"], tables=shown)


def _runs(study: Study) -> list[tuple[str, str, str]]:
    """(name, link, seconds taken) of every run."""
    rows = []
    for run in study.runs:
        link = ExperimentFolder(Path()).run(run.dataset, run.setting)
        link = RunFolder(link).page if RunFolder(run.folder).page.exists() else link
        rows.append((f"{run.dataset}, {run.setting}", link.as_posix(), seconds(run.seconds)))
    return rows
