"""The one lock between processes, on any file system.

Where the file system offers `flock`, that is the lock: the operating system releases it when its process dies, however
it dies. Where it does not (NFS without lockd, Lustre without -o flock), a process first publishes a claim, a file of
its own in a folder beside the lock, and then looks at the claims of others: of two that contend each sees the other, so
that never both go on. A claim names its owner (`augrec.artefacts.owners`). One whose owner died on this machine is
taken away at once. Of an owner on another machine, or in another container, nobody here can know: the refusal names it.

Both kinds see each other, because one machine may offer what another does not: who holds `flock` alone leaves its name
in the lock file, who shares it a claim.
"""

from __future__ import annotations

import errno
import fcntl
import os
import random
import secrets
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from augrec.artefacts.errors import AugrecError
from augrec.artefacts.files import FULL, said_when_full
from augrec.artefacts.owners import Owner, read_owner, this_process

NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP)
TRIES = 4
"""How often a claim is made before another one that is made at the same moment counts."""
SECONDS_BETWEEN_LOOKS = 0.2
ROOM = 1 << 20
"""Bytes of a disk that are left to records: with fewer, who has `flock` leaves no name."""
CLAIM, FLOCK_CLAIM = ".json", ".flock.json"
WAIT = "wait for it or stop it"


@contextmanager
def hold(path: Path, refusal: str, *, shared: bool = False, wait: bool = False, remedy: str = WAIT) -> Iterator[None]:
    """Holds a lock while the block runs.

    Args:
        path: the lock's file; made where it is missing, and never removed.
        refusal: what to say when somebody else holds it.
        shared: let others share it; only one that is not shared keeps them out.
        wait: wait until it is free.
        remedy: what to do about a holder that is alive.

    Raises:
        AugrecError: somebody else holds it, named where known.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        held = _Lock(path, handle, shared)
        other = held.take(wait=wait)
        if other is not None:
            raise _refused(refusal, path, other, remedy)
        try:
            yield
        finally:
            held.release()
    finally:
        os.close(handle)


def holder(path: Path) -> Owner | None:
    """Who holds a lock alone, as far as its file names somebody that may be alive."""
    try:
        owner = read_owner(path.read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return None
    return owner if owner is not None and owner.life() != "dead" else None


@dataclass(frozen=True)
class _Other:
    """Who holds a lock, as far as known."""

    owner: Owner | None
    file: Path | None
    """The file that says so; None where the operating system does."""


class _Lock:
    def __init__(self, path: Path, handle: int, shared: bool) -> None:
        self._path, self._handle, self._shared = path, handle, shared
        self._claims = path.with_name(f"{path.name}.claims")
        self._claim: Path | None = None
        self._named = False
        self._pid = os.getpid()

    def take(self, *, wait: bool) -> _Other | None:
        """Takes the lock; whoever holds it where that is refused."""
        announced = False
        while True:
            other = self._try()
            if other is None or not wait:
                return other
            if not announced:
                announced = True
                print(f"waiting for {other.owner or 'another process'} ({self._path})", file=sys.stderr, flush=True)
            time.sleep(SECONDS_BETWEEN_LOOKS)

    def release(self) -> None:
        """Takes the names away; closing the handle releases `flock`. Of a forked child the lock is not."""
        if os.getpid() != self._pid:
            return
        if self._claim is not None:
            self._claim.unlink(missing_ok=True)
            self._claim = None
        if self._named:
            os.ftruncate(self._handle, 0)
            self._named = False

    def _try(self) -> _Other | None:
        try:
            fcntl.flock(self._handle, (fcntl.LOCK_SH if self._shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            return _Other(self._name(), None)
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
            return self._by_claims()
        other = self._beside_flock()
        if other is not None:
            self.release()
            fcntl.flock(self._handle, fcntl.LOCK_UN)
        return other

    def _beside_flock(self) -> _Other | None:
        """Leaves this process's name for those without `flock`; whoever of them holds the lock already."""
        os.ftruncate(self._handle, 0)  # `flock` is ours, so a name here is that of a dead process
        try:
            self._leave_name()
        except OSError as error:
            if error.errno not in FULL:  # the lock holds without a name, and what is stored next says what to do
                raise
        if not self._shared:
            for claim in self._claims.glob(f"*{FLOCK_CLAIM}"):  # of those who shared `flock` and died
                claim.unlink(missing_ok=True)
        return self._contender()

    def _leave_name(self) -> None:
        room = os.fstatvfs(self._handle)
        if room.f_bavail * room.f_frsize < ROOM:
            return
        if self._shared:
            self._publish(FLOCK_CLAIM)
        else:
            os.pwrite(self._handle, this_process(shared=False).line.encode(), 0)
            self._named = True

    def _by_claims(self) -> _Other | None:
        for left in reversed(range(TRIES)):
            with said_when_full(self._path):
                self._publish(CLAIM)
            name = self._name()
            other = _Other(name, self._path) if name is not None and name.life() != "dead" else self._contender()
            if other is None:
                break
            self.release()
            if left:
                time.sleep(random.SystemRandom().uniform(0.005, 0.05))  # two that began at once both give way
        return other

    def _publish(self, suffix: str) -> None:
        self._claims.mkdir(exist_ok=True)
        claim = self._claims / f"{os.getpid()}-{secrets.token_hex(8)}{suffix}"
        draft = claim.with_suffix(".new")
        draft.write_text(this_process(shared=self._shared).line, encoding="utf-8")
        draft.rename(claim)
        self._claim = claim

    def _contender(self) -> _Other | None:
        """Another process whose claim keeps this one out; claims of the dead are taken away."""
        for claim in sorted(self._claims.glob(f"*{CLAIM}")):
            if claim == self._claim:
                continue
            try:
                owner = read_owner(claim.read_text(encoding="utf-8", errors="replace"))
            except FileNotFoundError:
                continue  # released meanwhile
            if owner is not None and owner.life() == "dead":
                claim.unlink(missing_ok=True)
            elif owner is None or not (self._shared and owner.shared):
                return _Other(owner, claim)
        return None

    def _name(self) -> Owner | None:
        """Who left its name in the lock file."""
        return read_owner(os.pread(self._handle, 4096, 0).decode(errors="replace"))


def _refused(refusal: str, path: Path, other: _Other, remedy: str) -> AugrecError:
    owner = other.owner
    what = f"{refusal}: {owner}" if owner else refusal
    if other.file is None or (owner is not None and owner.life() == "alive"):
        return AugrecError(what, where=path, remedy=f"{remedy}; a lock never outlives its process")
    place = f"on {owner.host}" if owner else "wherever this run may be at work"
    gone = f"the file system offers no locks, so look {place}, and if that process is gone, delete {other.file}"
    return AugrecError(what, where=path, remedy=f"{remedy}; {gone}")
