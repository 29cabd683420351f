"""Several servers of one model: who is asked, what becomes of the requests of one that dies, and who is left out."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest
from asked_server import options, requests, stored, whole_source
from pydantic import ValidationError

from augment.catalog import Catalog
from augment.engines.base import EngineFailed
from augment.engines.openai.engine import OpenAIEngine
from augment.engines.openai.options import OpenAIOptions
from augment.messages import Completion
from augment.store.open_requests import read_open
from augment.tasks.base import Context
from augrec.artefacts.files import read_json
from tests.kit.fake_server import Asked, FakeServer, completion
from tests.kit.machine_speed import patience
from tests.kit.waiting import wait_until

WORDS = {"Hello": -0.1, "Hi": -2.5, "Dear": -9.0}


@pytest.fixture
def servers() -> Iterator[list[FakeServer]]:
    """Three of them; most tests ask the first two."""
    with ExitStack() as running:
        yield [running.enter_context(closing(FakeServer())) for _ in range(3)]


def own(server: FakeServer) -> list[Asked]:
    """What a server was asked for a record's sake."""
    return [asked for asked in server.asked if not asked.canary]


def answered(engine: OpenAIEngine) -> list[int]:
    return [counts.answered for counts in engine.accounts().values()]


def dies_after(server: FakeServer, number: int) -> Callable[[Asked], Any]:
    """Answers so many, and is killed by the next one, which is under way."""

    def answer(asked: Asked) -> Any:
        if len(own(server)) > number and not server.dead:
            server.die()
        return server.honest(asked)

    return answer


def texts(found: list[Completion]) -> dict[str, str]:
    assert len(found) == len({completion.request.name for completion in found}), "answered twice"
    assert {completion.finish_reason for completion in found} == {"stop"}
    return {completion.request.name: completion.text for completion in found}


def test_what_a_killed_server_leaves_is_asked_elsewhere(servers: list[FakeServer], context: Context) -> None:
    """None is lost, none is answered twice, and the answers are those of one server."""
    with OpenAIEngine(options(servers[2])) as engine:
        alone = texts(list(engine.run(requests(context, engine))))
    servers[0].answer = dies_after(servers[0], 3)
    with OpenAIEngine(options(servers[:2], retries=0, concurrency=2)) as engine:
        assert texts(list(engine.run(requests(context, engine)))) == alone
        first, second = engine.accounts().values()
    assert (first.answered + second.answered, first.answered <= 3) == (12, True)
    assert first.failures["connection_lost"] >= 1
    assert first.asked == first.answered + first.failures.total()
    assert (second.prompt_tokens, second.completion_tokens) == (40 * second.answered, 9 * second.answered)
    assert not second.failures


def test_a_server_that_is_slow_gets_less(servers: list[FakeServer], context: Context) -> None:
    enough = threading.Event()

    def fast(asked: Asked) -> str:
        if len(own(servers[0])) == 10:
            enough.set()
        return servers[0].honest(asked)

    def slow(asked: Asked) -> str:
        assert enough.wait(patience(20))
        return servers[1].honest(asked)

    servers[0].answer, servers[1].answer = fast, slow
    with OpenAIEngine(options(servers[:2], concurrency=1)) as engine:
        assert len(texts(list(engine.run(requests(context, engine))))) == 12
        assert answered(engine)[0] >= 10


def test_each_endpoint_has_its_own_concurrency(servers: list[FakeServer], context: Context) -> None:
    together = threading.Barrier(4, timeout=patience(20))

    def answer(asked: Asked) -> str:
        together.wait()
        return servers[2].honest(asked)

    servers[0].answer = servers[1].answer = answer
    endpoints = [{"base_url": servers[0].url, "concurrency": 3}, {"base_url": servers[1].url}]
    with OpenAIEngine(options(servers[0], base_url=None, endpoints=endpoints, concurrency=1)) as engine:
        assert len(texts(list(engine.run(requests(context, engine))))) == 12
    assert [server.most_at_once for server in servers[:2]] == [3, 1]


def counts_more(server: FakeServer) -> None:
    honest = server.honest
    usage = {"prompt_tokens": 41, "completion_tokens": 9}
    server.honest = lambda asked: completion(honest(asked)) | {"usage": usage}  # type: ignore[assignment, method-assign]


def takes_less(server: FakeServer) -> None:
    server.longest = 1024


def thinks_otherwise(server: FakeServer) -> None:
    server.likeliest = {"Hello": -0.1, "Dear": -2.4, "Hi": -9.0}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (counts_more, "counts 4[01] tokens in a prompt and the other 4[01]"),
        (takes_less, "takes (2048|1024) tokens at most"),
        (thinks_otherwise, "log-probabilities of the same words differ by 6.60"),
    ],
)
def test_servers_of_different_models_are_refused(
    servers: list[FakeServer], change: Callable[[FakeServer], None], said: str
) -> None:
    for server in servers:
        server.likeliest, server.longest = dict(WORDS), 2048
    change(servers[1])
    with (
        OpenAIEngine(options(servers[:2])) as engine,
        pytest.raises(EngineFailed, match=f"different models under the name 'm'(.|\n)*{said}"),
    ):
        engine.start()
    assert not own(servers[0]) + own(servers[1])


def test_what_rounding_explains_is_the_same_model(servers: list[FakeServer]) -> None:
    servers[0].likeliest = dict(WORDS)
    servers[1].likeliest = {"Hello": -0.12, "Hi": -2.4, "Moin": -9.5}
    with OpenAIEngine(options(servers)) as engine:
        engine.start()
        told = sorted(counts.evidence for counts in engine.accounts().values())
    assert told[0] == ""
    assert any("log-probabilities at most 0.1 apart" in one or "no log-probabilities are given" in one for one in told)


def test_a_server_that_ignores_schemas_is_named(servers: list[FakeServer]) -> None:
    servers[1].honest = lambda asked: "Hello! How can I help?"  # type: ignore[method-assign]
    with OpenAIEngine(options(servers[:2])) as engine, pytest.raises(EngineFailed, match="hold answers") as refused:
        engine.start()
    assert servers[1].url in str(refused.value)


def test_one_that_is_not_there_at_the_start_is_not_waited_for(
    servers: list[FakeServer], context: Context, capfd: pytest.CaptureFixture[str]
) -> None:
    servers[0].die()
    with OpenAIEngine(options(servers[:2])) as engine:
        assert len(texts(list(engine.run(requests(context, engine))))) == 12
        assert answered(engine) == [0, 12]
    assert f"{servers[0].url} is away: no server can be reached" in capfd.readouterr().err


def test_none_that_is_there_is_an_error_at_once(servers: list[FakeServer]) -> None:
    for server in servers:
        server.die()
    with OpenAIEngine(options(servers)) as engine, pytest.raises(EngineFailed, match="none of the 3 endpoints answers"):
        engine.start()


@pytest.mark.parametrize("same", [True, False])
def test_one_that_comes_back_is_asked_again_if_it_is_the_same_model(
    servers: list[FakeServer], context: Context, same: bool
) -> None:
    first, second = servers[:2]

    def breaks_off(asked: Asked) -> Any:
        if len(own(first)) == 2:
            if not same:
                counts_more(first)
            return 200, completion("{}" * 500), {"cut": 40}
        return first.honest(asked)

    def settled() -> bool:
        """Asked again, or examined once more."""
        return len(own(first)) > 2 if same else sum(asked.canary for asked in first.asked) >= 12

    def waits(asked: Asked) -> str:
        if len(own(first)) >= 2:
            wait_until(settled, "the return of the first server")
        return second.honest(asked)

    first.answer, second.answer = breaks_off, waits
    with OpenAIEngine(options(servers[:2], concurrency=1)) as engine:
        assert len(texts(list(engine.run(requests(context, engine))))) == 12
        assert answered(engine)[0] >= 2 if same else answered(engine) == [1, 11]


def test_all_dead_ends_the_run_and_the_next_one_asks_the_rest(
    servers: list[FakeServer], catalog: Catalog, tmp_path: Path
) -> None:
    whole_source(servers[2], catalog, tmp_path / "whole")
    for server in servers[:2]:
        server.answer = dies_after(server, 2)
    with pytest.raises(EngineFailed, match=r"stopped answering: 4 requests in a row(.|\n)*run the same command again"):
        whole_source(servers[:2], catalog, tmp_path / "cut", concurrency=1, give_up=4, retries=1)
    kept = len(stored(tmp_path / "cut"))
    assert 0 < kept <= 4
    assert f"{12 - kept} of 12 requests are not answered yet" in str(read_open(tmp_path / "cut"))
    for server in servers[:2]:
        server.come_back()
        server.answer = server.honest
    summary = whole_source(servers[:2], catalog, tmp_path / "cut")
    first, second = (tmp_path / name / "user_profile" / "records.parquet" for name in ("cut", "whole"))
    assert first.read_bytes() == second.read_bytes()
    told = summary["endpoints"]
    assert list(told) == sorted(server.url for server in servers[:2])
    assert sum(counts["answered"] for counts in told.values()) == 12, "over both runs"
    assert sum(counts["failures"].get("connection_lost", 0) for counts in told.values()) == 2
    assert read_json(tmp_path / "cut" / "engine.json")["endpoints"] == told


def test_what_ends_two_servers_is_not_given_to_a_third(servers: list[FakeServer], context: Context) -> None:
    for server in servers:

        def answer(asked: Asked, server: FakeServer = server) -> Any:
            if asked.body["seed"] == poison:
                server.die()
            return server.honest(asked)

        server.answer = answer
    with OpenAIEngine(options(servers, concurrency=1)) as engine:
        asked = requests(context, engine)
        poison = asked[5].seed
        found = list(engine.run(asked))
    assert sum(server.dead for server in servers) == 2
    assert [one.request.seed for one in found if one.unanswered] == [poison]
    assert len(found) == 12


def test_a_key_that_is_refused_in_between_leaves_the_others(servers: list[FakeServer], context: Context) -> None:
    first = servers[0]
    first.answer = lambda asked: first.honest(asked) if len(own(first)) <= 2 else (401, {}, {})
    with OpenAIEngine(options(servers[:2], concurrency=1)) as engine:
        assert len(texts(list(engine.run(requests(context, engine))))) == 12
        assert answered(engine)[0] <= 2


@pytest.mark.parametrize("words", ["it exceeds the maximum context length", "no such parameter"])
def test_one_server_alone_refuses_nothing(
    servers: list[FakeServer], context: Context, capsys: pytest.CaptureFixture[str], words: str
) -> None:
    """What all of them refuse is refused, and each was asked once."""
    refusal = (400, {"error": {"message": words}}, {})
    first, *others = servers
    first.answer = lambda asked: refusal
    for server in others:
        server.answer = lambda asked, server=server: refusal if asked.body["seed"] == bad else server.honest(asked)
    with OpenAIEngine(options(servers, concurrency=2)) as engine:
        asked = requests(context, engine)
        bad = asked[5].seed
        found = list(engine.run(asked))
        counts = list(engine.accounts().values())
    refused = [one for one in found if one.error]
    assert [(one.request.seed, one.unanswered) for one in refused] == [(bad, False)]
    assert words in str(refused[0].error)
    assert len(texts([one for one in found if not one.error])) == 11
    assert [sum(one.body["seed"] == bad for one in own(server)) for server in servers] == [1, 1, 1]
    assert (counts[0].answered, counts[1].refused, counts[2].refused) == (0, 1, 1)
    assert capsys.readouterr().err.count("refuses what another endpoint answers") == (counts[0].refused > 1)


def test_busy_servers_are_not_away(servers: list[FakeServer], context: Context) -> None:
    """429 is asked elsewhere, and again after the wait; nobody is examined for it."""
    for server in servers[:2]:
        server.answer = lambda asked, server=server: (429, {}, {}) if asked.number == 1 else server.honest(asked)
    with OpenAIEngine(options(servers[:2], retries=8)) as engine:
        assert len(texts(list(engine.run(requests(context, engine))))) == 12
    for server in servers[:2]:
        assert sum(asked.canary for asked in server.asked) == 6


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "either base_url, or endpoints"),
        ({"base_url": "http://a/v1", "endpoints": [{"base_url": "http://b/v1"}]}, "either base_url, or endpoints"),
        ({"endpoints": [{"base_url": "http://a/v1"}, {"base_url": "http://a/v1/"}]}, "more than once"),
        ({"endpoints": [{"base_url": "gpu7:8000"}]}, "endpoints.0.base_url"),
        ({"endpoints": [{"base_url": "http://a/v1", "api_key": "sk"}]}, "endpoints.0.api_key"),
    ],
)
def test_endpoints_that_cannot_be(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        OpenAIOptions.model_validate({"model": "m"} | changes)


def test_which_endpoint_answers_is_no_part_of_a_key(servers: list[FakeServer]) -> None:
    one, several = OpenAIEngine(options(servers[0])), OpenAIEngine(options(servers))
    assert one.identity == several.identity
    left = [{*engine.describe()} - {"base_url"} for engine in (one, several)]
    assert left[0] == left[1]
    kept = [
        opts.model_dump(exclude=set(OpenAIOptions.changes_no_answer))
        for opts in (options(servers[0]), options(servers))
    ]
    assert kept[0] == kept[1]
