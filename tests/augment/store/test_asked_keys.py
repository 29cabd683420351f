"""A source that finds everything answered makes no question again, and notices whatever would make them others."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from augment.catalog import Catalog
from augment.messages import Completion, Request
from augment.options import GenerationOptions
from augment.runner import run_source
from augment.store.asked_keys import AskedKeys, ShardKeys
from augment.store.store import Store
from tests.kit.fake_engine import FakeEngine, Killed
from tests.kit.prepared_data import write_prepared

TASKS = ("edges", "user_profile", "item_attributes")


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The users whose questions are made, as they are."""
    found: list[int] = []
    user = Catalog.user

    def noted(self: Catalog, number: int) -> Any:
        found.append(number)
        return user(self, number)

    monkeypatch.setattr(Catalog, "user", noted)
    return found


@pytest.fixture
def scanned(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Tasks whose records are read."""
    found: list[str] = []
    records = Store.records

    def noted(self: Store, task: str) -> Any:
        found.append(task)
        return records(self, task)

    monkeypatch.setattr(Store, "records", noted)
    return found


def tables(folder: Path) -> dict[str, bytes]:
    return {path.parent.name: path.read_bytes() for path in sorted(folder.glob("*/records.parquet"))}


def test_a_finished_source_makes_no_question_and_reads_no_record(
    run: Any, seen: list[int], scanned: list[str], tmp_path: Path
) -> None:
    first = run(FakeEngine())
    before = tables(tmp_path / "out")
    assert len(seen) == 12
    seen.clear()
    scanned.clear()
    assert run(FakeEngine()) == first
    assert (seen, scanned) == ([], [])
    assert tables(tmp_path / "out") == before


def test_merging_after_array_tasks_makes_no_question(run: Any, seen: list[int], tmp_path: Path) -> None:
    run(FakeEngine(), "whole")
    for shard in range(3):
        run(FakeEngine(), "parts", only=[shard])
    seen.clear()
    summary = run(FakeEngine(), "parts")
    assert seen == []
    assert tables(tmp_path / "parts") == tables(tmp_path / "whole")
    assert summary["tasks"]["edges"]["max_tokens"] > 0, "what the questions were is known too"
    assert summary["tasks"]["edges"]["prompts_per_attempt"] == 1


def test_after_an_interruption_only_the_shards_not_gone_through_are(run: Any, seen: list[int]) -> None:
    with pytest.raises(Killed):
        run(FakeEngine(lives=45, block=4))
    seen.clear()
    run(FakeEngine(block=4))
    assert 0 < len(set(seen)) < 12


@pytest.fixture
def templates(tmp_path: Path) -> Path:
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "system.j2").write_text("You know {{ domain.many }}.")
    return tmp_path / "templates"


Change = Callable[[Any, Path, Path], dict[str, Any]]


def other_text(world: Any, data: Path, templates: Path) -> dict[str, Any]:
    (templates / "system.j2").write_text("You love {{ domain.many }}.")
    return {}


def other_title(world: Any, data: Path, templates: Path) -> dict[str, Any]:
    world(data, {4: "Another"})
    return {}


CHANGES: dict[str, Change] = {
    "a template's content": other_text,
    "the data": other_title,
    "the seed": lambda *_: {"seed": 1},
    "the history": lambda *_: {"max_history": 3},
    "who is asked about": lambda *_: {"users": 5},
    "titles": lambda *_: {"titles": "anonymous"},
    "an option of a task": lambda *_: {"options": {"edges": {"candidates": 3}}},
    "sampling": lambda *_: {"options": {"edges": {"sampling": {"temperature": 0.1}}}},
    "the tasks": lambda *_: {"tasks": ["user_profile"]},
    "the engine": lambda *_: {"identity": {"engine": "fake", "model_sha256": "b"}},
    "its context": lambda *_: {"context": 90},
    "its tokenizer": lambda *_: {"tokenizer_sha256": "t"},
}


@pytest.mark.parametrize("what", CHANGES)
def test_whatever_questions_are_made_of_is_noticed(
    what: str, templates: Path, tmp_path: Path, seen: list[int], scanned: list[str]
) -> None:
    def answered(data: Path, out: str, seed: int = 0, **given: Any) -> None:
        engine = FakeEngine(context=given.get("context"))
        engine.identity = given.get("identity", engine.identity)
        engine.describe = lambda: {"engine": "fake", "tokenizer_sha256": given.get("tokenizer_sha256", "s")}
        source = {"engine": {"kind": "heuristic"}, "users": given.get("users"), "titles": given.get("titles", "as-is")}
        source["tasks"] = given.get("tasks", list(TASKS))
        options = {"sources": {"s": source}, "templates": templates, "tasks": given.get("options", {}), "shards": 2}
        generation = GenerationOptions.model_validate(options | {"max_history": given.get("max_history", 15)})
        run_source(
            Catalog.load(data / "dataset", data / "candidates" / "candidates.parquet"), "s", generation.sources["s"],
            generation, folder=tmp_path / out, seed=seed, engine=engine,
        )  # fmt: skip

    data = tmp_path / "data"
    write_prepared(data)
    answered(data, "out")
    scanned.clear()
    answered(data, "out")
    assert scanned == [], "nothing changed"
    changed = tmp_path / "changed"
    given = CHANGES[what](write_prepared, changed, templates)
    data = changed if changed.exists() else data
    seen.clear()
    answered(data, "out", **given)
    assert seen, "the questions are made again"
    answered(data, "fresh", **given)
    kept, fresh = tables(tmp_path / "out"), tables(tmp_path / "fresh")
    assert {task: kept[task] for task in fresh} == fresh


def test_damage_is_found_although_nothing_is_left_to_do(
    run: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    run(FakeEngine())
    whole = tables(tmp_path / "out")
    shard = max((tmp_path / "out" / "edges" / "shards").glob("*.jsonl"), key=lambda path: path.stat().st_size)
    content = bytearray(shard.read_bytes())
    content[100] ^= 1
    shard.write_bytes(content)
    engine = FakeEngine()
    run(engine)
    assert len({request.key for request in engine.asked}) == 1
    assert "damaged" in capfd.readouterr().err
    assert tables(tmp_path / "out") == whole
    for damage in (b"no table", None):
        table = tmp_path / "out" / "user_profile" / "records.parquet"
        table.unlink() if damage is None else table.write_bytes(damage)
        again = FakeEngine()
        run(again)
        assert again.starts == 0
        assert tables(tmp_path / "out") == whole


def test_what_stayed_without_a_record_is_asked_although_nothing_changed(run: Any) -> None:
    class Forgetful(FakeEngine):
        def run(self, requests: Sequence[Request]) -> Iterator[Completion]:
            return super().run([request for request in requests if request.draft.entity != 4])

    assert run(Forgetful())["tasks"]["edges"]["requests"] == 11
    engine = FakeEngine()
    assert run(engine)["tasks"]["edges"]["requests"] == 12
    assert {request.draft.entity for request in engine.asked} == {4}


@pytest.mark.parametrize("damage", [b"", b"{}\n", b"[]\n", b"\xff\xfe\n", b'{"made_of": "x"}\nbody'])
def test_kept_keys_that_are_damaged_are_made_again(tmp_path: Path, damage: bytes) -> None:
    kept = AskedKeys(tmp_path, 1, "x")
    kept.write(0, ShardKeys({"edges": bytearray(32)}, {"max_tokens": {"edges": 7}}))
    found = kept.read(0)
    assert found is not None
    assert (len(found), list(found.of("edges")), found.asked) == (2, [bytes(16)] * 2, {"max_tokens": {"edges": 7}})
    assert AskedKeys(tmp_path, 1, "y").read(0) is None, "made of something else"
    (path,) = (tmp_path / "asked").iterdir()
    flipped = path.read_bytes()[:-1] + b"\1"
    for content in (damage, flipped):
        path.write_bytes(content)
        assert kept.read(0) is None


def test_data_without_files_are_not_remembered(tmp_path: Path) -> None:
    nothing = AskedKeys(tmp_path, 1, None)
    nothing.write(0, ShardKeys({"edges": bytearray(16)}))
    assert nothing.read(0) is None
    assert list(tmp_path.iterdir()) == []
