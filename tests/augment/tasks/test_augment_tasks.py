"""What each task shows, accepts, mends and refuses."""

from __future__ import annotations

import json
import math
from contextlib import nullcontext
from dataclasses import replace
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pydantic import ValidationError

from augment.catalog import Catalog
from augment.entities import UserEntity
from augment.prompts.domains import domain_named
from augment.prompts.rendering import Prompts
from augment.tasks import TASKS
from augment.tasks.base import Context, Contradiction, Impossible
from augment.tasks.edges import Edges, EdgesOptions
from augment.tasks.item_attributes import ItemAttributes, ItemAttributesOptions
from augment.tasks.user_profile import UserProfile, UserProfileOptions
from augrec.artefacts.errors import UsageError
from augrec.artefacts.interactions import UserItems
from tests.kit.prepared_data import write_prepared

PROFILE: dict[str, Any] = {
    "age": "18-24",
    "gender": "female",
    "liked_genres": ["Action", "War"],
    "disliked_genres": ["Horror"],
    "liked_directors": ["Jane Doe"],
    "country": "Chile",
    "language": "Spanish",
}


def test_labels_map_back_to_the_items_shown(context: Context) -> None:
    task = Edges(context, EdgesOptions())
    draft = task.draft(context.catalog.user(3))
    lines = draft.messages[1].content.split("Candidates:\n")[1].splitlines()
    for label, item in enumerate(draft.shown_candidates, start=1):
        assert lines[label - 1].startswith(f"{label}. Title {item:02d}")
    checked = task.check({"most_likely": 2, "least_likely": 5}, draft)
    assert checked.fields == {"positive": draft.shown_candidates[1], "negative": draft.shown_candidates[4]}


def test_candidate_order_is_drawn_per_user_and_per_seed(context: Context) -> None:
    def order(seed: int, user: int) -> list[int]:
        task = Edges(Context(context.catalog, context.prompts, 15, seed), EdgesOptions())
        entity = context.catalog.user(user)
        ranks = [item.item for item in entity.candidates]
        return [ranks.index(item) for item in task.draft(entity).shown_candidates]

    assert order(7, 3) == order(7, 3)
    assert len({tuple(order(7, user)) for user in range(8)}) > 5
    assert order(7, 3) != order(8, 3)
    first = [order(seed, 0).index(0) for seed in range(300)]
    assert all(30 <= first.count(place) <= 75 for place in range(6)), "the best candidate is shown everywhere alike"


def test_users_with_the_same_candidates_see_them_in_orders_of_their_own(context: Context) -> None:
    entity = context.catalog.user(3)
    drafts = [Edges(context, EdgesOptions()).draft(replace(entity, user=user)) for user in range(8)]
    assert len({draft.shown_candidates for draft in drafts}) > 5
    assert len({frozenset(draft.shown_candidates) for draft in drafts}) == 1


def test_most_and_least_cannot_be_the_same(context: Context) -> None:
    answer = Edges(context, EdgesOptions()).draft(context.catalog.user(0)).answer
    pairs = set()
    for branch in answer.schema["$defs"].values():
        most = branch["properties"]["most_likely"]["const"]
        least = branch["properties"]["least_likely"]
        pairs |= {(most, label) for label in least.get("enum", [least.get("const")])}
    assert pairs == {(a, b) for a in range(1, 7) for b in range(1, 7) if a != b}


def test_one_grammar_for_all_users_with_as_many_candidates(context: Context) -> None:
    task = Edges(context, EdgesOptions(candidates=4))
    drafts = [task.draft(context.catalog.user(user)) for user in range(5)]
    assert len({id(draft.answer) for draft in drafts}) == 1
    fewer = UserEntity(0, context.catalog.user(0).history, context.catalog.user(0).candidates[:2])
    assert task.draft(fewer).answer is not drafts[0].answer


def test_who_cannot_be_asked_about(context: Context) -> None:
    user = context.catalog.user(0)
    edges, profile = Edges(context, EdgesOptions()), UserProfile(context, UserProfileOptions())
    for task in (edges, profile):
        with pytest.raises(Impossible, match="no_history"):
            task.draft(UserEntity(0, (), user.candidates))
    with pytest.raises(Impossible, match="too_few_candidates"):
        edges.draft(UserEntity(0, user.history, user.candidates[:1]))


def test_tasks_about_a_user_share_the_beginning_of_their_prompts(context: Context) -> None:
    user = context.catalog.user(2)
    edges = Edges(context, EdgesOptions()).draft(user).messages
    profile = UserProfile(context, UserProfileOptions()).draft(user).messages
    assert edges[0] == profile[0]
    history = edges[1].content.split("\nCandidates:")[0]
    assert "Title 06" in history
    assert profile[1].content.startswith(history)


def test_only_the_latest_items_are_shown(context: Context) -> None:
    task = UserProfile(Context(context.catalog, context.prompts, 3, 0), UserProfileOptions())
    assert task.draft(context.catalog.user(1)).shown_history == (3, 4, 5)
    assert task.draft(context.catalog.user(1), drop=2).shown_history == (5,)


def test_a_sound_profile_is_kept_as_it_is(context: Context) -> None:
    task = UserProfile(context, UserProfileOptions())
    draft = task.draft(context.catalog.user(0))
    assert task.check(draft.answer.parse(json.dumps(PROFILE)), draft).fields == PROFILE


def test_repeats_collapse_and_are_listed(context: Context) -> None:
    task = UserProfile(context, UserProfileOptions())
    draft = task.draft(context.catalog.user(0))
    answer = PROFILE | {"liked_genres": ["War", "War", "Action"], "liked_directors": ["Jane Doe", "JANE DOE"]}
    checked = task.check(answer, draft)
    assert checked.fields["liked_genres"] == ["War", "Action"]
    assert checked.fields["liked_directors"] == ["Jane Doe"]
    assert checked.repairs == ("liked_genres: 1 repeated", "liked_directors: 1 repeated")


def test_placeholders_become_unknown_and_are_listed(context: Context) -> None:
    task = UserProfile(context, UserProfileOptions())
    draft = task.draft(context.catalog.user(0))
    checked = task.check(PROFILE | {"country": "Country", "liked_directors": ["Directors", "Ann Li"]}, draft)
    assert checked.fields["country"] == "unknown"
    assert checked.fields["liked_directors"] == ["Ann Li"]
    assert len(checked.repairs) == 2
    attributes = ItemAttributes(context, ItemAttributesOptions())
    item = attributes.draft(context.catalog.item(1))
    checked = attributes.check({"director": "Director", "country": "N/A", "language": "unknown"}, item)
    assert set(checked.fields.values()) == {"unknown"}
    assert checked.repairs == ("director: placeholder 'Director'", "country: placeholder 'N/A'")


def test_a_title_is_not_a_director(tmp_path: Path) -> None:
    write_prepared(tmp_path / "run", titles={1: "Antonia's Line"})
    catalog = Catalog.load(tmp_path / "run" / "dataset")
    task = ItemAttributes(Context(catalog, Prompts(), 15, 0), ItemAttributesOptions())
    item = task.draft(catalog.item(1))
    checked = task.check({"director": "Antonia's line", "country": "Chile", "language": "Spanish"}, item)
    assert checked.fields == {"director": "unknown", "country": "Chile", "language": "Spanish"}
    assert checked.repairs == ("director: echoes the title",)


def test_a_contradiction_narrows_the_grammar_so_that_it_cannot_come_back(context: Context) -> None:
    task = UserProfile(context, UserProfileOptions())
    draft = task.draft(context.catalog.user(0))
    with pytest.raises(Contradiction) as raised:
        task.check(PROFILE | {"disliked_genres": ["War"]}, draft)
    narrower = raised.value.narrower
    assert narrower is not None
    fields = narrower.schema["properties"]
    assert set(fields["liked_genres"]["items"]["enum"]) == {"Action", "War"}
    assert set(fields["disliked_genres"]["items"]["enum"]) == {"Comedy", "Drama", "Horror"}


def test_without_a_vocabulary_genres_are_bounded_names(dataset: Path) -> None:
    meta = dataset / "dataset" / "dataset.json"
    meta.write_text(json.dumps({"name": "tiny", "domain": "books", "genres": []}))
    context = Context(Catalog.load(dataset / "dataset"), Prompts(), 15, 0)
    schema = UserProfile(context, UserProfileOptions()).draft(context.catalog.user(0)).answer.schema
    assert "pattern" in schema["properties"]["liked_genres"]["items"]
    assert "liked_authors" in schema["properties"]


@pytest.mark.parametrize("name", list(TASKS))
def test_the_control_answers_every_task_in_its_own_shape(context: Context, name: str) -> None:
    task = TASKS[name](context, TASKS[name].Options())
    entities = context.catalog.users() if task.about == "user" else context.catalog.items()
    for entity in entities:
        draft = next(task.questions(entity))
        if draft.labels:
            orders = [order.control.rule() for order in draft.orders]
            assert all(tuple(said) == draft.labels for said in orders)
            assert all(math.fsum(map(math.exp, said.values())) == pytest.approx(1) for said in orders)
            continue
        answer = draft.control.answer.parse(json.dumps(draft.control.rule()))
        assert not task.check(answer, draft).repairs


def test_the_control_follows_the_history(context: Context) -> None:
    user = context.catalog.user(0)
    seen = [genre for item in user.history for genre in item.genres]
    profile = UserProfile(context, UserProfileOptions(liked_genres=1)).draft(user).control.rule()
    assert seen.count(profile["liked_genres"][0]) == max(seen.count(genre) for genre in seen)
    assert profile["age"] == "unknown"
    # Like the history of item 0 in both genres, in one, in none.
    both, one, none = (context.catalog.item(item) for item in (5, 1, 12))
    task = Edges(context, EdgesOptions())
    for candidates in permutations((both, one, none)):
        draft = task.draft(UserEntity(0, user.history[:1], candidates))
        assert task.check(draft.control.rule(), draft).fields == {"positive": 5, "negative": 12}


def test_candidates_are_ten_as_published_and_from_two_to_fifty() -> None:
    assert EdgesOptions().candidates == 10
    for candidates, legal in ((1, False), (2, True), (50, True), (51, False)):
        with nullcontext() if legal else pytest.raises(ValidationError):
            EdgesOptions(candidates=candidates)


def test_own_templates_replace_the_built_in_ones(catalog: Catalog, tmp_path: Path) -> None:
    (tmp_path / "user_profile.j2").write_text("{% include 'history.j2' %}\nWho is it, in {{ domain.many }}?")
    task = UserProfile(Context(catalog, Prompts(tmp_path), 15, 0), UserProfileOptions())
    text = task.draft(catalog.user(0)).messages[1].content
    assert "Title 04" in text
    assert text.endswith("Who is it, in movies?")


@pytest.mark.parametrize(
    ("template", "complaint"),
    [("{% for %}", r"user_profile\.j2:1"), ("{{ candidates }}", "candidates"), ("{% include 'no.j2' %}", r"no\.j2")],
)
def test_a_broken_template_is_named(catalog: Catalog, tmp_path: Path, template: str, complaint: str) -> None:
    (tmp_path / "user_profile.j2").write_text(template)
    task = UserProfile(Context(catalog, Prompts(tmp_path), 15, 0), UserProfileOptions())
    with pytest.raises(UsageError, match=complaint):
        task.draft(catalog.user(0))
    with pytest.raises(UsageError, match="does not exist"):
        Prompts(tmp_path / "nowhere")


def many_genres(n_genres: int) -> Catalog:
    """Ten users who know items 0..9; item i has genre i and the genre of its tens; nobody trains on the others."""
    names = [f"Genre {place:05}" for place in range(n_genres)]
    lists = [[names[item], names[item - item % 10]] for item in range(n_genres)]
    ids, titles = pa.array(range(n_genres), pa.int32()), [f"Title {item}" for item in range(n_genres)]
    items = pa.table({"item": ids, "title": titles, "genres": pa.array(lists, pa.list_(pa.string()))})
    history = UserItems.build(np.repeat(np.arange(10), 10), np.tile(np.arange(10), 10), 10)
    return Catalog(items, history, None, domain_named("movies"), tuple(names))


def test_a_large_vocabulary_is_cut_to_what_users_know_best() -> None:
    catalog = many_genres(5_000)
    assert catalog.commonest_genres(10) == tuple(f"Genre {place:05}" for place in range(10))
    assert catalog.commonest_genres(1) == ("Genre 00000",)  # all ten items of the histories have it
    assert catalog.commonest_genres(12)[10:] == ("Genre 00010", "Genre 00020")  # then those that most items have
    assert catalog.commonest_genres(5_000) == catalog.genres


def test_the_grammar_of_a_profile_is_bounded_whatever_the_vocabulary() -> None:
    options = UserProfileOptions(most_genres=100)
    catalogs = [many_genres(n) for n in (100, 5_000)]
    small, large = (UserProfile(Context(catalog, Prompts(), max_history=15, seed=7), options) for catalog in catalogs)
    draft = large.draft(catalogs[1].user(3))
    assert len(draft.answer.grammar) <= len(small.draft(catalogs[0].user(3)).answer.grammar) + 100
    control = draft.control
    control.answer.parse(json.dumps(control.rule()))  # the rule names no genre that the grammar lacks
