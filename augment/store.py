"""Where records are kept: append-only JSONL, a file per task and shard, written as soon as an answer is finished.

The files are the truth: what is done is found by reading them, never from a counter. A process killed at any moment
leaves whole lines and at most one torn last line, which is cut off before the file is appended to again. Lines are
handed to the operating system at once, so that killing the process loses none, and synced every few seconds for the
case that the machine dies. Every line carries a checksum of its own: what a disk or a crash did to lines in the middle
is found on reading, set aside, said, and asked again, while the whole lines around it stay.
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
import time
import zlib
from collections import Counter, OrderedDict
from collections.abc import Collection, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal

from artefacts.confinement import check_inside
from artefacts.errors import DataError, UsageError
from artefacts.files import atomic_path, read_json, remove_scraps, said_when_full, sync_folder, write_json
from artefacts.locks import hold
from augment.identity import shard_of
from augment.keys import KeyTable
from augment.shapes import Record

LAYOUT = 1
SECONDS_BETWEEN_SYNCS = 2.0
OPEN_FILES = 64
BEGIN = b'{"key":'
"""How a line begins. It cannot stand inside of one, because quotes in a JSON string are escaped."""
SUM = b',"crc":"%08x"}'
SUM_BYTES = len(SUM % 0)
END = re.compile(rb',"crc":"[0-9a-f]{8}"\}')


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of a shard: a whole line with its record, or what is no line, and why."""

    number: int
    """Of the line, from 1."""
    data: bytes
    record: Record | None = None
    problem: str = ""
    torn: bool = False
    """Whether it is the end of a file that was being written."""


def shard_path(folder: Path, task: str, shard: int, total: int) -> Path:
    """Where one shard of one task lies."""
    return folder / task / "shards" / f"{shard:05d}-of-{total:05d}.jsonl"


def line_of(record: Record) -> bytes:
    """The record as a line of a shard, with its checksum (CRC-32 of what stands before it) as the last field."""
    content = record.line().encode()[:-1]
    return content + SUM % zlib.crc32(content) + b"\n"


def read_pieces(path: Path) -> Iterator[Piece]:
    """Everything in a shard, in order; nothing for one that does not exist.

    Raises DataError for a line that is whole but was written by another version.
    """
    if not path.exists():
        return
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.endswith(b"\n") and b"\0" not in line:
                yield Piece(number, line, problem="torn", torn=True)
                return
            yield from _pieces(path, number, line)


def _pieces(path: Path, number: int, line: bytes) -> Iterator[Piece]:
    """One line; of a damaged one also the whole records in it, as when only the newline between two is lost."""
    try:
        record = _record(path, number, line)
    except ValueError as problem:
        yield Piece(number, line, problem=str(problem))
        for begin in re.finditer(BEGIN, line):
            found = END.search(line, begin.end())
            inner = line[begin.start() : found.end()] + b"\n" if found else b""
            if _sum_fits(inner):
                yield Piece(number, inner, _record(path, number, inner))
    else:
        yield Piece(number, line, record)


def _record(path: Path, number: int, line: bytes) -> Record:
    """The record of a line. Raises ValueError when the line is damaged, DataError when it is of another version."""
    fits = _sum_fits(line)
    if not fits and SUM[:8] in line[-SUM_BYTES - 1 :]:
        raise ValueError("its checksum does not fit")
    content = line[: -SUM_BYTES - 1] + b"}" if fits else line
    try:
        return Record.from_line(content.decode())
    except ValueError as error:
        if not fits:
            raise
        raise DataError(
            f"the line was written by another version of augrec ({error})",
            where=f"{path}:{number}",
            remedy="go on with that version, or give this run another `output`",
        ) from None


def _sum_fits(line: bytes) -> bool:
    """Whether a line ends with the checksum of its content."""
    content, end = line[: -SUM_BYTES - 1], line[-SUM_BYTES - 1 :]
    return end == SUM % zlib.crc32(content) + b"\n"


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
        self._done = KeyTable()
        self._counts = Counter[str]()
        self._files: OrderedDict[Path, int] = OrderedDict()
        self._unsynced: set[Path] = set()
        self._synced = time.monotonic()
        self._locks = ExitStack()

    def __enter__(self) -> Store:
        try:
            self._lock()
            pin_shards(self.folder, self.total)
            if len(self.selected) == self.total:  # nobody else is at work here
                remove_scraps(self.folder)
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
        self._write(path, line_of(record))
        self._know(record)
        if time.monotonic() - self._synced >= SECONDS_BETWEEN_SYNCS:
            self.sync()

    def sync(self) -> None:
        """Waits until everything appended so far is on the disk."""
        for path in sorted(self._unsynced):
            if (handle := self._files.get(path)) is not None:
                with said_when_full(path):  # some file systems say it only now
                    os.fsync(handle)
        self._unsynced.clear()
        self._synced = time.monotonic()

    def records(self, task: str) -> Iterator[Record]:
        """All records of a task in the selected shards, the first of each key.

        Raises DataError at the end when some that were there, or were appended, cannot be read any more.
        """
        count = 0
        for shard in self.selected:
            seen = KeyTable()
            for piece in read_pieces(shard_path(self.folder, task, shard, self.total)):
                if piece.record is not None and piece.record.key not in seen:
                    seen.add(piece.record.key)
                    yield piece.record
            count += len(seen)
        if count != self._counts[task]:
            raise DataError(
                f"{self._counts[task]:,} records were stored, and {count:,} can be read",
                where=self.folder / task / "shards",
                remedy="check the disk and run the same command again: what is damaged is found and asked again",
            )

    def _know(self, record: Record) -> None:
        if record.key not in self._done:
            self._done.add(record.key, _mark(record))
            self._counts[record.task] += 1

    def _shard(self, task: str, entity: int) -> int:
        return shard_of(self.tasks[task], entity, self.total)

    def _lock(self) -> None:
        for shard in self.selected:
            path = self.folder / "locks" / f"{shard:05d}.lock"
            self._locks.enter_context(hold(path, "another process is writing these records"))

    def _scan(self, task: str, shard: int) -> None:
        """Finds out what is there, and takes away what is no line."""
        path = shard_path(self.folder, task, shard, self.total)
        whole, torn, damaged = 0, False, list[Piece]()
        for piece in read_pieces(path):
            torn = piece.torn
            if piece.record is None:
                damaged += [] if piece.torn else [piece]
                continue
            whole += len(piece.data)
            if piece.record.task != task or self._shard(task, piece.record.entity) != shard:
                raise DataError(
                    f"a record of {piece.record.task} {piece.record.entity} lies in the wrong file",
                    where=path,
                    remedy="put the files of this source back where they were written, or delete this one",
                )
            self._know(piece.record)
        if damaged:
            _set_aside(path, damaged)
        elif torn:
            os.truncate(path, whole)

    def _write(self, path: Path, data: bytes) -> None:
        with said_when_full(path):
            handle = self._open(path)
            self._unsynced.add(path)
            while data:
                data = data[os.write(handle, data) :]

    def _open(self, path: Path) -> int:
        if path in self._files:
            self._files.move_to_end(path)
            return self._files[path]
        if len(self._files) >= OPEN_FILES:
            old, handle = self._files.popitem(last=False)
            try:
                with said_when_full(old):
                    os.fsync(handle)
            finally:
                os.close(handle)
            self._unsynced.discard(old)
        check_inside(path)
        new = not path.exists()
        path.parent.mkdir(parents=True, exist_ok=True)
        self._files[path] = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
        if new:
            sync_folder(path.parent)
        return self._files[path]


def _set_aside(path: Path, damaged: list[Piece]) -> None:
    """Moves what is no line into a file beside the shard, and says so; whole lines stay as they are."""
    aside = path.with_suffix(".damaged")
    with said_when_full(aside), aside.open("ab") as out:
        for piece in damaged:
            out.write(piece.data.removesuffix(b"\n") + b"\n")
        out.flush()
        os.fsync(out.fileno())
    with atomic_path(path) as temporary, temporary.open("wb") as kept:
        kept.writelines(piece.data for piece in read_pieces(path) if piece.record is not None)
    for piece in damaged:
        print(
            f"{path}:{piece.number}: damaged ({piece.problem}); the line is now in {aside.name}, "
            "and what it held is asked again",
            file=sys.stderr,
            flush=True,
        )


def _mark(record: Record) -> int:
    return int.from_bytes(hashlib.sha256(f"{record.status}\n{record.text}".encode()).digest()[:8], "big")


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
