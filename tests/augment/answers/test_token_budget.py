"""Whatever a grammar allows is parsed, and never longer than the token budget computed from it."""

from __future__ import annotations

import json
import re
from typing import Annotated, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field

from augment.answers.answer import Answer, AnswerModel, Malformed
from augment.answers.token_budget import pattern_bytes, token_budget
from augment.catalog import Catalog
from augment.prompts.domains import DOMAINS, domain_named
from augment.prompts.rendering import Prompts
from augment.tasks.base import Context, NamingOptions
from augment.tasks.edges import edge_answer
from augment.tasks.item_attributes import ItemAttributes, ItemAttributesOptions
from augment.tasks.naming import name_type
from augment.tasks.user_profile import UserProfile, UserProfileOptions
from augrec.artefacts.errors import UsageError
from augrec.artefacts.interactions import UserItems


def values(schema: dict[str, Any], definitions: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Strategy for every value a schema allows."""
    if "$ref" in schema:
        return values(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    if "anyOf" in schema:
        return st.one_of([values(branch, definitions) for branch in schema["anyOf"]])
    if "const" in schema:
        return st.just(schema["const"])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if schema["type"] == "object":
        return st.fixed_dictionaries({k: values(v, definitions) for k, v in schema["properties"].items()})
    if schema["type"] == "array":
        return st.lists(
            values(schema["items"], definitions), min_size=schema.get("minItems", 0), max_size=schema["maxItems"]
        )
    return st.from_regex(re.compile(schema["pattern"].removesuffix("$") + r"\Z"))


def answers(domain: str, genres: tuple[str, ...]) -> list[Answer]:
    import numpy as np
    import pyarrow as pa

    items = pa.table({"item": [0], "title": ["A"]})
    catalog = Catalog(items, UserItems(np.array([0, 1]), np.zeros(1, int)), None, domain_named(domain), genres)
    context = Context(catalog, Prompts(), 15, 0)
    profile = UserProfile(context, UserProfileOptions()).draft(catalog.user(0))
    options = ItemAttributesOptions(name_words=2, word_letters=5)
    attributes = ItemAttributes(context, options).draft(catalog.item(0))
    return [profile.answer, profile.control.answer, attributes.answer, edge_answer(2), edge_answer(11)]


ANSWERS = [*answers("movies", ("Action", "Film-Noir", "Children's")), *answers("games", ())]


@given(st.data())
@settings(max_examples=200)
def test_every_legal_answer_parses_and_fits_the_budget(data: st.DataObject) -> None:
    answer = data.draw(st.sampled_from(ANSWERS))
    value = data.draw(values(answer.schema, answer.schema.get("$defs", {})))
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    assert answer.parse(text) == value
    assert len(text.encode()) + 1 <= answer.max_tokens


def test_budget_is_reached_by_the_longest_answer() -> None:
    assert token_budget(edge_answer(10).schema) == len('{"most_likely":10,"least_likely":9}') + 1


AB = {"const": "ab"}


@pytest.mark.parametrize(
    ("schema", "longest"),
    [
        ({"type": "array", "items": AB, "maxItems": 3}, '["ab","ab","ab"]'),
        ({"type": "array", "items": AB, "maxItems": 1}, '["ab"]'),
        ({"type": "array", "items": AB, "maxItems": 0}, "[]"),
        ({"type": "object", "properties": {}, "additionalProperties": False}, "{}"),
        (
            {"type": "object", "properties": {"x": AB, "y": {"enum": [1, "é", 30]}}, "additionalProperties": False},
            '{"x":"ab","y":"é"}',
        ),
        ({"anyOf": [AB, {"const": None}, {"type": "array", "items": AB, "maxItems": 1}]}, '["ab"]'),
    ],
)
def test_the_budget_of_a_schema_is_its_longest_value_in_bytes(schema: dict[str, Any], longest: str) -> None:
    assert token_budget(schema) == len(longest.encode()) + 1


@pytest.mark.parametrize("domain", [*DOMAINS, "teapots"])
def test_every_domain_names_its_creator_in_the_answer(domain: str) -> None:
    profile, _, attributes, *_ = answers(domain, ())
    assert set(attributes.schema["properties"]) == {domain_named(domain).creator, "country", "language"}
    assert domain_named(domain).liked_creators in profile.schema["properties"]


def test_names_of_people_and_places_are_allowed() -> None:
    pattern = Answer(name_type(NamingOptions())).schema["pattern"]
    for name in ("Agnès Varda", "J.R.R. Tolkien", "Conan O'Brien", "Bong Joon-ho", "Krzysztof Kieślowski", "unknown"):
        assert re.match(pattern, name), name
    for junk in ("", " Ann", 'An"n', "An\nn", "a b c d", "x" * 15, "A\\n"):
        assert not re.match(pattern, junk), junk


CAPITALS = range(ord("0"), ord("Z") + 1)
OTHERS = [*range(ord("a"), ord("z") + 1), 0xA1, 0x7FF, 0x800, 0x20AC, 0xD7FF, 0xFFFD, 0x10000, 0x1F600]
"""Characters of one to four bytes that need no escape; the backslash lies between the two."""
WIDER = (0x80, 0x800, 0x10000)
"""The first characters of two, three and four bytes."""


@st.composite
def bounded_patterns(draw: st.DrawFn, depth: int = 2) -> tuple[str, int]:
    """A pattern, and the bytes of its longest text, counted over the characters that its classes hold."""
    if depth == 0:
        side = st.sampled_from(draw(st.sampled_from([CAPITALS, OTHERS])))
        ranges = [sorted(pair) for pair in draw(st.lists(st.tuples(side, side), min_size=1, max_size=3))]
        held = [code for low, high in ranges for code in (low, high, *WIDER) if low <= code <= high]
        return f"[{''.join(f'{chr(low)}-{chr(high)}' for low, high in ranges)}]", max(
            len(chr(code).encode()) for code in held
        )
    inner = draw(st.lists(bounded_patterns(depth - 1), min_size=1, max_size=3))
    if draw(st.booleans()):
        return f"(?:{'|'.join(pattern for pattern, _ in inner)})", max(most for _, most in inner)
    low, more = draw(st.integers(0, 3)), draw(st.integers(0, 4))
    repeated = f"(?:{''.join(pattern for pattern, _ in inner)}){{{low},{low + more}}}"
    return repeated, (low + more) * sum(most for _, most in inner)


@given(bounded_patterns())
def test_a_bound_is_the_longest_text_of_a_pattern(made: tuple[str, int]) -> None:
    pattern, longest_bytes = made
    assert pattern_bytes(f"^{pattern}$") == longest_bytes


@pytest.mark.parametrize(
    ("letters", "bytes_each"),
    [("a-z", 1), ("a-é", 2), ("À-€", 3), ("A-Za-zÀ-ɏ", 2), ("a-\N{GRINNING FACE}", 4), ("é", 2)],
)
def test_a_range_counts_by_its_widest_letter(letters: str, bytes_each: int) -> None:
    class Named(AnswerModel):
        name: Annotated[str, Field(pattern=f"^[{letters}]{{1,7}}$")]

    assert pattern_bytes(f"^[{letters}]{{1,7}}$") == 7 * bytes_each
    assert Answer(Named).max_tokens == len('{"name":""}') + 7 * bytes_each + 1


@pytest.mark.parametrize(
    ("pattern", "complaint"),
    [
        ("[a-z]{1,3}", "anchored"),
        ("^[a-z]+$", "without a maximum"),
        ('^[a-z"]{1,3}$', "quote"),
        ("^[ -~]{1,3}$", "quote"),
        ("^[^a]{1,3}$", "not_literal"),
        ("^[^ab]{1,3}$", "negate"),
        ("^.{1,3}$", "any"),
        (r"^\w{1,3}$", "category"),
    ],
)
def test_patterns_without_a_safe_bound_are_refused(pattern: str, complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        pattern_bytes(pattern)


@pytest.mark.parametrize(
    ("kind", "complaint"),
    [(str, "no pattern"), (list[int], "no maxItems"), (float, "number"), (dict[str, int], "open-ended")],
)
def test_open_answers_are_refused(kind: Any, complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        _ = Answer(kind).max_tokens


def test_a_field_called_title_survives_in_the_schema() -> None:
    class Titled(AnswerModel):
        title: bool

    assert list(Answer(Titled).schema["properties"]) == ["title"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        '{"most_likely":1}',
        '{"most_likely":1,"least_likely":1}',
        '{"most_likely":"1","least_likely":2}',
        '{"most_likely":1,"least_likely":2,"why":3}',
        '{"most_likely":1,"least_likely":12}',
        "null",
        "[1,2]",
    ],
)
def test_anything_else_is_malformed(text: str) -> None:
    with pytest.raises(Malformed):
        edge_answer(11).parse(text)
