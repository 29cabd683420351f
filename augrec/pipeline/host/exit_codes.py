"""How the command line ends: every error that can be expected becomes a message and an exit code."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

from augrec.artefacts.errors import AugrecError
from augrec.pipeline.host.answers import refuse
from augrec.pipeline.host.stopping import Stopped, end_at_next_ctrl_c

INTERRUPTED = 130
"""What the parser makes of Ctrl-C where nobody else listened for it."""


def exit_code(command: Callable[[], int | None], debugging: Callable[[], bool]) -> int:
    """Runs a command, and says what went wrong: 2 for usage, 1 for failure, 75 for what was stopped and may go on.

    Args:
        command: what is run; it returns an exit code, or nothing.
        debugging: whether errors are shown with their traceback, asked when one is there: the command itself reads it.
    """
    try:
        code = command()
        if code == INTERRUPTED:
            raise Stopped("SIGINT")
        return int(code or 0)
    except Stopped as stop:
        code = _fail(AugrecError(stop.what, remedy=stop.remedy), stop.exit_code, debug=debugging())
        end_at_next_ctrl_c()
        return code
    except AugrecError as error:
        return _fail(error, error.exit_code, debug=debugging())
    except OSError as error:
        if debugging() or error.errno is None:
            raise
        return _fail(_os_problem(error), 1, debug=False)
    except Exception as error:
        if (code := _of_the_command_line(error)) is not None:
            return code
        if not debugging() and "No space left on device" in str(error):  # libraries that raise no OSError of it
            return _fail(_os_problem(OSError(errno.ENOSPC, str(error))), 1, debug=False)
        problem = AugrecError(
            f"unexpected {type(error).__name__}: {error}",
            remedy="run the same command with --debug before the subcommand (augrec --debug run ...) to see where",
        )
        return _fail(problem, 1, debug=debugging())


def _of_the_command_line(error: Exception) -> int | None:
    """The exit code of an error in the words of the command line, which is said; None for any other error."""
    show, code = getattr(error, "show", None), getattr(error, "exit_code", None)  # the parser's own, of no public class
    if show is None or not isinstance(code, int):
        return None
    show()
    refuse(AugrecError(error.format_message()), code, said=True)  # type: ignore[attr-defined]
    return code


def _os_problem(error: OSError) -> AugrecError:
    remedies = {
        errno.ENOSPC: "free some space or choose another `output`, then run the same command: finished work is kept",
        errno.EDQUOT: "free some quota or choose another `output`, then run the same command: finished work is kept",
        errno.EROFS: "the file system is read-only: choose another `output`",
        errno.EACCES: _denied(error.filename),
        errno.EPERM: _denied(error.filename),
    }
    remedy = remedies.get(error.errno or 0, "see the path above; --debug shows where in the code")
    reason = os.strerror(error.errno) if error.errno else str(error)
    return AugrecError(reason, where=error.filename or "unknown file", remedy=remedy)


def _denied(path: object) -> str:
    if isinstance(path, str | os.PathLike) and Path(path).exists() and not os.access(path, os.R_OK):
        return "you may not read it: mend its permissions"
    return "you may not write there: choose another `output` or mend the permissions"


def _fail(error: AugrecError, code: int, *, debug: bool) -> int:
    """Says it; called while it is handled, so that with `debug` what was caught goes on."""
    if debug:
        raise
    refuse(error, code)
    return code
