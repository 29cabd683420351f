"""Models in the Hugging Face cache: which snapshot a name stands for, without asking the hub.

The cache holds `models--OWNER--NAME/` with `refs/<branch>` (the commit that the branch was at), `snapshots/<commit>/`
with links, and `blobs/` with the files. Copied caches often lack `refs`, and an editor leaves a line's end in them.
"""

from __future__ import annotations

import re
from pathlib import Path

from augrec.artefacts.errors import DataError

COMMIT = re.compile(r"[0-9a-f]{7,40}")
UNFINISHED = "*.incomplete"


def snapshot_of(repository: str, revision: str | None) -> tuple[Path, str]:
    """The folder of a downloaded model, and where it came from in words.

    Args:
        repository: OWNER/NAME.
        revision: a branch, tag or commit, which may be cut short; None is `main`, or the only snapshot there is.

    Raises:
        DataError: it is not in the cache, which of several snapshots is meant is not clear, or a download was not
            finished.
    """
    from huggingface_hub import constants

    cache = Path(constants.HF_HUB_CACHE)
    folder = cache / f"models--{repository.replace('/', '--')}"
    snapshots = sorted(path for path in folder.glob("snapshots/*") if path.is_dir())
    wanted = repository + (f" --revision {revision}" if revision else "")
    snapshot = _named(folder, snapshots, revision)
    if snapshot is None and snapshots and revision is None and len(snapshots) > 1:
        raise DataError(
            f"the Hugging Face cache has {len(snapshots)} snapshots of {repository}, and refs/main names none of them",
            where=folder,
            remedy=f"name one: {repository}@{snapshots[-1].name}",
        )
    if snapshot is None:
        there = f"; it has {', '.join(path.name for path in snapshots[:5])}" if snapshots else ""
        raise DataError(
            f"{repository}{f'@{revision}' if revision else ''} is neither a local folder nor in the Hugging Face cache"
            f"{there}, and nothing is downloaded here",
            where=cache,
            remedy=f"on a machine with network: hf download {wanted} ; then copy its folder {folder.name} into the "
            "cache folder above",
        )
    unfinished = sorted(folder.glob(f"blobs/{UNFINISHED}"))
    if unfinished:
        raise DataError(
            f"the download of {repository} was not finished: {len(unfinished)} files are half there",
            where=unfinished[0],
            remedy=f"on a machine with network: hf download {wanted} ; or delete that file if the rest was given up on "
            "purpose",
        )
    return snapshot, f"hub {repository}@{snapshot.name}"


def _named(folder: Path, snapshots: list[Path], revision: str | None) -> Path | None:
    """The snapshot that a revision names; where nothing says what `main` is, the only one."""
    try:
        commit = (folder / "refs" / (revision or "main")).read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        commit = ""
    for name in filter(None, (commit, revision)):
        exact = [path for path in snapshots if path.name == name]
        if exact:
            return exact[0]
    if revision is not None:
        short = [path for path in snapshots if COMMIT.fullmatch(revision) and path.name.startswith(revision)]
        if len(short) == 1:
            return short[0]
    if revision in (None, "main") and len(snapshots) == 1 and not commit:
        return snapshots[0]
    return None
