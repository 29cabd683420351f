"""The command line in this process, as somebody types it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from augrec import cli
from augrec.artefacts.progress import QUIET


class Shell:
    """Runs the command line in this process, in a folder of its own."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self._monkeypatch, self._capsys = folder, monkeypatch, capsys
        monkeypatch.chdir(folder)
        monkeypatch.setenv("AUGREC_CACHE", str(folder / "cache"))
        monkeypatch.setenv(QUIET, "0")

    def __call__(self, *arguments: str) -> tuple[int, str]:
        code, out, err = self.apart(*arguments)
        return code, out + err

    def apart(self, *arguments: str) -> tuple[int, str, str]:
        """The exit code, stdout and stderr."""
        self._monkeypatch.setattr(sys, "argv", ["augrec", *arguments])
        self._monkeypatch.setenv(QUIET, "0")
        self._capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main()
        shown = self._capsys.readouterr()
        return int(ended.value.code or 0), shown.out, shown.err

    def object(self, *arguments: str) -> dict[str, Any]:
        """The object that a command prints with `--json`, which is all that stdout holds."""
        code, out, _ = self.apart(*arguments, "--json")
        printed = json.loads(out)
        assert printed["exit_code"] == code
        assert printed.keys() == {"format", "command", "exit_code", "answer", "error"}
        return printed
