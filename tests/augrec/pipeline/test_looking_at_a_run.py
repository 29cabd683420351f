"""A finished run is looked at from anywhere, whatever its path, also by those who may only read it."""

from __future__ import annotations

import errno
import json
import os
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from augrec.artefacts.errors import UsageError
from augrec.artefacts.run_folder import RunFolder
from augrec.cli import app
from augrec.pipeline.config.run_config import read_config
from augrec.pipeline.executors.slurm.status import collect
from augrec.pipeline.stages import chain
from augrec.pipeline.stages.saved_run import run_at_home

PATHS = [
    "my run",
    "a#b",
    "a # b",
    "x: y",
    "it's",
    '"q"',
    "Größe",
    "d$HOME",
    "[1]",
    "*a",
    "12",
    "null",
    "~",
    "a`b",
    "-x",
]


def states(folder: Path) -> dict[str, str]:
    with run_at_home(folder) as run:
        return {row.stage: row.state for row in collect(run) if not row.group}


@pytest.mark.parametrize("name", PATHS)
def test_the_status_of_a_run_whatever_its_path(
    run_copy: Path, finished_run: Path, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUGREC_CACHE", str(finished_run.parent / "cache"))
    folder = run_copy.rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["status", "--json", "--", name])
    assert result.exit_code == 0, result.output
    found = {row["stage"]: row["state"] for row in json.loads(result.stdout)["answer"]["stages"]}
    assert list(found.values())[:5] == ["done"] * 5
    monkeypatch.chdir("/")
    assert states(folder) == found


@pytest.fixture
def relative_run(finished_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run whose config has relative paths, in a folder `home` with its data."""
    monkeypatch.setenv("AUGREC_CACHE", str(finished_run.parent / "cache"))
    home = tmp_path / "home here"
    shutil.copytree(finished_run.parent / "data", home / "data")
    run = shutil.copytree(finished_run, home / "runs" / "my run")
    text = (run / "config.yaml").read_text()
    for absolute, relative in ((finished_run.parent / "data", "data"), (finished_run, "runs/my run")):
        text = text.replace(str(absolute), relative)
    lines = [line for line in text.splitlines() if not line.startswith("# Relative paths count from")]
    (run / "config.yaml").write_text("\n".join(lines))
    return run


@pytest.mark.parametrize("place", ["home", "elsewhere", "inside"])
def test_relative_paths_count_from_where_the_run_was_made(
    relative_run: Path, tmp_path: Path, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = relative_run.parents[1]
    monkeypatch.chdir({"home": home, "elsewhere": tmp_path, "inside": relative_run}[place])
    assert list(states(relative_run).values())[:5] == ["done"] * 5
    assert list(states(Path(os.path.relpath(relative_run))).values())[:5] == ["done"] * 5


def test_a_run_moved_away_from_its_data_remembers_where_they_are(
    relative_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = relative_run / "config.yaml"
    config.write_text(f"# Relative paths count from {json.dumps(str(relative_run.parents[1]))}\n{config.read_text()}")
    moved = shutil.move(relative_run, tmp_path / "moved")
    monkeypatch.chdir("/")
    assert list(states(Path(moved)).values())[:5] == ["done"] * 5


def test_a_run_without_its_data_says_so(relative_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.rmtree(relative_run.parents[1] / "data")
    monkeypatch.chdir("/")
    result = CliRunner().invoke(app, ["status", str(relative_run)])
    assert result.exit_code == 0, result.output
    assert "unknown" in result.output
    assert "there is no such file or folder" in result.output


def test_the_log_of_a_failure_is_one_of_the_run(
    run_copy: Path, finished_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run of somebody else may name any file of its reader's; one that was moved names logs that are gone."""
    monkeypatch.setenv("AUGREC_CACHE", str(finished_run.parent / "cache"))
    (tmp_path / "secret.out").write_text("a secret")
    logs = run_copy / "slurm" / "logs"
    logs.mkdir(parents=True)
    (logs / "moved.out").write_text("out of memory \x1b[2J")
    folder = run_copy / "slurm" / "001"
    folder.mkdir()
    (folder / "jobs.json").write_text(json.dumps({"jobs": [{"id": "7", "name": "a", "stage": "train", "tasks": 1}]}))
    lines = [f"0\tone\t7_0\t1\t{tmp_path / 'secret.out'}", "0\ttwo\t7_1\t1\t/gone/slurm/logs/moved.out"]
    (logs / "exits.tsv").write_text("\n".join(lines) + "\n")
    result = CliRunner().invoke(app, ["logs", "--failed", str(run_copy)])
    assert result.exit_code == 0, result.output
    assert "a secret" not in result.output
    assert "out of memory ⟨U+001B⟩[2J" in result.output


def test_who_asks_for_logs_hears_that_there_is_no_job_or_no_run(finished_run: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["logs", str(finished_run)])
    assert (result.exit_code, result.output) == (
        0,
        f"no job of this run has a log; what this machine did is in {finished_run / 'run.log'}\n",
    )
    assert isinstance(CliRunner().invoke(app, ["logs", str(tmp_path)]).exception, UsageError)


def play_read_only(folder: Path, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root may write everywhere, so the system's refusals to write into a folder are played."""
    may, opened = os.access, os.open

    def access(path: os.PathLike[str], mode: int, **named: object) -> bool:
        return not (mode & os.W_OK and Path(path).is_relative_to(folder)) and may(path, mode)

    def open_(path: str, flags: int, *rest: object, **named: object) -> int:
        if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT) and Path(path).is_relative_to(folder):
            raise OSError(number, os.strerror(number), str(path))
        return opened(path, flags, *rest, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "access", access)
    monkeypatch.setattr(os, "open", open_)


def times(folder: Path) -> dict[str, int]:
    return {str(path): path.lstat().st_mtime_ns for path in [folder, *folder.rglob("*")]}


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS, errno.EPERM])
def test_a_run_one_may_only_read_is_audited_and_shown(
    run_copy: Path, finished_run: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setenv("AUGREC_CACHE", str(finished_run.parent / "cache"))
    play_read_only(run_copy, number, monkeypatch)
    before = times(run_copy)
    result = CliRunner().invoke(app, ["audit", str(run_copy)])
    assert result.exit_code == 0, result.output
    assert "Audit" in result.output
    assert f"audit.json could not be written: {os.strerror(number)}" in result.output.replace("\n", " ")
    for command in (["status"], ["logs"], ["logs", "--failed"]):
        result = CliRunner().invoke(app, [*command, str(run_copy)])
        assert result.exit_code == 0, result.output
    assert times(run_copy) == before


def test_a_finished_run_one_may_only_read_is_said_to_be_finished(
    run_copy: Path, finished_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUGREC_CACHE", str(finished_run.parent / "cache"))
    play_read_only(run_copy, errno.EROFS, monkeypatch)
    before, command = times(run_copy), ["run", str(finished_run.parent / "toy.yaml"), f"output={run_copy}"]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    assert result.output.count("skipped, unchanged") == len(chain(read_config(finished_run.parent / "toy.yaml")))
    assert "finished; the folder may only be read" in result.output
    assert " reaches recall@10 " in result.output, "the verdict stands at the end, whether or not anything was done"
    assert times(run_copy) == before


@pytest.mark.parametrize("words", [["report"], ["train"], ["train", "--only", "llmrec/seed-1"], ["embed", "--merge"]])
def test_a_finished_stage_one_may_only_read_is_said_to_be_finished(
    run_copy: Path, finished_run: Path, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    monkeypatch.setenv("AUGREC_CACHE", str(finished_run.parent / "cache"))
    play_read_only(run_copy, errno.EROFS, monkeypatch)
    before, config = times(run_copy), [str(finished_run.parent / "toy.yaml"), f"output={run_copy}"]
    result = CliRunner().invoke(app, [words[0], *config, *words[1:]])
    assert result.exit_code == 0, result.output
    assert result.output.count("skipped, unchanged") == 1
    assert "finished; the folder may only be read" in result.output
    refused = CliRunner().invoke(app, [words[0], *config, "seed=8", *words[1:]])
    assert isinstance(refused.exception, UsageError), refused.output
    assert "may only be read, and the stage 'prepare' would have to run: changed" in str(refused.exception)
    assert times(run_copy) == before


def test_a_stage_that_had_finished_is_open_for_a_reason(
    run_copy: Path, finished_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUGREC_CACHE", str(finished_run.parent / "cache"))
    lists = RunFolder(run_copy).candidates
    lists.unlink()
    result = CliRunner().invoke(app, ["status", str(run_copy)])
    assert f"candidates: an output is gone: {lists.relative_to(run_copy)}" in result.output.replace("\n", " ")


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["seeds=[1,2,3]"], "the stage 'train' would have to run: changed since it last ran"),
        (["--force", "embed"], "the stage 'embed' would have to run: forced"),
    ],
)
def test_an_unfinished_run_one_may_only_read_says_what_is_left(
    run_copy: Path, finished_run: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], problem: str
) -> None:
    monkeypatch.setenv("AUGREC_CACHE", str(finished_run.parent / "cache"))
    play_read_only(run_copy, errno.EACCES, monkeypatch)
    before, command = times(run_copy), ["run", str(finished_run.parent / "toy.yaml"), f"output={run_copy}"]
    result = CliRunner().invoke(app, [*command, *words])
    assert isinstance(result.exception, UsageError), result.output
    assert problem in str(result.exception)
    assert times(run_copy) == before
