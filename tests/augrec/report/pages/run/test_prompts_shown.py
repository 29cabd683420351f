"""Prompts on the page of a run: escaped, folded, short, and without users where these are hidden."""

from __future__ import annotations

import html

import pytest

from augrec.artefacts.run_folder import RunFolder
from augrec.report.pages.run.page import write_report
from augrec.report.pages.run.prompts import AskedPrompt, labels_in_short, schema_in_short, shown_prompts

EVIL = "<script>document.title='owned'</script>"
OF_USER = AskedPrompt(
    *("llm", "user_profile", "user", "196"),
    messages=(("system", f"You describe {EVIL}"), ("user", "Age: 49. Watched: Film number 9.")),
    schema=("liked_genres: 1 to 3 of Action, Comedy",),
    answer=f'{{"profile": "{EVIL}"}}',
    of_user=True,
)
OF_ITEM = AskedPrompt("llm", "item_profile", "item", "Heat", (("user", "Film: Heat"),), ("profile: text",), None, False)


@pytest.mark.parametrize("hide", [False, True])
def test_a_page_shows_what_was_asked_and_keeps_users_where_they_are_hidden(
    make_run,
    options,
    config,
    variants,
    hide: bool,  # type: ignore[no-untyped-def]
) -> None:
    run = RunFolder(make_run())
    shown = options.model_copy(update={"hide_users": hide})
    write_report(run, shown, config, variants=variants, prompts=[OF_USER, OF_ITEM])
    page = run.page.read_text(encoding="utf-8")
    assert EVIL not in page
    assert page.count('<details class="prompt">') == 2
    text = html.unescape(page)
    assert f"You describe {EVIL}" in text
    assert "Film: Heat" in text
    assert "liked_genres: 1 to 3 of Action, Comedy" in text
    assert ("Age: 49" in text) == (not hide)
    assert ("kept from pages" in text) == hide
    assert (": user <bdi>196</bdi>" in page) == (not hide)


def test_long_texts_are_cut_and_reviews_make_a_prompt_one_of_a_user() -> None:
    reviewed = AskedPrompt("a", "t", "item", "Heat", (("system", "s"), ("user", "x" * 9000)), (), "y" * 9000, True)
    (cut,) = shown_prompts([reviewed], hide_users=False)
    assert cut.messages[1][1] == "x" * 6000 + "…"
    assert cut.answer == "y" * 2000 + "…"
    (hidden,) = shown_prompts([reviewed], hide_users=True)
    assert (hidden.whom, hidden.messages[0]) == ("Heat", ("system", "s"))
    assert "x" not in hidden.messages[1][1].replace("text", "")


def test_a_schema_is_a_line_for_each_field() -> None:
    genres = [f"G{number}" for number in range(8)]
    schema = {
        "$defs": {"Genre": {"enum": genres}, "Inner": {"type": "object", "properties": {"n": {"type": "integer"}}}},
        "type": "object",
        "properties": {
            "liked": {"type": "array", "items": {"$ref": "#/$defs/Genre"}, "minItems": 1, "maxItems": 3},
            "text": {"type": "string", "pattern": "^.{1,9}$"},
            "long": {"type": "string", "maxLength": 90},
            "score": {"type": "number", "minimum": 1, "maximum": 5},
            "maybe": {"anyOf": [{"type": "string"}, {"type": "null"}]},
            "pair": {"anyOf": [{"const": number} for number in range(9)]},
            "always": {"const": "x"},
            "inner": {"$ref": "#/$defs/Inner"},
        },
    }
    assert schema_in_short(schema) == (
        "liked: 1 to 3 of G0, G1, G2, G3, G4, G5 and 2 more",
        "text: text of a bounded form",
        "long: text of at most 90 letters",
        "score: number from 1 to 5",
        "maybe: text or nothing",
        "pair: 0 or 1 or one of 7 more like these",
        'always: "x"',
        "inner: (n: integer)",
    )
    assert schema_in_short({"type": "array", "items": {"enum": ["a"]}}) == ("0 or more of a",)
    assert labels_in_short(["A", "B"]) == ("no text: the probabilities of A, B are read",)
