"""Profiles in prose: what their grammar allows, and what is mended or refused after it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from augment.answers.token_budget import prose_budget, token_budget
from augment.catalog import Catalog
from augment.messages import Draft, Request
from augment.options import GenerationOptions
from augment.prompts.presentation import ItemTextOptions, Presentation
from augment.prompts.rendering import Prompts
from augment.runner import run_source
from augment.tasks.base import Context, Contradiction
from augment.tasks.prose import prose_answer
from augment.tasks.user_profile import UserProfile, UserProfileOptions
from tests.kit.fake_engine import FakeEngine

TEXT = "A small town hides an old secret. Its people love gossip and tea."
GOOD = "This person enjoys quiet mysteries in small places. Heart-warming endings, and wit, matter to them!"
SHORT = prose_answer(6, 5)


@pytest.fixture
def catalog(dataset: Path) -> Catalog:
    path = dataset / "dataset" / "items.parquet"
    table = pq.read_table(path)
    pq.write_table(table.append_column("profile", pa.array([TEXT] * len(table))), path)
    shown = Presentation(ItemTextOptions(columns=("profile",)))
    return Catalog.load(dataset / "dataset", dataset / "candidates" / "candidates.parquet").presented(shown)


@pytest.fixture
def task(catalog: Catalog) -> UserProfile:
    return UserProfile(Context(catalog, Prompts(), 8, 0), UserProfileOptions(style="prose", words=20, opening=""))


@pytest.fixture
def draft(task: UserProfile, catalog: Catalog) -> Draft:
    return task.draft(catalog.user(0))


def pattern(answer: Any) -> str:
    return str(answer.schema["properties"]["profile"]["pattern"])


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        "They like Zoë's books (and others); don't they?",
        "Three things: 'love', war, and 24 hours.",
        "Novels by Ångström, François and Dvořák.",
        "A story (short).",
        "Yes.",
    ],
)
def test_sentences_are_allowed(text: str) -> None:
    assert re.match(pattern(prose_answer(60, 24)), text)
    assert prose_answer(60, 24).parse(json.dumps({"profile": text})) == {"profile": text}


@pytest.mark.parametrize(
    "text",
    ["", "No end", " Leads.", "Two  spaces.", 'A "quote".', "A\nline.", "Back\\slash.", "x" * 25 + ".",
     "w " * 60 + "w.", "<|im_end|>.", "....", "A - B."],
)  # fmt: skip
def test_other_texts_are_not(text: str) -> None:
    assert not re.match(pattern(prose_answer(60, 24)), text)


@given(st.from_regex(re.compile(pattern(SHORT).removesuffix("$") + r"\Z")))
def test_whatever_the_grammar_allows_parses_within_its_bounds(text: str) -> None:
    written = json.dumps({"profile": text}, ensure_ascii=False, separators=(",", ":"))
    assert SHORT.parse(written) == {"profile": text}
    assert len(written.encode()) + 1 <= token_budget(SHORT.schema)
    assert len(text.split(" ")) <= 6
    assert text[-1] in ".!?"


def test_the_budget_follows_from_the_words() -> None:
    answer = prose_answer(60, 24)
    assert answer.max_tokens == prose_budget(60) == 137
    assert answer.max_tokens < token_budget(answer.schema)
    tiny = prose_answer(1, 1)
    assert tiny.max_tokens <= token_budget(tiny.schema)


def test_a_sound_profile_is_kept_as_it_is(task: UserProfile, draft: Draft) -> None:
    checked = task.check({"profile": GOOD}, draft)
    assert (checked.fields, checked.repairs) == ({"profile": GOOD}, ())


def test_a_sentence_said_again_is_cut(task: UserProfile, draft: Draft) -> None:
    checked = task.check({"profile": "They like tea. They love wit. they LIKE tea! They like tea."}, draft)
    assert checked.fields == {"profile": "They like tea. They love wit."}
    assert checked.repairs == ("profile: 2 repeated sentences cut",)


def test_a_last_sentence_at_the_bound_is_cut(task: UserProfile, draft: Draft) -> None:
    most = "They like quiet towns. " + " ".join(f"word{n}" for n in range(16)) + "."
    checked = task.check({"profile": most}, draft)
    assert checked.fields == {"profile": "They like quiet towns."}
    assert "reached the most words" in checked.repairs[0]
    alone = " ".join(f"word{n}" for n in range(20)) + "."
    assert task.check({"profile": alone}, draft).fields == {"profile": alone}


sentences = st.lists(st.sampled_from(["They like tea.", "He reads!", "A Tale, of old?", "they like TEA."]), min_size=1)


@given(sentences)
def test_checking_is_idempotent_and_only_cuts(given_sentences: list[str]) -> None:
    task = object.__new__(UserProfile)
    task.options = UserProfileOptions(style="prose", words=30, opening="")
    empty = Draft(0, (), SHORT, None)  # type: ignore[arg-type]
    text = " ".join([*given_sentences, "One more sentence here."])
    once = task.check({"profile": text}, empty).fields
    assert task.check(once, empty).fields == once
    kept = re.split(r"(?<=[.!?]) ", once["profile"])
    rest = iter(re.split(r"(?<=[.!?]) ", text))
    assert all(sentence in rest for sentence in kept), "in order, nothing added"
    assert len({sentence.casefold() for sentence in kept}) == len(kept)


@pytest.mark.parametrize("text", ["Profile.", "N/A.", "Not available!", "None."])
def test_placeholders_are_refused(task: UserProfile, draft: Draft, text: str) -> None:
    with pytest.raises(Contradiction) as raised:
        task.check({"profile": text}, draft)
    assert raised.value.code == "placeholder"


def test_an_opening_is_held_by_the_grammar_and_says_nothing_alone(catalog: Catalog) -> None:
    task = UserProfile(Context(catalog, Prompts(), 8, 0), UserProfileOptions(style="prose", words=12))
    draft = task.draft(catalog.user(0))
    form = pattern(draft.answer)
    assert re.match(form, "This person enjoys tea. Wit, too.")
    for text in (
        "Tea is nice.",
        "This person enjoys.",
        "This person enjoys: tea.",
        "This person enjoys " + "tea " * 9 + "tea.",
    ):
        assert not re.match(form, text)
    assert 'begin with "This person enjoys"' in draft.messages[1].content
    assert task.check({"profile": "This person enjoys tea."}, draft).fields == {"profile": "This person enjoys tea."}
    for nothing in ("nothing", "N/A", "none"):
        with pytest.raises(Contradiction):
            task.check({"profile": f"This person enjoys {nothing}."}, draft)


def test_going_round_in_circles_is_refused(task: UserProfile, draft: Draft) -> None:
    with pytest.raises(Contradiction) as raised:
        task.check({"profile": "They like" + " a good book," * 4 + " too."}, draft)
    assert raised.value.code == "repetition"
    fine = "They like" + " a good book," * 3 + " too."
    assert task.check({"profile": fine}, draft).fields == {"profile": fine}


def test_what_only_repeats_the_prompt_is_refused(task: UserProfile, draft: Draft) -> None:
    instruction = draft.messages[1].content.splitlines()[-1]
    asked = re.split(r"(?<=[.!?]) ", instruction)[0]
    for text in (TEXT, "Its people love gossip and tea.", asked, asked.upper()):
        with pytest.raises(Contradiction) as raised:
            task.check({"profile": text}, draft)
        assert raised.value.code == "echo"
    own = "Its people love gossip and tea. So does this person."
    assert task.check({"profile": own}, draft).fields == {"profile": own}


def test_the_prompt_lists_texts_and_asks_for_prose(draft: Draft, catalog: Catalog) -> None:
    lines = draft.messages[1].content.splitlines()
    assert [line.endswith(f": {TEXT}") for line in lines[1:6]] == [True] * 5
    assert [int(line[8:10]) for line in lines[1:6]] == list(draft.shown_history)
    assert "kinds of movies" in lines[-1]


def test_a_source_stores_the_profile_and_counts_refusals_by_their_kind(
    catalog: Catalog, records: Any, tmp_path: Path
) -> None:
    def answer(request: Request, company: object) -> str:
        text = {0: "None.", 1: TEXT}.get(request.draft.entity, GOOD)
        return json.dumps({"profile": text if request.attempt == 1 or request.draft.entity == 1 else GOOD})

    options = GenerationOptions(
        sources={"fake": {"engine": {"kind": "heuristic"}, "tasks": ["user_profile"]}},  # type: ignore[dict-item]
        tasks={"user_profile": {"style": "prose", "opening": ""}},  # type: ignore[arg-type]
        item_text={"columns": ["profile"]},  # type: ignore[arg-type]
    )
    summary = run_source(
        catalog, "fake", options.sources["fake"], options, folder=tmp_path / "out",
        seed=0, engine=FakeEngine(answer),
    )  # fmt: skip
    counts = summary["tasks"]["user_profile"]
    assert (counts["ok"], counts["failed"], counts["failed_by_reason"]) == (11, 1, {"echo": 1})
    rows = records()["user_profile"]
    assert [row["attempt"] for row in rows] == [2, 3] + [1] * 10
    assert json.loads(rows[0]["fields"]) == {"profile": GOOD}
