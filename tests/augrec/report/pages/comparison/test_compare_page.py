"""The page of a comparison, read as text: whole, escaped, the same every time, and calm when parts are missing."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any

import page_content
import pytest

from augrec.artefacts.errors import DataError
from augrec.artefacts.files import read_json
from augrec.report.pages.comparison.cost_tables import money, significant
from augrec.report.pages.comparison.page import render, write_page
from augrec.report.pages.comparison.plots import forest
from augrec.report.pages.comparison.result_tables import against_table, digits_of, results_table
from augrec.report.pages.comparison.results import read_results, results_of, write_results
from augrec.report.pages.comparison.text_plots import leak_figure
from augrec.report.render.axes import fitted
from augrec.report.render.safe_text import cleaned, visible
from tests.kit.html_pages import PageReader

SECTIONS = {"results", "compared", "tuning", "texts", "alignment", "leak", "cost", "examples", "provenance"}


@pytest.fixture(scope="module")
def content() -> dict[str, Any]:
    return page_content.realistic()


@pytest.fixture(scope="module")
def page(content: dict[str, Any]) -> str:
    return render(page_content.results(content))


@pytest.fixture(scope="module")
def hostile_page() -> str:
    return render(page_content.results(page_content.hostile()))


def test_it_is_one_well_formed_file_without_outside_parts(page: str) -> None:
    reader = PageReader(page)
    assert len(set(reader.ids)) == len(reader.ids)
    assert set(reader.ids) >= SECTIONS
    assert reader.tags.count("script") == 1
    assert not {"img", "link", "iframe", "object", "form"} & set(reader.tags)
    outside = [v for n, v in reader.attributes if n in ("src", "href", "xlink:href") and not (v or "").startswith("#")]
    assert outside == []
    used = set(re.findall(r'(?:xlink:href="#|url\(#|aria-labelledby="|href="#)([^")]+)', page))
    assert used <= set(reader.ids)


def test_the_same_content_gives_the_same_bytes_and_is_left_alone(content: dict[str, Any], page: str) -> None:
    results = page_content.results(copy.deepcopy(content))
    assert render(results) == page
    assert results == page_content.results(content)


def test_it_is_written_to_the_path(tmp_path: Path) -> None:
    path = tmp_path / "compare" / "index.html"
    write_page(page_content.results(page_content.minimal()), path)
    assert path.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert [found.name for found in path.parent.iterdir()] == ["index.html"]


def test_every_table_lies_beside_the_page_in_three_forms(content: dict[str, Any], tmp_path: Path) -> None:
    old = tmp_path / "tables" / "gone.csv"
    old.parent.mkdir()
    old.touch()
    write_page(page_content.results(content), tmp_path / "index.html", tmp_path / "tables")
    text = (tmp_path / "index.html").read_text(encoding="utf-8")
    linked = set(re.findall(r'href="(tables/[^"]+)"', text))
    names = re.findall(r'<table[^>]* id="([^"]+)"', text)
    assert len(names) > 10
    assert linked == {f"tables/{name}.{suffix}" for name in names for suffix in ("csv", "md", "tex")}
    assert {path.relative_to(tmp_path).as_posix() for path in (tmp_path / "tables").iterdir()} == linked


def test_twelve_arms_and_ten_examples_stay_small(content: dict[str, Any]) -> None:
    large = copy.deepcopy(content)
    sources = ["gpt35", "smollm2", "tfidf", "gpt35-1000"]
    for n in range(5):
        name = f"more-{n}"
        large["arms"].append(large["arms"][2] | {"name": name, "title": f"Another model {n}", "source": name})
        large["downstream"] += [one | {"arm": name} for one in content["downstream"] if one["arm"] == "smollm2"]
        for part in ("intrinsic", "consistency", "leak", "position", "cost"):
            large[part] += [one | {"source": name} for one in content[part] if one["source"] == "smollm2"]
        large["agreement"] += [content["agreement"][0] | {"a": source, "b": name} for source in sources]
        sources.append(name)
    texts = [{"arm": arm["name"], "text": "a long text " * 200, "failed": None} for arm in large["arms"]]
    large["examples"] = [{"user": str(n), "history": ["A film"] * 20, "texts": texts} for n in range(10)]
    assert len(render(page_content.results(large)).encode()) < 2_000_000


def test_every_table_is_described_and_every_plot_named(page: str) -> None:
    tables = re.findall(r"<table.*?</table>", page, flags=re.DOTALL)
    assert len(tables) > 15
    assert all("<caption" in table and 'scope="col"' in table and 'scope="row"' in table for table in tables)
    plots = re.findall(r"<svg[^>]*>", page)
    assert plots
    assert all('role="img"' in plot and re.search(r'aria-label="[^"]{20,}"', plot) for plot in plots)


def test_every_number_of_the_results_is_shown(content: dict[str, Any]) -> None:
    results = page_content.results(content)
    table = results_table(results, results.groups[1], 1)
    assert table is not None
    assert len(table.rows) == 14
    one = content["downstream"][2]
    value = one["groups"]["profiled"]["recall@20"]
    row = next(row for row in table.rows if row.cells[0].text == "SmolLM2-135M" and row.cells[1].text == "LLMRec")
    assert [cell.value for cell in row.cells[2:7]] == [
        value["mean"],
        value["versus"]["none"]["difference"],
        value["versus"]["none"]["family_low"],
        None,
        0.5,
    ]
    assert row.cells[5].text in ("better", "worse", "equivalent", "identical", "undecided")
    every = against_table(results, results.groups[1], 1)
    assert every is not None
    shown = next(
        row for row in every.rows if [cell.text for cell in row.cells[:3]] == ["SmolLM2-135M", "no text", "LLMRec"]
    )
    keys = (
        "difference", "family_low", "relative", "effect", "margin", "p_users", "p_users_holm", "p_users_randomisation",
        "detectable_users", "p_equivalence_users_holm", "p_seeds", "detectable_seeds", "p_equivalence_seeds",
    )  # fmt: skip
    assert [cell.value for cell in shown.cells[4:]] == [value["versus"]["none"][key] for key in keys]
    precision = row.cells[[column.title for column in table.columns].index("precision@20")]
    assert len(precision.under) == 3
    assert "−0.00000 " not in " ".join(precision.under)


def test_words_sort_by_alphabet_and_missing_numbers_have_no_place(content: dict[str, Any]) -> None:
    results = page_content.results(content)
    table = results_table(results, results.groups[0], 0)
    assert table is not None
    values = table.sort_values()
    recommenders = {row.cells[1].text: value[1] for row, value in zip(table.rows, values, strict=True)}
    assert recommenders == {"EASE with text": "0", "LLMRec": "1"}
    baseline = next(value for row, value in zip(table.rows, values, strict=True) if row.cells[0].text == "no text")
    assert baseline[3:7] == ["", "", "", ""]


def test_digits_follow_the_size_of_a_metric(content: dict[str, Any]) -> None:
    results = page_content.results(content)
    assert [digits_of(results, metric) for metric in results.metrics] == [4, 4, 5, 4]
    assert digits_of(results, "unknown@5") == 4


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, "–"), (0.0, "0"), (12.345, "12.3"), (-0.00001234, "−0.0000123"), (0.5, "0.5"), (1234.5, "1230")],
)
def test_significant_digits(value: float | None, shown: str) -> None:
    assert significant(value) == shown


def test_money() -> None:
    assert [money(value) for value in (None, 0.00042, 2.3264, 12345.6)] == ["–", "0.00042", "2.33", "12\u202f345.60"]


def test_hostile_text_is_text(hostile_page: str) -> None:
    reader = PageReader(hostile_page)
    assert reader.tags.count("script") == 1
    assert not {"img", "iframe"} & set(reader.tags)
    assert "document.title='owned'" not in re.sub(r"<svg.*?</svg>", "", hostile_page, flags=re.DOTALL)
    assert [n for n, _ in reader.attributes if n.startswith("on")] == []
    assert [
        v for n, v in reader.attributes if n in ("href", "src", "xlink:href") and not (v or "").startswith("#")
    ] == []
    assert page_content.SCRIPT in "".join(reader.texts)
    assert "{{ 7 * 7 }}{% raw %}" in "".join(reader.texts)


def test_letters_that_act_unseen_are_shown(hostile_page: str) -> None:
    hidden = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200b\ufeff\u2028\x00\x07\x1b\U000e0041"
    assert not set(hidden) & set(hostile_page)
    assert "safe⟨U+202E⟩gpj.exe⟨U+202C⟩" in hostile_page
    assert page_content.FAMILY in hostile_page  # joiners that join stay


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("a\r\nb\tc", "a\nb\tc"),
        ("a\u200db", "a⟨U+200D⟩b"),
        ("\u200d", "⟨U+200D⟩"),
        ("\ud800", "⟨U+D800⟩"),
        ("\ufffe\U0001ffff", "⟨U+FFFE⟩⟨U+1FFFF⟩"),
        ("\u3164x\u00ad", "⟨U+3164⟩x⟨U+00AD⟩"),
        ("e\u0301 क\u094d\u200dष 👩\u200d👧", "e\u0301 क\u094d\u200dष 👩\u200d👧"),
        ("Z" + "\u0301" * 9, "Z" + "\u0301" * 4 + "…"),
    ],
)
def test_visible(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_cleaned_reaches_keys_and_drops_numbers_that_are_none() -> None:
    assert cleaned({"a\u202e": [float("nan"), 1.5, True, ("x\x00",)]}) == {
        "a⟨U+202E⟩": [None, 1.5, True, ["x⟨U+0000⟩"]]
    }


def test_labels_of_plots_fit_and_cannot_break_out_of_the_figure() -> None:
    assert fitted("short", 10) == "short"
    assert fitted("a\nb  c", 10) == "a b c"
    assert fitted("x" * 30, 10) == "x" * 9 + "…"
    assert len(fitted("語" * 30, 10)) <= 6
    content = page_content.realistic()
    content["arms"][0]["title"] = "'DejaVu Sans', <b>$x_1$"
    results = page_content.results(content)
    svg = str(forest(results, results.groups[0], 0))
    assert (
        svg.count("’DejaVu Sans’, &lt;b&gt;$x_1$</text>") == 3
    )  # once wide, and once for each panel of the narrow one
    assert "<b>" not in svg


def test_one_arm_with_nothing_known_still_reads_well() -> None:
    page = render(page_content.results(page_content.minimal()))
    reader = PageReader(page)
    assert set(reader.ids) >= SECTIONS
    text = " ".join(reader.texts)
    assert "it ran out of memory" in text
    assert "there is nothing to compare" in text
    assert "None" not in text
    assert "nan" not in text.lower().split()


@pytest.mark.parametrize(
    "empty", ["downstream", "groups", "arms", "recommenders", "intrinsic", "agreement", "leak", "cost"]
)
def test_every_list_may_be_empty(content: dict[str, Any], empty: str) -> None:
    small = {"groups": content["groups"][:1], "recommenders": content["recommenders"][:1], "examples": []}
    few = ("gpt35", "smollm2", "none")  # each arm has figures of its own
    small["arms"] = [arm for arm in content["arms"] if arm["name"] in few]
    small["downstream"] = [one for one in content["downstream"] if one["arm"] in few]
    PageReader(render(page_content.results(content | small | {empty: []})))


def test_everything_optional_may_be_missing(content: dict[str, Any]) -> None:
    reader = PageReader(render(page_content.voided(page_content.results(content))))
    assert "None" not in " ".join(reader.texts)


def test_leak_figure_tells_what_it_shows(content: dict[str, Any], page: str) -> None:
    svg = str(leak_figure(page_content.results(content)))
    assert "gpt35-1000: train 68.0\u00a0%, valid 56.0\u00a0%, test 70.0\u00a0%" in svg
    assert "test items lie as near as training items" in page


def test_of_an_error_the_least_is_best(content: dict[str, Any]) -> None:
    """Errors of ratings: the smallest mean is bold, and the headline calls it the lowest."""
    text = json.dumps(content).replace("recall@20", "rmse")
    results = page_content.results(json.loads(text))
    table = results_table(results, results.groups[0], 0)
    assert table is not None
    for recommender in ("LLMRec", "EASE with text"):
        cells = [row.cells[2] for row in table.rows if row.cells[1].text == recommender]
        assert [cell.value for cell in cells if cell.strong] == [min(cell.value for cell in cells if cell.value)]


def test_results_are_read_as_they_were_written(content: dict[str, Any], tmp_path: Path) -> None:
    results = page_content.results(content)
    write_results(results, tmp_path / "compare.json")
    assert read_results(tmp_path / "compare.json") == results
    assert read_json(tmp_path / "compare.json") == json.loads(json.dumps(content))


def test_another_schema_is_refused(content: dict[str, Any]) -> None:
    with pytest.raises(DataError, match="schema 2"):
        results_of(content | {"schema": 2})
    with pytest.raises(DataError, match="schema None"):
        results_of([])


def test_what_is_missing_or_of_another_type_is_named(content: dict[str, Any]) -> None:
    with pytest.raises(DataError, match="headline: Field required"):
        results_of({key: value for key, value in content.items() if key != "headline"})
    with pytest.raises(DataError, match=r"downstream\.0\.seeds"):
        results_of(content | {"downstream": [content["downstream"][0] | {"seeds": "many"}]})
