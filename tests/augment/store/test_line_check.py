"""What a line must hold to be a record, and how it is written."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from augment.messages import Record
from augment.source_ids import Positions, SourceIds
from augment.store.line_check import Damaged, check_line
from augment.store.lines import OtherVersion, Stored, answer_mark
from augment.tasks import card_of
from augment.tasks.edges import Edges
from augment.tasks.ranking import Ranking
from augrec.artefacts.tasks import Kind

PAIR = {"positive": "2", "negative": "1"}
EDGES, ORDER = card_of(Edges).gives, card_of(Ranking).gives


def record(**change: Any) -> Record:
    fields = '{"positive":2,"negative":1}'
    made = Record("key", "edges", 0, "ok", None, fields, "{}", "stop", 1, 2, 3, 1, ("a",), (1, 2), (3,))
    return replace(made, **change)


def content(**change: Any) -> dict[str, Any]:
    return Stored.of(record(), card_of(Edges), Positions()).content | change


@pytest.mark.parametrize(
    ("gives", "fields"),
    [
        (EDGES, PAIR),
        (EDGES, PAIR | {"scores": [["2", 0.5], ["1", 0]]}),
        (ORDER, {"order": []}),
        (ORDER, {"order": ["1", "2"]}),
    ],
)
def test_fields_of_their_kind_are_a_record(gives: Kind, fields: dict[str, Any]) -> None:
    check_line(content(fields=json.dumps(fields)), gives)


@pytest.mark.parametrize(
    ("gives", "fields"),
    [
        (EDGES, None),
        (EDGES, "[]"),
        (EDGES, "{"),
        (EDGES, {"positive": "2"}),
        (EDGES, PAIR | {"negative": 1}),
        (EDGES, PAIR | {"confidence": float("nan")}),
        *((EDGES, PAIR | {"scores": scores})
          for scores in ([["2", 0.5], [1, 0.5]], [["2", 0.5], ["1", True]], [["2", "x"]], [["2"]], [3], 3)),
        (EDGES, '{"positive":"2","negative":"1","scores":[["2",1e999]]}'),
        *((ORDER, {"order": order}) for order in ("12", None, ["1", 2], [1, "2"])),
    ],
)  # fmt: skip
def test_fields_of_another_kind_are_damage(gives: Kind, fields: Any) -> None:
    text = fields if fields is None or isinstance(fields, str) else json.dumps(fields)
    with pytest.raises(Damaged, match=r"^fields: .*, in the record of key 'key'$"):
        check_line(content(fields=text), gives)
    check_line(content(fields=text, status="failed"), gives)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("key", ""), ("about", "film"), ("status", "done"), ("text", None), ("entity", 0), ("prompt_tokens", -1),
        ("cached_tokens", 2**31), ("attempt", True), ("repairs", ("\ud800",)), ("text", "\udfff"), ("block", "x"),
    ],
)  # fmt: skip
def test_other_fields_are_what_they_are_said_to_be(name: str, value: Any) -> None:
    with pytest.raises(Damaged, match=rf"^{name}.*, in the record of key|^a text holds a lone surrogate"):
        check_line(content(**{name: value}), EDGES)
    check_line(content(prompt_tokens=0, cached_tokens=2**31 - 1), EDGES)


def test_a_line_that_is_read_is_checked_too() -> None:
    written = Stored.of(record(), card_of(Edges), Positions()).line()
    with pytest.raises(Damaged, match=r"^prompt_tokens"):
        Stored.from_line(written.replace('"prompt_tokens":1', '"prompt_tokens":-1'), EDGES)
    with pytest.raises(Damaged, match="not a JSON object"):
        Stored.from_line("[]", EDGES)


def test_of_several_fields_that_are_odd_the_first_by_name_is_said() -> None:
    more = content(**dict.fromkeys(("zz", "za", "yy", "ya", "ab", "ac", "xx"), 1))
    with pytest.raises(OtherVersion, match=r"^with the field 'ab'$"):
        Stored.from_line(json.dumps(more), EDGES)
    less = {name: value for name, value in content().items() if name in ("key", "about")}
    with pytest.raises(OtherVersion, match=r"^without the field 'attempt'$"):
        Stored.from_line(json.dumps(less), EDGES)


def test_the_mark_of_an_answer_is_of_64_bits() -> None:
    marks = [answer_mark("ok", str(number)) for number in range(64)]
    assert 2**56 < max(marks) < 2**64
    assert len({*marks, answer_mark("failed", "0")}) == 65


IDS = SourceIds(["ü0"], [f"ü{number}" for number in range(6)])


def test_text_and_ids_are_written_as_they_are() -> None:
    stored = Stored.of(record(text="Zoë", shown_similar=(4,)), card_of(Edges), IDS)
    assert json.loads(stored.line())["fields"] == '{"positive":"ü2","negative":"ü1"}'
    assert '"text":"Zoë"' in stored.line()
    assert '"entity":"ü0"' in stored.line()
    assert "\\u" not in stored.line()
    assert stored.record(IDS, EDGES) == record(text="Zoë", shown_similar=(4,))


@pytest.mark.parametrize("gone", [1, 2, 3, 4])
def test_a_record_that_names_what_is_gone_is_none(gone: int) -> None:
    """Item 1 and 2 were shown and named, 3 was a candidate, 4 a similar user's."""
    stored = Stored.of(record(shown_similar=(4,)), card_of(Edges), IDS)
    fewer = SourceIds(["ü0"], [f"ü{number}" for number in range(6) if number != gone])
    assert stored.record(fewer, EDGES) is None
    assert stored.record(SourceIds(["other"], [f"ü{number}" for number in range(6)]), EDGES) is None
    named = Stored.of(record(shown_history=(), shown_candidates=()), card_of(Edges), IDS)
    assert (named.record(fewer, EDGES) is None) == (gone in (1, 2))
