"""What a command answers: tables for a person, a few plain lines with `--quiet`, one JSON object with `--json`.

With `--json` stdout holds that object and nothing else; every other line, those of libraries too, goes to stderr. What
goes wrong is an object too, with the exit code that the command ends with. The fields are described in
docs/commands.md.
"""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Any, TextIO

import typer
from pydantic_core import to_jsonable_python
from rich.console import Console

from augrec.artefacts.errors import AugrecError
from augrec.artefacts.progress import QUIET, is_quiet
from augrec.pipeline.host.terminal import Terminal, say, terminal

FORMAT = 1
"""Counts the meanings of the object that `--json` prints; a field that is added does not count."""
JSON_OPTION = "--json"


@dataclass
class _Manner:
    """How the command of this process was asked to answer."""

    as_json: bool = False
    command: str = ""
    out: TextIO | None = None
    """Where an object goes; None for stdout."""


_manner = _Manner()


def _take_json(context: typer.Context, value: bool) -> bool:
    _manner.as_json, _manner.command = value, context.command_path.partition(" ")[2]
    return value


def _take_quiet(value: bool) -> bool:
    os.environ[QUIET] = "1" if value else "0"  # processes that this one starts are to be as silent
    return value


Json = Annotated[
    bool,
    typer.Option(
        JSON_OPTION, help="Print one JSON object; everything else goes to stderr.", is_eager=True, callback=_take_json
    ),
]
Quiet = Annotated[
    bool,
    typer.Option(
        "--quiet", "-q", help="No progress, and the answer in its shortest form.", is_eager=True, envvar=QUIET,
        show_envvar=False, callback=_take_quiet,
    ),
]  # fmt: skip


def console() -> Terminal:
    """Where a command's lines go that are no answer."""
    return terminal(stderr=_manner.as_json, quiet=is_quiet())


def answer(
    value: Any,
    show: Callable[[Console], object],
    *,
    brief: Iterable[object] = (),
    exit_code: int = 0,
    error: AugrecError | None = None,
) -> None:
    """Gives the answer of a command in the form that was asked for, and ends with its exit code where that is not 0.

    Args:
        value: what `--json` prints, of values that JSON knows, paths, and dataclasses of them.
        show: prints it for a person.
        brief: what `--quiet` prints, a line each.
        exit_code: what the command ends with.
        error: what went wrong although there is an answer; the command ends with its exit code.

    Raises:
        typer.Exit: with an exit code that is not 0.
    """
    code = error.exit_code if error is not None else exit_code
    if _manner.as_json:
        _print_object(value, code, error)
    elif is_quiet():
        for line in brief:
            say(str(line))
    else:
        show(terminal())
    if error is not None:
        say(f"augrec: {error}", error=True)
    if code:
        raise typer.Exit(code)


def refuse(error: AugrecError, code: int, *, said: bool = False) -> None:
    """Says what ended a command: on stderr, and as an object where that was asked for.

    Args:
        error: what it was.
        code: what the command ends with.
        said: whether it stands on stderr already.
    """
    if _manner.as_json:
        _print_object(None, code, error)
    if not said:
        say(f"augrec: {error}", error=True)


@contextmanager
def answering(arguments: Sequence[str]) -> Iterator[None]:
    """Keeps stdout free for the object while the block runs, where the arguments of the command line ask for one.

    Args:
        arguments: of the command line, without the name of the program.
    """
    words = list(arguments)
    options = words[: words.index("--")] if "--" in words else words
    _manner.as_json, _manner.out = JSON_OPTION in options, None
    _manner.command = next((word for word in options if not word.startswith("-")), "")
    if not _manner.as_json:
        yield
        return
    stdout, kept = sys.stdout, _copy_of_stdout()
    _manner.out = kept or stdout
    sys.stdout = sys.stderr
    try:
        yield
    finally:
        sys.stdout = stdout
        if kept is not None:
            os.dup2(kept.fileno(), 1)
            kept.close()
        _manner.out = None


def _copy_of_stdout() -> TextIO | None:
    """Another way to where stdout goes, which itself goes to stderr from now on; None where it is no file of ours."""
    try:
        if sys.stdout.fileno() != 1:
            return None
    except (AttributeError, OSError, io.UnsupportedOperation):
        return None
    sys.stdout.flush()
    kept = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return kept


def _print_object(value: Any, code: int, error: AugrecError | None) -> None:
    """ASCII alone, so that no text in it acts on a terminal; what is no number is null."""
    parts = None if error is None else {"what": error.what, "where": error.where, "remedy": error.remedy}
    whole = {"format": FORMAT, "command": _manner.command, "exit_code": code, "answer": value, "error": parts}
    text = json.dumps(to_jsonable_python(whole, inf_nan_mode="null"), indent=2)
    print(text, file=_manner.out or sys.stdout, flush=True)
