"""Scored requests to servers: what is asked, and what an answer's log-probabilities become. Answers lie in files."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from augment.completions import records_of
from augment.engines.openai.batch_file import BatchFileEngine
from augment.engines.openai.options import OpenAIOptions
from augment.messages import Record
from augment.requests import ask
from augment.tasks.base import Context
from augment.tasks.edges import Edges, EdgesOptions
from augrec.artefacts.errors import UsageError

Says = Callable[[dict[str, Any]], Any]
"""The body of a request -> log-probabilities by token, or the `logprobs` of the answer."""


def options(**changes: Any) -> OpenAIOptions:
    return OpenAIOptions.model_validate({"base_url": "http://127.0.0.1:9/v1", "model": "m"} | changes)


def answer(line: str, says: Says) -> str:
    asked = json.loads(line)
    said = says(asked["body"])
    if isinstance(said, Mapping):
        said = {"content": [{"token": "A", "top_logprobs": [{"token": t, "logprob": p} for t, p in said.items()]}]}
    choice = {"message": {"role": "assistant", "content": "A"}, "finish_reason": "length", "logprobs": said}
    body = {"choices": [choice], "usage": {"prompt_tokens": 40, "completion_tokens": 1}}
    return json.dumps({"custom_id": asked["custom_id"], "response": {"status_code": 200, "body": body}})


@pytest.fixture
def scored(context: Context, tmp_path: Path) -> Callable[..., tuple[list[Record], list[dict[str, Any]]]]:
    """scored(says) writes the questions about three users to a file, answers them, and reads the answers."""

    def call(says: Says, skip: int = 0, **changes: Any) -> Any:
        task = Edges(context, EdgesOptions(mode="score"))
        first = BatchFileEngine(options(**changes), [])
        questions = [next(ask(task, user, context.catalog.user(user), first, seed=0)) for user in range(3)]
        list(records_of(first, {"edges": task}, questions, 1))
        lines = [first.line(request) for request in first.unanswered]
        path = tmp_path / "answers.jsonl"
        path.write_text("".join(f"{answer(line, says)}\n" for line in lines[skip:]))
        engine = BatchFileEngine(options(**changes), [path])
        records = [record for record, _ in records_of(engine, {"edges": task}, questions, 1)]
        return records, [json.loads(line) for line in lines]

    return call


def letters(body: dict[str, Any]) -> dict[str, float]:
    return dict(zip("ABCDEF", (-0.5, -1.5, -2.5, -3.5, -4.5, -5.5), strict=True))


@pytest.mark.parametrize("dialect", ["vllm", "openai"])
def test_one_token_is_asked_for_with_the_likeliest_twenty(scored: Any, dialect: str) -> None:
    records, lines = scored(letters, dialect=dialect, extra_body={"user": "me"})
    assert len(lines) == 6
    assert [line["custom_id"].rpartition("/")[2] for line in lines] == ["1", "1"] * 3
    assert len({line["custom_id"] for line in lines}) == 6
    body = lines[0]["body"]
    assert (body["logprobs"], body["top_logprobs"], body["temperature"], body["user"]) == (True, 20, 0.0, "me")
    assert body["max_tokens" if dialect == "vllm" else "max_completion_tokens"] == 1
    assert body.get("structured_outputs") == ({"choice": list("ABCDEF")} if dialect == "vllm" else None)
    assert "response_format" not in body
    assert "seed" not in body
    for record in records:
        assert (record.status, record.repairs, record.prompt_tokens) == ("ok", (), 80)
        assert json.loads(record.text) == [letters({})] * 2


def test_an_order_without_an_answer_is_asked_next_time(scored: Any) -> None:
    records, _ = scored(letters, skip=1)
    assert [record.entity for record in records] == [1, 2]


def test_labels_beyond_the_likeliest_get_the_floor_which_is_said(scored: Any) -> None:
    top = {"A": -0.25, " B": -2.0, "The": -2.5, "C": -3.0, "A ": -4.0, "So": -6.0}
    records, _ = scored(lambda body: top, dialect="openai")
    both = math.log(math.exp(-0.25) + math.exp(-4.0))
    expected = {"A": both, "B": -2.0, "C": -3.0, "D": -6.0, "E": -6.0, "F": -6.0}
    assert json.loads(records[0].text)[0] == pytest.approx(expected, abs=1e-6)
    assert records[0].repairs == ("scores: D, E, F at the floor -6.00",) * 2


def test_tokens_that_the_grammar_forbids_set_no_floor(scored: Any) -> None:
    records, _ = scored(lambda body: {"A": -0.1, "B": -3.0, "the": -9999.0, "F": -9999.0})
    assert json.loads(records[0].text)[0] == {"A": -0.1, "B": -3.0, "C": -50, "D": -50, "E": -50, "F": -50}
    assert records[0].repairs[0] == "scores: C, D, E, F at the floor -50.00"


def test_no_label_at_all_fails_at_once(scored: Any) -> None:
    records, _ = scored(lambda body: {"The": -0.1, "I": -3.0})
    assert {record.reason for record in records} == {"no_label: none of the labels is among the likeliest tokens"}


@pytest.mark.parametrize("said", [None, {"content": None}, {"content": [{}]}, "no"])
def test_a_server_without_log_probabilities_is_refused(scored: Any, said: Any) -> None:
    with pytest.raises(UsageError, match="no log-probabilities for model 'm'") as caught:
        scored(lambda body: [said] if isinstance(said, dict) else said)
    assert "mode: choose" in str(caught.value.remedy)
