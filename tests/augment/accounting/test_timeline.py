"""The file of how fast a source was answered: sums against a naive count, resumption, gaps, and a bounded size."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from augment.accounting.timeline import Timeline, spent
from augment.engines.vllm.start import GrammarTime
from augment.messages import Record
from augrec.artefacts.errors import DataError
from augrec.artefacts.files import read_json
from augrec.artefacts.timelines import COLUMNS, FINEST, MOST_POINTS, Points, read_timeline, timelines, together
from tests.kit.fake_engine import FakeEngine, Killed

BEGAN = 1_760_000_000.0


class Clock:
    """A clock that the test sets; `wall` is unix time."""

    def __init__(self, now: float = BEGAN) -> None:
        self.now = now

    def wall(self) -> float:
        return self.now

    def ticks(self) -> float:
        return self.now - BEGAN + 17.0


def record(prompt: int = 10, cached: int = 4, written: int = 3) -> Record:
    return Record("k", "edges", 0, "ok", None, "{}", "{}", "stop", prompt, written, cached, 1)


def timeline(path: Path, clock: Clock, meter: Callable[[], dict[str, float]] = dict) -> Timeline:
    return Timeline(path, meter, wall=clock.wall, clock=clock.ticks)


def test_points_are_a_naive_count(tmp_path: Path) -> None:
    clock, rng = Clock(), random.Random(3)
    expected: dict[int, list[float]] = {}
    with timeline(tmp_path / "0.json", clock) as kept:
        for _ in range(200):
            clock.now += rng.random()
            prompt, written = rng.randint(1, 50), rng.randint(1, 9)
            kept.add(record(prompt, prompt // 2, written))
            row = expected.setdefault(int(clock.now // FINEST), [0, 0, 0, 0])
            for n, number in enumerate((1, prompt, prompt // 2, written)):
                row[n] += number
    told = read_timeline(tmp_path / "0.json")
    assert told.started == BEGAN
    assert {number: row[1:] for number, row in told.points.values.items() if row[1]} == expected
    assert sum(row[0] for row in told.points.values.values()) == pytest.approx(clock.now - BEGAN, abs=0.1)
    assert max(row[0] for row in told.points.values.values()) <= FINEST


def test_a_later_run_continues_and_the_time_between_is_a_gap(tmp_path: Path) -> None:
    clock, path = Clock(), tmp_path / "0.json"
    for _ in range(2):
        with timeline(path, clock, lambda: {"mask": clock.ticks()}) as kept:
            for _ in range(10):
                clock.now += 1.0
                kept.add(record())
        clock.now += 3600.0
    told = read_timeline(path)
    assert told.started == BEGAN
    assert sum(row[1] for row in told.points.values.values()) == 20
    numbers = sorted(told.points.values)
    assert max(b - a for a, b in pairwise(numbers)) > 1700
    assert told.spent == {"mask": pytest.approx(20.0)}  # what passed between the runs is not counted


def test_time_before_begin_is_not_counted(tmp_path: Path) -> None:
    clock = Clock()
    with timeline(tmp_path / "0.json", clock) as kept:
        clock.now += 500.0
        kept.begin()
        clock.now += 1.0
        kept.add(record())
    told = read_timeline(tmp_path / "0.json")
    assert sum(row[0] for row in told.points.values.values()) == pytest.approx(1.0)


def test_a_long_run_stays_small_and_loses_no_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("augment.accounting.timeline.SECONDS_BETWEEN_WRITES", 1e9)  # each write waits for the disk
    clock, path = Clock(), tmp_path / "0.json"
    with timeline(path, clock) as kept:
        for _ in range(5000):
            clock.now += 7.0
            kept.add(record())
    told = read_timeline(path)
    assert MOST_POINTS / 2 <= len(told.points.values) <= MOST_POINTS
    assert told.points.interval == FINEST * 64
    total = [sum(row[n] for row in told.points.values.values()) for n in range(1, 5)]
    assert total == [5000, 50_000, 20_000, 15_000]
    assert path.stat().st_size < 40_000


def test_it_is_written_while_it_goes_on_and_not_before_the_first_answer(tmp_path: Path) -> None:
    clock, path = Clock(), tmp_path / "0.json"
    with timeline(path, clock):
        pass
    assert not path.exists()
    with pytest.raises(KeyboardInterrupt), timeline(path, clock) as kept:
        _answer_and_stop(kept, clock, path)
    assert sum(row[1] for row in read_timeline(path).points.values.values()) == 7


def _answer_and_stop(kept: Timeline, clock: Clock, path: Path) -> None:
    for second in range(7):
        clock.now += 1.0
        kept.add(record())
        assert path.exists() == (second >= 4)
    raise KeyboardInterrupt


def test_processes_add_up_whatever_their_intervals(tmp_path: Path) -> None:
    clock = Clock()
    for name, step in (("00000", 1.0), ("00004", 9.0)):
        clock.now = BEGAN + 3.0
        meter = {"mask": 0.0}
        with timeline(tmp_path / "timeline" / f"{name}.json", clock, lambda m=meter: dict(m)) as kept:  # type: ignore[misc]
            for _ in range(300):
                clock.now += step
                kept.add(record())
            meter["mask"] = 2.5
    told = timelines(tmp_path)
    points = together(told)
    assert points.interval == max(one.points.interval for one in told) > min(one.points.interval for one in told)
    assert sum(row[1] for row in points.values.values()) == 600
    first = points.rows()[0]
    assert first[0] <= BEGAN + 3.0 < first[0] + points.interval
    assert spent(tmp_path) == {"mask": 5.0}


def test_coarser_points_cover_the_same_time() -> None:
    points = Points()
    points.cover(BEGAN + 1.5, BEGAN + 100.25)
    assert points.rows()[0][1] == pytest.approx(0.5)
    points.coarsen(FINEST * 8)
    assert sum(row[1] for row in points.rows()) == pytest.approx(98.75)


@pytest.mark.parametrize("text", ["{}", "[]", '{"columns": ["at"]}', "{"])
def test_another_file_is_refused_by_name(tmp_path: Path, text: str) -> None:
    path = tmp_path / "0.json"
    path.write_text(text)
    with pytest.raises(DataError, match=r"0\.json"):
        timeline(path, Clock())


def test_a_source_keeps_one_and_continues_it(run: Any, tmp_path: Path) -> None:
    engine = FakeEngine(lives=20)
    with pytest.raises(Killed):
        run(engine)
    path = tmp_path / "out" / "timeline" / "00000.json"
    before = read_timeline(path)
    stored = sum(len(shard.read_text().splitlines()) for shard in tmp_path.glob("out/*/shards/*.jsonl"))
    assert 0 < stored < 44
    engine = FakeEngine()
    engine.describe = lambda: {"engine": "fake", "grammar_seconds": {"mask": 0.0 if not engine.starts else 1.25}}
    summary = run(engine)
    after = read_timeline(path)
    assert sum(row[1] for row in before.points.values.values()) == stored
    assert sum(row[1] for row in after.points.values.values()) == 44
    assert after.started == before.started
    written = sum(task["completion_tokens"] for task in summary["tasks"].values())
    assert sum(row[4] for row in after.points.values.values()) == written
    assert read_json(path)["columns"] == list(COLUMNS)
    assert "grammar_seconds" not in summary["engine"]
    assert summary["grammar_seconds"] == {"mask": 0.0}  # the engine spent it before anything was asked
    assert {task["max_tokens"] > 0 for task in summary["tasks"].values()} == {True}
    assert run(FakeEngine())["tasks"]["edges"]["max_tokens"] == summary["tasks"]["edges"]["max_tokens"]


def test_grammar_time_is_that_of_the_managers_calls() -> None:
    class Manager:
        def grammar_init(self, request: str) -> str:
            return request.upper()

        def grammar_bitmask(self) -> None:
            raise RuntimeError("broken")

    manager = Manager()
    time = GrammarTime(manager)
    assert time.seconds() == {"compile": 0.0, "mask": 0.0}
    assert manager.grammar_init("a") == "A"
    with pytest.raises(RuntimeError):
        manager.grammar_bitmask()
    assert all(seconds > 0 for seconds in time.seconds().values())
    assert GrammarTime(None).seconds() == {}
