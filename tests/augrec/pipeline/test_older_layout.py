"""A run whose folder is laid out as an older version did it: every command refuses it and leaves it as it is."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from augrec.artefacts.run_folder import LAYOUT, RunFolder
from augrec.cli import app

COMMANDS = {
    "audit": ["audit", "{run}"],
    "clean": ["clean", "{run}"],
    "clean --yes": ["clean", "{run}", "--yes"],
    "export": ["export", "llmrec", "{run}", "{out}"],
    "logs": ["logs", "{run}"],
    "logs --failed": ["logs", "--failed", "{run}"],
    "status": ["status", "{run}"],
    "run": ["run", "{config}", "output={run}"],
    "one stage": ["embed", "{config}", "output={run}"],
    "one training": ["train", "{config}", "output={run}", "--only", "base/seed-1"],
    "submit": ["submit", "{config}", "output={run}"],
    "requests": ["requests", "export", "{config}", "server", "{out}", "--set", "output={run}",
                 "--set", "generation.sources.server.engine={{kind: openai, model: m, base_url: 'http://x/v1'}}"],
}  # fmt: skip


@pytest.fixture
def older_run(run_copy: Path, finished_run: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A finished run without the mark, as earlier versions left it; its config has a key that is gone since."""
    monkeypatch.setenv("AUGREC_CACHE", str(finished_run.parent / "cache"))
    RunFolder(run_copy).layout.unlink()
    with RunFolder(run_copy).config.open("a") as config:
        config.write("gone_since: 1\n")
    return run_copy


def snapshot(folder: Path) -> dict[str, tuple[int, int]]:
    """Size and time of change of everything in a folder."""
    stats = {str(path.relative_to(folder)): path.lstat() for path in [folder, *folder.rglob("*")]}
    return {name: (stat.st_size, stat.st_mtime_ns) for name, stat in stats.items()}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_refuses_it_and_says_what_to_do(
    older_run: Path, finished_run: Path, tmp_path: Path, command: str
) -> None:
    config = finished_run.parent / "toy.yaml"
    words = [word.format(run=older_run, config=config, out=tmp_path / "out") for word in COMMANDS[command]]
    before = snapshot(older_run)
    result = CliRunner().invoke(app, words)
    assert result.exit_code != 0
    assert "made by an older version of augrec" in str(result.exception), result.output
    assert "another `output`" in str(result.exception)
    assert snapshot(older_run) == before


def test_a_finished_run_says_its_layout(finished_run: Path) -> None:
    assert RunFolder(finished_run).layout.read_text().split() == ["{", '"layout":', str(LAYOUT), "}"]
