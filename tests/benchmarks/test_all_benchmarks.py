"""`make bench` runs what it names, skips with a reason, and fails when one benchmark does."""

from __future__ import annotations

import subprocess
from importlib.util import find_spec
from types import SimpleNamespace

import pytest

from benchmarks import all as everything


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The command lines that would have run; `sampling` misses its target."""
    seen: list[list[str]] = []

    def pretend(command: list[str], *, check: bool) -> SimpleNamespace:
        seen.append(command[2:])
        return SimpleNamespace(returncode=int(command[2] == "benchmarks.sampling"))

    monkeypatch.setattr(subprocess, "run", pretend)
    for variable, _ in everything.FOLDERS.values():
        monkeypatch.delenv(variable, raising=False)
    return seen


def test_all_of_them_run_and_one_failure_is_enough(runs: list[list[str]], capsys: pytest.CaptureFixture[str]) -> None:
    assert everything.main([]) == 1
    assert [command[0] for command in runs] == [
        f"benchmarks.{name}" for name in everything.BENCHMARKS if name not in everything.FOLDERS
    ]
    printed = capsys.readouterr().out
    assert "FAILED with status 1" in printed
    assert "anchors        skipped: needs RLMRec's release of Amazon-book: AMAZON=folder make bench" in printed


def test_figures_that_cannot_be_shipped_are_compared_when_their_folder_is_named(
    runs: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AMAZON", "/data/amazon")
    monkeypatch.setenv("RLMREC_GOLDEN", "/data/golden")
    assert everything.main(["anchors", "parity_rlmrec", "parity"]) == 0
    assert [command[0] for command in runs] == ["benchmarks.parity", "benchmarks.parity_rlmrec", "benchmarks.anchors"]
    assert runs[1][1:] == ["/data/golden/release", "/data/golden/expected.npz"]
    assert runs[2][1:] == ["/data/amazon"]


def test_every_name_is_a_module() -> None:
    assert all(find_spec(f"benchmarks.{name}") for name in everything.BENCHMARKS)


def test_an_unknown_name_is_refused(runs: list[list[str]]) -> None:
    with pytest.raises(SystemExit, match="2"):
        everything.main(["speed"])
    assert runs == []
