"""The memory of this machine, of the container on it, and of this process, in bytes; and sizes as people read them."""

from __future__ import annotations

import ctypes
import os
import re
from contextlib import suppress
from pathlib import Path

MEMINFO = Path("/proc/meminfo")
CGROUP = Path("/sys/fs/cgroup")
UNITS = ((0, "B"), (1, "KiB"), (1, "MiB"), (2, "GiB"), (2, "TiB"))
"""Digits after the point, and the unit."""


def physical_memory() -> int | None:
    """What the machine has; None where nothing says so."""
    with suppress(OSError, ValueError):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return None


def memory_limit(cgroup: Path = CGROUP) -> int | None:
    """What this container may use; None where there is no limit."""
    return _number(cgroup / "memory.max")


def free_memory(meminfo: Path = MEMINFO, cgroup: Path = CGROUP) -> int | None:
    """What can still be had: of the machine, or of what a container may still take. None where nothing says so."""
    free = []
    with suppress(OSError):
        text = meminfo.read_text(encoding="utf-8")
        free += [int(kib) * 1024 for kib in re.findall(r"^MemAvailable:\s+(\d+) kB$", text, re.MULTILINE)]
    limit, used = memory_limit(cgroup), _number(cgroup / "memory.current")
    if limit is not None and used is not None:
        free.append(limit - used)
    return min(free, default=None)


def give_back() -> None:
    """Gives memory that was freed back to the system: Arrow and the C library keep as much of it as a few tables take.

    Worth its milliseconds between two steps of which each holds much. Where the library is not GNU's it keeps its part.
    """
    import pyarrow as pa

    pa.default_memory_pool().release_unused()
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def size_in_words(size: float) -> str:
    """A size as people read it: "512 B", "1.5 MiB", "2.25 GiB"."""
    power = 0
    while size >= 1024 and power < len(UNITS) - 1:
        size, power = size / 1024, power + 1
    digits, unit = UNITS[power]
    return f"{size:.{digits}f} {unit}"


def _number(path: Path) -> int | None:
    with suppress(OSError, ValueError):
        return int(path.read_text(encoding="utf-8"))
    return None
