"""Records are described by the engine that made them, not by the one that came last."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from augment.replay.replay import records_folder
from augrec.artefacts.files import read_json
from tests.kit.fake_engine import FakeEngine, Killed


@pytest.fixture
def engine_of() -> Callable[..., Any]:
    """engine_of(model, **options) is an engine of some name; its identity, and so its keys, are those of any other."""

    def call(model: str, **options: Any) -> Any:
        engine = FakeEngine(**options)
        engine.describe = lambda: {"engine": "fake", "model": model, "retried": {"429": len(engine.asked)}}
        return engine

    return call


def test_old_records_are_the_old_engines(run: Any, engine_of: Any, tmp_path: Path) -> None:
    with pytest.raises(Killed):
        run(engine_of("first", lives=30))
    second = engine_of("second")
    summary = run(second)
    made = {engine["model"]: engine["made"] for engine in summary["engines"].values()}
    asked = len({request.key for request in second.asked})
    assert made == {"first": 44 - asked, "second": asked}
    assert made["first"] > made["second"]
    assert summary["engine"]["model"] == "first", "it made most of them"
    written = read_json(tmp_path / "out" / "engine.json")
    assert written == summary["engine"] | {"engines": summary["engines"]}
    counted = [task["engines"] for task in summary["tasks"].values()]
    names = {engine["model"]: name for name, engine in summary["engines"].items()}
    assert sum(count[names["first"]] for count in counted if names["first"] in count) == 44 - asked
    lines = [json.loads(line) for path in (tmp_path / "out").glob("*/shards/*.jsonl") for line in path.open("rb")]
    assert {line["engine"] for line in lines} == set(names.values())
    assert (records_folder(tmp_path / "out") / "engine.json").exists()


def test_what_counts_up_while_it_answers_makes_no_other_engine(run: Any, engine_of: Any) -> None:
    with pytest.raises(Killed):
        run(engine_of("same", lives=30))
    second = engine_of("same")
    summary = run(second)
    (one,) = summary["engines"].values()
    assert one["made"] == 44
    assert one["retried"] == {"429": len(second.asked)}, "as it stood at the end of the last run"


def test_an_engine_without_present_records_made_none_of_them(run: Any, engine_of: Any) -> None:
    run(engine_of("first"), max_history=2)
    summary = run(engine_of("second"))
    made = {engine["model"]: engine["made"] for engine in summary["engines"].values()}
    assert made == {"first": 20, "second": 24}, "attributes of items were asked alike, the users' questions changed"
    assert run(engine_of("third"))["engine"]["model"] == "second", "a run with nothing left to do made nothing"
