"""A table as Markdown, CSV and LaTeX."""

from __future__ import annotations

from augrec.artefacts.csv_cells import csv_lines
from augrec.artefacts.visible import visible
from augrec.report.pages.experiment.values import Block, Row, Value, mark_of
from augrec.report.render.safe_text import markdown_cell
from augrec.report.render.wording import interval, number, p_value, signed

MARK = {1: " ▲", -1: " ▼", 0: ""}
LATEX_MARK = {1: r"$^{\blacktriangle}$", -1: r"$^{\blacktriangledown}$", 0: ""}
CSV_COLUMNS = (
    "table", "dataset", "setting", "variant", "label", "group", "model", "family", "metric", "mean", "std", "n_seeds",
    "low", "high", "best", "paper", "against", "difference", "ci_low", "ci_high", "n_users", "p_users", "p_users_holm",
    "p_users_randomisation", "p_users_randomisation_holm", "p_seeds", "p_seeds_holm", "problem",
)  # fmt: skip


def grouped(block: Block) -> list[tuple[str | None, list[Row]]]:
    """The rows by group, in order; one group without a name where the table asks for none."""
    if not block.groups:
        return [(None, list(block.rows))]
    names = list(dict.fromkeys(row.group for row in block.rows))
    return [(name, [row for row in block.rows if row.group == name]) for name in names]


def markdown(block: Block) -> str:
    """The table, its tests and its notes."""
    head = ["", *block.metrics, *(f"paper: {m}" for m in printed_metrics(block))]
    lines = [f"## {markdown_cell(block.title)}", "", _pipes(head), _pipes(["---", *["---:"] * (len(head) - 1)])]
    for group, rows in grouped(block):
        if group is not None:
            lines.append(_pipes([f"*{markdown_cell(group)}*", *[""] * (len(head) - 1)]))
        lines += [_pipes([markdown_cell(row.label), *_cells(block, row)]) for row in rows]
    lines += ["", block.tests, ""]
    if block.paper:
        lines += [f"Paper: {block.paper}.", ""]
    lines += [f"- {markdown_cell(row.label)}: {markdown_cell(row.problem)}" for row in block.rows if row.problem]
    tests = tests_of(block)
    if tests:
        head = ["", *TEST_COLUMNS]
        lines += ["", "<details><summary>Tests</summary>", "", _pipes(head), _pipes(["---"] * len(head))]
        lines += [_pipes([markdown_cell(cell) for cell in row]) for row in tests]
        lines += ["", "</details>"]
    return "\n".join(lines) + "\n"


TEST_COLUMNS = (
    "against",
    "metric",
    "difference",
    "interval",
    "p users",
    "Holm",
    "p sign flips",
    "Holm",
    "p seeds",
    "Holm",
)


def tests_of(block: Block) -> list[list[str]]:
    """One line per row and metric that was compared: label, then the columns of `TEST_COLUMNS`."""
    return [
        [
            row.label,
            row.against or "",
            metric,
            signed(versus.difference),
            interval(versus.ci_low, versus.ci_high),
            p_value(versus.p_users),
            p_value(versus.p_users_holm),
            p_value(versus.p_users_randomisation),
            p_value(versus.p_users_randomisation_holm),
            p_value(versus.p_seeds),
            p_value(versus.p_seeds_holm),
        ]
        for row in block.rows
        for metric, value in row.values.items()
        if (versus := value.versus) is not None
    ]


def printed_metrics(block: Block) -> list[str]:
    """The metrics for which the paper prints a figure of at least one row."""
    return [m for m in block.metrics if any(row.values[m].paper is not None for row in block.rows)]


def shown(value: Value, metric: str, alpha: float) -> str:
    """0.1234 ± 0.0012 and the mark of its comparison."""
    spread = "" if value.std is None else f" ± {number(value.std)}"
    return f"{number(value.mean)}{spread}{MARK[mark_of(value, metric, alpha)]}"


def _cells(block: Block, row: Row) -> list[str]:
    if not row.seeds:
        ours = [markdown_cell(row.problem or "failed"), *[""] * (len(block.metrics) - 1)]
    else:
        texts = [(row.values[m], shown(row.values[m], m, block.alpha)) for m in block.metrics]
        ours = [f"**{text}**" if value.best else text for value, text in texts]
    return [*ours, *(number(row.values[m].paper) for m in printed_metrics(block))]


def csv_text(block: Block) -> str:
    """One line per row and metric, at full precision."""
    rows: list[list[object]] = [list(CSV_COLUMNS)]
    for row in block.rows:
        for metric, value in row.values.items():
            versus = value.versus
            line: dict[str, object] = {
                "table": block.table,
                "metric": metric,
                "n_seeds": len(row.seeds),
            }
            line |= {name: getattr(row, name) for name in CSV_COLUMNS if name in Row.__dataclass_fields__}
            line |= {name: getattr(value, name) for name in CSV_COLUMNS if name in Value.__dataclass_fields__}
            if versus is not None:
                of_test = versus.__dataclass_fields__.keys() - line.keys()
                line |= {name: getattr(versus, name) for name in CSV_COLUMNS if name in of_test}
            rows.append([line.get(name) for name in CSV_COLUMNS])
    return csv_lines(rows)


def latex(block: Block) -> str:
    """A `table` environment with booktabs rules, to be included as it is."""
    printed = printed_metrics(block)
    columns = len(block.metrics) + len(printed)
    heads = [_latex(m) for m in block.metrics] + [f"{_latex(m)} (paper)" for m in printed]
    lines = [
        "% needs \\usepackage{booktabs,amssymb}",
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{_latex(block.title)}. {_latex(block.tests)}}}",
        rf"\label{{tab:{block.table}-{block.dataset}}}",
        rf"\begin{{tabular}}{{l{'r' * columns}}}",
        r"\toprule",
        " & ".join(["", *heads]) + r" \\",
    ]
    for group, rows in grouped(block):
        lines.append(r"\midrule")
        if group is not None:
            lines.append(rf"\multicolumn{{{columns + 1}}}{{l}}{{\textit{{{_latex(group)}}}}} \\")
        lines += [" & ".join([_latex(row.label), *_latex_cells(block, row, printed)]) + r" \\" for row in rows]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", r"\end{table}"]) + "\n"


def _latex_cells(block: Block, row: Row, printed: list[str]) -> list[str]:
    paper = [_latex_number(row.values[m].paper) for m in printed]
    if not row.seeds:
        return [rf"\multicolumn{{{len(block.metrics)}}}{{l}}{{{_latex(row.problem or 'failed')}}}", *paper]
    cells = []
    for metric in block.metrics:
        value = row.values[metric]
        spread = "" if value.std is None else rf" {{\scriptsize $\pm$ {_latex_number(value.std)}}}"
        mean = _latex_number(value.mean)
        mean = rf"\textbf{{{mean}}}" if value.best else mean
        cells.append(f"{mean}{spread}{LATEX_MARK[mark_of(value, metric, block.alpha)]}")
    return [*cells, *paper]


def _latex_number(value: float | None) -> str:
    return number(value).replace("−", "$-$").replace("–", "--")


_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "▲": r"$\blacktriangle$", "▼": r"$\blacktriangledown$",
    "±": r"$\pm$", "|": r"\textbar{}", "<": r"\textless{}", ">": r"\textgreater{}",
}  # fmt: skip


def _latex(text: str) -> str:
    """Text as LaTeX prints it: on one line, as an empty one would end an argument, and without what acts unseen."""
    return "".join(_LATEX.get(letter, letter) for letter in visible(" ".join(text.split())))


def _pipes(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"
