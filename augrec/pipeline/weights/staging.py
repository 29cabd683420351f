"""Weights on a node's own disk: copied once per node, found again by their hash, and taken away when nobody uses them.

A process that uses a copy holds a share of its lock until it ends, however it ends. Whoever copies next takes away what
nobody used for a week, and where the disk has no room, what was used longest ago.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
import sys
import tempfile
import time
from contextlib import ExitStack, suppress
from pathlib import Path

from augrec.artefacts.errors import AugrecError
from augrec.artefacts.files import digest, sha256_file
from augrec.artefacts.locks import hold
from augrec.artefacts.memory import size_in_words
from augrec.pipeline.weights.folders import SOURCE_FILE

SECONDS_KEPT = 7 * 24 * 3600.0
"""How long a copy stays that nobody uses."""
VARIABLE = "AUGREC_LOCAL_MODELS"
MARK = ".copied.json"
OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


def staged(folder: Path, sha256: str) -> Path:
    """A copy of a model's folder below $AUGREC_LOCAL_MODELS; the folder itself where that is not set or too small.

    The first process of a node copies, under a lock; the others wait and share the copy. It is whole or absent. Other
    users of a node may write on its disk, so a copy counts only if this user made it and nobody else can change it;
    another one is made anew, or passed over where it cannot be removed.
    """
    place = os.environ.get(VARIABLE)
    if not place:
        return folder
    root = Path(place)
    root.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not _keeps_others_out(root):
        return _passed_over(root, folder, "is another user's, or others may replace what lies in it")
    name = _name(folder, sha256)
    copy = root / name
    with hold(root / f"{name}.lock", "another process copies these weights", wait=True):
        _use(root, name)
        if _is_own_copy(root, name):
            os.utime(mark_of(root, name))
            return copy
        try:
            _remove(copy)
        except OSError:
            return _passed_over(copy, folder, "is another user's")
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        _take_away_unused(root, round(size * 1.05))
        if size * 1.05 > shutil.disk_usage(root).free:
            return _passed_over(root, folder, f"has no room for {size_in_words(size)}")
        with tempfile.TemporaryDirectory(prefix=".copy-", dir=root) as temporary:
            made = Path(shutil.copytree(folder, Path(temporary) / "model"))  # links are followed: the hub's cache
            for path in (made, *made.rglob("*")):
                path.chmod(path.stat().st_mode & ~OTHERS_WRITE)
            made.rename(copy)
        _write_mark(root, name)
    return copy


def _name(folder: Path, sha256: str) -> str:
    """Of the copy: by the weights' hash, and for converted ones by what converted them."""
    source = folder / SOURCE_FILE
    return (digest([sha256, sha256_file(source)]) if source.is_file() else sha256)[:16]


def _passed_over(path: Path, folder: Path, why: str) -> Path:
    print(f"{path} {why}; reading {folder}", file=sys.stderr)
    return folder


def _keeps_others_out(root: Path) -> bool:
    """Whether nobody but this user and root can rename or remove what this user writes in a folder."""
    state = root.stat()
    closed = not state.st_mode & OTHERS_WRITE or bool(state.st_mode & stat.S_ISVTX)
    return state.st_uid in (os.geteuid(), 0) and closed


_used: dict[Path, ExitStack] = {}
"""Locks of the copies that this process uses; the system releases them when it ends."""


def _use(root: Path, name: str) -> None:
    """Keeps others from taking the copy away while this process lives."""
    lock = root / f"{name}.use"
    if lock not in _used:
        held = ExitStack()
        held.enter_context(hold(lock, "the copy is being taken away", shared=True, wait=True))
        _used[lock] = held


def give_back(root: Path) -> None:
    """Says that this process uses no copy below a folder any more; else that is so when it ends."""
    for lock in [lock for lock in _used if lock.parent == root]:
        _used.pop(lock).close()


def _take_away_unused(root: Path, room: int) -> None:
    """Removes this user's copies that no process uses: old ones, and others until so many bytes are free."""
    marks = [path for path in root.glob(f"*{MARK}") if _is_own(path)]
    for mark in sorted(marks, key=lambda path: path.lstat().st_mtime):
        old = time.time() - mark.lstat().st_mtime > SECONDS_KEPT
        if not old and shutil.disk_usage(root).free >= room:
            continue
        name = mark.name.removesuffix(MARK)
        with suppress(AugrecError, OSError), hold(root / f"{name}.use", "it is used"):
            mark.unlink()
            _remove(root / name)


def mark_of(root: Path, name: str) -> Path:
    """The file beside a copy that says who made it."""
    return root / f"{name}{MARK}"


def _write_mark(root: Path, name: str) -> None:
    """Remembers that this user made the copy; only this user can have written the mark."""
    mark = mark_of(root, name)
    _remove(mark)
    descriptor = os.open(mark, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump({"inode": (root / name).stat().st_ino}, file)


def _is_own_copy(root: Path, name: str) -> bool:
    """Whether the mark is this user's, of this copy, and nobody else can write in the copy."""
    mark, copy = mark_of(root, name), root / name
    try:
        if not _is_own(mark) or not all(_is_own(path) for path in (copy, *copy.rglob("*"))):
            return False
        return json.loads(mark.read_text(encoding="utf-8")) == {"inode": copy.stat().st_ino}
    except (OSError, ValueError):
        return False


def _is_own(path: Path) -> bool:
    state = path.lstat()
    plain = stat.S_ISREG(state.st_mode) or stat.S_ISDIR(state.st_mode)
    return plain and state.st_uid == os.geteuid() and not state.st_mode & OTHERS_WRITE


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
