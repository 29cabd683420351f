"""Whatever a server says, the run ends, what is stored can be read, and what cannot be an answer is none."""

from __future__ import annotations

import gzip
import json
import math
import random
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from test_openai_engine import FakeServer, completion, options, stored, whole_source

from artefacts.errors import UsageError
from augment.catalog import Catalog
from augment.engines import reply
from augment.engines.openai_scoring import read_scores
from augment.engines.reply import MOST_TOKENS, Broken, read_code, read_json, read_reply, read_words, unpacked, words

INT32 = 2**31


def body(content: Any = "{}", **changes: Any) -> dict[str, Any]:
    return {"choices": [{"message": {"role": "assistant", "content": content}, "finish_reason": "stop"}]} | changes


@pytest.fixture
def server(draw_legal: Callable[..., Any]) -> Iterator[FakeServer]:
    running = FakeServer(draw_legal)
    yield running
    running.close()


@pytest.mark.parametrize(
    ("content", "text", "problem"),
    [
        ("hello", "hello", ""),
        (None, "", ""),
        ([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}, "c"], "abc", ""),
        ([], "", ""),
        ([{"type": "image"}], "", "array"),
        ([{"text": ["a"]}], "", "array"),
        ({"director": "Ada"}, "", "object"),
        (3, "", "number"),
        (math.nan, "", "number"),
        (True, "", "boolean"),
        ("a\ud800b", "a\ufffdb", "lone surrogate"),
        ("\udfff", "\ufffd", "lone surrogate"),
        ("\U0001f600", "\U0001f600", ""),
        ("nul\0", "nul\0", ""),
    ],
)
def test_the_content_of_a_message(content: Any, text: str, problem: str) -> None:
    found = read_reply(json.loads(json.dumps(body(content))))
    assert found.text == text
    assert bool(found.problem) == bool(problem)
    assert problem in found.problem
    found.text.encode()


@pytest.mark.parametrize(
    ("value", "count"),
    [
        (10, 10), ("10", 10), (10.0, 10), (None, 0), (0, 0), (MOST_TOKENS, MOST_TOKENS),
        (MOST_TOKENS + 1, None), (2**40, None), (10**400, None), (-1, None), (1.5, None), (math.nan, None),
        (math.inf, None), (True, None), ("many", None), ("-1", None), ("1" * 5000, None), ("²", None), ([10], None),
        ({}, None),
    ],
)  # fmt: skip
def test_counts_of_tokens(value: Any, count: int | None) -> None:
    """What is no count is 0, and said; what all attempts use together fits the records' columns."""
    usage = {"prompt_tokens": value, "completion_tokens": value, "prompt_tokens_details": {"cached_tokens": value}}
    found = read_reply(body(usage=usage)).usage
    assert (found.prompt, found.completion, found.cached) == ((count or 0),) * 3
    assert found.odd == (("prompt_tokens", "completion_tokens", "cached_tokens") if count is None else ())
    assert found.prompt * 20 * 10 < INT32


@pytest.mark.parametrize("usage", [None, [], "10", 10, {"prompt_tokens_details": [1]}, {}])
def test_a_usage_that_is_none(usage: Any) -> None:
    found = read_reply(body(usage=usage)).usage
    assert (found.prompt, found.completion, found.cached) == (0, 0, 0)
    assert read_reply(body(usage={"prompt_tokens": 3, "prompt_tokens_details": {"cached_tokens": 9}})).usage.cached == 3


@pytest.mark.parametrize(
    "value",
    [
        None, [], "x", 3, math.nan, {}, {"choices": None}, {"choices": []}, {"choices": {}}, {"choices": ["x"]},
        {"choices": [{}]}, {"choices": [{"message": "x"}]}, {"choices": [[]]}, {"error": {"message": "busy"}},
    ],
)  # fmt: skip
def test_a_body_without_a_message_is_broken(value: Any) -> None:
    with pytest.raises(Broken, match="chat completion"):
        read_reply(value)


def test_of_several_choices_the_first_counts() -> None:
    several = body("first")
    several["choices"] += [{"message": {"content": "second"}}, "junk"]
    assert read_reply(several).text == "first"


@pytest.mark.parametrize("odd", [None, 3, [], {"a": 1}, "weird\x1b[31m", "\ud800"])
def test_reasons_refusals_and_fingerprints_become_printable_lines(odd: Any) -> None:
    one = body(system_fingerprint=odd)
    one["choices"][0] |= {"finish_reason": odd}
    one["choices"][0]["message"]["refusal"] = odd
    found = read_reply(one)
    for line in (found.finish_reason, found.refusal, found.fingerprint):
        assert line.isprintable()
        line.encode()
    assert bool(found.refusal) == bool(odd)


@pytest.mark.parametrize(
    "data", [b"", b"not json", b"\xff\xfe\xff", b"<html></html>", b"[" * 200_000, b'{"a": ' * 5000, b"9" * 5000]
)
def test_what_is_no_json_is_broken(data: bytes) -> None:
    with pytest.raises(Broken):
        read_json(data)


def test_packed_bodies_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reply, "MOST_BYTES", 1000)
    data = b"x" * 1000
    for encoding, packed in (
        ("gzip", gzip.compress(data)),
        ("x-gzip, identity", gzip.compress(data)),
        ("deflate", zlib.compress(data)),
        ("", data),
        ("identity", data),
    ):
        assert unpacked(packed, encoding) == data
    for encoding, packed in (
        ("gzip", gzip.compress(data + b"x")),
        ("gzip", gzip.compress(bytes(10_000_000))),
        ("gzip", gzip.compress(data)[:-9]),
        ("gzip", b"junk"),
        ("br", data),
        ("gzip, gzip", gzip.compress(gzip.compress(data))),
    ):
        with pytest.raises(Broken):
            unpacked(packed, encoding)


def test_what_a_server_says_went_wrong_is_one_printable_line() -> None:
    deep: Any = "deep"
    for _ in range(900):
        deep = {"error": deep}
    for value in (deep, [[]] * 5, {"detail": [{"msg": "\ud800\x1b]0;x\x07"}]}, {"message": None}, None, 3, math.nan):
        line = read_words(value)
        assert len(line) <= 300
        assert line.isprintable()
        line.encode()
    assert read_words({"error": {"message": "too long"}}) == "too long"
    assert read_code({"error": {"code": "content_filter", "type": 3}}) == "content_filter 3"
    assert read_code("x") == read_code({"error": []}) == ""
    assert words("a\n\u202eb" + "x" * 10_000).startswith("a b")


LABELS = ("A", "B")


@pytest.mark.parametrize(
    "listed",
    [
        {"content": [{"top_logprobs": [{"token": "A", "logprob": "nan"}, {"token": "B", "logprob": -1}]}]},
        {"content": [{"top_logprobs": [{"token": "A", "logprob": True}, {"token": "B", "logprob": -1.0}]}]},
        {"content": [{"top_logprobs": [{"token": "A", "logprob": 1e300}, {"token": "B", "logprob": -1.0}]}]},
        {"content": [{"top_logprobs": [{"token": 7, "logprob": -1.0}, {"token": "B", "logprob": "-1"}]}]},
        {"content": [{"top_logprobs": [{"token": "A", "logprob": -math.inf}, {"token": "B", "logprob": -1.0}]}]},
        {"content": [{"top_logprobs": [{"token": "A", "logprob": -(10**400)}, {"token": "B", "logprob": -1.0}]}]},
    ],
)
def test_log_probabilities_that_are_none_count_for_nothing(server: FakeServer, listed: Any) -> None:
    one = body()
    one["choices"][0]["logprobs"] = listed
    found = read_scores(read_reply(one).likeliest, LABELS, options(server))
    assert found.logprobs[1] == -1.0
    assert found.logprobs[0] <= -1.0
    assert len(found.notes) == 1


@pytest.mark.parametrize("listed", [None, [], 3, "x", {"content": [None]}, {"content": [{"top_logprobs": [{}]}]}])
def test_an_answer_without_log_probabilities_is_in_doubt(server: FakeServer, listed: Any) -> None:
    one = body()
    one["choices"][0]["logprobs"] = listed
    found = read_scores(read_reply(one).likeliest, LABELS, options(server))
    assert (found.logprobs, str(found.problem).partition(":")[0]) == ((), "no_logprobs")
    assert isinstance(found.doubt, UsageError)


ODD: dict[str, tuple[Any, str]] = {
    "lone surrogate": (completion("\ud800"), "malformed"),
    "escaped surrogate in the answer": (completion('{"age": "\\ud800"}'), "malformed"),
    "NUL": (completion("\0"), "malformed"),
    "list of something": (body([{"type": "image"}]), "malformed"),
    "object": (body({"age": "25-34"}), "malformed"),
    "deep text": (completion("[" * 100_000), "malformed"),
    "unknown finish": (completion("{}", "tired"), "engine_error"),
    "no finish": (completion("{}", None), "engine_error"),  # type: ignore[arg-type]
    "refusal that is a list": (completion(None, "stop", refusal=["no"]), "refused_by_engine"),
    "no choices": ({"choices": []}, "open"),
    "broken off": (completion("{", "abort"), "open"),
    "an error page": ((200, b"<html>all is well</html>", {"Content-Type": "text/html"}), "open"),
    "no UTF-8": ((200, b'{"choices": "\xff"}', {}), "open"),
    "deep body": ((200, b"[" * 100_000, {}), "open"),
    "a bomb": ((200, gzip.compress(bytes(40 << 20)), {"Content-Encoding": "gzip"}), "open"),
    "giant": ((200, b" " * (17 << 20), {}), "open"),
    "packed by a lie": ((200, b"{}", {"Content-Encoding": "gzip"}), "open"),
    "unknown packing": ((200, b"{}", {"Content-Encoding": "zstd"}), "open"),
    "an odd wait": ((429, {}, {"Retry-After": "nan"}), "open"),
    "a refusal that is no text": ((413, b"\xff\x1b[31m\xed\xa0\x80", {}), "prompt_too_long"),
}


@pytest.mark.parametrize("dialect", ["vllm", "openai"])
@pytest.mark.parametrize("kind", ODD)
def test_one_odd_answer_costs_one_request(
    server: FakeServer, catalog: Catalog, tmp_path: Path, kind: str, dialect: str
) -> None:
    """The run ends, the table is readable, the others have their answers, and the store is no worse next time."""
    said, outcome = ODD[kind]
    first: list[Any] = []

    def once(asked: Any) -> Any:
        first.append(asked.body["seed"])
        again = asked.body["seed"] == first[0]
        return (*said[:2], dict(said[2])) if again and isinstance(said, tuple) else said if again else good(asked)

    def good(asked: Any) -> str:
        return json.dumps(answer_of(asked), ensure_ascii=False)

    def answer_of(asked: Any) -> Any:
        return server._draw(asked.schema, random.Random(asked.body["seed"]))

    server.answer = once
    settings = {"concurrency": 1, "retries": 1, "dialect": dialect}
    summary = whole_source(server, catalog, tmp_path / "out", **settings)
    rows = pq.read_table(tmp_path / "out" / "user_profile" / "records.parquet").to_pylist()
    assert ("open" in summary, len(rows)) == ((True, 11) if outcome == "open" else (False, 12))
    reasons = [row["reason"].partition(":")[0] for row in rows if row["status"] == "failed"]
    assert set(reasons) <= {outcome, "contradiction", "malformed"}
    assert outcome == "open" or outcome in reasons
    for row in stored(tmp_path / "out"):
        json.dumps(row, ensure_ascii=False).encode()
    server.answer = good
    assert "open" not in whole_source(server, catalog, tmp_path / "out", **settings)


@pytest.mark.parametrize("value", [2**40, "10", -1, math.nan, math.inf, 0.5, True, [], None])
def test_odd_counts_poison_no_table(server: FakeServer, catalog: Catalog, tmp_path: Path, value: Any) -> None:
    def odd(asked: Any) -> dict[str, Any]:
        return completion(server.honest(asked)) | {"usage": {"prompt_tokens": value, "completion_tokens": value}}

    server.answer = odd
    whole_source(server, catalog, tmp_path / "out", attempts=3)
    rows = pq.read_table(tmp_path / "out" / "user_profile" / "records.parquet").to_pylist()
    assert len(rows) == 12
    expected = 10 if value == "10" else 0
    assert {row["prompt_tokens"] for row in rows} <= {expected, 2 * expected, 3 * expected}
    said = [any("not a count" in repair for repair in row["repairs"]) for row in rows if row["status"] == "ok"]
    assert set(said) == {value not in ("10", None)}
