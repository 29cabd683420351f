"""`augrec import`: a table for the terminal, exit codes, and messages."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from augrec import cli
from tests.kit.prepared_data import write_prepared

GOLDEN = Path(__file__).parents[3] / "golden" / "llmrec" / "release"


def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str]:
    monkeypatch.setattr(sys, "argv", ["augrec", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    shown = capsys.readouterr()
    return int(ended.value.code or 0), shown.out + shown.err


def test_import_says_what_it_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    code, shown = run(monkeypatch, capsys, "import", "llmrec", GOLDEN, tmp_path / "out")
    assert code == 0
    assert "200 users, 150 items" in shown
    rows = [" ".join(line.split()) for line in shown.splitlines()]
    assert "item_attribute_filter.csv 3 items have no year" in rows
    assert str(tmp_path / "out" / "import.json") in shown
    code, shown = run(monkeypatch, capsys, "export", "llmrec", tmp_path / "out", tmp_path / "release")
    assert code == 0
    assert str(tmp_path / "release" / "export.json") in shown


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        (["import", "llmrec", "nowhere", "out"], 1, "does not exist"),
        (["import", "rlmrec", "nowhere", "out"], 1, "trn_mat.pkl"),
        (["import", "llmrec", str(GOLDEN), str(GOLDEN)], 2, "something else"),
        (["import", "frobnicate"], 2, "No such command"),
        (["export", "llmrec", "nowhere", "out"], 1, "dataset.json"),
    ],
)
def test_mistakes_get_a_message(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    code: int,
    expected: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    found, shown = run(monkeypatch, capsys, *arguments)
    assert (found, "Traceback" in shown) == (code, False), shown
    assert expected in shown


@pytest.mark.parametrize(
    ("layout", "export", "brief"),
    [
        ("recbole", {"layout": "recbole"}, "{out}"),
        (
            "push",
            {"repository": "me/mine", "kind": "dataset", "url": None},
            "nothing was uploaded; --yes uploads this to",
        ),
    ],
)
def test_what_was_written_is_an_object_for_scripts(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    layout: str,
    export: dict[str, object],
    brief: str,
) -> None:
    out = tmp_path / "out"
    if layout == "push":
        out.mkdir()
        (out / "export.json").write_text('{"layout": "dataset"}')
        command: tuple[object, ...] = ("push", out, "me/mine")
    else:
        write_prepared(tmp_path / "run")
        command = ("export", layout, tmp_path / "run", out)
    code, shown = run(monkeypatch, capsys, *command, "--json")
    said = json.loads(shown)
    assert (code, said["exit_code"], said["error"]) == (0, 0, None)
    assert said["command"] == " ".join(map(str, command[: 1 + (layout != "push")]))
    assert said["answer"]["folder"] == str(out)
    assert export.items() <= {**said["answer"], **said["answer"].get("export", {})}.items()
    if layout == "push":
        assert said["answer"]["files"] == [{"file": "export.json", "bytes": 21}]
    else:
        assert said["answer"]["export"] == json.loads((out / "export.json").read_text())
    code, shown = run(monkeypatch, capsys, *command, "--quiet")
    assert (code, shown.strip().splitlines()[-1].startswith(brief.format(out=out))) == (0, True)
