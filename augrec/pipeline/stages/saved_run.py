"""A run read back from its folder, wherever that is looked at from."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import chdir, contextmanager
from pathlib import Path

from augrec.artefacts.errors import UsageError
from augrec.artefacts.run_folder import RunFolder, nearest_run
from augrec.pipeline.config.run_config import counts_from, read_config
from augrec.pipeline.stages.base import Run


def read_run(folder: Path) -> Run:
    """The run of a folder, by the config of its last submission or run, whichever was later.

    Raises:
        UsageError: there is no run.
        DataError: it is a run of another layout.
    """
    read = read_config(max(saved_configs(folder), key=lambda path: path.stat().st_mtime_ns))
    here = read.folder.exists() and read.folder.resolve() == folder.resolve()
    return Run(read if here else read.model_copy(update={"output": folder}))


@contextmanager
def run_at_home(folder: Path) -> Iterator[Run]:
    """The run of a folder, wherever it is looked at from: its config's paths count from where it was made.

    Where that place is gone, because the whole tree was moved, the part of the path that the config does not name.
    """
    folder = folder.absolute()
    with chdir(_home(folder) or Path.cwd()):
        yield read_run(folder)


def saved_configs(folder: Path) -> list[Path]:
    """The configs of a folder's last run and of its submissions, the newest of these first; one at least.

    Raises:
        UsageError, DataError: as `read_run`.
    """
    files = RunFolder(folder)
    files.check_layout()  # a config of another layout need not be one of this version
    known = (files.config, *(submission.config for submission in reversed(files.submissions())))
    found = [path for path in known if path.exists()]
    if not found:
        what = "this is no run folder: it has no config.yaml"
        raise UsageError(what, where=folder, remedy=f"{nearest_run(folder)}name e.g. runs/demo")
    return found


def _home(folder: Path) -> Path | None:
    saved, *_ = saved_configs(folder)
    named = read_config(saved).folder
    depth = len(named.parts)
    above = folder.parents[depth - 1] if not named.is_absolute() and folder.parts[-depth:] == named.parts else None
    return counts_from(saved) or above
