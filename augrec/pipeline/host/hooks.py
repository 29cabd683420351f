"""Commands that a run calls when it is done or has failed, for a message, a copy, the next job.

A config of somebody else must run no code by itself: `hooks` are called only where the command line says `--hooks`.
"""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from augrec.artefacts.options import Options
from augrec.artefacts.progress import say
from augrec.artefacts.run_folder import RunFolder
from augrec.artefacts.visible import visible

SECONDS = 60.0
"""How long a command may take."""

Command = Annotated[tuple[str, ...], Field(min_length=1)]


class Hooks(Options):
    """Commands for the end of `augrec run --hooks`: a list of a program and its arguments each, called without a shell.

    They are told of the run by variables of the environment: AUGREC_OUTCOME (done or failed), AUGREC_NAME, AUGREC_RUN
    (the folder), AUGREC_PAGE, AUGREC_RESULTS, and AUGREC_ERROR (empty where it is done).
    """

    done: Command | None = None
    """Called when every stage is finished, e.g. [notify-send, Augrec, done]."""
    failed: Command | None = None
    """Called when a stage failed. A run that is stopped from outside has not."""


@contextmanager
def hooked(hooks: Hooks, name: str, folder: Path, *, allowed: bool) -> Iterator[None]:
    """Calls the command of a run's outcome when the block ends; what comes of it changes nothing.

    Args:
        hooks: the commands.
        name: the run's name.
        folder: the run folder.
        allowed: whether the user asked for them on the command line.
    """
    if not allowed:
        if hooks != Hooks():
            say("the config's hooks are not called: --hooks calls them")
        yield
        return
    try:
        yield
    except Exception as error:
        _call(hooks.failed, "failed", name, folder, str(error) or type(error).__name__)
        raise
    _call(hooks.done, "done", name, folder, "")


def _call(command: Command | None, outcome: Literal["done", "failed"], name: str, folder: Path, error: str) -> None:
    if command is None:
        return
    files = RunFolder(folder.absolute())
    facts = {
        "AUGREC_OUTCOME": outcome,
        "AUGREC_NAME": name,
        "AUGREC_RUN": str(files.root),
        "AUGREC_PAGE": str(files.page),
        "AUGREC_RESULTS": str(files.results),
        "AUGREC_ERROR": visible(error).replace("\0", ""),
    }
    try:
        ended = subprocess.run(
            command, env={**os.environ, **facts}, stdin=subprocess.DEVNULL, stdout=2, timeout=SECONDS,
            check=False,
        )  # fmt: skip
    except (OSError, ValueError, subprocess.SubprocessError) as problem:
        say(f"hooks.{outcome}: {visible(str(problem))}")
        return
    if ended.returncode:
        say(f"hooks.{outcome}: {visible(shlex.join(command))} ended with exit status {ended.returncode}")
