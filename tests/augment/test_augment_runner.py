"""A source from start to end: order, interruptions, resumption, merging, counting."""

from __future__ import annotations

import hashlib
import itertools
import json
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from augment.messages import Completion, Request
from augrec.artefacts.errors import UsageError
from tests.kit.fake_engine import FakeEngine, Killed, honest, sociable

TOTAL = 12 + 12 + 20


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for path in sorted(folder.glob("*/shards/*.jsonl")) for line in path.open("rb")]


def test_everything_is_asked_once_and_merged_in_order(run: Any, records: Any) -> None:
    engine = FakeEngine()
    summary = run(engine)
    tables = records()
    assert {name: len(rows) for name, rows in tables.items()} == {
        "edges": 12,
        "user_profile": 12,
        "item_attributes": 20,
    }
    for name, rows in tables.items():
        assert [row["entity"] for row in rows] == list(range(len(rows)))
        assert summary["tasks"][name]["requests"] == summary["tasks"][name]["ok"] == len(rows)
    edge = tables["edges"][0]
    fields = json.loads(edge["fields"])
    assert {fields["positive"], fields["negative"]} < set(edge["shown_candidates"])
    assert summary["tasks"]["edges"]["prompt_tokens"] == sum(row["prompt_tokens"] for row in tables["edges"])
    assert summary["tasks"]["edges"]["prefix_cache_hit_rate"] == pytest.approx(0.5, abs=0.02)
    assert summary["engine"]["engine"] == "fake"


def test_requests_come_user_by_user_then_items(run: Any) -> None:
    blocks: list[Sequence[Request]] = []

    def answer(request: Request, company: Sequence[Request]) -> str:
        if company not in blocks and company[0].attempt == 1:
            blocks.append(company)
        return honest(request, company)

    run(FakeEngine(answer, block=1000))
    assert len(blocks) == 3, "one block per shard"
    for block in blocks:
        order = [(request.task, request.draft.entity) for request in block]
        users = sorted({entity for task, entity in order if task == "edges"})
        items = sorted({entity for task, entity in order if task == "item_attributes"})
        asked = [(task, user) for user in users for task in ("edges", "user_profile")]
        assert order == asked + [("item_attributes", item) for item in items]


@pytest.mark.parametrize("exact", [False, True])
def test_dying_again_and_again_changes_nothing(run: Any, records: Any, tmp_path: Path, exact: bool) -> None:
    """An exact engine may answer by company: the promise holds because blocks are run whole."""
    answer = sociable if exact else honest
    run(FakeEngine(answer, exact=exact), "whole")
    deaths = 0
    for lives in itertools.chain([0, 3, 11, 19, 5, 14, 9, 7, 13, 10, 20, 17, 18], itertools.repeat(None)):
        try:
            summary = run(FakeEngine(answer, exact=exact, lives=lives), "cut")
        except Killed:
            deaths += 1
        else:
            break
    assert deaths > 3
    assert records("cut") == records("whole")
    assert len(lines(tmp_path / "cut")) == TOTAL
    assert summary["recomputed_alike"] == summary["recomputed"]


def test_company_matters_to_this_engine_without_blocks(run: Any, records: Any) -> None:
    """The control of the test above: without whole blocks an interruption does change answers."""
    run(FakeEngine(sociable), "whole")
    with pytest.raises(Killed):
        run(FakeEngine(sociable, lives=13), "cut")
    run(FakeEngine(sociable), "cut")
    assert records("cut") != records("whole")


def test_a_finished_run_starts_no_engine(run: Any) -> None:
    first = run(FakeEngine())
    again = FakeEngine()
    second = run(again)
    assert again.starts == 0
    assert not again.asked
    assert second == first


def test_seconds_and_tokens_add_up_over_runs(run: Any) -> None:
    spent: list[float] = []

    def slowly(request: Request, company: Sequence[Request]) -> str:
        began = time.perf_counter()
        hashlib.pbkdf2_hmac("sha256", b"", b"", 5000)
        spent.append(time.perf_counter() - began)
        return honest(request, company)

    with pytest.raises(Killed):
        run(FakeEngine(slowly, lives=30))
    summary = run(FakeEngine(slowly))
    whole = run(FakeEngine(), "other")
    for task in ("edges", "user_profile", "item_attributes"):
        assert summary["tasks"][task]["prompt_tokens"] == whole["tasks"][task]["prompt_tokens"]
        assert summary["tasks"][task]["completion_tokens"] == whole["tasks"][task]["completion_tokens"]
    seconds = sum(task["seconds"] for task in summary["tasks"].values())
    counted = sorted(spent)[: TOTAL - 8]
    assert seconds >= sum(counted) > 0, "only the block in which the engine died is not counted"


def test_changed_questions_are_asked_anew_and_old_answers_counted(run: Any, records: Any) -> None:
    run(FakeEngine())
    summary = run(FakeEngine(), max_history=2)
    assert summary["tasks"]["edges"]["stale"] == 12
    assert summary["tasks"]["item_attributes"]["stale"] == 0
    assert all(len(row["shown_history"]) == 2 for row in records()["edges"])


def test_long_histories_lose_their_oldest_items_and_it_is_recorded(run: Any, records: Any) -> None:
    whole = FakeEngine()
    run(whole, "whole")
    longest = max(
        whole.count_tokens(request.draft.messages) + request.draft.answer.max_tokens
        for request in whole.asked
        if request.task == "user_profile"
    )
    summary = run(FakeEngine(context=longest - 12), "short")
    rows = records("short")["user_profile"]
    assert summary["tasks"]["user_profile"]["shortened"] > 0
    assert summary["tasks"]["user_profile"]["ok"] == 12
    for row in rows:
        assert row["shown_history"] == [(row["entity"] + k) % 20 for k in range(row["dropped_history"], 5)]


def test_a_prompt_that_never_fits_is_a_failed_record(run: Any, records: Any) -> None:
    engine = FakeEngine(context=60)
    summary = run(engine)
    assert summary["tasks"]["user_profile"]["failed_by_reason"] == {"prompt_too_long": 12}
    row = records()["user_profile"][0]
    assert (row["status"], row["fallback"], row["attempt"], row["fields"]) == ("failed", "masked", 0, None)
    assert not any(request.task == "user_profile" for request in engine.asked)
    again = FakeEngine(context=60)
    run(again)
    assert again.starts == 0, "what failed counts as done"


def test_failures_are_counted_by_reason(run: Any) -> None:
    summary = run(FakeEngine(lambda request, company: "no"), attempts=2)
    counts = summary["tasks"]["edges"]
    assert (counts["ok"], counts["failed"], counts["failed_by_reason"]) == (0, 12, {"malformed": 12})


@pytest.mark.parametrize("odd", [{"text": "\ud800"}, {"prompt_tokens": 1.5}, {"notes": ("\ud800",)}])
def test_what_no_file_can_hold_is_asked_again(run: Any, records: Any, odd: dict[str, Any]) -> None:
    """An engine that lets an odd answer through costs that request, not the run and not the shard."""

    def answer(request: Request, company: Sequence[Request]) -> Any:
        text = honest(request, company)
        if request.task != "item_attributes" or request.draft.entity != 3:
            return text
        return replace(Completion(request, text, "stop", request.draft.answer), **odd)

    summary = run(FakeEngine(answer), attempts=1)
    assert summary["open"] == {"item_attributes": {"not_storable": 1}}
    assert [row["entity"] for row in records()["item_attributes"]] == [item for item in range(20) if item != 3]
    again = FakeEngine()
    assert "open" not in run(again, attempts=1)
    assert [request.draft.entity for request in again.asked] == [3]


def test_array_tasks_share_the_work_and_change_no_answer(run: Any, records: Any, tmp_path: Path) -> None:
    run(FakeEngine(sociable, exact=True), "whole")
    for only in ([2], [0, 1]):
        run(FakeEngine(sociable, exact=True), "parts", only=only)
    assert not (tmp_path / "parts" / "edges" / "records.parquet").exists()
    merging = FakeEngine(exact=True)
    run(merging, "parts")
    assert merging.starts == 0
    assert records("parts") == records("whole")


def test_other_shards_may_not_be_asked_for_later(run: Any) -> None:
    run(FakeEngine())
    with pytest.raises(UsageError, match="begun with 3 shards"):
        run(FakeEngine(), shards=5)


def test_the_table_has_the_documented_columns(run: Any, tmp_path: Path) -> None:
    run(FakeEngine())
    schema = pq.read_schema(tmp_path / "out" / "edges" / "records.parquet")
    assert [str(schema.field(name).type) for name in ("entity", "attempt", "repairs", "shown_candidates")] == [
        "int32",
        "int32",
        "list<element: string>",
        "list<element: int32>",
    ]


def test_edges_without_candidates_are_refused(dataset: Path, tmp_path: Path, generation: Any) -> None:
    from augment.catalog import Catalog
    from augment.runner import run_source

    catalog = Catalog.load(dataset / "dataset")
    source = generation.sources["fake"]
    with pytest.raises(UsageError, match="candidates"):
        run_source(catalog, "x", source, generation, folder=tmp_path / "x", seed=0)


def test_the_control_runs_end_to_end(catalog: Any, generation: Any, tmp_path: Path) -> None:
    from augment.runner import run_source

    source = generation.sources["fake"]
    summary = run_source(catalog, "control", source, generation, folder=tmp_path / "control", seed=0)
    assert all(task["failed"] == 0 for task in summary["tasks"].values())
    assert summary["tasks"]["edges"]["completion_tokens_per_second"] is None


def test_an_engine_speaks_before_its_first_answer(
    run: Any, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("augrec.artefacts.progress.SECONDS_BETWEEN_LINES", 0.0)

    class Slow(FakeEngine):
        def pulse(self) -> str:
            return "read 512 tokens, wrote 0"

    run(Slow(), "slow")
    run(FakeEngine(), "silent")
    first, second = capfd.readouterr().err.split(f"{TOTAL}/{TOTAL} requests  ", 1)
    assert "requests" in first
    assert "read 512 tokens, wrote 0" in first
    assert "None" not in first + second
