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
import time
from collections import Counter, OrderedDict
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

from augment.hashes import shard_of
from augment.messages import Record
from augment.source_ids import POSITIONS, SourceIds
from augment.store.layout import pin_shards, set_older_aside
from augment.store.line_check import Damaged, check_line
from augment.store.lines import Stored, answer_mark
from augment.store.request_index import KeyTable
from augment.store.shards import Piece, line_of, read_pieces, set_lines_aside
from augrec.artefacts.confinement import check_inside
from augrec.artefacts.errors import DataError, UsageError
from augrec.artefacts.files import remove_scraps, said_when_full, sync_folder
from augrec.artefacts.locks import hold
from augrec.artefacts.source_folder import SourceFolder
from augrec.artefacts.tasks import TaskCard

SECONDS_BETWEEN_SYNCS = 2.0
OPEN_FILES = 64
BLOCK_BITS = 0xFFFFFFFF


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
        self._place = SourceFolder(folder)
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
            with hold(self._place.layout_lock, "another process is beginning this source", wait=True):
                set_older_aside(self._place)
                pin_shards(self._place, self.total)
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
        return [self._shard(task, shard) for task in self.tasks for shard in self.selected]

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
        path = self._shard(stored.task, shard_of(stored.about, stored.entity, self.total))
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
            for piece in read_pieces(self._shard(task, shard), gives):
                if piece.stored is not None and piece.stored.key not in seen:
                    seen.add(piece.stored.key)
                    yield piece.stored.record(self._ids, gives)
            count += len(seen)
        if count != self._counts[task]:
            raise DataError(
                f"{self._counts[task]:,} records were stored, and {count:,} can be read",
                where=self._place.task(task).shards,
                remedy="check the disk and run the same command again: what is damaged is found and asked again",
            )

    def _shard(self, task: str, shard: int) -> Path:
        return self._place.task(task).shard(shard, self.total)

    def _know(self, stored: Stored) -> None:
        if stored.key not in self._done:
            self._done.add(stored.key, stored.answer & ~BLOCK_BITS | block_bits(stored.block))
            self._counts[stored.task] += 1

    def _lock(self) -> None:
        for shard in self.selected:
            self._locks.enter_context(hold(self._place.lock(shard), "another process is writing these records"))

    def _scan(self, task: str, shard: int) -> None:
        """Finds out what is there, and takes away what is no line."""
        path, card = self._shard(task, shard), self.tasks[task]
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
            set_lines_aside(path, damaged, card.gives)
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


def block_bits(block: str) -> int:
    """32 bits of a block's name; 0 for none."""
    return int(block[:8] or "0", 16)
