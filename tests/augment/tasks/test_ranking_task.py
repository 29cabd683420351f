"""The ranking task: what it shows, how labels become items, orders, scores, the control, and what it teaches."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from augment.catalog import Catalog, UserEntity
from augment.engines.openai.dialect import chat_payload
from augment.engines.openai.options import OpenAIOptions
from augment.messages import Draft, Sampling
from augment.options import GenerationOptions
from augment.tasks.base import Context, Impossible
from augment.tasks.ranking import Ranking, RankingOptions
from tests.kit.fake_engine import FakeEngine


def asked(context: Context, user: int = 3, **options: Any) -> list[Draft]:
    return list(Ranking(context, RankingOptions(**options)).questions(context.catalog.user(user)))


def test_labels_become_the_items_beside_them(context: Context) -> None:
    task = Ranking(context, RankingOptions())
    (draft,) = asked(context)
    lines = draft.messages[1].content.split("Candidates:\n")[1].splitlines()
    for label, item in enumerate(draft.shown_candidates, start=1):
        assert lines[label - 1].startswith(f"{label}. Title {item:02d}")
    assert draft.question == ""
    order = [4, 2, 6, 1, 3, 5]
    assert task.check({"order": order}, draft).fields == {"order": [draft.shown_candidates[n - 1] for n in order]}


def test_candidates_are_shuffled_unless_told_otherwise(context: Context) -> None:
    best = [item.item for item in context.catalog.user(3).candidates]
    (retrieved,) = asked(context, order="retrieved")
    assert list(retrieved.shown_candidates) == best
    entities = [context.catalog.user(user) for user in range(12)]
    first = {asked(context, one.user)[0].shown_candidates.index(one.candidates[0].item) for one in entities}
    assert len(first) > 3, "the best candidate is shown in many places"
    (few,) = asked(context, candidates=4)
    assert sorted(few.shown_candidates) == sorted(best[:4]), "the best are kept, whatever the order"


def test_several_orders_are_several_questions_in_pairs_of_reverses(context: Context) -> None:
    drafts = asked(context, permutations=4)
    assert [draft.question for draft in drafts] == ["order-1", "order-2", "order-3", "order-4"]
    shown = [draft.shown_candidates for draft in drafts]
    assert shown[1] == shown[0][::-1]
    assert shown[3] == shown[2][::-1]
    assert len(set(shown)) == 4
    assert shown[0] == asked(context)[0].shown_candidates
    assert Ranking(context, RankingOptions(permutations=4)).most_questions == 4


def test_a_repeated_label_counts_where_it_stands_first(context: Context) -> None:
    (draft,) = asked(context)
    checked = Ranking(context, RankingOptions()).check({"order": [2, 2, 1, 6, 1, 3]}, draft)
    assert checked.fields == {"order": [draft.shown_candidates[label - 1] for label in (2, 1, 6, 3)]}
    assert checked.repairs == ("order: 2 repeated",)


def test_scores_are_an_order_by_probability(context: Context) -> None:
    task = Ranking(context, RankingOptions(mode="score", permutations=2))
    (draft,) = task.questions(context.catalog.user(3))
    assert draft.labels == tuple("ABCDEF")
    assert draft.others[0].shown_candidates == draft.shown_candidates[::-1]
    likely = {item: -float(place) for place, item in enumerate(sorted(draft.shown_candidates))}
    logprobs = [[likely[item] for item in order.shown_candidates] for order in draft.orders]
    fields = task.check({"label_logprobs": logprobs}, draft).fields
    assert fields["order"] == sorted(draft.shown_candidates)
    assert [item for item, _ in fields["scores"]] == fields["order"]
    assert sum(probability for _, probability in fields["scores"]) == pytest.approx(1, abs=1e-5)
    assert fields["disagreement"] == 0
    assert task.most_questions == 1


def test_who_cannot_be_asked(context: Context) -> None:
    user = context.catalog.user(3)
    task = Ranking(context, RankingOptions())
    with pytest.raises(Impossible, match="no_history"):
        next(task.questions(UserEntity(0, (), user.candidates)))
    with pytest.raises(Impossible, match="too_few_candidates: the user has 1"):
        next(task.questions(UserEntity(0, user.history, user.candidates[:1])))


def test_what_is_taught_is_the_true_order_in_labels(context: Context) -> None:
    task, (draft,) = Ranking(context, RankingOptions()), asked(context)
    truth = {item: float(item % 3) for item in draft.shown_candidates[:5]}
    taught = task.taught(draft, truth)
    assert taught is not None
    named = task.check(taught, draft).fields["order"]
    worth = [truth.get(item, -1.0) for item in named]
    assert worth == sorted(worth, reverse=True)
    alike = [item for item in draft.shown_candidates if truth.get(item) == 0.0]
    assert [item for item in named if truth.get(item) == 0.0] == alike, "ties stand as they were shown"
    assert draft.answer.parse(json.dumps(taught)) == taught
    assert task.taught(draft, dict.fromkeys(draft.shown_candidates, 4.0)) is None


def test_the_rule_ranks_by_genres_and_answers_are_stored_by_source_ids(
    run: Callable[..., dict[str, Any]],
    records: Callable[[], dict[str, list[dict[str, Any]]]],
    generation: GenerationOptions,
    catalog: Catalog,
) -> None:
    source = generation.sources["fake"].model_copy(update={"tasks": ("ranking",)})
    tasks = generation.tasks.model_copy(update={"ranking": RankingOptions(permutations=2)})
    summary = run(None, sources={"fake": source}, tasks=tasks)
    assert summary["tasks"]["ranking"]["requests"] == 2 * catalog.n_users
    for record in records()["ranking"]:
        assert record["status"] == "ok"
        assert sorted(json.loads(record["fields"])["order"]) == sorted(record["shown_candidates"])
    assert run(None, sources={"fake": source}, tasks=tasks) == summary, "nothing is asked twice"


def test_engines_are_given_the_rules_where_they_take_them(context: Context) -> None:
    (draft,) = asked(context)
    told = {
        dialect: chat_payload(
            OpenAIOptions(base_url="http://localhost:1/v1", model="m", dialect=dialect),
            draft.messages,
            draft.answer.grammar,
            *("ranking", 50, Sampling()),
            ebnf=draft.answer.ebnf,
        )
        for dialect in ("vllm", "openai")
    }
    assert told["vllm"]["structured_outputs"] == {"grammar": draft.answer.ebnf}
    assert "response_format" not in told["vllm"]
    assert "structured_outputs" not in told["openai"]
    assert told["openai"]["response_format"]["json_schema"]["name"] == "ranking"


def test_an_engine_that_is_held_to_the_schema_alone_repeats_labels_and_loses_nothing(
    run: Callable[..., dict[str, Any]],
    records: Callable[[], dict[str, list[dict[str, Any]]]],
    generation: GenerationOptions,
) -> None:
    source = generation.sources["fake"].model_copy(update={"tasks": ("ranking",)})
    run(FakeEngine(), sources={"fake": source})
    repaired = 0
    for record in records()["ranking"]:
        order, written = json.loads(record["fields"])["order"], json.loads(record["text"])["order"]
        assert order == [record["shown_candidates"][label - 1] for label in dict.fromkeys(written)]
        assert bool(record["repairs"]) == (len(order) < len(written))
        repaired += bool(record["repairs"])
    assert repaired > 10
