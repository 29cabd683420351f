"""A table as Markdown, CSV and LaTeX. Text of others is escaped for each, and what acts unseen in it is shown."""

from __future__ import annotations

import re

from augrec.artefacts.csv_cells import csv_lines
from augrec.artefacts.visible import visible
from augrec.report.render.safe_text import code, markdown_cell
from augrec.report.render.tables import Cell, Column, Row, Table
from augrec.report.render.wording import DASH

MARKS = {"better": "▲", "worse": "▼", "equivalent": "≈", "identical": "="}
"""Verdict -> the sign after the number of a row."""
_LATEX_MARKS = {
    "better": r"$^{\blacktriangle}$", "worse": r"$^{\blacktriangledown}$", "equivalent": r"$^{\approx}$",
    "identical": "$^{=}$",
}  # fmt: skip


def markdown(table: Table) -> str:
    """The table with its caption above and its notes below."""
    notes = (markdown_cell(note) for note in table.notes)
    caption = " ".join(markdown_cell(text) for text in (table.sentence, *table.alone))
    return "\n\n".join([caption, markdown_rows(table), *notes])


def markdown_rows(table: Table) -> str:
    """The table alone, in the layout that GitHub shows."""
    table = table.written
    head = [markdown_cell(_title(column)) for column in table.columns]
    rule = ["---" if column.text else "---:" for column in table.columns]
    lines = [head, rule]
    for group, rows in table.grouped():
        if group is not None:
            lines.append([f"*{markdown_cell(group)}*", *[""] * (len(head) - 1)])
        lines += [_markdown_row(row) for row, _ in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _title(column: Column) -> str:
    return f"{column.title} ({column.sub})" if column.sub else column.title


def _markdown_row(row: Row) -> list[str]:
    cells: list[str] = []
    for cell in row.cells:
        cells += [_markdown_cell(cell), *[""] * (cell.span - 1)]
    return cells


def _markdown_cell(cell: Cell) -> str:
    shown = code(visible(cell.text), in_table=True) if cell.code else markdown_cell(cell.text)
    shown = " ".join(part for part in (shown, cell.spread, MARKS.get(cell.mark, "")) if part)
    shown = f"**{shown}**" if cell.strong or cell.best else shown
    under = "; ".join(markdown_cell(line) for line in cell.under)
    return f"{shown} ({under})" if under else shown


def csv(table: Table) -> str:
    """A line for the titles and one for every row; numbers at full precision, nothing for a dash."""
    table = table.written
    titles = [_title(column) for column in table.columns]
    return csv_lines([titles, *([_raw(cell) for cell in row.cells] for row in table.rows)])


def _raw(cell: Cell) -> object:
    return cell.value if cell.value is not None else None if cell.text == DASH else cell.text


def latex(table: Table, of: str = "") -> str:
    """A `table` environment with booktabs rules, to be included as it is.

    It is made narrower where the page is, and long texts are set in lines. Notes stand in the caption, with what the
    table's own page says around it.

    Args:
        table: the table.
        of: what it is a table of, such as the run's name: it keeps the labels of several in one paper apart.
    """
    table = table.written
    told = (table.sentence, *table.alone, *table.notes)
    label = re.sub(r"[^A-Za-z0-9.+-]+", "-", f"{of}-{table.name}" if of else table.name)
    lines = [
        "% needs \\usepackage{array,booktabs,amssymb,graphicx}",
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{' '.join(latex_text(text) for text in told)}}}",
        rf"\label{{tab:{label}}}",
        rf"{_NO_WIDER}\begin{{tabular}}{{{_latex_columns(table)}}}",
        r"\toprule",
        " & ".join(latex_text(_title(column)) for column in table.columns) + r" \\",
    ]
    for group, rows in table.grouped():
        lines.append(r"\midrule")
        if group is not None:
            lines.append(rf"\multicolumn{{{len(table.columns)}}}{{l}}{{\textit{{{latex_text(group)}}}}} \\")
        lines += [" & ".join(_latex_cell(cell) for cell in row.cells) + r" \\" for row, _ in rows]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}}", r"\end{table}"]) + "\n"


_NO_WIDER = r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%" + "\n"
"""Before a box, whose brace closes after it: as wide as it is, or as the line where that is less."""
_IN_LINES = 40
"""Letters of a text from which on its column breaks into lines."""


def _latex_columns(table: Table) -> str:
    """A letter for each column; a share of the line for those of long texts."""
    texts = [[row.cells[n].text for row in table.rows if len(row.cells) > n] for n in range(len(table.columns))]
    long = [
        column.text and max(map(len, cells), default=0) > _IN_LINES
        for column, cells in zip(table.columns, texts, strict=True)
    ]
    share = rf">{{\raggedright\arraybackslash}}p{{{0.7 / max(sum(long), 1):.2f}\linewidth}}"
    kinds = ("l" if column.text else "r" for column in table.columns)
    return "".join(share if is_long else kind for is_long, kind in zip(long, kinds, strict=True))


def _latex_cell(cell: Cell) -> str:
    shown = latex_text(cell.text)
    if cell.span > 1:
        return rf"\multicolumn{{{cell.span}}}{{l}}{{{shown}}}"
    shown = rf"\textbf{{{shown}}}" if cell.strong or cell.best else shown
    spread = rf" {{\scriptsize {latex_text(cell.spread)}}}" if cell.spread else ""
    under = f" ({latex_text('; '.join(cell.under))})" if cell.under else ""
    return f"{shown}{spread}{_LATEX_MARKS.get(cell.mark, '')}{under}"


_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "▲": r"$\blacktriangle$", "▼": r"$\blacktriangledown$",
    "≈": r"$\approx$", "✗": r"$\times$", "✓": r"\checkmark{}", "×": r"$\times$", "÷": r"$\div$", "…": r"\ldots{}",
    "±": r"$\pm$", "−": "$-$", "–": "--", "|": r"\textbar{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "\u00a0": "~", "\u202f": r"\,",
}  # fmt: skip


def latex_text(text: str) -> str:
    """Text as LaTeX prints it: on one line, as an empty one would end an argument, and without what acts unseen."""
    line = " ".join(part for part in text.split(" ") if part)
    line = " ".join(line.splitlines())
    return "".join(_LATEX.get(letter, letter) for letter in visible(line))
