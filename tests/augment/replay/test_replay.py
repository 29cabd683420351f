"""Records of another data set arrive under this one's ids, or say why they do not."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from augment.catalog import Catalog
from augment.messages import Record
from augment.options import GenerationOptions
from augment.replay.options import ReplayOptions
from augment.replay.replay import records_folder, replayed_files
from augment.runner import run_source
from augrec.artefacts.errors import DataError, UsageError
from augrec.artefacts.records import RECORD_SCHEMA

N_USERS, N_ITEMS = 12, 20
Replay = Callable[..., tuple[dict[str, Any], dict[int, dict[str, Any]]]]


def there(source_id: str) -> int:
    """The other data set counts backwards from 29, over 30 ids."""
    return 29 - int(source_id[1:])


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """A finished run over a larger data set with the same source ids in another order."""
    folder = tmp_path / "other"
    (folder / "dataset").mkdir(parents=True)
    for about, letter in (("user", "u"), ("item", "s")):
        table = pa.table({about: list(range(30)), "source_id": [f"{letter}{29 - i}" for i in range(30)]})
        pq.write_table(table, folder / "dataset" / f"{about}s.parquet")
    return folder


def write(other: Path, task: str, rows: list[dict[str, Any]], source: str = "llm") -> Path:
    empty = Record("k", task, 0, "ok", None, "{}", "", "stop", 5, 3, 1, 1)
    folder = other / "augment" / source
    (folder / task).mkdir(parents=True, exist_ok=True)
    records = [asdict(empty) | {"key": f"k{n}"} | row for n, row in enumerate(rows)]
    pq.write_table(pa.Table.from_pylist(records, schema=RECORD_SCHEMA), folder / task / "records.parquet")
    return folder


def profile(user: str, text: str = "a reader", **changes: Any) -> dict[str, Any]:
    return {"entity": there(user), "fields": json.dumps({"profile": text}), "text": text} | changes


def edge(user: str, positive: str, negative: str, **changes: Any) -> dict[str, Any]:
    fields = json.dumps({"positive": there(positive), "negative": there(negative)})
    return {"entity": there(user), "fields": fields, "text": "1::2"} | changes


@pytest.fixture
def replay(catalog: Catalog, tmp_path: Path) -> Replay:
    """replay(records, task, **options) -> (summary, entity -> record)."""

    def call(records: Path, task: str, out: str = "out", only: Any = None, **options: Any) -> Any:
        generation = GenerationOptions.model_validate(
            {
                "sources": {"old": {"engine": {"kind": "replay", "records": records, **options}, "tasks": [task]}},
                "shards": 3,
            }
        )
        summary = run_source(
            catalog, "old", generation.sources["old"], generation,
            folder=tmp_path / out, seed=0, shards=only,
        )  # fmt: skip
        path = tmp_path / out / task / ("records.parquet" if only is None else f"records-{min(only):05d}.parquet")
        return summary, {row["entity"]: row for row in pq.read_table(path).to_pylist()}

    return call


def test_profiles_follow_their_users(other: Path, replay: Replay) -> None:
    rows = [profile(f"u{user}", f"number {user}") for user in (3, 0, 25, 11)]
    summary, found = replay(write(other, "user_profile", rows), "user_profile")
    assert sorted(found) == list(range(N_USERS))
    told = {user: json.loads(row["fields"])["profile"] for user, row in found.items() if row["status"] == "ok"}
    assert told == {0: "number 0", 3: "number 3", 11: "number 11"}
    task = summary["tasks"]["user_profile"]
    assert (task["requests"], task["ok"], task["failed_by_reason"]) == (N_USERS, 3, {"no_record": 9})
    assert found[3]["text"] == "number 3"
    assert (found[3]["prompt_tokens"], found[3]["completion_tokens"]) == (5, 3)
    assert all(found[user]["fallback"] == "masked" and found[user]["reason"] for user in found if user not in told)
    replayed = summary["engine"]["records"]["user_profile"]
    assert (replayed["records"], replayed["used"], replayed["unused"]) == (4, 3, 1)


def test_items_inside_records_are_translated(other: Path, replay: Replay) -> None:
    shown = {"shown_candidates": [there(f"s{i}") for i in (9, 10, 28)], "shown_history": [there("s3"), there("s4")]}
    folder = write(other, "edges", [edge("u1", "s9", "s10", **shown), edge("u2", "s9", "s25"), edge("u3", "s22", "s1")])
    _, found = replay(folder, "edges")
    assert json.loads(found[1]["fields"]) == {"positive": 9, "negative": 10}
    assert (found[1]["shown_candidates"], found[1]["shown_history"]) == ([9, 10], [3, 4])
    assert found[2]["reason"] == f"unknown_item: the negative {there('s25')} of the source is not in this data set"
    assert found[3]["reason"].startswith("unknown_item: the positive")


def test_scored_candidates_are_translated_and_strangers_left_out(other: Path, replay: Replay) -> None:
    def scored(user: str, scores: Any) -> dict[str, Any]:
        fields = {"positive": there("s9"), "negative": there("s10"), "confidence": 0.5, "scores": scores}
        return edge(user, "s9", "s10") | {"fields": json.dumps(fields)}

    pairs = [[there("s9"), 0.6], [there("s28"), 0.25], [there("s10"), 0.15]]
    _, found = replay(write(other, "edges", [scored("u1", pairs), scored("u2", [[1]]), scored("u3", 4)]), "edges")
    fields = {"positive": 9, "negative": 10, "confidence": 0.5, "scores": [[9, 0.6], [10, 0.15]]}
    assert json.loads(found[1]["fields"]) == fields
    assert found[2]["reason"] == "malformed_scores: [[1]]"
    assert found[3]["reason"] == "malformed_scores: 4"


def test_held_out_items_do_not_come_in_through_an_old_prompt(other: Path, replay: Replay) -> None:
    """User 1 has items 1..5 in training, 6 in validation, 7 in test."""
    rows = [profile("u1", shown_history=[there("s1"), there("s7")]), profile("u2", shown_history=[there("s6")])]
    _, found = replay(write(other, "user_profile", rows), "user_profile")
    assert found[1]["status"] == "failed"
    assert found[1]["reason"].startswith("held_out_history: item 7")
    assert found[2]["status"] == "ok"


def test_items_of_a_similar_user_come_with_their_ids_here(other: Path, replay: Replay) -> None:
    rows = [profile("u1", shown_similar=[there("s9"), there("s4")]), profile("u2")]
    _, found = replay(write(other, "user_profile", rows), "user_profile")
    assert (found[1]["shown_similar"], found[2]["shown_similar"]) == ([9, 4], [])


def test_held_out_reviews_do_not_come_in_either(other: Path, replay: Replay) -> None:
    """Items 2 and 7 are met in training by users up to 2 and 7, and 7 by user 1 in test."""
    rows = [profile("u1", shown_reviews=[there("s2")]), profile("u2", shown_reviews=[there("s7"), there("s3")])]
    _, found = replay(write(other, "user_profile", rows), "user_profile")
    assert (found[1]["status"], found[1]["shown_reviews"]) == ("ok", [2])
    assert found[2]["reason"].startswith("held_out_review: that of item 7")
    rows = [
        profile("s7", shown_reviews=[there("u5"), there("u1")]),
        profile("s2", shown_reviews=[there("u2"), there("u29")], reviews_sha256="0" * 64),
    ]
    _, found = replay(write(other, "item_profile", rows), "item_profile", "items")
    assert found[7]["reason"].startswith("held_out_review: that of user 1")
    assert (found[2]["status"], found[2]["shown_reviews"]) == ("ok", [2]), "user 29 is not here"
    assert found[2]["reviews_sha256"] == "0" * 64


def test_failures_stay_failures_with_their_reason(other: Path, replay: Replay) -> None:
    rows = [profile("u1", status="failed", reason="malformed: x", fields=None, fallback="masked")]
    summary, found = replay(write(other, "user_profile", rows), "user_profile")
    assert (found[1]["status"], found[1]["reason"], found[1]["fields"]) == ("failed", "malformed: x", None)
    assert summary["tasks"]["user_profile"]["failed_by_reason"] == {"malformed": 1, "no_record": 11}


def test_users_the_source_does_not_know(other: Path, replay: Replay) -> None:
    table = pq.read_table(other / "dataset" / "users.parquet").slice(20)
    pq.write_table(table, other / "dataset" / "users.parquet")  # u9..u0 are left
    _, found = replay(write(other, "user_profile", [profile("u1")]), "user_profile")
    assert found[10]["reason"] == "unknown_to_source: its data set has no user 'u10'"
    assert found[9]["reason"].startswith("no_record")


def test_by_position_and_without_a_data_set(other: Path, replay: Replay) -> None:
    folder = write(other, "user_profile", [profile("u1", entity=4)])
    assert replay(folder, "user_profile", match="position")[1][4]["status"] == "ok"
    (other / "dataset").rename(other / "elsewhere")
    with pytest.raises(UsageError, match="match: position"):
        replay(folder, "user_profile", out="fresh")
    write(other, "user_profile", [profile("u1")])
    assert replay(folder, "user_profile", out="named", dataset=other / "elsewhere")[1][1]["status"] == "ok"


def test_shards_and_repetition_change_nothing(other: Path, replay: Replay, tmp_path: Path) -> None:
    folder = write(other, "user_profile", [profile(f"u{user}") for user in range(N_USERS)])
    whole = replay(folder, "user_profile", out="whole")[1]
    for shard in range(3):
        replay(folder, "user_profile", out="parts", only=[shard])
    assert replay(folder, "user_profile", out="parts")[1] == whole
    lines = [path.read_text() for path in sorted(tmp_path.glob("whole/user_profile/shards/*"))]
    assert replay(folder, "user_profile", out="whole")[1] == whole
    assert [path.read_text() for path in sorted(tmp_path.glob("whole/user_profile/shards/*"))] == lines


def test_another_text_replaces_the_old_one(other: Path, replay: Replay) -> None:
    folder = write(other, "user_profile", [profile("u1", "old")])
    before = replayed_files(ReplayOptions(records=folder))
    replay(folder, "user_profile")
    write(other, "user_profile", [profile("u1", "new")])
    summary, found = replay(folder, "user_profile")
    assert found[1]["text"] == "new"
    assert summary["tasks"]["user_profile"]["stale"] == 1
    assert replayed_files(ReplayOptions(records=folder)) != before


def test_who_wrote_the_records_is_kept(other: Path, replay: Replay) -> None:
    folder = write(other, "user_profile", [profile("u1")])
    (folder / "engine.json").write_text(json.dumps({"engine": "vllm", "model": "m"}))
    engine = replay(folder, "user_profile")[0]["engine"]
    assert (engine["engine"], engine["model"], engine["written_by"]["model"]) == ("replay of vllm", "m", "m")


def test_the_folder_of_records(other: Path) -> None:
    with pytest.raises(UsageError, match="no records to replay"):
        records_folder(other)
    llm = write(other, "user_profile", [])
    assert records_folder(other) == records_folder(llm) == llm
    write(other, "user_profile", [], source="second")
    with pytest.raises(UsageError, match="several sources"):
        records_folder(other)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([profile("u1"), profile("u1")], "two records of entity"),
        ([profile("u1", fields="not json")], "not a JSON object"),
        ([profile("u1", fields="[" * 10**5)], "not a JSON object"),
        ([profile("u1", fields='{"a": ' + "[" * 70 + "]" * 70 + "}")], "not a JSON object"),
    ],
)
def test_broken_records_are_named(other: Path, replay: Replay, rows: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(DataError, match=message):
        replay(write(other, "user_profile", rows), "user_profile")


def test_a_task_that_is_not_there(other: Path, replay: Replay) -> None:
    with pytest.raises(UsageError, match=r"hold no edges[\s\S]*\[user_profile\]"):
        replay(write(other, "user_profile", []), "edges")
