"""Profiles of items, and of users by what was written of their items: what is shown, waited for and stored."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from augment.catalog import Catalog
from augment.hashes import reviews_sha256
from augment.messages import Draft, Request
from augment.options import GenerationOptions
from augment.prompts.presentation import ItemTextOptions, Presentation
from augment.prompts.rendering import Prompts
from augment.runner import run_source
from augment.tasks.base import Context, Contradiction, Impossible
from augment.tasks.item_profile import ItemProfile, ItemProfileOptions
from augment.tasks.reasoning import reasoned_answer
from augment.tasks.user_profile import UserProfile, UserProfileOptions
from augrec.artefacts.errors import UsageError
from augrec.artefacts.tasks import Text, read_card
from embed.records import texts_of_source
from tests.kit.fake_engine import FakeEngine
from tests.kit.prepared_data import write_prepared

DESCRIBED = 3
"""The only item with a description."""
TITLES = {DESCRIBED: "Amélie", 5: "The Sea"}
GOOD = "People who enjoy quiet films about the sea will like this one."
REASONS = "The reviews speak of waves. They praise its calm."


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """Every interaction has a review of its own but those of user 0's first item; one item has a description."""
    run = tmp_path / "run"
    write_prepared(run, TITLES)
    path = run / "dataset" / "interactions.parquet"
    rows = pq.read_table(path)
    said = [
        None if (row["user"], row["item"]) == (0, 0) else f"{row['split']}-{row['user']}-{row['item']} The Sea was fine"
        for row in rows.to_pylist()
    ]
    pq.write_table(rows.append_column("review", pa.array(said, pa.large_string())), path)
    path = run / "dataset" / "items.parquet"
    items = pq.read_table(path)
    told = ["A shy waitress in Paris." if item == DESCRIBED else None for item in range(len(items))]
    tags = [[f"tag{n}" for n in range(item)] for item in range(len(items))]
    items = items.append_column("description", pa.array(told)).append_column("tags", pa.array(tags))
    items = items.append_column("tagline", pa.array([text and "Fate smiles." for text in told]))
    pq.write_table(items.append_column("price", pa.array([1.5] * len(items))), path)
    return run


def item_task(catalog: Catalog, seed: int = 7, **options: Any) -> ItemProfile:
    return ItemProfile(Context(catalog, Prompts(), 15, seed), ItemProfileOptions(**options))


def shown(draft: Draft) -> dict[str, Any]:
    """The object of JSON in a prompt about an item."""
    found: dict[str, Any] = json.loads(draft.messages[1].content.partition("\n\nMovie: ")[2])
    return found


# What is shown of an item.


def test_a_described_item_is_shown_by_title_and_description(catalog: Catalog) -> None:
    draft = item_task(catalog).draft(catalog.item(DESCRIBED))
    assert shown(draft) == {"title": "Amélie", "description": "A shy waitress in Paris."}
    assert "Amélie" in draft.messages[1].content, "letters are not escaped"
    assert (draft.shown_reviews, draft.reviews_sha256) == ((), "")
    cut = item_task(catalog, description_words=2).draft(catalog.item(DESCRIBED))
    assert shown(cut)["description"] == "A shy…"
    text = catalog.presented(Presentation(ItemTextOptions(columns=("tagline",))))
    assert shown(item_task(text).draft(text.item(DESCRIBED)))["description"] == "Fate smiles."
    named = item_task(text, description=("description", "tagline")).draft(text.item(DESCRIBED))
    assert shown(named)["description"] == "A shy waitress in Paris. Fate smiles."


def test_another_item_is_shown_by_what_is_known_and_said(catalog: Catalog) -> None:
    draft = item_task(catalog, reviews=2).draft(catalog.item(11))
    facts = shown(draft)
    assert list(facts) == ["title", "year", "genres", "tags", "reviews"]
    assert (facts["title"], facts["year"], len(facts["tags"])) == ("Title 11", 1991, 10)
    assert facts["reviews"] == [f"train-{user}-11 The Sea was fine" for user in draft.shown_reviews]
    assert len(draft.shown_reviews) == 2
    assert draft.reviews_sha256 == reviews_sha256(facts["reviews"])
    assert list(shown(item_task(catalog, attributes=("price",)).draft(catalog.item(1))))[:2] == ["title", "price"]
    with pytest.raises(UsageError, match="no column 'pryce'"):
        item_task(catalog, attributes=("pryce",))


def test_whose_reviews_are_shown_is_drawn_with_the_seed_and_more_hold_fewer(catalog: Catalog) -> None:
    def authors(item: int, seed: int, reviews: int = 2) -> tuple[int, ...]:
        return item_task(catalog, seed, reviews=reviews).draft(catalog.item(item)).shown_reviews

    popular = range(4, 12)
    assert [authors(item, 1) for item in popular] == [authors(item, 1) for item in popular]
    assert [authors(item, 1) for item in popular] != [authors(item, 2) for item in popular]
    assert all(authors(item, 1) == authors(item, 1, 4)[:2] for item in popular)
    assert {len(authors(item, 1, 100)) for item in popular} == {5}
    assert authors(7, 1, 0) == ()
    places = [authors(8, seed, 1)[0] for seed in range(300)]
    assert all(30 <= places.count(user) <= 90 for user in range(4, 9)), "every training review alike"


def test_reviews_are_cut_and_lose_hidden_titles(catalog: Catalog) -> None:
    cut = shown(item_task(catalog, review_words=2).draft(catalog.item(8)))
    assert all(re.fullmatch(r"train-\d+-8 The…", review) for review in cut["reviews"])
    hidden = catalog.presented(Presentation(titles="anonymous", seed=1))
    facts = shown(item_task(hidden).draft(hidden.item(5)))
    assert facts["title"].startswith("movie ")
    assert all(review.endswith(f"{facts['title']} was fine") for review in facts["reviews"])


def test_an_item_of_which_nothing_is_known_cannot_be_asked_about(dataset: Path) -> None:
    path = dataset / "dataset" / "items.parquet"
    pq.write_table(pq.read_table(path).select(["item", "source_id", "description"]), path)
    bare = Catalog.load(dataset / "dataset")
    task = item_task(bare)
    with pytest.raises(Impossible, match="nothing_known"):
        task.draft(bare.item(19))
    assert shown(task.draft(bare.item(DESCRIBED))) == {"description": "A shy waitress in Paris."}


def test_prompts_share_all_that_comes_before_the_item(catalog: Catalog) -> None:
    task = item_task(catalog)
    one, other = (task.draft(catalog.item(item)).messages for item in (1, 2))
    assert one[0] == other[0]
    assert [messages[1].content.partition("\n\nMovie: ")[0] for messages in (one, other)].count(
        one[1].content.partition("\n\nMovie: ")[0]
    ) == 2


ITEM_PROMPT = """\
What kinds of people like a movie such as this one? Describe their taste, beginning with "People who enjoy": the \
genres, themes and moods that they look for. Then tell what speaks for it. Fill in the fields: profile, up to 40 \
words; reasoning, up to 30 words.

Movie: {"title": "Title 02", "year": 1982, "genres": ["Drama"], "tags": ["tag0", "tag1"], \
"reviews": ["train-2-2 The Sea was fine"]}"""
USER_PROMPT = """\
A person liked the movies below. Each comes with a profile of the people who like it, and with this person's review \
where there is one. Describe the taste of this person, beginning with "This person enjoys": the genres, themes and \
moods that these movies have in common. Then tell which of them speak for it. Fill in the fields: profile, up to 100 \
words; reasoning, up to 100 words.

Movies:
{"title": "Title 00", "profile": "Profile of 0 in a few words."}
{"title": "Title 02", "profile": "Profile of 2 in a few words.", "review": "train-0-2 The Sea was fine"}
{"title": "Title 04", "profile": "Profile of 4 in a few words.", "review": "train-0-4 The Sea was fine"}"""


def test_the_prompts_word_for_word(catalog: Catalog, asked: Callable[..., Any]) -> None:
    task = item_task(catalog, words=40, reasoning_words=30, opening="People who enjoy", reviews=1)
    content = task.draft(catalog.item(2)).messages[1].content
    content = re.sub(r"train-\d-2", "train-2-2", content)
    assert content == ITEM_PROMPT
    requests, _ = asked(tasks={"user_profile": {"style": "reasoned", "items": 3}}, seed=0)
    assert requests["user_profile", 0].draft.messages[1].content == USER_PROMPT


# Users, who wait for their items.


@pytest.fixture
def asked(catalog: Catalog, tmp_path: Path) -> Callable[..., Any]:
    """Asks both tasks; item 1 and user 2 always fail. Returns the requests by task and entity, and the summary."""

    def answer(request: Request, company: object) -> str:
        entity = request.draft.entity
        opening = "Profile of" if request.task == "item_profile" else "This person enjoys"
        if (request.task, entity) in {("item_profile", 1), ("user_profile", 2)}:
            nothing = {"Profile of": "None.", "This person enjoys": "This person enjoys nothing."}
            return json.dumps({"profile": nothing[opening], "reasoning": REASONS})
        return json.dumps({"profile": f"{opening} {entity} in a few words.", "reasoning": f"{REASONS} {REASONS}"})

    def call(folder: str = "out", seed: int = 7, **section: Any) -> Any:
        tasks = ["item_profile", "user_profile"]
        source = {"engine": {"kind": "heuristic"}, "tasks": tasks}
        section = {"tasks": {"user_profile": {"style": "reasoned"}}, **section}
        generation = GenerationOptions.model_validate({"sources": {"s": source}, "shards": 2, **section})
        engine = FakeEngine(answer)
        summary = run_source(
            catalog, "s", generation.sources["s"], generation, folder=tmp_path / folder, seed=seed, engine=engine
        )
        return {(request.task, request.draft.entity): request for request in engine.asked}, summary

    return call


def items_of(request: Request) -> list[dict[str, Any]]:
    lines = request.draft.messages[1].content.partition("\nMovies:\n")[2].splitlines()
    return [json.loads(line) for line in lines]


def test_users_are_shown_what_was_written_of_their_items(catalog: Catalog, asked: Callable[..., Any]) -> None:
    requests, summary = asked()
    order = [task for task, _ in requests]
    assert order == ["item_profile"] * 20 + ["user_profile"] * 12
    assert summary["tasks"]["user_profile"]["reads"] == {"item_profile": {"answered": 19, "absent": 1}}
    for user in range(12):
        request = requests["user_profile", user]
        assert request.draft.shown_history == tuple(catalog.train_items(user).tolist()), "six hold all five, in order"
        for item, facts in zip(request.draft.shown_history, items_of(request), strict=True):
            assert facts.get("profile") == (None if item == 1 else f"Profile of {item} in a few words.")
            review = None if (user, item) == (0, 0) else f"train-{user}-{item} The Sea was fine"
            assert facts.get("review") == review
            assert (item in request.draft.shown_reviews) == (review is not None)


def test_a_sample_of_the_items_is_drawn_with_the_seed(catalog: Catalog, asked: Callable[..., Any]) -> None:
    few = {"user_profile": {"style": "reasoned", "items": 2}}
    samples = []
    for seed in (1, 2):
        requests, _ = asked(f"out-{seed}", seed, tasks=few)
        samples.append({user: requests["user_profile", user].draft.shown_history for user in range(12)})
    assert samples[0] != samples[1]
    for user, items in samples[0].items():
        train = catalog.train_items(user).tolist()
        assert len(items) == 2
        assert [item for item in train if item in items] == list(items)
    assert any(items != tuple(catalog.train_items(user)[-2:]) for user, items in samples[0].items())


def test_no_prompt_holds_a_held_out_review(asked: Callable[..., Any]) -> None:
    requests, _ = asked()
    contents = [request.draft.messages[1].content for request in requests.values()]
    assert sum("train-" in content for content in contents) > 25
    assert not any(split in content for content in contents for split in ("valid-", "test-"))


def test_who_has_no_profile_stays_and_is_masked(
    asked: Callable[..., Any], records: Callable[..., Any], tmp_path: Path
) -> None:
    asked()
    stored = records()
    assert [row["status"] for row in stored["user_profile"]] == ["ok", "ok", "failed", *["ok"] * 9]
    assert stored["user_profile"][2]["reason"].startswith("placeholder")
    assert stored["user_profile"][2]["fallback"] == "masked"
    fields = json.loads(stored["item_profile"][5]["fields"])
    assert fields == {"profile": "Profile of 5 in a few words.", "reasoning": REASONS}
    assert stored["item_profile"][5]["repairs"] == ["reasoning: 2 repeated sentences cut"]
    texts = texts_of_source(tmp_path / "out", 12, 20, ["item_profile", "user_profile"])
    assert texts["item_profile"].texts[1] is None
    assert texts["user_profile"].texts[2] is None
    assert texts["item_profile"].texts[5] == "Profile of 5 in a few words.", "the reasoning is not embedded"
    card = read_card(tmp_path / "out" / "user_profile" / "task.json")
    assert (card.reads, card.gives, card.shows) == (("item_profile",), Text(field="profile"), "sample")


def test_records_say_whose_reviews_were_shown(asked: Callable[..., Any], records: Callable[..., Any]) -> None:
    requests, _ = asked()
    for task in ("item_profile", "user_profile"):
        for row in records()[task]:
            draft = requests[task, row["entity"]].draft
            assert (row["shown_reviews"], row["reviews_sha256"]) == (list(draft.shown_reviews), draft.reviews_sha256)
    assert not any(row["shown_reviews"] for row in records()["item_profile"] if row["entity"] == DESCRIBED)


def test_another_review_is_another_question(asked: Callable[..., Any], dataset: Path) -> None:
    before, _ = asked()
    keys = {name: request.key for name, request in before.items()}
    after, _ = asked("other", tasks={"user_profile": {"style": "reasoned"}, "item_profile": {"reviews": 5}})
    changed = {name for name, request in after.items() if request.key != keys[name]}
    assert not changed, "five reviews are all there are"
    after, _ = asked("fewer", tasks={"user_profile": {"style": "reasoned"}, "item_profile": {"reviews": 4}})
    changed = {entity for (task, entity), request in after.items() if request.key != keys[task, entity]}
    assert DESCRIBED not in changed
    assert len(changed) > 5


def test_reviews_are_left_out_where_the_context_is_short(
    catalog: Catalog, records: Callable[..., Any], tmp_path: Path
) -> None:
    task = item_task(catalog, words=10, reasoning_words=10)
    whole = task.draft(catalog.item(8))
    engine = FakeEngine(lambda request, company: json.dumps({"profile": GOOD, "reasoning": REASONS}))
    engine.context = engine.count_tokens(whole.messages) + whole.answer.max_tokens - 1
    generation = GenerationOptions.model_validate(
        {
            "sources": {"s": {"engine": {"kind": "heuristic"}, "tasks": ["item_profile"]}},
            "tasks": {"item_profile": {"words": 10, "reasoning_words": 10}},
        }
    )
    run_source(catalog, "s", generation.sources["s"], generation, folder=tmp_path / "out", seed=7, engine=engine)
    row = records()["item_profile"][8]
    assert (row["dropped_history"], row["shown_reviews"]) == (1, list(whole.shown_reviews[:-1]))


def test_what_is_read_has_to_be_asked_in_this_style_alone() -> None:
    source = {"engine": {"kind": "heuristic"}, "tasks": ["user_profile"]}
    reasoned = {"sources": {"s": source}, "tasks": {"user_profile": {"style": "reasoned"}}}
    with pytest.raises(ValidationError, match=r"s.tasks: user_profile quotes the answers to item_profile"):
        GenerationOptions.model_validate(reasoned)
    for style in ("fields", "prose"):
        generation = GenerationOptions.model_validate({**reasoned, "tasks": {"user_profile": {"style": style}}})
        assert generation.waves(generation.sources["s"]) == [("user_profile",)]
    source["tasks"] = ["user_profile", "item_profile", "item_attributes"]
    generation = GenerationOptions.model_validate(reasoned)
    assert generation.waves(generation.sources["s"]) == [("item_attributes", "item_profile"), ("user_profile",)]


# Answers.


def test_an_answer_is_two_bounded_texts() -> None:
    answer = reasoned_answer(12, 20, 10, "People who enjoy")
    written = {"profile": "People who enjoy tea.", "reasoning": "It says so."}
    assert answer.parse(json.dumps(written)) == written
    assert list(answer.schema["properties"]) == ["profile", "reasoning"]
    assert answer.max_tokens == 2 * 12 + 2 * 20 + 2 * 17
    for field, text in (("profile", "Tea."), ("profile", "People who enjoy " + "tea " * 9 + "tea."),
                        ("reasoning", "so " * 20 + "so."), ("reasoning", "No end")):  # fmt: skip
        with pytest.raises(ValueError, match=field):
            answer.parse(json.dumps({**written, field: text}))


def test_reasons_are_mended_and_never_refused(catalog: Catalog) -> None:
    task = item_task(catalog, words=30, reasoning_words=12)
    draft = task.draft(catalog.item(8))
    for reasoning, kept in (
        ("So it is. So it is.", "So it is."),
        ("One two. " + "word " * 9 + "end.", "One two."),
        ("None.", "None."),
    ):
        fields = task.check({"profile": GOOD, "reasoning": reasoning}, draft).fields
        assert fields == {"profile": GOOD, "reasoning": kept}
    for profile in ("None.", "The Sea was fine.", "They like" + " a good book," * 4 + " too."):
        with pytest.raises(Contradiction):
            task.check({"profile": profile, "reasoning": REASONS}, draft)


def test_a_sentence_at_the_bound_loses_its_last_clause(catalog: Catalog) -> None:
    task = item_task(catalog, words=12, reasoning_words=12)
    draft = task.draft(catalog.item(8))

    def mended(profile: str) -> tuple[str, tuple[str, ...]]:
        checked = task.check({"profile": profile, "reasoning": REASONS}, draft)
        return checked.fields["profile"], checked.repairs

    note = ("profile: the last clause cut, it reached the most words",)
    assert mended("They like tea, and quiet towns by the sea, and withthe.") == (
        "They like tea, and quiet towns by the sea, and withthe.", ()), "within the bound"  # fmt: skip
    assert mended("They like tea, and quiet towns by the cold sea, and also withthe.") == (
        "They like tea, and quiet towns by the cold sea.", note)  # fmt: skip
    early = "They like, and quiet towns by the cold sea and also withthe sea."
    assert mended(early) == (early, ()), "most of it would go"


# The rule without a language model.


def test_the_rule_tells_terms_of_what_is_shown(catalog: Catalog, tmp_path: Path, records: Callable[..., Any]) -> None:
    generation = GenerationOptions.model_validate(
        {
            "sources": {"s": {"engine": {"kind": "heuristic"}, "tasks": ["item_profile", "user_profile"]}},
            "tasks": {"user_profile": {"style": "reasoned", "items": 2}},
        }
    )
    run_source(catalog, "s", generation.sources["s"], generation, folder=tmp_path / "out", seed=7)
    items = {row["entity"]: json.loads(row["fields"] or "{}") for row in records()["item_profile"]}
    assert items[8].keys() == {"profile"}
    genres = [genre.lower() for genre in catalog.item(8).genres]
    assert all(genre in items[8]["profile"] for genre in genres)
    for row in records()["user_profile"]:
        terms = json.loads(row["fields"])["profile"].split(", ")
        seen = " ".join(items[item].get("profile", "") for item in row["shown_history"])
        titles = " ".join(catalog.title(item).lower() for item in row["shown_history"])
        assert terms
        assert all(term in seen or term in titles for term in terms)


def test_a_style_by_tfidf_waits_for_nobody(catalog: Catalog) -> None:
    source = {"engine": {"kind": "heuristic", "rule": "tfidf"}, "tasks": ["user_profile"]}
    generation = GenerationOptions.model_validate(
        {"sources": {"s": source}, "tasks": {"user_profile": {"style": "reasoned"}}}
    )
    assert generation.waves(generation.sources["s"]) == [("user_profile",)]
    task = UserProfile(Context(catalog, Prompts(), 15, 0), UserProfileOptions(style="prose"))
    assert (task.options.most_words, UserProfileOptions(style="reasoned").most_words) == (60, 100)
