"""Locks between processes are `flock`s: the operating system releases them when a process dies, however it dies."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from artefacts.errors import AugrecError

_NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP)


@contextmanager
def said_when_not_offered(path: str | Path) -> Iterator[None]:
    """Turns the error of a file system without locks into one that says what to do; put around the locking alone."""
    try:
        yield
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        raise AugrecError(
            f"the file system offers no locks ({error.strerror})",
            where=path,
            remedy="give this run an `output` on one that does: NFS 4, Lustre mounted with -o flock, or a local disk",
        ) from error
