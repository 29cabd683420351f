"""Tables in three notations, with failures, marks and the papers' figures."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from augrec.report.numbers.comparison import Comparison, family_sizes
from augrec.report.pages.experiment.decided import findings, lead
from augrec.report.pages.experiment.paper import load, published
from augrec.report.pages.experiment.plots import bars_on_page
from augrec.report.pages.experiment.tables import (
    block_markdown,
    means_table,
    sweep_table,
    sweep_values,
    trials_table,
    values_table,
)
from augrec.report.pages.experiment.values import (
    RowValues,
    SweepLine,
    SweepPoint,
    TableValues,
    Value,
    comparisons_of,
    corrected_blocks,
    labels_of,
    mark_of,
    with_best,
)
from augrec.report.render import text_tables
from augrec.report.study import SearchResult, Study, StudyRun, Tried

BETTER = Value(
    mean=0.25, std=0.01, low=0.2, high=0.3, best=True, paper=0.2,
    versus=Comparison(
        difference=0.05, p_users=0.001, p_users_holm=0.002, p_users_randomisation=0.002,
        p_users_randomisation_holm=0.004, p_seeds=0.01, p_seeds_holm=0.02, ci_low=0.02, ci_high=0.08, relative=0.25,
        family_low=0.01, family_high=0.09,
        effect=0.2, margin=0.004, detectable_users=0.03, detectable_seeds=0.02, p_equivalence_users_holm=0.99,
        p_equivalence_seeds=0.98,
    ),
)  # fmt: skip
PLAIN = Value(mean=0.2, std=0.02)
WORSE = replace(BETTER, versus=Comparison(difference=-0.05, p_users=0.001, p_seeds=0.01))


def row(label: str, value: Value, **fields: object) -> RowValues:
    made = RowValues(label, "general", "d", "base", label, "m", "lightgcn", (1, 2), {"recall@20": value})
    return replace(made, **fields)  # type: ignore[arg-type]


BLOCK = TableValues(
    "main", "A & B", "d", ("recall@20",),
    (
        row("base_line", PLAIN, is_baseline=True),
        row("good|x", BETTER, against="base_line", group="LLM"),
        row("lost", Value(), seeds=(), problem="failed: out of memory"),
    ),
    0.05, False, "a paper", "Tests.",
)  # fmt: skip


def test_markdown() -> None:
    text = block_markdown(BLOCK)
    assert "| base_line | 0.2000 ± 0.0200 | – |" in text
    assert r"| good\|x | **0.2500 ± 0.0100 ▲** | 0.2000 |" in text
    assert "| lost | failed: out of memory | – |" in text
    assert "Paper: a paper." in text
    sizes = "+0.0500 | +0.0100 to +0.0900 | +25.0 % | +0.20 | 0.0040"
    tests = "0.001 | 0.002 | 0.002 | 0.0300 | 0.990 | 0.010 | 0.0200 | 0.980 |"
    assert f"| base_line | recall@20 | **better** | {sizes} | {tests}" in text.replace("\u00a0", " ")


def test_identical_rows_have_a_sign_of_their_own_and_rows_in_which_few_differ_say_how_many() -> None:
    same = Value(0.2, std=0.02, versus=Comparison(difference=0.0, n_users=200, n_differ=0, ci_low=0.0, ci_high=0.0))
    assert BETTER.versus is not None
    few = replace(BETTER, versus=replace(BETTER.versus, n_users=200, n_differ=12))
    rows = (BLOCK.rows[0], row("same", same, against="base_line"), row("few", few, against="base_line"))
    block = replace(BLOCK, rows=rows)
    text = block_markdown(block)
    assert "| same | 0.2000 ± 0.0200 = | – |" in text
    assert "| same | base_line | recall@20 | identical | +0.0000 | – |" in text
    assert "| few | base_line | recall@20 | **better** (12 of 200 users differ) |" in text
    assert "$^{=}$" in text_tables.latex(means_table(block))
    assert lead([block]) == "A & B, recall@20 beside base_line: better: few; identical: same."
    lines = list(csv.DictReader(io.StringIO(text_tables.csv(values_table(block)))))
    assert [(line["verdict"], line["n_differ"]) for line in lines] == [("", ""), ("identical", "0"), ("better", "12")]


@pytest.mark.parametrize(
    ("trials", "said"),
    [
        ((4, 4, 4), "Equal budgets: the options of every row were chosen by 4 trials."),
        ((4, 0, 1), "Unequal budgets: 4 trials: base_line; 1 trial: lost; 0 trials: good|x. Rows with more trials"),
    ],
)
def test_a_searched_table_says_the_budget_of_every_row(trials: tuple[int, ...], said: str) -> None:
    rows = tuple(replace(one, trials=count) for one, count in zip(BLOCK.rows, trials, strict=True))
    searched = replace(BLOCK, rows=rows)
    shown = means_table(searched)
    assert [column.title for column in shown.columns] == ["variant", "recall@20", "trials", "recall@20"]
    assert [one.cells[-2].value for one in shown.rows] == list(trials)
    assert any(note.startswith(said) for note in shown.notes)
    lines = list(csv.DictReader(io.StringIO(text_tables.csv(values_table(searched)))))
    assert [line["trials"] for line in lines] == [str(count) for count in trials]
    assert not any("budgets" in note for note in means_table(BLOCK).notes)


def test_every_trial_is_in_the_csv_and_one_is_marked_as_chosen(tmp_path: Path) -> None:
    tried = (Tried({"lr": 0.1}, "complete", 0.2), Tried({"lr": 0.3}, "complete", 0.4), Tried({"lr": 0.5}, "fail", None))
    result = SearchResult("graph", {"lr": 0.3}, 0.4, trials=3, failed=1, tried=tried)
    run = StudyRun("d", "base", tmp_path, (1,), {}, None, 0.0, (result, SearchResult("popular", note="none")), ())
    found = trials_table(Study("s", "S", tmp_path, {}, {}, {}, True, (run,)))
    assert found is not None
    lines = list(csv.DictReader(io.StringIO(text_tables.csv(found))))
    assert [(line["state"], line["validation"], line["chosen"]) for line in lines] == [
        ("complete", "0.2", "False"), ("complete", "0.4", "True"), ("fail", "", "False"),
    ]  # fmt: skip
    assert [json.loads(line["options"])["lr"] for line in lines] == [0.1, 0.3, 0.5]
    assert (run.budget("graph"), run.budget("popular"), run.budget("another")) == (3, 0, 0)


def test_groups_stand_in_their_order() -> None:
    lines = block_markdown(replace(BLOCK, groups=True)).splitlines()
    places = [
        next(i for i, line in enumerate(lines) if text in line) for text in ("*general*", "lost", "*LLM*", "good")
    ]
    assert places == sorted(places)


def test_csv_has_full_precision() -> None:
    lines = list(csv.DictReader(io.StringIO(text_tables.csv(values_table(BLOCK)))))
    assert [line["label"] for line in lines] == ["base_line", "good|x", "lost"]
    assert (lines[1]["mean"], lines[1]["p_users_holm"], lines[1]["family_low"]) == ("0.25", "0.002", "0.01")
    assert [line["verdict"] for line in lines] == ["", "better", ""]
    assert lines[1]["detectable_users"] == "0.03"
    assert (lines[2]["mean"], lines[2]["problem"]) == ("", "failed: out of memory")


def test_latex_is_balanced_and_escaped() -> None:
    text = text_tables.latex(means_table(replace(BLOCK, groups=True)))
    for name in ("table", "tabular"):
        assert text.count(rf"\begin{{{name}}}") == text.count(rf"\end{{{name}}}") == 1
    assert r"A \& B" in text
    assert r"base\_line & 0.2000 {\scriptsize $\pm$ 0.0200} & --" in text
    assert r"\textbf{0.2500} {\scriptsize $\pm$ 0.0100}$^{\blacktriangle}$ & 0.2000 \\" in text
    body = [line for line in text.splitlines() if line.endswith(r"\\") and "multicolumn" not in line]
    assert {line.count(" & ") for line in body} == {2}
    assert text.count("{") - text.count(r"\{") == text.count("}") - text.count(r"\}")


HOSTILE = "a|b\n\n# c <img src=x onerror=alert(1)> [x](javascript:y) `z` \x1b[2J \\input{/etc/passwd} $^^5c$ %"


def test_text_of_others_is_no_markdown_and_no_html() -> None:
    block = replace(BLOCK, title=HOSTILE, rows=(row(HOSTILE, BETTER), row("lost", Value(), seeds=(), problem=HOSTILE)))
    for line in block_markdown(block).splitlines():
        assert not re.search(r"(?<!\\)<(?!details|summary|/details|/summary)", line)
        assert not re.search(r"(?<!\\)\]\(", line)
        assert "\x1b" not in line
    body = [line for line in block_markdown(block).splitlines() if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in body} <= {4, 18}


def test_text_of_others_is_no_latex() -> None:
    text = text_tables.latex(means_table(replace(BLOCK, title=HOSTILE, rows=(row(HOSTILE, BETTER),))))
    assert r"\input" not in text
    assert "\x1b" not in text
    assert r"\textbackslash{}input\{/etc/passwd\} \$\textasciicircum{}\textasciicircum{}5c\$ \%" in text
    assert "\n\n" not in text, "an empty line would end the argument"


def test_a_label_is_no_formula() -> None:
    lines = list(
        csv.DictReader(
            io.StringIO(text_tables.csv(values_table(replace(BLOCK, rows=(row("=1+1", WORSE, against="base_line"),)))))
        )
    )
    assert lines[0]["label"] == "'=1+1"
    assert float(lines[0]["difference"]) < 0


@pytest.mark.parametrize(
    ("users", "seeds", "difference", "expected"),
    [
        (0.01, 0.01, 1, "better"),
        (0.01, 0.01, -1, "worse"),
        (0.2, 0.01, 1, "undecided"),
        (0.01, 0.2, 1, "undecided"),
        (0.01, None, 1, "undecided"),
        (None, 0.01, 1, "undecided"),
    ],
)
def test_a_mark_needs_users_and_seeds(
    users: float | None, seeds: float | None, difference: float, expected: str
) -> None:
    value = Value(0.1, versus=Comparison(difference=difference, p_seeds=seeds, p_users_holm=users))
    assert mark_of(value, "recall@20", 0.05) == expected
    opposite = {"better": "worse", "worse": "better"}
    assert mark_of(value, "rmse", 0.05) == opposite.get(expected, expected)
    assert mark_of(Value(0.1), "recall@20", 0.05) == ""


def test_the_best_of_a_column_follows_the_metric() -> None:
    rows = [row("low", Value(0.8)), row("high", Value(0.9)), row("lost", Value())]
    for metric, best in (("recall@20", "high"), ("rmse", "low")):
        made = [replace(one, values={metric: one.values["recall@20"]}) for one in rows]
        assert [found.label for found in with_best(made, (metric,)) if found.values[metric].best] == [best]


def test_holm_s_family_is_the_page_and_a_comparison_counts_once() -> None:
    """Two tables that both show one comparison, and one of them two more."""

    def compared(label: str, p: float) -> RowValues:
        value = Value(0.2, versus=Comparison(difference=0.1, p_users=p, p_seeds=0.5))
        return row(label, value, against="base", compared_with=("base", "base"))

    first = replace(BLOCK, rows=(compared("a", 0.01), compared("b", 0.02), compared("c", 0.3)))
    second = replace(BLOCK, table="other", rows=(compared("a", 0.01),))
    blocks = corrected_blocks([first, second])
    adjusted = [found.values["recall@20"].versus for block in blocks for found in block.rows]
    assert [one.p_users_holm for one in adjusted if one] == pytest.approx([0.03, 0.04, 0.3, 0.03])
    assert family_sizes(comparisons_of(blocks)) == {"recall@20": 3}


def improvement(dataset: str, metric: str) -> float:
    table = published(dataset, "table2")
    assert table is not None
    best = max(row[metric] for name, row in table.rows.items() if name != "llmrec")
    return round(100 * (table.rows["llmrec"][metric] / best - 1), 2)


@pytest.mark.parametrize(
    ("dataset", "printed"),
    [
        ("llmrec-netflix", [13.95, 21.43, 8.51, 20.91, 5.82, 19.06, 7.89]),
        ("llmrec-movielens", [4.88, 10.52, 5.26, 10.90, 7.82, 9.06, 6.29]),
    ],
)
def test_the_improvements_a_paper_prints_follow_from_its_figures(dataset: str, printed: list[float]) -> None:
    metrics = ["recall@10", "ndcg@10", "recall@20", "ndcg@20", "recall@50", "ndcg@50", "precision@20"]
    assert [improvement(dataset, metric) for metric in metrics] == pytest.approx(printed, abs=0.011)


def test_every_published_table_has_a_source_and_complete_rows() -> None:
    for tables in load().values():
        for table in tables.values():
            assert table.source
            assert len({tuple(row) for row in table.rows.values()}) == 1


def test_the_full_model_is_the_same_in_every_table_of_the_paper() -> None:
    tables = load()["llmrec-netflix"]
    full = tables["table2"].rows["llmrec"]
    same = [("table3", "llmrec"), ("table4", "temperature=0.6"), ("table4", "top_p=0.1"), ("table5", "candidates=10")]
    for table, name in same:
        assert tables[table].rows[name].items() <= full.items()


def line(setting: str, variant: str) -> SweepLine:
    points = tuple(SweepPoint(value, f"noise-{variant}={value}", {"recall@20": PLAIN}, None) for value in (0, 0.1))
    return SweepLine("noise", "share", "training.noise", "d", setting, variant, ("recall@20",), points)


def test_lines_are_told_apart_by_what_differs() -> None:
    assert labels_of([line("base", "con")]) == ["d, base"]
    assert labels_of([line("base", "con"), line("hot", "con")]) == ["d, base", "d, hot"]
    assert labels_of([line("base", "con"), line("base", "gen")]) == ["con", "gen"]
    both = [line(setting, variant) for setting in ("base", "hot") for variant in ("con", "gen")]
    assert labels_of(both) == ["d, base, con", "d, base, gen", "d, hot, con", "d, hot, gen"]


def test_a_sweep_of_several_variants_is_one_table() -> None:
    lines = [line("base", "con"), line("base", "gen")]
    table = sweep_table("noise", lines)
    assert [column.title for column in table.columns][:2] == ["line", "training.noise"]
    assert [[cell.text for cell in row.cells][:2] for row in table.rows] == [
        ["con", "0"], ["con", "0.1"], ["gen", "0"], ["gen", "0.1"]
    ]  # fmt: skip
    assert sweep_table("noise", lines[:1]).columns[0].title == "run"
    rows = list(csv.DictReader(io.StringIO(text_tables.csv(sweep_values("noise", lines)))))
    assert [(row["variant"], row["training.noise"], row["mean"]) for row in rows] == [
        ("con", "0", "0.2"), ("con", "0.1", "0.2"), ("gen", "0", "0.2"), ("gen", "0.1", "0.2")
    ]  # fmt: skip


@pytest.mark.filterwarnings("error")
def test_bars_of_nothing_but_zero_have_an_axis_to_stand_on() -> None:
    rows = tuple(row(name, Value(mean=0.0, low=0.0, high=0.0)) for name in ("one", "other"))
    assert "<svg" in bars_on_page(replace(BLOCK, rows=rows), "bars")


def test_the_page_begins_with_what_it_decides_and_says_what_one_seed_leaves_open() -> None:
    assert lead([replace(BLOCK, rows=(BLOCK.rows[0],)), BLOCK]) == "A & B, recall@20 beside base_line: better: good|x."
    assert findings([BLOCK]) == []
    assert BETTER.versus is not None
    alone = replace(BETTER, versus=replace(BETTER.versus, p_seeds=None, p_equivalence_seeds=None))
    rows = tuple(
        row(name, alone, against=f"of {name}", compared_with=("base", f"of {name}"), seeds=(1,)) for name in "abcde"
    )
    block = replace(BLOCK, rows=(row("base_line", PLAIN, is_baseline=True), *rows))
    assert lead([block]) == "A & B, recall@20 beside the row that each is compared with: undecided: 5 rows."
    (why,) = findings([block])
    assert why.startswith("Of 5 differences that users show 5 cannot be called better or worse")
    assert findings([BLOCK, BLOCK]) == [lead([BLOCK])]
