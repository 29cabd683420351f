"""Progress in a log file: plain lines with count, rate and what is left."""

from __future__ import annotations

import os
import threading
from itertools import count
from pathlib import Path

import pytest

from augrec.artefacts import progress as module
from augrec.artefacts.progress import progress, rate_in_words, waiting
from tests.kit.waiting import wait_until


def test_a_log_gets_plain_lines(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SECONDS_BETWEEN_LINES", 0.0)
    with progress("embed text", 4, "strings") as ticker:
        ticker.note("<script>[bold]")
        ticker.advance(3)
        ticker.skip()
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("embed text  3/4 strings  ")
    assert "ETA" in lines[0]
    assert lines[0].endswith("<script>[bold]")
    assert lines[-1].startswith("embed text  3/3 strings  ")
    assert "took" in lines[-1]


def test_what_was_kept_counts_and_says_nothing_of_the_rate(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SECONDS_BETWEEN_LINES", 0.0)
    seconds = iter(range(0, 1000, 10))
    monkeypatch.setattr(module.time, "monotonic", lambda: float(next(seconds)))
    with progress("augment llm", 122, "requests", whole=269) as ticker:
        ticker.advance(2)
        ticker.expect(100)
        ticker.advance(0)
    first, second = capsys.readouterr().err.splitlines()[:2]
    assert first.startswith("augment llm  149/269 requests  ")
    assert second.startswith("augment llm  169/269 requests  ")
    assert "s each  ETA 0:" in first


def test_what_failed_is_not_finished_and_is_not_to_be_waited_for(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SECONDS_BETWEEN_LINES", 0.0)
    seconds = iter(range(0, 1000, 10))
    monkeypatch.setattr(module.time, "monotonic", lambda: float(next(seconds)))
    with progress("train", 6, "trainings", whole=8) as ticker:
        ticker.note("llmrec/seed-1  valid recall@20 0.1")
        ticker.advance(2)
        ticker.fail(3)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("train  4/8 trainings  ")
    assert lines[1].startswith("train  4/8 trainings  ")
    assert "ETA 0:" in lines[1], "by all that ended"
    assert lines[1].endswith("  3 failed, llmrec/seed-1  valid recall@20 0.1")
    with progress("train", 8, "trainings") as ticker:
        ticker.fail(4)
        ticker.advance(4)
    assert capsys.readouterr().err.splitlines()[-1].startswith("train  4/8 trainings  ")


def test_a_quiet_task_prints_only_its_end(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("train", 2, "trainings") as ticker:
        ticker.advance(2)
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize(
    ("done", "seconds", "words"),
    [
        (0, 8.0, ""), (38, 10.0, "3.8/s"), (10, 10.0, "1.0/s"), (2, 10.0, "5 s each"), (10, 13.0, "1.3 s each"),
        (1, 480.0, "480 s each"), (6299, 1.0, "6299.0/s"), (5, 0.0, "5000000000.0/s"),
    ],
)  # fmt: skip
def test_less_than_one_in_a_second_is_said_in_seconds_each(done: int, seconds: float, words: str) -> None:
    assert rate_in_words(done, seconds) == words


def test_before_the_first_unit_there_is_a_life_sign_and_no_promise(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SECONDS_BETWEEN_LINES", 0.0)
    signs = (f"read {64 * looks} tokens" for looks in count(1))
    with progress("augment llm", 9, "requests", pulse=lambda: next(signs)) as ticker:
        ticker.advance(0)
        ticker.advance(0)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("augment llm  0/9 requests  ")
    read = [int(line.split()[-2]) for line in lines[:2]]
    assert 0 < read[0] < read[1], "asked again for every line"
    assert not any(word in line for word in ("ETA", "inf", "nan", "/s ") for line in lines)


def test_slow_work_speaks_while_nothing_is_finished(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SECONDS_BETWEEN_LINES", 0.01)
    asked = threading.Event()

    def pulse() -> str:
        asked.set()
        return "read 64 tokens"

    with progress("augment llm", 9, "requests", pulse):
        assert asked.wait(30)  # on its own, while the work is silent
    assert "augment llm  0/9 requests" in capfd.readouterr().err


def test_a_start_that_takes_long_is_said_also_where_its_own_output_goes_elsewhere(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(module, "SECONDS_BETWEEN_LINES", 0.01)
    monkeypatch.setattr(module, "SECONDS_BEFORE_SAID", 0.0)
    said = ""
    with waiting("augment llm  starting the engine"), (tmp_path / "log").open("wb") as log:
        kept = os.dup(2)
        os.dup2(log.fileno(), 2)
        try:

            def twice() -> bool:
                nonlocal said
                said += capfd.readouterr().err
                return said.count("starting the engine") >= 2

            wait_until(twice, "a second life sign", 30)
        finally:
            os.dup2(kept, 2)
            os.close(kept)
    assert said.count("augment llm  starting the engine") >= 2
    assert (tmp_path / "log").read_bytes() == b""


def test_a_start_that_is_over_at_once_says_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    with waiting("augment heuristic  starting the engine"):
        pass
    assert capfd.readouterr().err == ""
