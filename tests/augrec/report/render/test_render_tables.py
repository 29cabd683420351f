"""One table in four notations: groups, marks, spans and text that would act."""

from __future__ import annotations

import csv as csv_reader
import io
from dataclasses import replace

from augrec.report.render.html import show
from augrec.report.render.tables import Cell, Row, Table, measure, numbers, p_cell, plain_value, table, word, words
from augrec.report.render.text_tables import csv, latex, latex_text, markdown, markdown_rows
from tests.kit.html_pages import PageReader

COLUMNS = (*words("variant"), *numbers("recall@20", "rmse|test", "p users|Holm"))
HOSTILE = "a|b <img src=x> \x1b[2J $x$"


def results() -> Table:
    made = table(
        "results",
        "Results & more",
        COLUMNS,
        [
            Row((word("base"), measure(0.25, 0.01), measure(0.9, best=True), p_cell(None, note="one user")), "plain",
                baseline=True),
            Row((word(HOSTILE), measure(0.5, 0.02, best=True, mark="better"), measure(1.1, mark="worse"),
                 p_cell(0.0004)), "text"),
            Row((word("lost"), Cell("failed: no memory", span=3)), "plain"),
        ],
        ["A note."],
    )  # fmt: skip
    assert made is not None
    return made


def test_html_keeps_groups_together_and_escapes() -> None:
    shown = str(show(results()))
    page = PageReader(shown)
    assert [text for text in page.texts if text in ("plain", "base", "lost", "text")] == [
        "plain",
        "base",
        "lost",
        "text",
    ]
    assert "<img" not in shown
    assert "⟨U+001B⟩" in shown
    assert '<td class="text" colspan="3"' in shown
    assert 'title="one user"' in shown
    assert '<tr class="baseline">' in shown
    assert "sortable" not in shown, "rows in groups stay in theirs"
    assert shown.count('aria-label="best"') == 2
    assert show(None) == ""


def test_markdown_has_a_line_for_every_row_and_group() -> None:
    lines = markdown_rows(results()).splitlines()
    assert lines[:3] == [
        "| variant | recall@20 | rmse (test) | p users (Holm) |",
        "| --- | ---: | ---: | ---: |",
        "| *plain* |  |  |  |",
    ]
    assert "| base | 0.2500 ± 0.0100 | **0.9000** | – |" in lines
    assert "| lost | failed: no memory |  |  |" in lines
    assert lines[-1].endswith(r"| **0.5000 ± 0.0200 ▲** | 1.1000 ▼ | \< 0.001 |")
    assert markdown(results()).startswith("Results &amp; more.\n\n| variant")
    assert markdown(results()).endswith("\n\nA note.")


def test_latex_has_as_many_columns_as_the_table() -> None:
    text = latex(results())
    assert r"\begin{tabular}{lrrr}" in text
    assert r"base & 0.2500 {\scriptsize $\pm$ 0.0100} & \textbf{0.9000} & -- \\" in text
    assert r"\textbf{0.5000} {\scriptsize $\pm$ 0.0200}$^{\blacktriangle}$" in text
    assert r"lost & \multicolumn{3}{l}{failed: no memory} \\" in text
    assert "\x1b" not in text
    assert r"\caption{Results \& more. A note.}" in text


def test_a_paper_takes_latex_as_it_is() -> None:
    """Labels of two runs differ, long texts break into lines, and the caption says what the page says around one."""
    long = "a text of more than forty letters, which no line of a paper holds beside others"
    made = table("main", "Rows", (*words("variant", "what it is"), *numbers("n")), [(word("a"), word(long), p_cell(1))])
    assert made is not None
    text = latex(replace(made, alone=("Mean over 5 seeds.",)), "my run/2")
    assert r"\label{tab:my-run-2-main}" in text
    assert r"\label{tab:main}" in latex(made)
    assert r"\caption{Rows. Mean over 5 seeds.}" in text
    assert r"\begin{tabular}{l>{\raggedright\arraybackslash}p{0.70\linewidth}r}" in text
    assert text.count("{") == text.count("}")
    assert latex_text("✗ apart, ✓ 3 × 2…") == r"$\times$ apart, \checkmark{} 3 $\times$ 2\ldots{}"
    assert markdown(replace(made, alone=("Mean over 5 seeds.",))).startswith("Rows. Mean over 5 seeds.\n\n|")
    assert "Mean over" not in str(show(replace(made, alone=("Mean over 5 seeds.",)))), "the page says so itself"


def test_csv_holds_values_at_full_precision_and_nothing_for_a_dash() -> None:
    precise = table("x", "x", COLUMNS, [(word("=1+1"), plain_value(1 / 3), plain_value(None), plain_value(True))])
    assert precise is not None
    (line,) = csv_reader.DictReader(io.StringIO(csv(precise)))
    assert line == {"variant": "'=1+1", "recall@20": str(1 / 3), "rmse (test)": "", "p users (Holm)": "True"}


def test_columns_without_a_number_are_left_out_and_no_rows_are_no_table() -> None:
    made = table("x", "x", COLUMNS, [(word("a"), measure(0.1), measure(None), p_cell(None))])
    assert made is not None
    assert [column.title for column in made.columns] == ["variant", "recall@20"]
    assert table("x", "x", COLUMNS, []) is None
