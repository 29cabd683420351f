"""What is taken from a reply: bounded counts, text that files can hold, and nothing where there is no completion."""

from __future__ import annotations

import gzip
import json
import math
import zlib
from typing import Any

import pytest

from augment.engines.openai import reply
from augment.engines.openai.batch_file import line_reply
from augment.engines.openai.dialect import read_scores
from augment.engines.openai.options import OpenAIOptions
from augment.engines.openai.reply import (
    MOST_TOKENS,
    NO_STATUS,
    Broken,
    ChatReply,
    Usage,
    page_in,
    read_code,
    read_json,
    read_reply,
    read_words,
    status_of_error,
    unpacked,
    words,
)
from augrec.artefacts.errors import UsageError

INT32 = 2**31


def body(content: Any = "{}", **changes: Any) -> dict[str, Any]:
    return {"choices": [{"message": {"role": "assistant", "content": content}, "finish_reason": "stop"}]} | changes


OPTIONS = OpenAIOptions(base_url="http://127.0.0.1:9/v1", model="m")


@pytest.mark.parametrize(
    ("content", "text", "problem"),
    [
        ("hello", "hello", ""),
        (None, "", ""),
        ([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}, "c"], "abc", ""),
        ([{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}, {"type": "text", "text": "a"}], "a", ""),
        ([{"type": "reasoning", "text": "hm"}, {"type": "text", "text": "a"}], "a", ""),
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
    assert found.odd == (("usage",) if usage in ([], "10", 10) else ())
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


@pytest.mark.parametrize(
    ("said", "meant"),
    [("stop", "stop"), ("STOP", "stop"), ("eos_token", "stop"), ("end_turn", "stop"), ("MAX_TOKENS", "length"),
     ("tool_calls", "tool_calls"), ("content_filter", "content_filter"), (None, "null")],
)  # fmt: skip
def test_the_end_of_an_answer_by_other_names(said: Any, meant: str) -> None:
    one = body()
    one["choices"][0]["finish_reason"] = said
    assert read_reply(one).finish_reason == meant


@pytest.mark.parametrize(
    ("value", "status"),
    [
        (body(), None), (body(error={"code": 500}), None), ({"error": None, "choices": []}, None), ([], None),
        ({"error": {"code": 429}}, 429), ({"error": {"code": "503"}, "choices": []}, 503),
        ({"error": {"code": "busy"}}, NO_STATUS), ({"error": "busy"}, NO_STATUS), ({"error": {"code": 200}}, NO_STATUS),
    ],
)  # fmt: skip
def test_an_error_in_an_answer_that_says_200(value: Any, status: int | None) -> None:
    assert status_of_error(value) == status


@pytest.mark.parametrize(("code", "lost"), [(400, False), (500, True), ("busy", True)])
def test_an_error_in_a_line_of_results_that_says_200(code: Any, lost: bool) -> None:
    line = {"custom_id": "k", "response": {"status_code": 200, "body": {"error": {"code": code, "message": "no"}}}}
    found = line_reply(line, OPTIONS)
    assert (found.answer, found.lost, "'no'" in found.reason) == (None, lost, True)


def test_of_several_choices_the_first_counts() -> None:
    several = body("first")
    several["choices"] += [{"message": {"content": "second"}}, "junk"]
    assert read_reply(several).text == "first"


def test_what_a_reply_is_made_of() -> None:
    top = {"content": [{"top_logprobs": [{"token": " A", "logprob": -0.5}]}]}
    choice = {"message": {"content": "{}", "refusal": "no"}, "finish_reason": "length", "logprobs": top}
    usage = {"prompt_tokens": 9, "completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 3}}
    found = read_reply({"choices": [choice], "usage": usage, "system_fingerprint": "fp-1"})
    assert found == ChatReply("{}", "length", "", "no", Usage(9, 4, 3), ((" A", -0.5),), "fp-1")


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


@pytest.mark.parametrize(
    ("data", "why"),
    [(b"\n<!DOCTYPE html>", "page for browsers"), (b"data: {}\n\n", "stream of events"), (b"{", "not JSON")],
)
def test_what_came_instead_of_json_is_said(data: bytes, why: str) -> None:
    with pytest.raises(Broken, match=why):
        read_json(data)


@pytest.mark.parametrize(
    ("data", "kind", "seen"),
    [
        (b"\xef\xbb\xbf<!doctype html><title>Sign in</title><style>b{}</style>", "text/html", "'Sign in'"),
        (b"<?xml version='1.0'?><Error>AccessDenied</Error>", "application/xml", "'AccessDenied'"),
        (b"<script>location='/login'", "text/html", "''"),
        ("Anmeldung nötig".encode("latin-1"), "TEXT/HTML; charset=latin-1", "Anmeldung"),
        (b"<p>\x1b]0;x\x07 &lt;b&gt; &amp; so on", "", "<b> & so on"),
        (b"not found", "text/plain", None),
        (b'{"error": "<p>"}', "application/json", None),
    ],
)
def test_of_a_page_its_kind_and_what_is_seen_of_it_are_said(data: bytes, kind: str, seen: str | None) -> None:
    found = page_in(data, kind)
    assert bool(found) == (seen is not None)
    assert (seen or "") in found
    assert found.isprintable()
    if kind:
        assert (kind in found) == bool(seen)


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
        {"content": [{"top_logprobs": [{"token": "A", "logprob": False}, {"token": "B", "logprob": -1.0}]}]},
        {"content": [{"top_logprobs": [{"token": "A", "logprob": 1e300}, {"token": "B", "logprob": -1.0}]}]},
        {"content": [{"top_logprobs": [{"token": 7, "logprob": -1.0}, {"token": "B", "logprob": "-1"}]}]},
        {"content": [{"top_logprobs": [{"token": "A", "logprob": -math.inf}, {"token": "B", "logprob": -1.0}]}]},
        {"content": [{"top_logprobs": [{"token": "A", "logprob": -(10**400)}, {"token": "B", "logprob": -1.0}]}]},
    ],
)
def test_log_probabilities_that_are_none_count_for_nothing(listed: Any) -> None:
    one = body()
    one["choices"][0]["logprobs"] = listed
    found = read_scores(read_reply(one).likeliest, LABELS, OPTIONS)
    assert found.logprobs[1] == -1.0
    assert found.logprobs[0] <= -1.0
    assert len(found.notes) == 1


@pytest.mark.parametrize("listed", [None, [], 3, "x", {"content": [None]}, {"content": [{"top_logprobs": [{}]}]}])
def test_an_answer_without_log_probabilities_is_in_doubt(listed: Any) -> None:
    one = body()
    one["choices"][0]["logprobs"] = listed
    found = read_scores(read_reply(one).likeliest, LABELS, OPTIONS)
    assert (found.logprobs, str(found.problem).partition(":")[0]) == ((), "no_logprobs")
    assert isinstance(found.doubt, UsageError)
