"""Whatever a server says, the run ends, what is stored can be read, and what cannot be an answer is none."""

from __future__ import annotations

import gzip
import json
import math
import random
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from test_openai_engine import stored, whole_source
from test_reply import body

from augment.catalog import Catalog
from augment.engines.grammar_probe import held
from tests.kit.fake_engine import legal
from tests.kit.fake_server import FakeServer, completion

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
        return legal(asked.schema, random.Random(asked.body["seed"]))

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


def test_endless_nesting_is_no_answer_to_a_question_about_grammars() -> None:
    assert held('{"canary": "amber"}', compact=False)
    assert not held("[" * 100_000, compact=False)
