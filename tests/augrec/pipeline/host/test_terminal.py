"""Text of data and of language models cannot command the terminal it is printed on."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.table import Table

from augrec.pipeline.host.terminal import Kind, OpenTable, Terminal, cells, say

HOSTILE = "Heat\x1b[2J\x1b]0;owned\x07\x9b31m\r\u202egnp\ud83d [bold]x[/bold] [link=file:///]y[/link]"


def harmless(text: str) -> bool:
    return not any(letter in text for letter in "\x1b\x07\x9b\r\u202e\ud83d")


def test_a_line_shows_what_would_act() -> None:
    out = io.StringIO()
    Terminal(file=out, width=300).print(HOSTILE)
    assert harmless(out.getvalue())
    assert "Heat⟨U+001B⟩[2J" in out.getvalue()
    assert "[bold]x[/bold]" in out.getvalue(), "no markup either"


def test_a_cell_shows_what_would_act() -> None:
    out = io.StringIO()
    table = Table("name")
    table.add_row(*cells(HOSTILE))
    Terminal(file=out, width=300).print(table)
    assert harmless(out.getvalue())
    assert "[link=file:///]y[/link]" in out.getvalue()


def test_a_narrow_table_cuts_no_name_and_no_number() -> None:
    rows = [("a-long-variant-name", "1,234,567", "", "goes on below where it has to"), ("b", 2, "", HOSTILE)]
    columns: dict[str, Kind] = {"variant": "name", "rows": "number", "failed": "text", "what": "text"}
    out = io.StringIO()
    Terminal(file=out, width=30, soft_wrap=True).print(OpenTable(columns, rows, title="Rows"))
    _, title, head, first, *below = out.getvalue().splitlines()
    assert (title.strip(), head.split()) == ("Rows", ["variant", "rows", "what"]), "what nobody has is no column"
    assert first.split()[:2] == ["a-long-variant-name", "1,234,567"]
    text = " ".join(line[len("a-long-variant-name  1,234,567") :].strip() for line in (first, *below))
    assert text.startswith("goes on below where it has to")
    assert harmless(out.getvalue())


@pytest.mark.parametrize("error", [True, False])
def test_a_message_shows_what_would_act(capsys: pytest.CaptureFixture[str], error: bool) -> None:
    say(f"first\n{HOSTILE}", error=error)
    out, err = capsys.readouterr()
    assert harmless(out + err)
    assert (err if error else out).startswith("first\nHeat")


def test_an_error_with_a_title_in_it_is_harmless(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from augrec import cli

    path = tmp_path / "bad.yaml"
    path.write_text('name: "\\e[2J"\n"\\e]0;x": 1\n')
    monkeypatch.setattr("sys.argv", ["augrec", "run", str(path)])
    with pytest.raises(SystemExit):
        cli.main()
    assert harmless(capsys.readouterr().err)
