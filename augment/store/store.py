"""Where records are kept: append-only JSONL, a file per task and shard, written as soon as an answer is finished.

Lines hold source ids (see `augment.store.lines`), and a record lies in the shard of its source id, so that it is found
again when a data change has shifted all contiguous ids. One about somebody who is gone stays where it is.

The files are the truth: what is done is found by reading them, never from a counter. A process killed at any moment
leaves whole lines and at most one torn last line, which is cut off before the file is appended to again. Lines are
handed to the operating system at once, so that killing the process loses none, and synced every few seconds for the
case that the machine dies. Every line carries a checksum of its own: what a disk or a crash did to lines in the middle
is found on reading, set aside, said, and asked again, while the whole lines around it stay.
"""

from __future__ import annotations

import os
import re
import sys
import time
import zlib
from collections import Counter, OrderedDict
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType

from augment.hashes import shard_of
from augment.messages import Record
from augment.source_ids import POSITIONS, SourceIds
from augment.store.line_check import Damaged, check_line
from augment.store.lines import OtherVersion, Stored, answer_mark
from augment.store.request_index import KeyTable
from augrec.artefacts.confinement import check_inside
from augrec.artefacts.errors import DataError, UsageError
from augrec.artefacts.files import (
    atomic_path,
    read_json,
    remove_scraps,
    said_when_full,
    scrap_path,
    sync_folder,
    write_json,
)
from augrec.artefacts.locks import hold
from augrec.artefacts.tasks import Kind, TaskCard
from augrec.artefacts.visible import visible

LAYOUT = 2
"""Raised when lines hold something else; a store of an older layout is set aside."""
SET_ASIDE = "set-aside"
OF_RECORDS = ("seconds", "timeline", "energy", "engine.json")
"""What lies in a source's folder beside the shards and says something of the records in them."""
SECONDS_BETWEEN_SYNCS = 2.0
OPEN_FILES = 64
MOST_SAID = 10
"""Damaged lines of a shard that are said one by one."""
BEGIN = b'{"key":'
"""How a line begins. It cannot stand inside of one, because quotes in a JSON string are escaped."""
BLOCK_BITS = 0xFFFFFFFF
SUM = b',"crc":"%08x"}'
SUM_BYTES = len(SUM % 0)
END = re.compile(rb',"crc":"[0-9a-f]{8}"\}')


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of a shard: a whole line with its content, or what is no line, and why."""

    number: int
    """Of the line, from 1."""
    data: bytes
    stored: Stored | None = None
    problem: str = ""
    torn: bool = False
    """Whether it is the end of a file that was being written."""
    offset: int = 0
    """Where it begins in the file."""


def shard_path(folder: Path, task: str, shard: int, total: int) -> Path:
    """Where one shard of one task lies."""
    return folder / task / "shards" / f"{shard:05d}-of-{total:05d}.jsonl"


def line_of(stored: Stored) -> bytes:
    """A line of a shard, with its checksum (CRC-32 of what stands before it) as the last field."""
    content = stored.line().encode()[:-1]
    return content + SUM % zlib.crc32(content) + b"\n"


def read_pieces(path: Path, gives: Kind) -> Iterator[Piece]:
    """Everything in a shard, in order; nothing for one that does not exist. `gives` says what its task gives.

    Raises DataError for a line that is whole but was written by another version.
    """
    if not path.exists():
        return
    with path.open("rb") as lines:
        offset = 0
        for number, line in enumerate(lines, start=1):
            if not line.endswith(b"\n") and b"\0" not in line:
                yield Piece(number, line, problem="torn", torn=True, offset=offset)
                return
            for piece in _pieces(path, number, line, gives):
                yield replace(piece, offset=offset + piece.offset)
            offset += len(line)


def read_piece(path: Path, offset: int, gives: Kind) -> Stored:
    """The content of a whole line that `read_pieces` found at an offset.

    Raises DataError when it cannot be read any more.
    """
    with path.open("rb") as lines:
        lines.seek(offset)
        line = lines.readline()
    end = END.search(line)
    try:
        return _stored(path, 0, line[: end.end()] + b"\n" if end else line, gives)
    except ValueError as problem:
        what = f"a record that was there cannot be read ({problem})"
        raise DataError(what, where=path, remedy="check the disk and run the same command again") from None


def _pieces(path: Path, number: int, line: bytes, gives: Kind) -> Iterator[Piece]:
    """One line; of a damaged one also the whole records in it, as when only the newline between two is lost."""
    try:
        stored = _stored(path, number, line, gives)
    except ValueError as problem:
        yield Piece(number, line, problem=str(problem))
        for begin in re.finditer(BEGIN, line):
            found = END.search(line, begin.end())
            inner = line[begin.start() : found.end()] + b"\n" if found else b""
            if _sum_fits(inner):
                with suppress(ValueError):
                    yield Piece(number, inner, _stored(path, number, inner, gives), offset=begin.start())
    else:
        yield Piece(number, line, stored)


def _stored(path: Path, number: int, line: bytes, gives: Kind) -> Stored:
    """The content of a line. Raises ValueError when the line is damaged, DataError when it is of another version."""
    fits = _sum_fits(line)
    if not fits and SUM[:8] in line[-SUM_BYTES - 1 :]:
        raise ValueError("its checksum does not fit")
    content = line[: -SUM_BYTES - 1] + b"}" if fits else line
    try:
        return Stored.from_line(content.decode(), gives)
    except OtherVersion as error:
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
        tasks: the cards of the tasks, by name.
        total: how many shards there are; pinned by the first run.
        selected: which of them this process writes; None is all.
        ids: the source ids of the present data set.

    Attributes:
        damaged: how many damaged lines were set aside when it was entered.
    """

    def __init__(
        self,
        folder: Path,
        tasks: Mapping[str, TaskCard],
        total: int,
        selected: Collection[int] | None = None,
        ids: SourceIds = POSITIONS,
    ) -> None:
        self.folder, self.tasks, self.total = folder, tasks, total
        self._ids = ids
        self.selected = sorted(range(total) if selected is None else selected)
        if not self.selected or self.selected[0] < 0 or self.selected[-1] >= total:
            raise UsageError(f"shards {self.selected} are not among 0..{total - 1}", where=folder)
        self.damaged = 0
        self._done = KeyTable()
        self._counts = Counter[str]()
        self._files: OrderedDict[Path, int] = OrderedDict()
        self._unsynced: set[Path] = set()
        self._synced = time.monotonic()
        self._locks = ExitStack()

    def __enter__(self) -> Store:
        try:
            self._lock()
            with hold(self.folder / "locks" / "layout.lock", "another process is beginning this source", wait=True):
                set_older_aside(self.folder)
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

    @property
    def paths(self) -> list[Path]:
        """The selected shards; those without a record do not exist."""
        return [shard_path(self.folder, task, shard, self.total) for task in self.tasks for shard in self.selected]

    def __len__(self) -> int:
        """How many records the selected shards hold."""
        return len(self._done)

    def __contains__(self, key: object) -> bool:
        return key in self._done

    def has(self, digest: bytes) -> bool:
        """Whether there is a record of a key, by its digest."""
        return self._done.has(digest)

    def agrees(self, record: Record) -> bool:
        """Whether a stored record of this key has the same text."""
        mark = self._done.get(record.key)
        return mark is not None and mark >> 32 == answer_mark(record.status, record.text) >> 32

    def answered_with(self, key: str) -> int | None:
        """32 bits of the block that a stored record was answered in, see `block_bits`; None for one not stored."""
        mark = self._done.get(key)
        return None if mark is None else mark & BLOCK_BITS

    def append(self, record: Record) -> None:
        """Stores a record, once: a key that is there already is left as it is.

        Raises Damaged for one that could not be read again; nothing is written then.
        """
        if record.key in self._done:
            return
        try:
            stored = Stored.of(record, card := self.tasks[record.task], self._ids)
        except (ValueError, TypeError) as error:
            raise Damaged(f"{error}, in the record of key {record.key!r}") from None
        check_line(stored.content, card.gives)
        path = shard_path(self.folder, stored.task, shard_of(stored.about, stored.entity, self.total), self.total)
        self._write(path, line_of(stored))
        self._know(stored)
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

    def records(self, task: str) -> Iterator[Record | None]:
        """All records of a task in the selected shards, the first of each key.

        None stands for one about, or naming, somebody or something that the present data set does not have.

        Raises DataError at the end when some that were there, or were appended, cannot be read any more.
        """
        count, gives = 0, self.tasks[task].gives
        for shard in self.selected:
            seen = KeyTable()
            for piece in read_pieces(shard_path(self.folder, task, shard, self.total), gives):
                if piece.stored is not None and piece.stored.key not in seen:
                    seen.add(piece.stored.key)
                    yield piece.stored.record(self._ids, gives)
            count += len(seen)
        if count != self._counts[task]:
            raise DataError(
                f"{self._counts[task]:,} records were stored, and {count:,} can be read",
                where=self.folder / task / "shards",
                remedy="check the disk and run the same command again: what is damaged is found and asked again",
            )

    def _know(self, stored: Stored) -> None:
        if stored.key not in self._done:
            self._done.add(stored.key, stored.answer & ~BLOCK_BITS | block_bits(stored.block))
            self._counts[stored.task] += 1

    def _lock(self) -> None:
        for shard in self.selected:
            path = self.folder / "locks" / f"{shard:05d}.lock"
            self._locks.enter_context(hold(path, "another process is writing these records"))

    def _scan(self, task: str, shard: int) -> None:
        """Finds out what is there, and takes away what is no line."""
        path, card = shard_path(self.folder, task, shard, self.total), self.tasks[task]
        check_inside(path)
        whole, torn, damaged = 0, False, list[Piece]()
        for piece in read_pieces(path, card.gives):
            torn = piece.torn
            if piece.stored is None:
                damaged += [] if piece.torn else [piece]
                continue
            whole += len(piece.data)
            stored = piece.stored
            if stored.task != task or shard_of(card.about, stored.entity, self.total) != shard:
                raise DataError(
                    f"a record of {stored.task} {stored.entity} lies in the wrong file",
                    where=path,
                    remedy="put the files of this source back where they were written, or delete this one",
                )
            self._know(stored)
        if damaged:
            self.damaged += len(damaged)
            _set_aside(path, damaged, card.gives)
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


def _set_aside(path: Path, damaged: list[Piece], gives: Kind) -> None:
    """Moves what is no line into a file beside the shard, and says so; whole lines stay as they are."""
    aside = path.with_suffix(".damaged")
    with said_when_full(aside), aside.open("ab") as out:
        for piece in damaged:
            out.write(piece.data.removesuffix(b"\n") + b"\n")
        out.flush()
        os.fsync(out.fileno())
    with atomic_path(path) as temporary, temporary.open("wb") as kept:
        kept.writelines(piece.data for piece in read_pieces(path, gives) if piece.stored is not None)
    for piece in damaged[:MOST_SAID]:
        print(
            f"{path}:{piece.number}: damaged ({visible(str(piece.problem))}); the line is now in {aside.name}, "
            "and what it held is asked again",
            file=sys.stderr,
            flush=True,
        )
    if len(damaged) > MOST_SAID:
        print(f"{path}: and {len(damaged) - MOST_SAID:,} more damaged lines", file=sys.stderr, flush=True)


def block_bits(block: str) -> int:
    """32 bits of a block's name; 0 for none."""
    return int(block[:8] or "0", 16)


def pin_shards(folder: Path, total: int) -> None:
    """Writes the number of shards at the first run, once and whole, and refuses another number afterwards."""
    path = folder / "run.json"
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
            remedy=f"set shards back to {pinned.get('shards')}, or delete {folder} to begin anew",
        )


def set_older_aside(folder: Path) -> None:
    """Moves what an older version of augrec wrote into a folder of its own, and says so; nothing is deleted.

    Raises:
        UsageError: a newer version wrote it.
    """
    path = folder / "run.json"
    layout = read_json(path).get("layout") if path.exists() else LAYOUT
    if layout == LAYOUT:
        return
    if not isinstance(layout, int) or layout > LAYOUT:
        raise UsageError(
            f"these records have layout {layout}, and this version of augrec knows {LAYOUT}",
            where=path,
            remedy="go on with the version that wrote them, or give this run another `output`",
        )
    aside = folder / SET_ASIDE / f"layout-{layout}"
    aside.mkdir(parents=True, exist_ok=True)
    old = [entry for entry in folder.iterdir() if (entry / "shards").is_dir() or entry.name in OF_RECORDS]
    for entry in [*sorted(old), path]:  # the pin last: killed before it, the next process goes on
        entry.rename(aside / entry.name)
    print(
        f"{folder}: an older version of augrec wrote these records (layout {layout}), and their keys mean something "
        f"else now; they are kept in {aside.relative_to(folder)}, and everything is asked again",
        file=sys.stderr,
        flush=True,
    )
