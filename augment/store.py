"""Where records are kept: append-only JSONL, a file per task and shard, written as soon as an answer is finished.

The files are the truth: what is done is found by reading them, never from a counter. A process killed at any moment
leaves whole lines and at most one torn last line, which is cut off before the file is appended to again. Lines are
handed to the operating system at once, so that killing the process loses none, and synced every few seconds for the
case that the machine dies.
"""

from __future__ import annotations

import errno
import hashlib
import os
import time
from collections import OrderedDict
from collections.abc import Collection, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Literal

from filelock import FileLock, Timeout

from artefacts.errors import AugrecError, DataError, UsageError
from artefacts.files import read_json, write_json
from augment.identity import shard_of
from augment.shapes import Record

LAYOUT = 1
SECONDS_BETWEEN_SYNCS = 2.0
OPEN_FILES = 64


def shard_path(folder: Path, task: str, shard: int, total: int) -> Path:
    """Where one shard of one task lies."""
    return folder / task / "shards" / f"{shard:05d}-of-{total:05d}.jsonl"


def read_shard(path: Path) -> Iterator[tuple[Record, int]]:
    """Whole records of a shard with the offset at which each ends; a torn last line is left out.

    Raises DataError with file and line for anything else that is not a record.
    """
    if not path.exists():
        return
    end = 0
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.endswith(b"\n"):
                return
            end += len(line)
            try:
                yield Record.from_line(line), end
            except ValueError as error:
                raise DataError(
                    f"the line is not a record ({error})",
                    where=f"{path}:{number}",
                    remedy=f"delete the line ('sed -i {number}d {path}') and run again: only its request is asked anew",
                ) from None


class Store:
    """The shards of one source that this process works on, locked against other processes.

    Args:
        folder: R/augment/<source>.
        tasks: task name -> "user" or "item".
        total: how many shards there are; pinned by the first run.
        selected: which of them this process writes; None is all.
    """

    def __init__(
        self,
        folder: Path,
        tasks: dict[str, Literal["user", "item"]],
        total: int,
        selected: Collection[int] | None = None,
    ) -> None:
        self.folder, self.tasks, self.total = folder, tasks, total
        self.selected = sorted(range(total) if selected is None else selected)
        if not self.selected or self.selected[0] < 0 or self.selected[-1] >= total:
            raise UsageError(f"shards {self.selected} are not among 0..{total - 1}", where=folder)
        self._done: dict[str, bytes] = {}
        self._files: OrderedDict[Path, int] = OrderedDict()
        self._unsynced: set[Path] = set()
        self._synced = time.monotonic()
        self._locks = ExitStack()

    def __enter__(self) -> Store:
        try:
            self._lock()
            pin_shards(self.folder, self.total)
            for task in self.tasks:
                for shard in self.selected:
                    self._scan(task, shard)
        except BaseException:
            self._locks.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.sync()
        finally:
            for handle in self._files.values():
                os.close(handle)
            self._files.clear()
            self._locks.close()

    def __contains__(self, key: str) -> bool:
        return key in self._done

    def agrees(self, record: Record) -> bool:
        """Whether a stored record of this key has the same text."""
        return self._done.get(record.key) == _mark(record)

    def append(self, record: Record) -> None:
        """Stores a record, once: a key that is there already is left as it is."""
        if record.key in self._done:
            return
        path = shard_path(self.folder, record.task, self._shard(record.task, record.entity), self.total)
        self._write(path, (record.line() + "\n").encode())
        self._done[record.key] = _mark(record)
        if time.monotonic() - self._synced >= SECONDS_BETWEEN_SYNCS:
            self.sync()

    def sync(self) -> None:
        """Waits until everything appended so far is on the disk."""
        for path in self._unsynced:
            if (handle := self._files.get(path)) is not None:
                os.fsync(handle)
        self._unsynced.clear()
        self._synced = time.monotonic()

    def records(self, task: str) -> Iterator[Record]:
        """All records of a task in the selected shards, the first of each key."""
        for shard in self.selected:
            seen = set()
            for record, _ in read_shard(shard_path(self.folder, task, shard, self.total)):
                if record.key not in seen:
                    seen.add(record.key)
                    yield record

    def _shard(self, task: str, entity: int) -> int:
        return shard_of(self.tasks[task], entity, self.total)

    def _lock(self) -> None:
        for shard in self.selected:
            lock = FileLock(self.folder / "locks" / f"{shard:05d}.lock")
            Path(lock.lock_file).parent.mkdir(parents=True, exist_ok=True)
            try:
                self._locks.enter_context(lock.acquire(timeout=0))
            except Timeout:
                raise AugrecError(
                    "another process is writing these records",
                    where=lock.lock_file,
                    remedy="wait for it or stop it; a lock never outlives its process",
                ) from None

    def _scan(self, task: str, shard: int) -> None:
        path = shard_path(self.folder, task, shard, self.total)
        whole = 0
        for record, end in read_shard(path):
            whole = end
            if record.task != task or self._shard(task, record.entity) != shard:
                raise DataError(
                    f"a record of {record.task} {record.entity} lies in the wrong file",
                    where=path,
                    remedy="put the files of this source back where they were written, or delete this one",
                )
            self._done.setdefault(record.key, _mark(record))
        if path.exists() and path.stat().st_size > whole:
            os.truncate(path, whole)

    def _write(self, path: Path, data: bytes) -> None:
        handle = self._open(path)
        self._unsynced.add(path)
        try:
            while data:
                data = data[os.write(handle, data) :]
        except OSError as error:
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            raise AugrecError(
                "the disk is full" if full else f"the record could not be written ({error.strerror})",
                where=path,
                remedy="free some space and run the same command again: finished records are kept" if full else None,
            ) from error

    def _open(self, path: Path) -> int:
        if path in self._files:
            self._files.move_to_end(path)
            return self._files[path]
        if len(self._files) >= OPEN_FILES:
            old, handle = self._files.popitem(last=False)
            os.fsync(handle)
            os.close(handle)
            self._unsynced.discard(old)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._files[path] = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
        return self._files[path]


def _mark(record: Record) -> bytes:
    return hashlib.sha256(f"{record.status}\n{record.text}".encode()).digest()[:8]


def pin_shards(folder: Path, total: int) -> None:
    """Writes the number of shards at the first run, once and whole, and refuses another number afterwards."""
    path = folder / "run.json"
    if not path.exists():
        draft = folder / f".run.{os.getpid()}.json"
        write_json(draft, {"layout": LAYOUT, "shards": total})
        try:
            os.link(draft, path)  # fails when another process was first, and never shows a half-written file
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    pinned = read_json(path)
    if pinned.get("layout") != LAYOUT or pinned.get("shards") != total:
        raise UsageError(
            f"this source was begun with {pinned.get('shards')} shards, and the configuration now says {total}",
            where=path,
            remedy=f"set shards back to {pinned.get('shards')}, or delete {folder} to begin anew",
        )
