"""The engine for OpenAI-compatible servers, against a real socket that misbehaves on demand."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from asked_server import options, requests, stored, whole_source
from pydantic import ValidationError

from augment.catalog import Catalog
from augment.completions import records_of
from augment.engines.base import EngineFailed, EngineInputs
from augment.engines.openai.engine import OpenAIEngine
from augment.engines.openai.http import Server, Trouble
from augment.engines.openai.options import OpenAIOptions
from augment.engines.registry import build_engine
from augment.messages import Record
from augment.options import GenerationOptions
from augment.runner import run_source
from augment.store.open_requests import read_open
from augment.tasks import TASKS
from augment.tasks.base import Context
from augrec.artefacts.errors import AugrecError, UsageError
from tests.kit.fake_server import Answer, Asked, FakeServer, completion
from tests.kit.machine_speed import patience

KEY = "sk-very-secret-0123456789"


def impatient(kind: str = "hangs") -> dict[str, float]:
    """Options for a server that hangs: time to answer for one that does not, and no more."""
    return {"timeout": patience(0.5)} if kind == "hangs" else {}


def records(
    context: Context, engine: OpenAIEngine, task: str = "user_profile", attempts: int = 1, count: int = 12
) -> dict[int, Record]:
    tasks = {task: TASKS[task](context, TASKS[task].Options())}
    with engine:
        found = records_of(engine, tasks, requests(context, engine, task, count), attempts)
        return {record.entity: record for record, _ in found}


@pytest.mark.parametrize("task", ["user_profile", "edges"])
@pytest.mark.parametrize("dialect", ["vllm", "openai"])
def test_answers_arrive(server: FakeServer, context: Context, task: str, dialect: str) -> None:
    found = records(context, OpenAIEngine(options(server, dialect=dialect)), task, attempts=5)
    assert [found[user].status for user in range(12)] == ["ok"] * 12
    record = found[3]
    assert record.prompt_tokens == 40 * record.attempt
    assert (record.completion_tokens, record.cached_tokens) == (9 * record.attempt, 32 * record.attempt)
    body = next(asked.body for asked in server.asked if not asked.canary)
    assert body["model"] == "m"
    assert [message["role"] for message in body["messages"]] == ["system", "user"]
    assert ("top_k" in body, "max_tokens" in body) == (dialect == "vllm", dialect == "vllm")
    assert (list(body["response_format"]["json_schema"]["schema"].get("properties", {})) == ["answer"]) == (
        dialect == "openai"
    )
    assert {asked.path for asked in server.asked} == {"/v1/chat/completions"}  # type: ignore[attr-defined]


def test_as_many_fly_as_may(server: FakeServer, context: Context) -> None:
    together = threading.Barrier(4, timeout=patience(20))

    def answer(asked: Asked) -> str:
        together.wait()
        return server.honest(asked)

    server.answer = answer
    engine = OpenAIEngine(options(server))
    with engine:
        assert len(list(engine.run(requests(context, engine)))) == 12
    assert server.most_at_once == 4


def test_the_same_seeds_give_the_same_requests(server: FakeServer, context: Context) -> None:
    first = records(context, OpenAIEngine(options(server)))
    assert records(context, OpenAIEngine(options(server, concurrency=1))) == first


@pytest.mark.parametrize(
    ("trouble", "retried"),
    [
        ((500, {"error": {"message": "oops"}}, {}), "server_error"),
        ((503, b"<html>busy</html>", {}), "server_error"),
        ((429, {"error": "slow down"}, {"Retry-After": "0.002"}), "server_error"),
        ((429, {}, {"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}), "server_error"),
        ((429, {}, {"Retry-After": "soon"}), "server_error"),
        ((424, {"error": "Request failed during generation"}, {}), "server_error"),
        ((499, {}, {}), "server_error"),
        ((200, completion("{}" * 500), {"cut": 40}), "connection_lost"),
        ((200, b"not json", {}), "broken_body"),
        ((200, {"choices": []}, {}), "broken_body"),
    ],
)
def test_trouble_that_passes_is_asked_again(
    server: FakeServer, context: Context, trouble: tuple[int, Any, dict[str, Any]], retried: str
) -> None:
    status, body, headers = trouble
    server.answer = lambda asked: (status, body, dict(headers)) if asked.number <= 2 else server.honest(asked)
    engine = OpenAIEngine(options(server))
    with engine:
        for found in engine.run(requests(context, engine, count=5)):
            assert (found.finish_reason, found.error) == ("stop", None)
        assert engine.describe()["retried"] == {retried: 10}


@pytest.mark.parametrize("date", ["Fri, 01 Jan 2100 00:00:00 GMT", "Fri Jan  1 00:00:00 2100"])
def test_a_date_to_wait_for_in_the_forms_that_http_allows(server: FakeServer, date: str) -> None:
    server.answer = lambda asked: (429, {}, {"Retry-After": date})
    question = {"messages": [], "response_format": {"json_schema": {"schema": {}}}}

    async def wait() -> float | None:
        asked = Server(options(server))
        try:
            found = await asked.once(question)
        finally:
            await asked.close()
        return found.wait if isinstance(found, Trouble) else None

    assert asyncio.run(wait()) == pytest.approx(
        (datetime(2100, 1, 1, tzinfo=UTC) - datetime.now(UTC)).total_seconds(), abs=3600
    )


def test_trouble_that_stays_is_left_unanswered_with_its_reason(server: FakeServer, context: Context) -> None:
    server.answer = lambda asked: (500, {}, {}) if "Title 03" in str(asked.body) else server.honest(asked)
    task = TASKS["user_profile"](context, TASKS["user_profile"].Options())
    silent: dict[int, str] = {}
    with OpenAIEngine(options(server)) as engine:
        asked = requests(context, engine)
        found = list(
            records_of(
                engine, {"user_profile": task}, asked, 3, lambda one, why: silent.update({one.draft.entity: why})
            )
        )
    assert silent == dict.fromkeys(range(4), "server_error: status 500, 4 times")  # whose history holds item 3
    assert sorted(record.entity for record, _ in found) == list(range(4, 12))


def test_a_server_that_hangs(server: FakeServer, context: Context) -> None:
    server.answer = lambda asked: None if asked.number == 1 else server.honest(asked)
    found = records(context, OpenAIEngine(options(server, **impatient())), count=4, attempts=5)
    assert {record.status for record in found.values()} == {"ok"}
    assert len([asked for asked in server.asked if asked.number == 2 and not asked.canary]) >= 4


def test_a_server_that_goes_away_ends_the_run_and_fails_nobody(server: FakeServer, context: Context) -> None:
    answered = []

    def dies(asked: Asked) -> Any:
        answered.append(asked)
        return server.honest(asked) if len(answered) <= 3 else (502, {}, {})

    server.answer = dies
    engine = OpenAIEngine(options(server, give_up=5, concurrency=1))
    found = []
    with engine, pytest.raises(AugrecError, match=r"stopped answering: 5 requests in a row[\s\S]*are kept"):
        found.extend(engine.run(requests(context, engine)))
    assert [completed.finish_reason for completed in found] == ["stop"] * 3


def test_what_was_answered_is_handed_on_before_the_run_ends(server: FakeServer, context: Context) -> None:
    count = Counter[str]()

    def dies(asked: Asked) -> Any:
        count["all"] += 1
        return server.honest(asked) if count["all"] <= 3 else (401, {}, {})

    server.answer = dies
    engine = OpenAIEngine(options(server, concurrency=1))
    found = []
    with engine, pytest.raises(AugrecError, match="refuses the key"):
        found.extend(engine.run(requests(context, engine)))
    assert [completed.finish_reason for completed in found] == ["stop"] * 3


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (401, "variable AUGREC_TEST_KEY"),
        (403, "variable AUGREC_TEST_KEY"),
        (404, "no model 'm'"),
        (400, "schema"),
        (422, "schema"),
    ],
)
def test_refusals_end_the_run_and_hold_no_key(
    server: FakeServer, context: Context, monkeypatch: pytest.MonkeyPatch, status: int, expected: str
) -> None:
    monkeypatch.setenv("AUGREC_TEST_KEY", KEY)
    server.answer = lambda asked: (status, {"error": {"message": f"no good, {KEY}!"}}, {})
    engine = OpenAIEngine(options(server, api_key_env="AUGREC_TEST_KEY"))
    with engine, pytest.raises(AugrecError) as error:
        list(engine.run(requests(context, engine, count=2)))
    assert expected in str(error.value)
    assert KEY not in str(error.value)
    assert len([asked for asked in server.asked if not asked.canary]) <= 2
    assert server.asked[0].headers["Authorization"] == f"Bearer {KEY}"


def test_a_prompt_that_is_too_long_concerns_itself_alone(server: FakeServer, context: Context) -> None:
    said = {"message": "This model's maximum context length is 128 tokens."}
    server.answer = lambda asked: (400, said, {}) if "Title 03" in str(asked.body) else server.honest(asked)
    found = records(context, OpenAIEngine(options(server)), attempts=3)
    assert found[1].reason is not None
    assert found[1].reason.startswith("prompt_too_long")
    assert (found[1].attempt, found[9].status) == (1, "ok")


def test_other_ways_not_to_answer(server: FakeServer, context: Context) -> None:
    by_user = {
        0: completion("{", "length"), 1: completion(None, "content_filter"),
        2: completion(None, "stop", refusal="I would rather not."), 3: completion("hello"), 4: completion(None),
    }  # fmt: skip
    engine = OpenAIEngine(options(server, concurrency=1))
    order = iter(range(5))
    server.answer = lambda asked: by_user[next(order)]
    found = records(context, engine, count=5)
    assert [found[user].reason.partition(":")[0] for user in range(5)] == [  # type: ignore[union-attr]
        "not_finished", "engine_error", "refused_by_engine", "malformed", "malformed",
    ]  # fmt: skip


def test_a_server_that_ignores_schemas_is_found_out(server: FakeServer, context: Context) -> None:
    server.honest = lambda asked: "Hello! How can I help?"  # type: ignore[method-assign]
    engine = OpenAIEngine(options(server))
    with engine, pytest.raises(AugrecError, match=r"does not hold answers to their schema: it wrote 'Hello!"):
        engine.start()
    assert len(server.asked) == 1


def test_nobody_listens(server: FakeServer) -> None:
    unused = options(server, base_url="http://127.0.0.1:9/v1", backoff=5.0)
    with OpenAIEngine(unused) as engine, pytest.raises(AugrecError, match=r"no server can be reached[\s\S]*vllm serve"):
        engine.start()


def test_nothing_is_opened_before_it_starts(server: FakeServer) -> None:
    with OpenAIEngine(options(server)) as engine:
        engine.describe()
    assert server.asked == []


def test_no_key_in_the_environment(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AUGREC_TEST_KEY", raising=False)
    engine = OpenAIEngine(options(server, api_key_env="AUGREC_TEST_KEY"))
    with engine, pytest.raises(UsageError, match="AUGREC_TEST_KEY holds no key"):
        engine.start()


@pytest.mark.parametrize("key", ["ключ", "one\ntwo", "a\x1b[31m"])
def test_a_key_that_no_header_can_hold(server: FakeServer, monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    monkeypatch.setenv("AUGREC_TEST_KEY", key)
    engine = OpenAIEngine(options(server, api_key_env="AUGREC_TEST_KEY"))
    with engine, pytest.raises(UsageError, match="AUGREC_TEST_KEY holds letters that no key has") as refused:
        engine.start()
    assert key not in str(refused.value)


@pytest.mark.parametrize(
    ("said", "message"),
    [
        (completion('{"canary": "amber"}', "tired"), "finish_reason 'tired' instead of 'stop'"),
        ((200, {"error": {"message": "no such key", "code": 401}}, {}), "refuses the key"),
        ((200, {"error": {"message": "tomorrow again"}}, {}), "status 200: tomorrow again"),
        ((200, b"<html>Welcome</html>", {}), "page for browsers"),
        ((308, {}, {"Location": "https://elsewhere/v1/chat/completions"}), "sends to https://elsewhere/v1"),
        ((403, b"<h1>Blocked by the proxy</h1>", {}), "403: a page for browsers .* begins 'Blocked by the proxy'"),
        ((511, b"<h1>Log in</h1>", {}), "a login first .* begins 'Log in'"),
    ],
)
def test_a_server_that_cannot_be_used_is_named_before_anything_is_asked(
    server: FakeServer, said: Any, message: str
) -> None:
    server.honest = lambda asked: said  # type: ignore[assignment,method-assign]
    with OpenAIEngine(options(server, retries=0)) as engine, pytest.raises(AugrecError, match=message):
        engine.start()


@pytest.mark.parametrize(
    ("said", "message"),
    [
        (
            (200, b"<!DOCTYPE html><html><title>Sign in</title>", {"Content-Type": "text/html; charset=utf-8"}),
            r"status 200(.|\n)*text/html; charset=utf-8(.|\n)*'Sign in'(.|\n)*/chat/completions(.|\n)*`base_url`",
        ),
        ((200, b"data: {}\n\n", {"Content-Type": "text/event-stream"}), "stream of events"),
        ((200, {"headers": {"Authorization": f"Bearer {KEY}"}}, {}), r"chat completion: .*Bearer \*\*\*"),
    ],
)
def test_what_is_no_server_of_chat_completions_is_named_at_the_first_answer(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch, said: Any, message: str
) -> None:
    monkeypatch.setenv("AUGREC_TEST_KEY", KEY)
    server.honest = lambda asked: (*said[:2], dict(said[2]))  # type: ignore[assignment,method-assign]
    failing = OpenAIEngine(options(server, retries=6, api_key_env="AUGREC_TEST_KEY"))
    with failing as engine, pytest.raises(EngineFailed, match=message) as failed:
        engine.start()
    assert len(server.asked) == 1
    assert KEY[:8] not in str(failed.value)


@pytest.mark.parametrize("status", [502, 503, 504])
def test_a_page_of_a_gateway_whose_server_starts_is_waited_for(server: FakeServer, status: int) -> None:
    page, honest = b"<html><h1>Bad Gateway</h1></html>", server.honest
    server.honest = lambda asked: (  # type: ignore[assignment,method-assign]
        (status, page, {"Content-Type": "text/html"}) if asked.number <= 2 else honest(asked)
    )
    with OpenAIEngine(options(server)) as engine:
        engine.start()
    assert max(asked.number for asked in server.asked) == 3


@pytest.mark.parametrize(
    "url",
    [
        *("gpu7:8000", "ftp://x/v1", "http://me:pw@x/v1", "http://x/v1?key=abc"),
        *("http://x:port/v1", "http://x:99999/v1", "http://x/v1\n", "http://a b/v1", "http://x/v1#y", "http://x:0/v1"),
    ],
)
def test_addresses_that_cannot_be_right(url: str) -> None:
    with pytest.raises(ValidationError, match="base_url"):
        OpenAIOptions(base_url=url, model="m")


def test_the_key_is_in_no_file_of_a_run(
    server: FakeServer,
    catalog: Catalog,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("AUGREC_TEST_KEY", KEY)
    server.answer = lambda asked: (
        (400, {"error": f"{KEY}: maximum context length"}, {}) if asked.body["seed"] % 3 == 0 else server.honest(asked)
    )
    engine = options(server, api_key_env="AUGREC_TEST_KEY").model_dump()
    generation = GenerationOptions.model_validate({"sources": {"api": {"engine": engine}}, "shards": 2})
    out = tmp_path / "out"
    summary = run_source(
        catalog, "api", generation.sources["api"], generation,
        folder=out, seed=0,
    )  # fmt: skip
    tally = summary["tasks"]["user_profile"]
    assert (tally["requests"], tally["ok"] + tally["failed"]) == (12, 12)
    assert tally["prompt_tokens"] > 0
    rows = pq.read_table(out / "user_profile" / "records.parquet").to_pylist()
    assert any("***: maximum context length" in (row["reason"] or "") for row in rows)
    assert KEY not in json.dumps(summary) + caplog.text
    files = [path for path in out.rglob("*") if path.is_file()]
    assert [path for path in files if KEY.encode() in path.read_bytes()] == []
    before = len(server.asked)
    again = run_source(
        catalog, "api", generation.sources["api"], generation,
        folder=out, seed=0,
    )  # fmt: skip
    assert (len(server.asked), again["tasks"]["edges"]["ok"]) == (before, summary["tasks"]["edges"]["ok"])


def test_the_factory_knows_it(server: FakeServer, tmp_path: Path) -> None:
    engine = build_engine(options(server), EngineInputs(tmp_path / "log"))
    assert engine.identity["engine"] == "openai"
    assert all(field.description for field in OpenAIOptions.model_fields.values())


MISBEHAVIOURS: dict[str, Any] = {
    "fails": (500, {"error": {"message": "oops"}}, {}),
    "hangs": None,
    "closes mid-body": (200, completion("{}" * 500), {"cut": 40}),
    "ignores the schema": completion("Sure! Here is a profile."),
}
SILENT = {"fails": "server_error: status 500", "hangs": "timeout", "closes mid-body": "connection_lost"}


def hard(server: FakeServer, trouble: Any) -> Answer:
    """A server that meets the same trouble whenever it is asked about a history with item 3."""
    return lambda asked: copied(trouble) if "Title 03" in str(asked.body["messages"]) else server.honest(asked)


@pytest.mark.slow
@pytest.mark.parametrize("kind", SILENT)
def test_a_source_whose_server_is_silent_now_and_then(
    server: FakeServer, catalog: Catalog, tmp_path: Path, kind: str
) -> None:
    """Silence is no record: those are open, the others have the answers they have without it, and all is mended."""
    whole_source(server, catalog, tmp_path / "whole")
    server.answer = hard(server, MISBEHAVIOURS[kind])
    summary = whole_source(server, catalog, tmp_path / "cut", **impatient(kind))
    assert summary["open"] == {"user_profile": {SILENT[kind]: 4}}
    assert str(read_open(tmp_path / "cut")) == f"4 of 12 requests are not answered yet (4 {SILENT[kind]})"
    assert {row["entity"] for row in stored(tmp_path / "cut")} == set(range(4, 12))
    server.answer, before = server.honest, len(server.asked)
    mended = whole_source(server, catalog, tmp_path / "cut")
    assert len([asked for asked in server.asked[before:] if not asked.canary]) == 4, "only what is open is asked"
    assert ("open" in mended, read_open(tmp_path / "cut")) == (False, None)
    first, second = (tmp_path / name / "user_profile" / "records.parquet" for name in ("cut", "whole"))
    assert first.read_bytes() == second.read_bytes()


def test_a_source_whose_server_ignores_the_schema_now_and_then(
    server: FakeServer, catalog: Catalog, tmp_path: Path
) -> None:
    """Who meets it is a failed record that says so; the others have the answers they have without it."""
    whole_source(server, catalog, tmp_path / "whole")
    server.answer = hard(server, MISBEHAVIOURS["ignores the schema"])
    summary = whole_source(server, catalog, tmp_path / "cut")
    rows, whole = (pq.read_table(tmp_path / name / "user_profile" / "records.parquet").to_pylist()
                   for name in ("cut", "whole"))  # fmt: skip
    assert [row["entity"] for row in rows] == list(range(12))
    for row, other in zip(rows, whole, strict=True):
        if 3 in row["shown_history"]:
            assert row["status"] == "failed"
            assert row["reason"].startswith("malformed: ")
        else:
            assert row == other
    assert sum(3 in row["shown_history"] for row in rows) == 4
    assert summary["tasks"]["user_profile"]["failed_by_reason"]["malformed"] >= 4


def test_a_server_that_fails_everything_leaves_no_record(
    server: FakeServer, catalog: Catalog, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Whatever `give_up` and `attempts` are: nothing is final, and the mended server is asked everything."""
    server.answer = lambda asked: (503, b"<html>busy</html>", {})
    summary = whole_source(server, catalog, tmp_path / "cut", give_up=1000, attempts=3)
    assert summary["open"] == {"user_profile": {"server_error: status 503": 12}}
    assert (stored(tmp_path / "cut"), summary["tasks"]["user_profile"]["failed"]) == ([], 0)
    assert "0/12 requests" in (said := capfd.readouterr().err)
    assert "12 unanswered" in said
    server.answer = server.honest
    assert whole_source(server, catalog, tmp_path / "cut")["tasks"]["user_profile"]["requests"] == 12


def test_silence_is_counted_across_blocks(server: FakeServer, catalog: Catalog, tmp_path: Path) -> None:
    """Blocks smaller than `give_up` do not begin to count anew; the error says what is kept and what is open."""
    answered = Counter[str]()

    def dies(asked: Asked) -> Any:
        answered["all"] += 1
        return server.honest(asked) if answered["all"] <= 4 else (502, {}, {})

    server.answer = dies
    engine = OpenAIEngine(options(server, give_up=5, concurrency=1, retries=0))
    engine.block = 2
    with pytest.raises(EngineFailed, match=r"5 requests in a row(.|\n)*4 of 12 requests have their record(.|\n)*again"):
        whole_source(server, catalog, tmp_path / "cut", engine=engine)
    said = str(read_open(tmp_path / "cut"))
    assert said.startswith("8 of 12 requests are not answered yet")
    assert "the last run ended: the server stopped answering: 5 requests in a row" in said


def test_what_always_breaks_a_server_can_be_recorded_as_failed(
    server: FakeServer, catalog: Catalog, tmp_path: Path
) -> None:
    server.answer = hard(server, MISBEHAVIOURS["fails"])
    summary = whole_source(server, catalog, tmp_path / "cut", record_unanswered=True)
    assert ("open" in summary, summary["tasks"]["user_profile"]["failed_by_reason"]["server_error"]) == (False, 4)
    assert len(stored(tmp_path / "cut")) == 12


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (413, "Payload too large"),
        (400, "The response was filtered due to content management policy"),
        (422, "no"),
        (400, "grammar"),
    ],
)
def test_a_refusal_of_one_request_is_final(
    server: FakeServer, catalog: Catalog, tmp_path: Path, status: int, said: str
) -> None:
    """Also where the refusal comes first: it is held back until the server has answered somebody else."""
    server.answer = hard(server, (status, {"error": {"message": said}}, {}))
    summary = whole_source(server, catalog, tmp_path / "cut", concurrency=1, attempts=3)
    rows = {row["entity"]: row for row in stored(tmp_path / "cut")}
    assert ("open" in summary, sorted(rows)) == (False, list(range(12)))
    for user, row in rows.items():
        assert (row["status"] == "failed") == (user < 4), row["reason"]
        assert row["attempt"] == 1 or user >= 4
        assert user >= 4 or said[:10] in row["reason"]


@pytest.mark.parametrize(
    ("status", "expected"),
    [(301, "no such address"), (402, "may ask no more"), (429, "may ask no more"), (405, "no such address")],
)
def test_what_only_the_user_can_mend_ends_the_run_at_once(
    server: FakeServer, catalog: Catalog, tmp_path: Path, status: int, expected: str
) -> None:
    server.answer = lambda asked: (status, {"error": {"message": "no", "code": "insufficient_quota"}}, {})
    with pytest.raises(EngineFailed, match=expected):
        whole_source(server, catalog, tmp_path / "cut", concurrency=1)
    assert len([asked for asked in server.asked if not asked.canary]) == 1
    assert stored(tmp_path / "cut") == []


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["fails", "hangs", "closes mid-body"])
def test_a_source_whose_server_dies_is_resumed_without_loss(
    server: FakeServer, catalog: Catalog, tmp_path: Path, kind: str
) -> None:
    """Silence is no record: the run ends, and the same command asks what is missing."""
    whole_source(server, catalog, tmp_path / "whole")
    count = Counter[str]()

    def dies(asked: Asked) -> Any:
        count["answers"] += 1
        return server.honest(asked) if count["answers"] <= 3 else copied(MISBEHAVIOURS[kind])

    server.answer = dies
    with pytest.raises(AugrecError, match=r"stopped answering(.|\n)*finished records are kept"):
        whole_source(server, catalog, tmp_path / "cut", concurrency=1, give_up=3, **impatient(kind))
    before = stored(tmp_path / "cut")
    assert len(before) == 3
    server.answer = server.honest
    whole_source(server, catalog, tmp_path / "cut")
    after = stored(tmp_path / "cut")
    assert sorted(row["entity"] for row in after) == list(range(12))
    assert after[:3] == before
    first, second = (tmp_path / name / "user_profile" / "records.parquet" for name in ("cut", "whole"))
    assert first.read_bytes() == second.read_bytes()


def test_a_source_whose_server_ignores_schemas_records_nothing(
    server: FakeServer, catalog: Catalog, tmp_path: Path
) -> None:
    server.honest = lambda asked: "Sure! Here is a profile."  # type: ignore[method-assign]
    with pytest.raises(AugrecError, match=r"does not hold answers to their schema(.|\n)*json_schema"):
        whole_source(server, catalog, tmp_path / "cut")
    assert stored(tmp_path / "cut") == []


def copied(said: Any) -> Any:
    """The headers are taken out of a reply as it is sent."""
    return (*said[:2], dict(said[2])) if isinstance(said, tuple) else said


def counting(server: FakeServer, counted: Callable[[dict[str, Any]], int]) -> None:
    """Lets a server answer what every engine asks at its start with a count of the prompt's tokens."""
    honest = server.honest

    def answer(asked: Asked) -> dict[str, Any]:
        return completion(honest(asked)) | {"usage": {"prompt_tokens": counted(asked.body), "completion_tokens": 9}}

    server.honest = answer  # type: ignore[method-assign]


def words(body: dict[str, Any], *roles: str) -> int:
    return sum(len(message["content"].split()) for message in body["messages"] if message["role"] in roles)


@pytest.mark.parametrize("frame", [0, 30, 400])
def test_a_server_that_leaves_out_the_system_text_is_refused(server: FakeServer, frame: int) -> None:
    counting(server, lambda body: frame + words(body, "user"))
    with OpenAIEngine(options(server)) as engine, pytest.raises(EngineFailed, match="leaves out the system text"):
        engine.start()


@pytest.mark.parametrize(
    "counted",
    [
        lambda body: 20 + words(body, "system", "user"),
        lambda body: 3 * words(body, "system", "user"),
        lambda body: 40,
        lambda body: 0,
    ],
    ids=["words", "tokens", "always the same", "none"],
)
def test_a_server_that_shows_the_system_text_or_does_not_count_is_asked(
    server: FakeServer, counted: Callable[[dict[str, Any]], int]
) -> None:
    counting(server, counted)
    with OpenAIEngine(options(server)) as engine:
        engine.start()
    assert [len(asked.body["messages"]) for asked in server.asked] == [1, 1, 2]
