"""`augrec requests` on the command line."""

from __future__ import annotations

from pathlib import Path

from typer.testing import CliRunner

from augrec.pipeline.exchange.commands import requests_app


def test_both_ways_are_offered(tmp_path: Path) -> None:
    shown = CliRunner().invoke(requests_app, ["--help"])
    assert shown.exit_code == 0
    assert "export" in shown.output
    assert "import" in shown.output
    assert CliRunner().invoke(requests_app, ["import", str(tmp_path / "x.yaml"), "s"]).exit_code == 2
