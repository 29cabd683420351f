"""The Markdown of a comparison, read by a CommonMark parser with GitHub's tables: nothing in a text acts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import page_content
import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from augrec.report.pages.comparison.markdown import code, plain, write_markdown
from augrec.report.pages.comparison.results import ComparisonResults
from augrec.report.render.safe_text import one_line, visible


def tokens_of(text: str) -> list[Token]:
    """All tokens, those inside paragraphs and cells too; HTML is parsed, so that it would be found."""
    blocks = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).parse(text)
    return [token for block in blocks for token in (block, *(block.children or ()))]


def shown(text: str) -> str:
    """What a reader sees of one paragraph."""
    return "".join(token.content for token in tokens_of(text) if token.type in ("text", "code_inline", "text_special"))


def written(content: dict[str, Any] | ComparisonResults, folder: Path) -> str:
    path = folder / "compare.md"
    write_markdown(content if isinstance(content, ComparisonResults) else page_content.results(content), path)
    return path.read_text(encoding="utf-8")


@pytest.mark.parametrize("content", [page_content.realistic(), page_content.hostile()], ids=["realistic", "hostile"])
def test_nothing_but_tables_lists_and_emphasis(content: dict[str, Any], tmp_path: Path) -> None:
    found = {token.type for token in tokens_of(written(content, tmp_path))}
    assert not {"html_inline", "html_block", "link_open", "image", "fence", "code_block", "s_open", "em_open"} & found
    assert {"table_open", "code_inline", "heading_open"} <= found


@pytest.mark.parametrize("make", [page_content.realistic, page_content.hostile])
def test_every_row_has_the_columns_of_its_heading(make: Any, tmp_path: Path) -> None:
    text = written(make(), tmp_path)
    tables = [block for block in text.split("\n\n") if block.startswith("| ")]
    rendered = [token for token in tokens_of(text) if token.type == "table_open"]
    assert len(tables) == len(rendered) > 15
    for table in tables:
        cells = [line.replace("\\|", "").count("|") for line in table.splitlines()]
        assert len(set(cells)) == 1


def test_texts_of_users_stand_in_code_and_are_whole(tmp_path: Path) -> None:
    content = page_content.hostile()
    spans = {token.content for token in tokens_of(written(content, tmp_path)) if token.type == "code_inline"}
    for text in page_content.HOSTILE:
        assert one_line(visible(text)) in spans  # histories, outside tables
    texts = [t["text"] for e in content["examples"] for t in e["texts"][1:] if t["text"]]
    assert len(texts) > 10
    for text in texts:
        assert one_line(visible(text)) in spans


@pytest.mark.parametrize(
    "text", [*page_content.HOSTILE, "-x", "+ y", "12. z", "3) w", "= =", "a\\", "&lt;b&gt;", "~~s~~"]
)
def test_plain_and_code_show_the_text_itself(text: str) -> None:
    expected = one_line(visible(text))
    assert shown(plain(visible(text))) == expected
    assert shown(code(visible(text))) == expected
    assert not {token.type for token in tokens_of(plain(visible(text)))} & {"bullet_list_open", "ordered_list_open"}
    cell = f"| a |\n| --- |\n| {plain(visible(text))} |\n| {code(visible(text), in_table=True)} |"
    rows = [token.children for token in tokens_of(cell) if token.type == "inline"]
    assert ["".join(token.content for token in row or ()) for row in rows] == ["a", expected, expected]


def test_links_and_mentions_do_not_arise() -> None:
    found = plain("see https://x.example, www.x.example, a@b.example, @someone")
    assert "https:" not in found
    assert "www." not in found
    assert "@" not in found


def test_one_arm_with_nothing_known_still_reads_well(tmp_path: Path) -> None:
    text = written(page_content.minimal(), tmp_path)
    assert "it ran out of memory" in text
    assert "None" not in text
    assert "None" not in written(page_content.voided(page_content.results()), tmp_path)


def test_the_figures_are_those_of_the_content(tmp_path: Path) -> None:
    content = page_content.realistic()
    value = content["downstream"][0]["groups"]["all"]["recall@20"]
    row = next(
        line for line in written(content, tmp_path).splitlines() if line.startswith("| GPT-3.5, published | LLMRec")
    )
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[2].startswith(f"**{value['mean']:.4f}** (± ")
    assert cells[3] == f"{value['versus']['none']['difference']:+.4f}"


@pytest.mark.parametrize(
    ("fewer", "said"),
    [(0, "5 trials for every arm with texts under LLMRec"), (1, "under LLMRec unequal budgets: 4 trials: ")],
)
def test_the_budget_of_the_tuning_is_a_number_and_unequal_ones_are_said(fewer: int, said: str, tmp_path: Path) -> None:
    content = page_content.realistic()
    first = next(row for row in content["downstream"] if row["recommender"] == "llmrec" and row["tuned"])
    first["tuned"] = first["tuned"][fewer:]
    text = written(content, tmp_path)
    assert said in text
    assert "| trials |" in text
