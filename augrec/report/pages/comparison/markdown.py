"""The comparison as `compare.md`, in the layout that GitHub shows: the page's tables, and the texts side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from augrec.artefacts.files import write_text
from augrec.report.pages.comparison.cost_tables import cost_table, per_cost_table
from augrec.report.pages.comparison.looks import arm_titles
from augrec.report.pages.comparison.page import shown_content
from augrec.report.pages.comparison.page_facts import count_facts, data_facts, protocol_facts, run_facts
from augrec.report.pages.comparison.result_tables import (
    against_table,
    arms_table,
    recommenders_table,
    results_table,
    tuning_table,
)
from augrec.report.pages.comparison.text_tables import (
    agreement_table,
    consistency_table,
    intrinsic_table,
    leak_table,
    memorisation_table,
    position_table,
)
from augrec.report.render.safe_text import beginning, code, one_line, plain
from augrec.report.render.tables import Table
from augrec.report.render.text_tables import markdown
from augrec.report.render.wording import DASH, counted

TEXT_IN_MARKDOWN = 600


def write_markdown(content: dict[str, Any], path: Path) -> None:
    """Writes the Markdown.

    Args:
        content: what `compare.json` holds.
        path: the file to write.

    Raises:
        DataError: the content is of another schema.
    """
    write_text(path, "\n\n".join(_parts(shown_content(content))) + "\n")


def _parts(content: dict[str, Any]) -> Iterator[str]:
    headline = content["headline"]
    yield f"# {plain(content.get('title') or content['name'])}"
    yield f"**{plain(headline.get('lead') or 'Nothing was found.')}**"
    if headline.get("evidence"):
        yield plain(headline["evidence"])
    yield from _list(plain(sentence) for sentence in headline.get("details") or [])
    yield "## Results"
    for group in content["groups"]:
        yield from _group(content, group)
    yield from _section("What was compared", [arms_table(content), recommenders_table(content)])
    yield from _list(f"{plain(name)}: {plain(value)}" for name, value in _facts(content))
    yield from _section("Tuning", [tuning_table(content)])
    texts = [intrinsic_table(content), agreement_table(content), consistency_table(content), position_table(content)]
    yield from _section("The texts", texts)
    yield from _section("Leak and memory", [leak_table(content), memorisation_table(content)])
    yield from _list(_verdicts(content))
    yield from _section("Cost", [cost_table(content), per_cost_table(content)])
    yield from _examples(content)
    yield from _provenance(content)


def _facts(content: dict[str, Any]) -> list[tuple[str, str]]:
    return [*data_facts(content), *count_facts(content), *protocol_facts(content)]


def _list(items: Iterator[str]) -> Iterator[str]:
    lines = "\n".join(f"- {item}" for item in items)
    if lines:
        yield lines


def _section(title: str, tables: Sequence[Table | None]) -> Iterator[str]:
    yield f"## {title}"
    found = [table for table in tables if table is not None]
    yield from (markdown(table) for table in found)
    if not found:
        yield f"{DASH} not recorded"


def _group(content: dict[str, Any], group: dict[str, Any]) -> Iterator[str]:
    tables = [table for table in (results_table(content, group), against_table(content, group)) if table is not None]
    if not tables:
        return
    title = plain(group.get("title") or group["name"])
    users = f", {counted(group['users'], 'user')}" if group.get("users") is not None else ""
    yield f"### {title}{users}"
    if group.get("rule"):
        yield plain(group["rule"])
    yield from (markdown(table) for table in tables)


def _verdicts(content: dict[str, Any]) -> Iterator[str]:
    for name, found in (("source", content["leak"]), ("named", content["memorisation"])):
        yield from (f"{plain(one[name])}: {plain(one['verdict'])}" for one in found if one.get("verdict"))


def _examples(content: dict[str, Any]) -> Iterator[str]:
    titles = arm_titles(content)
    if content["examples"]:
        yield "## The same users, told by each arm"
    for one in content["examples"]:
        yield f"### User {code(one['user'])}"
        yield from _list(code(title) for title in one.get("history") or [])
        rows = [f"| {plain(titles.get(text['arm'], text['arm']))} | {_text(text)} |" for text in one.get("texts") or []]
        if rows:
            yield "\n".join(["| arm | text |", "| --- | --- |", *rows])


def _text(text: dict[str, Any]) -> str:
    failed = f"failed: {code(text['failed'], in_table=True)}" if text.get("failed") else ""
    if not text.get("text"):
        return failed or f"{DASH} no text for this user"
    shown, left = beginning(one_line(text["text"]), TEXT_IN_MARKDOWN)
    more = f"({counted(left, 'more character')})" if left else ""
    return " ".join(part for part in (code(shown, in_table=True), more, failed) if part)


def _provenance(content: dict[str, Any]) -> Iterator[str]:
    yield "## Provenance"
    yield from _list(f"{plain(name)}: {plain(value)}" for name, value in run_facts(content))
    records = content["provenance"].get("records") or {}
    rows = [
        f"| {plain(source)} | {plain(task)} | {code(sha or '', in_table=True)} |"
        for source, tasks in records.items()
        for task, sha in (tasks or {}).items()
    ]
    if rows:
        yield "\n".join(["| source | task | sha256 of the records |", "| --- | --- | --- |", *rows])
