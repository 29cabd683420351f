"""Questions leave as a batch file and come back as records, second tries too."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from augrec.artefacts.errors import DataError, UsageError
from augrec.artefacts.files import read_json
from augrec.pipeline.config.run_config import read_config
from augrec.pipeline.exchange.request_files import Taken, take_answers
from augrec.pipeline.executors.chain import run_one
from augrec.pipeline.stages.base import Run
from tests.kit.toy_config import toy_config, write_config
from tests.kit.toy_run import silent

Take = Callable[..., Taken]
LIKED = {"age": "25-34", "gender": "male", "country": "France", "language": "French"}


@pytest.fixture
def config(tmp_path: Path, toy_data: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A prepared run with candidates whose source no server answers."""
    monkeypatch.setenv("AUGREC_CACHE", str(tmp_path / "cache"))
    engine = {"kind": "openai", "base_url": "http://127.0.0.1:9/v1", "model": "m"}
    sources = {"batch": {"engine": engine}, "rule": {"engine": {"kind": "heuristic"}}}
    more = {"output": str(tmp_path / "run"), "generation": {"sources": sources}, "embedding": {}}
    path = write_config(tmp_path / "run.yaml", toy_config(toy_data, more))
    run = Run(read_config(path))
    for stage in ("prepare", "candidates"):
        run_one(run, stage, force=False, console=silent())
    return path


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def result(asked: dict[str, Any], text: str, status: int = 200) -> dict[str, Any]:
    body = {
        "choices": [{"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 2},
    }
    return {
        "id": "x",
        "custom_id": asked["custom_id"],
        "response": {"status_code": status, "body": body},
        "error": None,
    }


def reply(asked: dict[str, Any], *, contradict: bool = False) -> str:
    schema = asked["body"]["response_format"]["json_schema"]
    if schema["name"] == "edges":
        return '{"most_likely": 2, "least_likely": 1}'
    if schema["name"] == "item_attributes":
        return '{"director": "Ada Kern", "country": "France", "language": "French"}'
    disliked = schema["schema"]["properties"]["disliked_genres"]["items"]
    genres = disliked.get("enum") or [disliked["const"]]
    fields = LIKED | {"liked_genres": ["Drama"], "disliked_genres": ["Drama" if contradict else genres[0]]}
    return json.dumps(fields | {"liked_directors": ["Ada Kern"]})


def write(path: Path, entries: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(entry) + "\n" for entry in reversed(entries)))
    return path


def test_out_and_back(config: Path, tmp_path: Path) -> None:
    first, second, third = (tmp_path / f"ask-{n}.jsonl" for n in (1, 2, 3))
    taken = take_answers(config, None, "batch", [], first)
    asked = lines(first)
    assert (taken.recorded, taken.open) == (0, len(asked))
    assert {entry["url"] for entry in asked} == {"/v1/chat/completions"}
    assert len({entry["custom_id"] for entry in asked}) == len(asked)
    answers = [result(entry, reply(entry, contradict=n % 2 == 0)) for n, entry in enumerate(asked)]
    answers[3] |= {"response": None, "error": {"message": "expired"}}
    answers[5]["response"]["status_code"] = 500
    one = write(tmp_path / "one.jsonl", answers)
    taken = take_answers(config, None, "batch", [one], second)
    again = lines(second)
    assert taken.recorded == len(asked) - taken.open
    assert len(again) == taken.open
    tries = {entry["custom_id"].partition("/")[2] for entry in again}
    assert tries == {"1", "2"}  # what was lost, and profiles that contradicted themselves
    two = write(tmp_path / "two.jsonl", [result(entry, reply(entry)) for entry in again])
    taken = take_answers(config, None, "batch", [one, two], third)
    assert (taken.recorded, taken.failed, taken.open) == (len(asked), 0, 0)
    assert lines(third) == []
    run = Run(read_config(config))
    run_one(run, "augment", force=False, console=silent())  # nobody listens at base_url
    summary = read_json(run.folder / "augment" / "summary.json")["sources"]["batch"]
    assert summary["engine"]["answered_by"] == "batch files"
    found = pq.read_table(run.folder / "augment" / "batch" / "user_profile" / "records.parquet").to_pylist()
    assert {row["attempt"] for row in found} == {1, 2}
    assert all(json.loads(row["fields"])["disliked_genres"] != ["Drama"] for row in found)


def test_a_refusal_is_a_failed_record(config: Path, tmp_path: Path) -> None:
    file = tmp_path / "ask.jsonl"
    take_answers(config, None, "batch", [], file)
    asked = lines(file)[0]
    results = write(tmp_path / "one.jsonl", [result(asked, "", status=400)])
    taken = take_answers(config, None, "batch", [results], None)
    assert (taken.recorded, taken.failed) == (1, 1)


VLLM_REASON = {"message": "prompt is too long for the model", "type": "BadRequestError", "param": None, "code": 400}
COMPLETION = {"choices": [{"message": {"content": "{}"}, "finish_reason": "stop"}]}


@pytest.mark.parametrize(
    ("response", "error", "open_or_reason"),
    [
        pytest.param({"status_code": 0, "request_id": "", "body": {}}, None, "open", id="status 0"),
        pytest.param({"status_code": None, "body": None}, None, "open", id="no status"),
        pytest.param(None, None, "open", id="no response"),
        pytest.param("busy", None, "open", id="a response that is no object"),
        pytest.param({"status_code": 500, "body": {}}, {"error": VLLM_REASON | {"code": 500}}, "open", id="vLLM's 500"),
        pytest.param({"status_code": 404, "body": None}, {"error": VLLM_REASON | {"code": 404}}, "open", id="no model"),
        pytest.param({"status_code": 401, "body": {"error": {"message": "key"}}}, None, "open", id="wrong key"),
        pytest.param({"status_code": 429, "body": {"error": {"code": "rate_limit_exceeded"}}}, None, "open", id="429"),
        pytest.param({"status_code": 424, "body": {"error": "broke off"}}, None, "open", id="424"),
        pytest.param({"status_code": 499, "body": {}}, None, "open", id="hung up"),
        pytest.param(None, {"code": 429, "message": "slow down"}, "open", id="429 in the error"),
        pytest.param(None, {"code": "batch_expired", "message": "not in 24h"}, "open", id="expired"),
        pytest.param(None, "cancelled", "open", id="an error that is a text"),
        pytest.param({"status_code": 200, "body": "<html>"}, None, "open", id="a page for a body"),
        pytest.param({"status_code": 200, "body": {"choices": []}}, None, "open", id="no choice"),
        pytest.param({"status_code": True, "body": COMPLETION}, None, "open", id="true for a status"),
        pytest.param({"status_code": 10**400, "body": COMPLETION}, None, "open", id="a huge status"),
        pytest.param(
            {"status_code": 400, "request_id": "r", "body": None}, {"error": VLLM_REASON}, "prompt_too_long",
            id="vLLM's 400",
        ),
        pytest.param(
            {"status_code": 400, "body": None}, "Request must not be sent in stream mode", "refused_by_engine",
            id="vLLM's 400 in words",
        ),
        pytest.param(None, {"error": VLLM_REASON}, "prompt_too_long", id="400 in the error alone"),
        pytest.param(
            {"status_code": 400, "body": {"error": {"message": "no", "code": "context_length_exceeded"}}}, None,
            "prompt_too_long", id="OpenAI's 400",
        ),
        pytest.param({"status_code": "413", "body": {}}, None, "prompt_too_long", id="a status that is a text"),
        pytest.param(
            {"status_code": 422, "body": {"detail": [{"msg": "bad"}]}}, None, "refused_by_engine", id="422",
        ),
    ],
)  # fmt: skip
def test_what_a_line_of_results_means(
    config: Path, tmp_path: Path, response: Any, error: Any, open_or_reason: str
) -> None:
    """It never reached a model: it is in the next file. The last word on it: a failed record with the reason."""
    first, again = tmp_path / "ask.jsonl", tmp_path / "again.jsonl"
    take_answers(config, None, "batch", [], first)
    asked = lines(first)
    one = {"id": "b", "custom_id": asked[0]["custom_id"], "response": response, "error": error}
    taken = take_answers(config, None, "batch", [write(tmp_path / "one.jsonl", [one])], again)
    in_next = asked[0]["custom_id"] in {line["custom_id"] for line in lines(again)}
    assert (in_next, taken.failed) == ((True, 0) if open_or_reason == "open" else (False, 1))
    assert (taken.recorded, taken.open) == (taken.failed, len(asked) - taken.failed)
    assert sum(taken.reasons.values()) == 1 - taken.failed
    rows = [json.loads(line) for path in (tmp_path / "run").glob("augment/batch/*/shards/*") for line in path.open()]
    expected = [] if open_or_reason == "open" else [open_or_reason]
    assert [row["reason"].partition(":")[0] for row in rows] == expected


@pytest.mark.parametrize(
    "wrapped",
    [
        pytest.param(lambda body: {"status_code": 200.0, "body": body}, id="a status that went through pandas"),
        pytest.param(lambda body: {"status_code": None, "body": body}, id="no status"),
        pytest.param(lambda body: body, id="no wrapping"),
    ],
)
def test_a_completion_that_is_there_is_not_asked_again(
    config: Path, tmp_path: Path, wrapped: Callable[[Any], Any]
) -> None:
    take_answers(config, None, "batch", [], tmp_path / "ask.jsonl")
    asked = lines(tmp_path / "ask.jsonl")
    answers = [result(entry, reply(entry)) for entry in asked]
    for answer in answers:
        answer["response"] = wrapped(answer["response"]["body"])
    taken = take_answers(config, None, "batch", [write(tmp_path / "all.jsonl", answers)], None)
    assert (taken.recorded, taken.failed, taken.open) == (len(asked), 0, 0)


def test_second_tries_without_the_first_answers_are_said(config: Path, tmp_path: Path) -> None:
    take_answers(config, None, "batch", [], tmp_path / "ask.jsonl")
    asked = lines(tmp_path / "ask.jsonl")
    second = [entry | {"custom_id": entry["custom_id"].replace("/1", "/2")} for entry in asked]
    first = write(tmp_path / "first.jsonl", [result(entry, "no JSON") for entry in asked])
    later = write(tmp_path / "later.jsonl", [result(entry, reply(entry)) for entry in second])
    alone = take_answers(config, None, "batch", [later], None)
    assert alone.open == len(asked)
    assert any("second tries whose first answers are in none of these files" in note for note in alone.notes)
    taken = take_answers(config, None, "batch", [first, later], None)
    assert (taken.open, taken.notes) == (0, ())


def test_trouble_hides_no_answer_whatever_the_order_of_the_files(config: Path, tmp_path: Path) -> None:
    file = tmp_path / "ask.jsonl"
    take_answers(config, None, "batch", [], file)
    asked = next(line for line in lines(file) if line["body"]["response_format"]["json_schema"]["name"] == "edges")
    good = write(tmp_path / "good.jsonl", [result(asked, reply(asked))])
    bad = write(tmp_path / "bad.jsonl", [result(asked, "", status=503)])
    assert take_answers(config, None, "batch", [good, bad], None).recorded == 1


def test_mistakes(config: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no source 'x'"):
        take_answers(config, None, "x", [], None)
    with pytest.raises(UsageError, match="of kind heuristic"):
        take_answers(config, None, "rule", [], None)
    with pytest.raises(DataError, match="does not exist"):
        take_answers(config, None, "batch", [tmp_path / "none"], None)
    for line in (b'{"x": 1}', b"[]", b'{"custom_id": 3}', b'"\xff"', b"[" * 100_000):
        (tmp_path / "broken").write_bytes(b'{"custom_id": "a"}\n' + line + b"\n")
        with pytest.raises(DataError, match=r"broken:2"):
            take_answers(config, None, "batch", [tmp_path / "broken"], None)
    with pytest.raises(DataError, match="has not finished"):
        take_answers(config, [f"output={tmp_path / 'other'}"], "batch", [], None)


def test_results_of_other_questions_are_said_and_never_written_over(config: Path, tmp_path: Path) -> None:
    take_answers(config, None, "batch", [], tmp_path / "ask.jsonl")
    asked = lines(tmp_path / "ask.jsonl")
    good = [result(entry, reply(entry)) for entry in asked]
    stranger = result({"custom_id": "request-1"}, "{}")
    for entries, message in (([stranger], "1 of 1 results are of no question"), (asked, "asks a request, and answers")):
        with pytest.raises(DataError, match=message):
            take_answers(config, None, "batch", [write(tmp_path / "odd.jsonl", entries)], None)
    half = write(tmp_path / "half.jsonl", [stranger, *good[1:]])
    fenced = write(tmp_path / "fenced.jsonl", [result(asked[0], f"```json {reply(asked[0])}```")])
    (tmp_path / "other.jsonl").write_bytes(half.read_bytes())
    for file in (half, tmp_path / "other.jsonl"):
        before = file.read_bytes()
        with pytest.raises(UsageError, match="holds results, and would be written over"):
            take_answers(config, None, "batch", [half], file)
        assert file.read_bytes() == before
    with pytest.raises(UsageError, match="is a folder"):
        take_answers(config, None, "batch", [], tmp_path)
    taken = take_answers(config, None, "batch", [half, fenced], tmp_path / "next.jsonl")
    assert [note.partition(",")[0] for note in taken.notes] == [
        f"1 of {len(asked) + 1} results are of no question of this source"
    ]
    assert [count for reason, count in taken.reasons.items() if "another try" in reason] == [1]
    again = write(tmp_path / "again.jsonl", [result(asked[1], "{}")])
    taken = take_answers(config, None, "batch", [half, fenced, again], None)
    assert any("1 question has two answers that differ" in note for note in taken.notes)
