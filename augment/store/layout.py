"""The layout of a source's shards: pinned by the first run; what an older version of augrec wrote is set aside."""

from __future__ import annotations

import os
import sys

from augrec.artefacts.errors import UsageError
from augrec.artefacts.files import read_json, scrap_path, write_json
from augrec.artefacts.source_folder import SourceFolder

LAYOUT = 2
"""Raised when lines hold something else; a store of an older layout is set aside."""


def pin_shards(folder: SourceFolder, total: int) -> None:
    """Writes the number of shards at the first run, once and whole, and refuses another number afterwards."""
    path = folder.pin
    if not path.exists():
        draft = scrap_path(path)  # a name of its own: processes in other containers have the same numbers
        try:
            write_json(draft, {"layout": LAYOUT, "shards": total})
            os.link(draft, path)  # fails when another process was first, and never shows a half-written file
        except FileExistsError:
            pass
        finally:
            draft.unlink(missing_ok=True)
    pinned = read_json(path)
    if pinned.get("shards") != total:
        raise UsageError(
            f"this source was begun with {pinned.get('shards')} shards, and the configuration now says {total}",
            where=path,
            remedy=f"set shards back to {pinned.get('shards')}, or delete {folder.root} to begin anew",
        )


def set_older_aside(folder: SourceFolder) -> None:
    """Moves what an older version of augrec wrote into a folder of its own, and says so; nothing is deleted.

    Raises:
        UsageError: a newer version wrote it.
    """
    path = folder.pin
    layout = read_json(path).get("layout") if path.exists() else LAYOUT
    if layout == LAYOUT:
        return
    if not isinstance(layout, int) or layout > LAYOUT:
        raise UsageError(
            f"these records have layout {layout}, and this version of augrec knows {LAYOUT}",
            where=path,
            remedy="go on with the version that wrote them, or give this run another `output`",
        )
    aside = folder.set_aside / f"layout-{layout}"
    aside.mkdir(parents=True, exist_ok=True)
    old = [*folder.of_records(), *(task.root for task in folder.tasks_with_shards())]
    for entry in [*sorted(old), path]:  # the pin last: killed before it, the next process goes on
        entry.rename(aside / entry.name)
    print(
        f"{folder.root}: an older version of augrec wrote these records (layout {layout}), and their keys mean "
        f"something else now; they are kept in {aside.relative_to(folder.root)}, and everything is asked again",
        file=sys.stderr,
        flush=True,
    )
