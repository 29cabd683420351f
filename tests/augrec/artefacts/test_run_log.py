"""What is said of a run is kept: lines in one file, command by command, and what is at work now."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from augrec.artefacts import progress as module
from augrec.artefacts.progress import clock, progress, say, signs_of_life, step
from augrec.artefacts.run_log import kept, log_line, read_states
from augrec.pipeline.host.terminal import Terminal
from tests.kit.machine_speed import patience
from tests.kit.waiting import wait_until


def test_lines_of_all_kinds_are_appended_behind_a_header(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/usr/bin/augrec", "run", "my config.yaml", "seed=1\x1b[2J"])
    monkeypatch.setenv(module.QUIET, "1")
    log = tmp_path / "run.log"
    for _ in range(2):
        with kept(log, tmp_path / "now", header=True):
            Terminal(quiet=True).print("[1/6] prepare  done")
            say("embed text  3/4 strings")
            with progress("train", 2, "trainings") as ticker:
                ticker.advance(2)
    log_line("nobody works on it any more")
    lines = log.read_text().splitlines()
    assert len(lines) == 8
    assert lines[0].startswith("# ")
    assert lines[0].endswith("  augrec run 'my config.yaml' 'seed=1⟨U+001B⟩[2J'")
    assert lines[1:3] == ["[1/6] prepare  done", "embed text  3/4 strings"]
    assert lines[3].startswith("train  2/2 trainings")


def test_why_a_command_ended_is_the_last_line(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="too small"), kept(tmp_path / "log", tmp_path / "now", header=True):
        raise ValueError("too small\nsecond line")
    assert (tmp_path / "log").read_text().splitlines()[-1] == "# ended: too small"


def test_a_log_that_cannot_be_written_ends_nothing(tmp_path: Path) -> None:
    (tmp_path / "log").mkdir()
    (tmp_path / "now").write_text("a file in the way")
    with kept(tmp_path / "log", tmp_path / "now", header=True, whole=True), progress("x", 1, "things") as ticker:
        ticker.advance()
    assert read_states(tmp_path / "now") == []


def test_others_see_what_is_at_work_and_how_far_it_came_that_was_killed(tmp_path: Path) -> None:
    code = f"""
from pathlib import Path
from augrec.artefacts.progress import progress
from augrec.artefacts.run_log import kept
with kept(None, Path({str(tmp_path / "now")!r})), progress("augment llm", 122, "requests", whole=269) as ticker:
    ticker.advance(20)
    ticker.note("2 failed")
    ticker.tell()
    print("told", flush=True)
    input()
"""
    child = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env={"PYTHONPATH": ":".join(sys.path)},
    )  # fmt: skip
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == "told\n"
        (state,) = read_states(tmp_path / "now")
        assert (state.title, state.done, state.total, state.unit) == ("augment llm", 167, 269, "requests")
        assert (state.note, state.alive) == ("2 failed", True)
        assert state.seconds_left is not None
    finally:
        child.kill()
        child.wait(patience(30))
    (state,) = read_states(tmp_path / "now")
    assert (state.done, state.alive) == (167, False)
    (tmp_path / "now" / "7.json").write_text('{"title": 3')
    assert len(read_states(tmp_path / "now")) == 1, "a file that is torn is nobody's"
    with kept(None, tmp_path / "now", whole=True):
        assert read_states(tmp_path / "now") == []


def test_work_that_counts_nothing_says_that_it_goes_on(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SECONDS_BETWEEN_LINES", 0.0)
    monkeypatch.setattr(module, "SECONDS_BETWEEN_NOTES", 0.01)
    said = ""
    with signs_of_life("report"):
        step("auditing")

        def signed() -> bool:
            nonlocal said
            said += capfd.readouterr().err
            return "report  auditing  at work for " in said

        wait_until(signed, "a sign of life", 30)


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0.4, "0:00:00"), (78, "0:01:18"), (3599.6, "1:00:00"), (360000, "100:00:00")]
)
def test_times_are_hours_minutes_and_seconds(seconds: float, shown: str) -> None:
    assert clock(seconds) == shown
