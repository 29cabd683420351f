"""A table as Markdown, CSV and LaTeX. Text of others is escaped for each, and what acts unseen in it is shown."""

from __future__ import annotations

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
    return "\n\n".join([markdown_cell(table.sentence), markdown_rows(table), *notes])


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


def latex(table: Table) -> str:
    """A `table` environment with booktabs rules, to be included as it is; the notes stand in the caption."""
    table = table.written
    lines = [
        "% needs \\usepackage{booktabs,amssymb}",
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{' '.join(latex_text(text) for text in (table.sentence, *table.notes))}}}",
        rf"\label{{tab:{table.name}}}",
        rf"\begin{{tabular}}{{{''.join('l' if column.text else 'r' for column in table.columns)}}}",
        r"\toprule",
        " & ".join(latex_text(_title(column)) for column in table.columns) + r" \\",
    ]
    for group, rows in table.grouped():
        lines.append(r"\midrule")
        if group is not None:
            lines.append(rf"\multicolumn{{{len(table.columns)}}}{{l}}{{\textit{{{latex_text(group)}}}}} \\")
        lines += [" & ".join(_latex_cell(cell) for cell in row.cells) + r" \\" for row, _ in rows]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", r"\end{table}"]) + "\n"


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
    "≈": r"$\approx$",
    "±": r"$\pm$", "−": "$-$", "–": "--", "|": r"\textbar{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "\u00a0": "~", "\u202f": r"\,",
}  # fmt: skip


def latex_text(text: str) -> str:
    """Text as LaTeX prints it: on one line, as an empty one would end an argument, and without what acts unseen."""
    line = " ".join(part for part in text.split(" ") if part)
    line = " ".join(line.splitlines())
    return "".join(_LATEX.get(letter, letter) for letter in visible(line))
