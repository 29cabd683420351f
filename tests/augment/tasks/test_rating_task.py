"""The rating task: a question per candidate, the data's scale, numbers and means, the rule, and what it teaches."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from augment.answers.answer import Malformed
from augment.catalog import Catalog
from augment.entities import UserEntity
from augment.item_numbers import Ratings
from augment.messages import Draft
from augment.options import GenerationOptions
from augment.tasks.base import Context, Impossible
from augment.tasks.rating import Rating, RatingOptions, rating_answer, scale_of
from augrec.artefacts.errors import UsageError

FIVE = (1.0, 2.0, 3.0, 4.0, 5.0)


class Given(Ratings):
    """Ratings of a data set that are these."""

    def __init__(self, values: Sequence[float]) -> None:
        super().__init__(None, 1, 1)
        self._given = values

    def values(self) -> tuple[float, ...]:
        return tuple(sorted(set(self._given)))


def asked(context: Context, entity: UserEntity | None = None, **options: Any) -> list[Draft]:
    task = Rating(context, RatingOptions(scale=FIVE, **options))
    return list(task.questions(entity or context.catalog.user(3)))


def test_every_candidate_has_a_question_of_its_own_by_its_source_id(context: Context) -> None:
    user = context.catalog.user(3)
    drafts = asked(context, candidates=4)
    assert [draft.shown_candidates for draft in drafts] == [(item.item,) for item in user.candidates[:4]]
    assert [draft.question for draft in drafts] == [context.catalog.ids.of("item", i.item) for i in user.candidates[:4]]
    texts = [draft.messages[1].content for draft in drafts]
    shared = texts[0].split("to rate:")[0]
    assert all(text.startswith(shared) for text in texts), "the engine reads the history once"
    assert Rating(context, RatingOptions(candidates=4)).most_questions == 4


def test_stars_stand_beside_titles_and_hints_where_they_are_wanted(context: Context) -> None:
    user = context.catalog.user(3)
    last, other = user.history[-1], user.candidates[1]
    entity = replace(
        user,
        ratings={last.item: 4.0},
        similar=(other, last),
        similar_ratings={other.item: 2.0, last.item: 5.0},
        scores={user.candidates[0].item: 3.24},
    )
    (plain, *_), (hinted, *_) = asked(context, entity), asked(context, entity, similar_user=True, prediction=True)
    text = plain.messages[1].content
    assert f"- {last.title}" in text
    assert text.split(last.title)[1].splitlines()[0].endswith(": 4")
    assert "similar taste" not in text
    assert "predicts" not in text
    assert (plain.shown_similar, hinted.shown_similar) == ((), (other.item, last.item))
    told = hinted.messages[1].content.split("similar taste")[1]
    assert told.split(last.title)[1].splitlines()[0].endswith(": 5"), "the other user's own rating"
    assert "predicts 3.2." in told


@pytest.mark.parametrize(
    ("ratings", "scale"),
    [
        ([1, 5, 3], FIVE),
        ([4, 5], (4.0, 5.0)),
        ([0.5, 3, 2], (0.5, 1.0, 1.5, 2.0, 2.5, 3.0)),
        ([1, 10], tuple(map(float, range(1, 11)))),
        ([], FIVE),
    ],
)
def test_the_scale_is_the_datas(catalog: Catalog, ratings: list[float], scale: tuple[float, ...]) -> None:
    catalog.ratings = Given(ratings)
    assert scale_of(catalog) == scale


@pytest.mark.parametrize("ratings", [[3], [1, 100], [1, 2.25]])
def test_what_is_no_scale_is_refused(catalog: Catalog, ratings: list[float]) -> None:
    catalog.ratings = Given(ratings)
    with pytest.raises(UsageError, match=r"set generation\.tasks\.rating\.scale"):
        scale_of(catalog)


def test_no_other_number_is_an_answer() -> None:
    whole, halves = rating_answer(FIVE), rating_answer((0.5, 1.0, 1.5))
    assert whole.parse('{"rating":4}') == {"rating": 4}
    assert halves.parse('{"rating":"1.5"}') == {"rating": "1.5"}
    for answer, wrong in ((whole, '{"rating":6}'), (whole, '{"rating":3.5}'), (halves, '{"rating":"2"}')):
        with pytest.raises(Malformed):
            answer.parse(wrong)
    assert len('{"rating":"1.5"}') <= halves.max_tokens


def test_a_scored_rating_is_the_mean_over_the_scale(context: Context) -> None:
    task = Rating(context, RatingOptions(scale=FIVE, mode="score"))
    draft = next(task.questions(context.catalog.user(3)))
    assert draft.labels == task.options.labels == ("1", "2", "3", "4", "5")
    shares = [0.1, 0.1, 0.2, 0.4, 0.2]
    fields = task.check({"label_logprobs": [[math.log(share) - 2 for share in shares]]}, draft).fields
    assert fields["rating"] == pytest.approx(sum(value * share for value, share in zip(FIVE, shares, strict=True)))
    assert fields["probabilities"] == [[value, pytest.approx(share)] for value, share in zip(FIVE, shares, strict=True)]
    assert RatingOptions(mode="score").labels == (), "before the data are known"


@pytest.mark.parametrize("mode", ["number", "score"])
def test_what_is_taught_is_the_nearest_number(context: Context, mode: str) -> None:
    task = Rating(context, RatingOptions(scale=FIVE, mode=mode))
    draft = next(task.questions(context.catalog.user(3)))
    item = draft.shown_candidates[0]
    assert task.taught(draft, {item: 4.4}) == ({"label": "4"} if mode == "score" else {"rating": 4})
    assert task.taught(draft, {item: 9.0}) == ({"label": "5"} if mode == "score" else {"rating": 5})
    assert task.taught(draft, {}) is None
    if mode == "number":
        assert draft.answer.written({"rating": 4}) == '{"rating":4}'


def test_the_rule_is_what_the_user_gave_to_items_like_it(context: Context) -> None:
    user = context.catalog.user(0)
    genre = user.history[0].genres[0]
    alike = [item for item in user.history if genre in item.genres]
    ratings = {item.item: 5.0 if item in alike else 1.0 for item in user.history}
    entity = replace(user, ratings=ratings, candidates=(replace(user.candidates[0], genres=(genre,)),))
    for mode in ("number", "score"):
        task = Rating(context, RatingOptions(scale=FIVE, mode=mode))
        draft = next(task.questions(entity))
        rule = draft.control.rule()
        if mode == "number":
            assert rule == {"rating": 5}
        else:
            assert max(rule, key=lambda label: rule[label]) == "5"
            assert sum(map(math.exp, rule.values())) == pytest.approx(1)


def test_who_cannot_be_asked(context: Context) -> None:
    user, task = context.catalog.user(3), Rating(context, RatingOptions())
    with pytest.raises(Impossible, match="no_history"):
        next(task.questions(UserEntity(0, (), user.candidates)))
    with pytest.raises(Impossible, match="too_few_candidates"):
        next(task.questions(UserEntity(0, user.history)))


def test_ratings_are_stored_one_a_candidate(
    run: Callable[..., dict[str, Any]],
    records: Callable[[], dict[str, list[dict[str, Any]]]],
    generation: GenerationOptions,
    catalog: Catalog,
) -> None:
    source = generation.sources["fake"].model_copy(update={"tasks": ("rating",)})
    tasks = generation.tasks.model_copy(update={"rating": RatingOptions(scale=FIVE, candidates=3, mode="score")})
    summary = run(None, sources={"fake": source}, tasks=tasks)
    assert summary["tasks"]["rating"]["requests"] == 3 * catalog.n_users
    for record in records()["rating"]:
        fields = json.loads(record["fields"])
        assert 1 <= fields["rating"] <= 5
        assert len(record["shown_candidates"]) == 1
