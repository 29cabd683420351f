"""Progress in a log file: plain lines with count, rate and what is left."""

from __future__ import annotations

import pytest

from artefacts import progress as module
from artefacts.progress import progress


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


def test_a_quiet_task_prints_only_its_end(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("train", 2, "trainings") as ticker:
        ticker.advance(2)
    assert len(capsys.readouterr().err.splitlines()) == 1
