"""Instructions show nothing of what they ask for, teach the truth, and are drawn, dropped and counted as said."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from typing import Annotated, Any, ClassVar

import numpy as np
import pytest
from pydantic import Field, ValidationError

from augment.answers.answer import Answer, AnswerModel
from augment.catalog import Catalog, UserEntity
from augment.instructions.builder import Counts, Duplicates, InstructionBuilder
from augment.instructions.options import InstructionOptions
from augment.messages import Control, Draft, Message
from augment.tasks.base import Checked, Context, Task, TaskOptions
from augment.tasks.pair import Pair, PairOptions
from augment.tasks.pick import Pick, PickOptions
from augment.tasks.ranking import Ranking, RankingOptions
from augrec.artefacts import tasks as kinds
from augrec.artefacts.held_out import HeldOut
from augrec.artefacts.instructions import Instruction
from augrec.artefacts.neighbours import Neighbours
from augrec.artefacts.tasks import About, Gives
from tests.kit.fake_engine import FakeEngine

N_USERS, N_ITEMS, FOLDS = 12, 20, 2


class Liked(AnswerModel):
    liked: Annotated[str, Field(pattern=r"^[0-9.]{1,6}$")]


class Favourite(Task):
    """Asks which item a user likes best; the prompt says everything that it is given."""

    name: ClassVar[str] = "favourite"
    about: ClassVar[About] = "user"
    gives: ClassVar[Gives] = kinds.Insertions()
    Options: ClassVar[type[TaskOptions]] = TaskOptions

    def __init__(self, context: Context, options: TaskOptions) -> None:
        self.options = options

    def draft(self, entity: UserEntity, drop: int = 0) -> Draft:
        shown = {
            "history": [item.item for item in entity.history[drop:]],
            "asked": [item.item for item in entity.candidates],
            "scores": dict(entity.scores),
            "ratings": dict(entity.ratings),
            "similar": [item.item for item in entity.similar],
        }
        answer = Answer(Liked)
        return Draft(
            entity.user,
            (Message("user", json.dumps(shown)),),
            answer,
            Control(lambda: {"liked": ""}, answer),
            shown_history=tuple(shown["history"]),  # type: ignore[arg-type]
            shown_candidates=tuple(shown["asked"]),  # type: ignore[arg-type]
            dropped_history=drop,
        )

    def check(self, answer: dict[str, Any], draft: Draft) -> Checked:
        return Checked(answer)

    def taught(self, draft: Draft, truth: Mapping[int, float]) -> dict[str, Any] | None:
        best = max(truth.values())
        first = [item for item in draft.shown_candidates if truth[item] == best]
        return {"liked": str(first[0])} if len(first) == 1 else None


class Stars(Favourite):
    """Asks for the rating of each candidate."""

    name: ClassVar[str] = "stars"
    gives: ClassVar[Gives] = kinds.Rating()

    def questions(self, entity: UserEntity, drop: int = 0) -> Iterator[Draft]:
        for item in entity.candidates:
            yield replace(self.draft(replace(entity, candidates=(item,)), drop), question=str(item.item))

    def taught(self, draft: Draft, truth: Mapping[int, float]) -> dict[str, Any] | None:
        return {"liked": str(truth[draft.shown_candidates[0]])}


def held_out(rated: bool = True) -> HeldOut:
    """Of every user (items u..u+4 in training) items u and u+2 in fold 0, u+1 in fold 1; four drawn items in each."""
    rng = np.random.default_rng(3)
    rows = []
    for user in range(N_USERS):
        for fold, held in enumerate(((0, 2), (1,))):
            rows += [(user, (user + k) % N_ITEMS, fold, False, 3.0 + k if rated else np.nan) for k in held]
            rows += [(user, (user + k) % N_ITEMS, fold, True, np.nan) for k in (9, 10, 11, 12)]
    columns = [np.array(column) for column in zip(*rows, strict=True)]
    scores = rng.permutation(len(rows)).astype(np.float32)
    return HeldOut.joined([HeldOut(*columns[:4], columns[4].astype(np.float32), scores)])


def build(
    catalog: Catalog,
    rows: HeldOut,
    task: Task,
    *,
    neighbours: Mapping[int, Neighbours] | None = None,
    context: int | None = None,
    counts: Counts | None = None,
    **options: Any,
) -> list[Instruction]:
    chosen = InstructionOptions(tasks=("ranking",), **options)
    counts = Counts() if counts is None else counts
    builder = InstructionBuilder(
        catalog,
        rows,
        neighbours or {},
        chosen,
        dataset="tiny",
        hint_source="mf",
        seed=7,
        reader=FakeEngine(context=context),
        counts=counts,
    )
    return list(builder.of(task, Duplicates(counts).new))


@pytest.fixture
def favourite(context: Context) -> Favourite:
    return Favourite(context, TaskOptions())


def test_what_is_asked_for_is_not_shown(catalog: Catalog, favourite: Favourite) -> None:
    made = build(catalog, held_out(), favourite)
    assert len(made) == N_USERS * FOLDS
    for instruction in made:
        _, _, user, fold, _ = instruction.id.split("/")
        number = int(user.removeprefix("u"))
        hidden = {(number + k) % N_ITEMS for k in ((0, 2), (1,))[int(fold)]}
        shown = json.loads(instruction.prompt[0][1])
        trained = [(number + k) % N_ITEMS for k in range(5)]
        assert shown["history"] == [item for item in trained if item not in hidden]
        assert not hidden & {int(item) for item in shown["ratings"]}
        (target,) = instruction.targets
        assert int(target.removeprefix("s")) in hidden
        assert json.loads(instruction.completion) == {"liked": target.removeprefix("s")}
        assert set(shown["asked"]) & hidden == {int(target.removeprefix("s"))}, "one held-out item among drawn ones"
        assert instruction.items == tuple(f"s{item}" for item in shown["asked"])
        assert instruction.hint_source == "mf"


def test_hints_are_those_of_the_fold(catalog: Catalog, favourite: Favourite) -> None:
    rows = held_out()
    known = {
        (int(user), int(fold), int(item)): float(score)
        for user, fold, item, score in zip(rows.user, rows.fold, rows.item, rows.score, strict=True)
    }
    for instruction in build(catalog, rows, favourite):
        user, fold = (int(part.removeprefix("u")) for part in instruction.id.split("/")[2:4])
        shown = json.loads(instruction.prompt[0][1])
        assert {int(item): score for item, score in shown["scores"].items()} == {
            item: known[user, fold, item] for item in shown["asked"]
        }
        scores = [known[user, fold, item] for item in shown["asked"]]
        assert scores == sorted(scores, reverse=True), "candidates come best first, as a recommender lists them"


def test_the_similar_user_is_the_folds(catalog: Catalog, favourite: Favourite) -> None:
    nearest = {fold: np.roll(np.arange(N_USERS), -1 - fold) for fold in range(FOLDS)}
    starts, similarity = np.arange(N_USERS + 1), np.ones(N_USERS, dtype=np.float32)
    neighbours = {fold: Neighbours(starts, users, similarity) for fold, users in nearest.items()}
    for instruction in build(catalog, held_out(), favourite, neighbours=neighbours):
        user, fold = (int(part.removeprefix("u")) for part in instruction.id.split("/")[2:4])
        other = (user + 1 + fold) % N_USERS
        shown = json.loads(instruction.prompt[0][1])["similar"]
        assert shown == [(other + k) % N_ITEMS for k in (4, 3, 2, 1, 0)], "the latest first"


def test_another_truth_changes_the_answer_and_not_the_prompt(catalog: Catalog, context: Context) -> None:
    task, rows = Ranking(context, RankingOptions()), held_out()
    turned = HeldOut(
        **{field.name: getattr(rows, field.name) for field in fields(HeldOut)} | {"rating": 8 - rows.rating}
    )
    before, after = build(catalog, rows, task), build(catalog, turned, task)
    assert [each.prompt for each in before] == [each.prompt for each in after]
    assert [each.completion for each in before] != [each.completion for each in after]


def test_a_ranking_puts_held_out_items_first_by_rating_and_drawn_ones_by_the_hint(
    catalog: Catalog, context: Context
) -> None:
    task, rows = Ranking(context, RankingOptions()), held_out()
    (instruction,) = (each for each in build(catalog, rows, task) if each.id == "tiny/ranking/u4/0/0")
    order = [instruction.items[label - 1] for label in json.loads(instruction.completion)["order"]]
    own = rows.of(4).rows(rows.of(4).fold == 0)
    drawn = sorted((item for item in range(len(own)) if own.drawn[item]), key=lambda place: -own.score[place])
    assert order == ["s6", "s4", *(f"s{own.item[place]}" for place in drawn)], "rated 5 and 3; then by the score"


def test_a_pair_is_a_held_out_item_and_a_drawn_one(catalog: Catalog, context: Context) -> None:
    made = build(catalog, held_out(), Pair(context, PairOptions()))
    assert len(made) == N_USERS * FOLDS
    for instruction in made:
        (target,) = instruction.targets
        assert len(instruction.items) == 2
        assert instruction.completion == "AB"[instruction.items.index(target)]
    assert {each.completion for each in made} == {"A", "B"}, "no letter is always right"


def test_a_pick_is_the_held_out_item_among_drawn_ones(catalog: Catalog, context: Context) -> None:
    made = build(catalog, held_out(), Pick(context, PickOptions()), list_size=5, positives=1)
    for instruction in made:
        (target,) = instruction.targets
        assert len(instruction.items) == 5
        assert instruction.completion == "ABCDE"[instruction.items.index(target)]
    assert len({each.completion for each in made}) > 2


def test_a_scored_ranking_is_taught_the_favourite(catalog: Catalog, context: Context) -> None:
    made = build(catalog, held_out(rated=False), Ranking(context, RankingOptions(mode="score")))
    assert len(made) == N_USERS * FOLDS, "alike held-out items would leave open which it is"
    for instruction in made:
        (target,) = instruction.targets
        assert instruction.completion == "ABCDE"[instruction.items.index(target)]


def test_a_rating_is_asked_for_what_was_rated(catalog: Catalog, context: Context) -> None:
    task = Stars(context, TaskOptions())
    made = build(catalog, held_out(), task)
    assert len(made) == N_USERS * FOLDS
    for instruction in made:
        (item,) = instruction.items
        user = int(instruction.user.removeprefix("u"))
        place = (int(item.removeprefix("s")) - user) % N_ITEMS
        assert json.loads(instruction.completion) == {"liked": str(3.0 + place)}
    counts = Counts()
    assert build(catalog, held_out(rated=False), task, counts=counts) == []
    assert counts.dropped["undecided"] == N_USERS * FOLDS


def test_the_draw_is_the_seeds_and_a_larger_one_adds_to_it(catalog: Catalog, favourite: Favourite) -> None:
    few, more = build(catalog, held_out(), favourite, count=5), build(catalog, held_out(), favourite, count=9)
    assert len(few) == 5
    assert more[:5] == few
    assert len({each.user for each in more}) > 4, "not the first users one after the other"
    assert few == build(catalog, held_out(), favourite, count=5)


def test_several_draws_of_a_fold_ask_about_other_items(catalog: Catalog, favourite: Favourite) -> None:
    counts = Counts()
    made = build(catalog, held_out(), favourite, per_fold=6, list_size=3, positives=1, counts=counts)
    assert len({(each.prompt, each.completion) for each in made}) == len(made)
    assert len(made) + counts.dropped["duplicates"] == 6 * N_USERS * FOLDS
    assert counts.dropped["duplicates"] > 0, "drawn twice, kept once"
    assert counts.made == {"favourite": len(made)}


def test_users_with_few_interactions_are_left_out_and_counted(catalog: Catalog, favourite: Favourite) -> None:
    counts = Counts()
    assert build(catalog, held_out(), favourite, least_history=6, counts=counts) == []
    assert counts.dropped["thin_users"] == N_USERS


def test_histories_are_shortened_to_the_context_and_what_does_not_fit_is_counted(
    catalog: Catalog, favourite: Favourite
) -> None:
    rows, counts = held_out(), Counts()
    whole = build(catalog, rows, favourite)
    longest = max(len(each.prompt[0][1].split()) for each in whole) + Answer(Liked).max_tokens
    short = build(catalog, rows, favourite, context=longest - 1)
    histories = [[json.loads(each.prompt[0][1])["history"] for each in made] for made in (whole, short)]
    assert all(kept == was[len(was) - len(kept) :] for was, kept in zip(*histories, strict=True))
    assert histories[0] != histories[1]
    assert build(catalog, rows, favourite, context=20, counts=counts) == []
    assert counts.dropped["impossible"] == N_USERS * FOLDS


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"tasks": ["ranking", "ranking"]}, "named twice"),
        ({"tasks": ["user_profile"]}, "'user_profile' is no task with an answer that interactions give; those are"),
        ({}, "name the tasks"),
        ({"tasks": ["ranking"], "positives": 10}, "less than list_size"),
    ],
)
def test_what_cannot_be_taught_is_refused(options: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        InstructionOptions(**options)
