"""Everything an experiment shows: results.json, tables, plots, and the pages that put them together."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from augrec.artefacts.csv_cells import csv_lines
from augrec.artefacts.files import write_json, write_text
from augrec.artefacts.run_folder import RunFolder
from augrec.artefacts.visible import shown as visible_text
from augrec.report.numbers.comparison import describe_family, family_sizes
from augrec.report.pages.experiment.options import Table
from augrec.report.pages.experiment.plots import draw_bars, draw_lines
from augrec.report.pages.experiment.results import Results, results_json
from augrec.report.pages.experiment.tables import (
    TEST_COLUMNS,
    csv_text,
    grouped,
    latex,
    markdown,
    printed_metrics,
    shown,
    tests_of,
)
from augrec.report.pages.experiment.values import Block, Line, Point, comparisons_of
from augrec.report.render.safe_text import markdown_cell
from augrec.report.render.wording import number, seconds
from augrec.report.study import Study

HERE = Path(__file__).parent
STYLE = HERE.parents[1] / "render" / "report.css"


def write_pages(study: Study, tables: Mapping[str, Table]) -> None:
    """Writes `results.json`, `tables/`, `plots/`, `index.md` and `index.html` from what the trainings wrote."""
    folder = study.folder
    results = Results(study, tables)
    blocks, lines = results.blocks(), results.lines()
    for name in ("tables", "plots"):
        shutil.rmtree(folder / name, ignore_errors=True)
    write_json(folder / "results.json", results_json(study, blocks, lines))
    for block in blocks:
        for suffix, text in (("md", markdown(block)), ("csv", csv_text(block)), ("tex", latex(block))):
            write_text(folder / "tables" / f"{stem(block)}.{suffix}", text)
        if tables[block.table].plot:
            draw_bars(block, folder / "plots" / stem(block))
    sweeps = {name: [line for line in lines if line.sweep == name] for name in study.sweeps}
    for name, of_sweep in sweeps.items():
        write_text(folder / "tables" / f"{name}.csv", _sweep_csv(of_sweep))
        write_text(folder / "tables" / f"{name}.md", _sweep_markdown(of_sweep))
        draw_lines(of_sweep, folder / "plots" / name)
    write_text(folder / "index.md", _markdown(study, tables, blocks, sweeps))
    write_text(folder / "index.html", _html(study, tables, blocks, sweeps))


def stem(block: Block) -> str:
    """The name of a table's files."""
    return f"{block.table}-{block.dataset}"


def _sweep_csv(lines: list[Line]) -> str:
    head = ["dataset", "setting", lines[0].option, "metric", "mean", "std", "low", "high", "problem"]
    rows: list[list[Any]] = [head]
    for line in lines:
        for point in line.points:
            for metric, value in point.values.items():
                found = [value.mean, value.std, value.low, value.high, point.problem]
                rows.append([line.dataset, line.setting, point.value, metric, *found])
    return csv_lines(rows)


def _sweep_markdown(lines: list[Line]) -> str:
    metrics = lines[0].metrics
    rows = [
        [
            f"{line.dataset}, {line.setting}",
            markdown_cell(point.value),
            *(_shown(point, metric) for metric in metrics),
        ]
        for line in lines
        for point in line.points
    ]
    title = markdown_cell(lines[0].title)
    head = ["", title, *metrics]
    table = "\n".join(f"| {' | '.join(row)} |" for row in [head, ["---"] * len(head), *rows])
    return f"## {title}\n\n{table}\n"


def _shown(point: Point, metric: str) -> str:
    value = point.values[metric]
    return markdown_cell(point.problem or "") if value.mean is None else shown(value, metric, 0.05)


def _markdown(study: Study, tables: Mapping[str, Table], blocks: list[Block], sweeps: dict[str, list[Line]]) -> str:
    parts = [f"# {markdown_cell(study.title)}\n"]
    family = describe_family(family_sizes(comparisons_of(blocks)))
    if family:
        parts.append(f"{family}\n")
    if study.failures:
        parts.append(f"**{len(study.failures)} failures**, see [failures.json](failures.json).\n")
    for block in blocks:
        parts.append(markdown(block))
        if tables[block.table].plot:
            parts.append(f"![{markdown_cell(block.title)}](plots/{stem(block)}.svg)\n")
    for name, lines in sweeps.items():
        parts += [_sweep_markdown(lines), f"![{markdown_cell(lines[0].title)}](plots/{name}.svg)\n"]
    if study.searches:
        rows = [" | ".join(map(markdown_cell, row)) for row in _searched(study)]
        head = ["data set | setting | model | trials | failed | validation | options", " | ".join(["---"] * 7)]
        parts.append("## Search\n\n" + "\n".join(f"| {row} |" for row in [*head, *rows]) + "\n")
    parts.append("## Runs\n")
    parts.append("\n".join(f"- [{name}]({link})" for name, link, _ in _runs(study)) + "\n")
    return "\n".join(parts)


def _html(study: Study, tables: Mapping[str, Table], blocks: list[Block], sweeps: dict[str, list[Line]]) -> str:
    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
        finalize=visible_text,
    )  # fmt: skip
    return environment.get_template("experiment.html.j2").render(
        experiment=study,
        family=describe_family(family_sizes(comparisons_of(blocks))),
        style=Markup(STYLE.read_text(encoding="utf-8")),
        blocks=[(block, stem(block), grouped(block), printed_metrics(block), tests_of(block)) for block in blocks],
        sweeps=sweeps,
        plots={name: table.plot for name, table in tables.items()},
        searched=_searched(study),
        runs=_runs(study),
        failures=study.failures,
        test_columns=TEST_COLUMNS,
        shown=shown,
        number=number,
    )


def _searched(study: Study) -> list[list[Any]]:
    rows = []
    for run in study.runs:
        for result in run.searched:
            options = ", ".join(f"{name} {_short(value)}" for name, value in result.options.items())
            chosen = options or result.problem or result.note
            cells = [run.dataset, run.setting, result.model, result.trials, result.failed]
            rows.append([*cells, number(result.value), chosen])
    return rows


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _runs(study: Study) -> list[tuple[str, str, str]]:
    """(name, link, seconds taken) of every run."""
    rows = []
    for run in study.runs:
        link = f"{run.dataset}/{run.setting}"
        link += "/report/index.html" if RunFolder(run.folder).page.exists() else ""
        rows.append((f"{run.dataset}, {run.setting}", link, seconds(run.seconds)))
    return rows
