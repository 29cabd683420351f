"""The openai engine against a real vLLM server, and the same questions through files and vLLM's batch runner."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from asked_server import requests
from scoring_reference import ForwardPass, among_labels, in_orders, scored
from typer.testing import CliRunner

from augment.catalog import Catalog
from augment.engines.openai.engine import OpenAIEngine
from augment.engines.openai.options import OpenAIOptions
from augment.engines.vllm.number_format import settled_format
from augment.engines.vllm.options import VllmOptions
from augment.options import GenerationOptions
from augment.runner import run_source
from augment.tasks.base import Context
from augrec.artefacts.errors import AugrecError
from tests.kit.machine_speed import patience
from tests.kit.real_parts import SMOLLM2
from tests.kit.toy_config import toy_config
from tests.kit.toy_data import GENRES, write_toy_data
from tests.kit.waiting import wait_until

NAME, KEY, KEY_VARIABLE = "small", "sk-very-secret-0123456789", "AUGREC_TEST_KEY"
SERVER, BATCH_RUNNER = "vllm.entrypoints.openai.api_server", "vllm.entrypoints.openai.run_batch"
READY_WITHIN = BATCH_WITHIN = 150.0
FIELDS = {
    "user_profile": {"age", "gender", "liked_genres", "disliked_genres", "liked_directors", "country", "language"},
    "item_attributes": {"director", "country", "language"},
    "edges": {"most_likely", "least_likely"},
}

pytestmark = [pytest.mark.vllm, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def settings() -> list[str]:
    """What the server and the batch runner are told: the small model, on one thread, with grammars."""
    model = pytest.importorskip("augrec.pipeline.weights").resolve(SMOLLM2)
    grammar = {"backend": "xgrammar", "disable_any_whitespace": True}
    dtype = settled_format(VllmOptions(model=SMOLLM2), model.path).dtype
    return [
        *("--model", str(model.path), "--served-model-name", NAME, "--dtype", dtype, "--enforce-eager"),
        *("--max-model-len", "2048", "--max-num-seqs", "16", "--max-num-batched-tokens", "4096"),
        *("--block-size", "32", "--kv-cache-memory-bytes", str(1 << 29), "--no-enable-chunked-prefill"),
        *("--structured-outputs-config", json.dumps(grammar)),
    ]


def environment(**more: str) -> dict[str, str]:
    """Offline, and one thread wherever the system likes to run it."""
    offline = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1"}
    one_thread = {"OMP_NUM_THREADS": "1", "VLLM_CPU_OMP_THREADS_BIND": "nobind"}
    return os.environ | offline | one_thread | more


@contextlib.contextmanager
def started(command: list[str], log: Path, **more: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is gone, with all it started, when the block ends however it ends."""
    with log.open("ab") as sink:
        process = subprocess.Popen(command, stdout=sink, stderr=sink, env=environment(**more), start_new_session=True)
    try:
        yield process
    finally:
        for sign in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, sign)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=15)


def healthy(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/health", timeout=2) as response:
            return response.status == 200
    except (urllib.error.URLError, OSError):
        return False


@contextlib.contextmanager
def serving(settings: list[str], log: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Address and process of a running server that asks for the key."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    where = ["--host", "127.0.0.1", "--port", str(port), "--enable-prompt-tokens-details"]
    with started([sys.executable, "-m", SERVER, *where, *settings], log, VLLM_API_KEY=KEY) as process:
        wait_until(
            lambda: healthy(address),
            "the start of the server",
            READY_WITHIN,
            between=0.2,
            lost=lambda: process.poll() is not None and "it has ended",
            more=lambda: log.read_text()[-3000:],
        )
        yield f"{address}/v1", process


@pytest.fixture(scope="module")
def server(settings: list[str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of the server that most tests ask."""
    with serving(settings, tmp_path_factory.mktemp("server") / "server.log") as (address, _):
        yield address


@pytest.fixture
def options(server: str, monkeypatch: pytest.MonkeyPatch) -> OpenAIOptions:
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    return OpenAIOptions(base_url=server, model=NAME, api_key_env=KEY_VARIABLE, concurrency=16, retries=1, backoff=0.1)


def assert_answers(task: str, rows: list[dict[str, Any]], genres: tuple[str, ...]) -> None:
    """Every text is of its schema; only a profile may fail, and only by contradicting itself."""
    for row in rows:
        assert row["text"], row["reason"]
        answer = json.loads(row["text"])
        assert set(answer) == FIELDS[task]
        assert row["finish_reason"] == "stop"
        assert row["prompt_tokens"] > 20
        assert row["completion_tokens"] > 5
        if task == "edges":
            labels = range(1, len(row["shown_candidates"]) + 1)
            assert answer["most_likely"] in labels
            assert answer["least_likely"] in set(labels) - {answer["most_likely"]}
        if task == "user_profile":
            assert {*answer["liked_genres"], *answer["disliked_genres"]} <= set(genres)
        contradicts = task == "user_profile" and (row["reason"] or "").startswith("contradiction")
        assert row["status"] == "ok" or contradicts, row["reason"]


def test_a_real_server_answers_every_task(
    options: OpenAIOptions, catalog: Catalog, records: Callable[..., Any], tmp_path: Path
) -> None:
    generation = GenerationOptions.model_validate({"sources": {"api": {"engine": options.model_dump()}}, "shards": 2})
    summary = run_source(
        catalog, "api", generation.sources["api"], generation,
        folder=tmp_path / "out", seed=0,
    )  # fmt: skip
    found = records("out")
    assert {task: len(rows) for task, rows in found.items()} == {
        "edges": 12, "item_attributes": 20, "user_profile": 12,
    }  # fmt: skip
    for task, rows in found.items():
        assert_answers(task, rows, catalog.genres)
        tally = summary["tasks"][task]
        assert tally["prompt_tokens"] == sum(row["prompt_tokens"] for row in rows)
        assert tally["completion_tokens"] == sum(row["completion_tokens"] for row in rows)
    assert sum(row["cached_tokens"] for rows in found.values() for row in rows) > 0
    files = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert len(files) > 6
    assert [path for path in files if KEY.encode() in path.read_bytes()] == []
    assert KEY not in json.dumps(summary)


def test_a_real_server_scores_every_label(options: OpenAIOptions, context: Context) -> None:
    network = ForwardPass(pytest.importorskip("augrec.pipeline.weights").resolve(SMOLLM2).path)
    with OpenAIEngine(options) as engine:
        engine.start()
        orders = in_orders(scored(engine, context))
        found = {completion.request.name: completion for completion in engine.run(orders)}
    assert len(found) == len(orders) == 8
    for request in orders:
        completion = found[request.name]
        assert (completion.finish_reason, completion.error, completion.completion_tokens) == ("stop", None, 1)
        assert completion.notes == (), "the grammar leaves the labels alone among the likeliest tokens"
        expected = network.label_logprobs(request)
        difference = (among_labels(completion.label_logprobs) - expected).abs().max()
        assert difference < 0.2, "more than bfloat16 explains"  # of the server; here all is float32
        assert expected.max() - expected.min() > 1, "labels that are equally likely would prove nothing"


def test_a_wrong_key_is_refused(options: OpenAIOptions, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_VARIABLE, "sk-wrong")
    with OpenAIEngine(options) as engine, pytest.raises(AugrecError, match="refuses the key") as refused:
        engine.start()
    assert "sk-wrong" not in str(refused.value)


def test_a_wrong_name_is_refused(options: OpenAIOptions) -> None:
    engine = OpenAIEngine(options.model_copy(update={"model": "large"}))
    with engine, pytest.raises(AugrecError, match="knows no model 'large'"):
        engine.start()


def test_what_a_killed_server_leaves_is_answered_by_the_other(
    options: OpenAIOptions, settings: list[str], context: Context, tmp_path: Path
) -> None:
    """`kill -9` while requests are under way there: each is answered once, and both were the same model."""
    with serving(settings, tmp_path / "second.log") as (address, process):
        endpoints = [{"base_url": one} for one in (options.base_url, address)]
        content = options.model_dump() | {"base_url": None, "endpoints": endpoints, "concurrency": 4}
        with OpenAIEngine(OpenAIOptions.model_validate(content)) as engine:
            asked = requests(context, engine)
            found = []
            for completion in engine.run(asked):
                found.append(completion)
                if len(found) == 3:
                    os.killpg(process.pid, signal.SIGKILL)
            first, second = engine.accounts().values()
    assert sorted(one.request.name for one in found) == sorted(one.name for one in asked)
    assert {one.finish_reason for one in found} == {"stop"}
    assert (first.answered + second.answered, second.answered < 8) == (12, True)
    assert second.failures.total() >= 1
    assert sum(one.prompt_tokens for one in found) == first.prompt_tokens + second.prompt_tokens
    assert "the same number of tokens" in first.evidence + second.evidence
    assert "log-probabilities at most" in first.evidence + second.evidence


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A prepared run over six users and eight items whose source is answered through files."""
    from tests.kit.toy_run import advance, open_run

    data = write_toy_data(tmp_path / "toy", n_users=6, n_items=8, n_seen=5)
    engine = {"kind": "openai", "base_url": "http://127.0.0.1:9/v1", "model": NAME}
    generation = {"attempts": 1, "sources": {"files": {"engine": engine}}}
    more = {"dataset": {"min_rating": None}, "candidates": {"size": 3}, "generation": generation, "embedding": {}}
    content = toy_config(data, more, {"output": str(tmp_path / "run")})
    advance(open_run(tmp_path, content), "prepare", "candidates")
    return tmp_path / "toy.yaml"


def test_exported_requests_answered_by_the_batch_runner_become_records(
    config: Path, settings: list[str], tmp_path: Path
) -> None:
    from augrec.pipeline.exchange.commands import requests_app

    asked, answered, log = tmp_path / "asked.jsonl", tmp_path / "answered.jsonl", tmp_path / "runner.log"
    exported = CliRunner().invoke(requests_app, ["export", str(config), "files", str(asked)])
    assert exported.exit_code == 0, exported.output
    lines = [json.loads(line) for line in asked.read_text().splitlines()]
    names = {line["custom_id"] for line in lines}
    assert len(names) == 6 + 6 + 8
    too_long, lost = [line for line in lines if line["body"]["response_format"]["json_schema"]["name"] == "edges"][:2]
    too_long["body"]["messages"][-1]["content"] *= 200
    lost["body"]["model"] = "large"  # which is not served
    asked.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    command = [sys.executable, "-m", BATCH_RUNNER, "-i", str(asked), "-o", str(answered), *settings]
    with started(command, log) as process:
        assert process.wait(timeout=patience(BATCH_WITHIN)) == 0, log.read_text()[-3000:]
    imported = CliRunner().invoke(requests_app, ["import", str(config), "files", str(answered)])
    assert imported.exit_code == 0, imported.output
    assert "19 records" in imported.output
    assert "1 request open" in imported.output
    assert "1 open: not_processed (status 404)" in imported.output
    stored = set()
    for task in FIELDS:
        rows = pq.read_table(tmp_path / "run" / "augment" / "files" / task / "records.parquet").to_pylist()
        refused = [row for row in rows if f"{row['key']}/1" == too_long["custom_id"]]
        assert [row["reason"].partition(":")[0] for row in refused] == ["prompt_too_long"] * (task == "edges")
        assert_answers(task, [row for row in rows if row not in refused], GENRES)
        stored |= {f"{row['key']}/1" for row in rows}
    assert stored == names - {lost["custom_id"]}
