"""Reasons: one for each training item that was shown, in its order."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from augment.entities import UserEntity
from augment.options import GenerationOptions
from augment.runner import run_source
from augment.tasks.base import Context, Impossible
from augment.tasks.reasons import Reasons, ReasonsOptions, reasons_answer
from augrec.artefacts.tasks import Attributes, read_card
from embed.records import texts_of_source


def test_a_reason_is_asked_for_each_of_the_latest_training_items(context: Context) -> None:
    task = Reasons(context, ReasonsOptions(items=3))
    user = context.catalog.user(3)
    draft = task.draft(user)
    assert draft.shown_history == tuple(item.item for item in user.history[-3:])
    text = draft.messages[1].content
    lines = [line for line in text.splitlines() if line.startswith("- ")]
    assert len(lines) == 3
    assert all(line.startswith(f"- {item.title}") for line, item in zip(lines, user.history[-3:], strict=True))
    assert "for all 3 in the same order" in text
    assert task.draft(user, drop=1).shown_history == draft.shown_history[1:]
    assert task.draft(user, drop=1).dropped_history == 1


def test_only_as_many_reasons_as_items_in_few_words_are_an_answer() -> None:
    answer = reasons_answer(2, 3, 14)
    assert answer is reasons_answer(2, 3, 14)
    assert answer.parse('{"reasons":["dark humour","family"]}') == {"reasons": ["dark humour", "family"]}
    short, letters, long = ["one"], ["one", "2 much"], ["one", "averyveryverylong"]
    for wrong in (short, letters, long, ["a b c d", "two"], ["one", "two", "three"], ["one", "Title"]):
        with pytest.raises(ValueError, match="reasons"):
            answer.parse(json.dumps({"reasons": wrong}, separators=(",", ":")))


def test_what_says_nothing_is_unknown_and_keeps_its_place(context: Context) -> None:
    task = Reasons(context, ReasonsOptions(items=4))
    draft = task.draft(context.catalog.user(3))
    title = context.catalog.item(draft.shown_history[3]).title
    checked = task.check({"reasons": ["reason", title.lower(), "dark humour", "the second movie"]}, draft)
    assert checked.fields == {"reasons": ["unknown", "unknown", "dark humour", "unknown"]}
    assert checked.repairs == ("reasons: placeholder 'reason'", "reasons: a title", "reasons: counts")
    said = {"reasons": ["unknown", "second chances", "first love", "last"]}
    assert task.check(said, draft).fields == {"reasons": ["unknown", "second chances", "first love", "unknown"]}


def test_a_user_without_history_cannot_be_asked_about(context: Context) -> None:
    task = Reasons(context, ReasonsOptions())
    with pytest.raises(Impossible, match="no_history"):
        task.draft(UserEntity(0, (), ()))
    with pytest.raises(Impossible, match="no item fits"):
        task.draft(context.catalog.user(3), drop=5)


def test_by_rule_a_reason_is_a_genre_or_a_term_and_nothing_is_embedded(dataset: Path, tmp_path: Path) -> None:
    from augment.catalog import Catalog

    catalog = Catalog.load(dataset / "dataset", None)
    options = GenerationOptions.model_validate(
        {
            "sources": {"rule": {"engine": {"kind": "heuristic"}, "tasks": ["reasons"]}},
            "tasks": {"reasons": {"items": 2}},
        }
    )
    out = tmp_path / "rule"
    run_source(catalog, "rule", options.sources["rule"], options, folder=out, seed=0)
    rows = [row for row in pq.read_table(out / "reasons" / "records.parquet").to_pylist() if row["status"] == "ok"]
    assert rows
    known = {genre.lower() for item in catalog.items() for genre in item.genres}
    said = [reason for row in rows for reason in json.loads(row["fields"])["reasons"]]
    assert set(said) & known
    assert all(len(json.loads(row["fields"])["reasons"]) == len(row["shown_history"]) <= 2 for row in rows)
    assert read_card(out / "reasons" / "task.json").gives == Attributes(of_shown=True)
    assert texts_of_source(out, catalog.n_users, catalog.n_items, ["reasons"]) == {}
