"""Answers of commands: one object on stdout and all else on stderr, or a few plain lines, with the exit code kept."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
import typer

from augrec.artefacts.errors import AugrecError
from augrec.pipeline.host.answers import Json, answer
from tests.kit.machine_speed import patience
from tests.kit.shell import Shell
from tests.kit.toy_config import toy_config, write_config

ANSWERING = (
    "run",
    "audit",
    "validate",
    "compare",
    "experiment",
    "status",
    "doctor",
    "du",
    "models",
    "clean",
    "distant",
    "across",
    "prepare",
)


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], toy_data: Path) -> Shell:
    write_config(tmp_path / "toy.yaml", toy_config(toy_data))
    return Shell(tmp_path, monkeypatch, capsys)


@pytest.mark.parametrize("command", ANSWERING)
def test_every_command_with_an_answer_says_how_it_is_asked_for(shell: Shell, command: str) -> None:
    code, shown = shell(command, "-h")
    assert code == 0
    assert "--json" in shown
    assert "--quiet" in shown


def test_a_stage_and_what_is_said_of_it_later(shell: Shell) -> None:
    said = shell.object("prepare", "toy.yaml")
    stage = said["answer"]["stages"][0]
    assert (stage["stage"], stage["ran"], "interactions" in stage["summary"]) == ("prepare", True, True)
    assert shell.object("prepare", "toy.yaml")["answer"]["stages"][0]["ran"] is False
    run = said["answer"]["run"]
    stages = {row["stage"]: row["state"] for row in shell.object("status", run)["answer"]["stages"]}
    assert stages["prepare"] == "done"
    for command in ("status", "du", "clean", "audit"):
        assert shell.object(command, f"{run}s")["error"]["remedy"].startswith(f"did you mean '{Path(run).name}'?")
    checks = shell.object("audit", run)["answer"]
    assert checks["violations"] == 0
    assert all(not check["violations"] for check in checks["checks"])
    stale = shell.folder / run / "train" / "gone" / "seed-1" / "metrics.json"
    stale.parent.mkdir(parents=True)
    stale.write_text("{}")
    found = shell.object("clean", run)["answer"]
    assert (found["deleted"], found["bytes"]) == (False, 2)
    assert found["leftovers"] == [{"path": "train/gone", "why": "no such variant", "size": 2}]
    assert shell.apart("clean", run, "--quiet") == (0, f"{run}/train/gone\n", "")


@pytest.mark.parametrize(
    ("arguments", "code", "what", "remedy"),
    [
        (["run", "nothing.yaml"], 2, "does not exist", None),
        (["candidates", "toy.yaml"], 1, "'prepare' has not finished", "augrec prepare CONFIG"),
        (["status", "nowhere"], 2, "no run folder", "runs/demo"),
        (["run", "toy.yaml", "--frobnicate"], 2, "frobnicate", None),
        (["frobnicate"], 2, "No such command", None),
    ],
)
def test_errors_are_objects_too(shell: Shell, arguments: list[str], code: int, what: str, remedy: str | None) -> None:
    said = shell.object(*arguments)
    assert said["exit_code"] == code
    assert said["answer"] is None
    assert what in said["error"]["what"]
    assert remedy is None or remedy in said["error"]["remedy"]
    assert said["command"] == arguments[0]
    assert what in shell.apart(*arguments)[2], "and a person reads it on stderr"


def test_an_answer_may_come_with_an_exit_code(shell: Shell) -> None:
    write_config(shell.folder / "wrong.yaml", toy_config("data", {"extra": 1}))
    said = shell.object("validate", "toy.yaml", "wrong.yaml")
    assert said["exit_code"] == 2
    assert [(file["file"], file["ok"]) for file in said["answer"]] == [("toy.yaml", True), ("wrong.yaml", False)]
    assert "extra: unknown key" in said["answer"][1]["error"]["what"]
    code, out, _ = shell.apart("validate", "toy.yaml", "wrong.yaml", "-q")
    assert code == 2
    assert out.startswith("wrong.yaml  wrong\n")


def test_quiet_work_says_nothing_unless_it_fails(shell: Shell) -> None:
    assert shell.apart("prepare", "toy.yaml", "--quiet") == (0, "", "")
    code, out, err = shell.apart("candidates", "toy.yaml", "seed=5", "--quiet")
    assert (code, out) == (2, "")
    assert "seed: 7 -> 5" in err


def test_machines_and_recommenders_are_described(shell: Shell) -> None:
    assert "llmrec" in [entry["family"] for entry in shell.object("models")["answer"]]
    assert "llmrec" in shell("models", "--quiet")[1].split()
    assert shell.object("models", "llmrec")["answer"]["options"]
    assert shell.object("doctor")["answer"]["sections"][0]["title"] == "Base install"


def test_the_object_is_ascii_and_valid_whatever_is_in_it(capsys: pytest.CaptureFixture[str]) -> None:
    failed = AugrecError("half of it failed", where=Path("runs"), remedy="again")
    other = typer.Typer()

    @other.command()
    def ask(as_json: Json = False) -> None:
        answer(
            {"mean": float("nan"), "title": "Gr\u00f6\u00dfe\u202e\x1b", "at": Path("a")},
            lambda out: None,
            error=failed,
        )

    with pytest.raises(SystemExit) as ended:
        other(["--json"])
    shown = capsys.readouterr()
    assert ended.value.code == 1
    assert shown.out.isascii()
    assert "\x1b" not in shown.out
    said = json.loads(shown.out, parse_constant=pytest.fail)
    assert said["answer"] == {"mean": None, "title": "Gr\u00f6\u00dfe\u202e\x1b", "at": "a"}
    assert said["error"] == {"what": "half of it failed", "where": "runs", "remedy": "again"}
    assert "half of it failed" in shown.err


def test_what_a_library_prints_does_not_reach_the_object(tmp_path: Path) -> None:
    code = """
import os, sys
from augrec.pipeline.host.answers import answering, refuse
from augrec.artefacts.errors import AugrecError
with answering(["status", "--json"]):
    os.write(1, b"from below\\n")
    print("from python")
    refuse(AugrecError("x"), 1)
print("after")
"""
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=patience(60),
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    thing, after = ended.stdout[: ended.stdout.rindex("}") + 1], ended.stdout[ended.stdout.rindex("}") + 1 :]
    assert json.loads(thing)["error"]["what"] == "x"
    assert after == "\nafter\n"
    assert "from below" in ended.stderr
    assert "from python" in ended.stderr


def test_the_version_is_one_line(shell: Shell) -> None:
    assert shell.apart("--version") == (0, f"augrec {version('augrec')}\n", "")


@pytest.mark.parametrize(
    ("typed", "offered"),
    [("augrec cle", "clean"), ("augrec models lightg", "lightgcn"), ("augrec run x.yaml --force pre", "prepare")],
)
def test_a_shell_completes_commands_stages_and_families(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, typed: str, offered: str
) -> None:
    monkeypatch.setenv("_AUGREC_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", typed)
    monkeypatch.setenv("COMP_CWORD", str(len(typed.split()) - 1))
    _, out, _ = shell.apart()
    assert offered in out.split()
