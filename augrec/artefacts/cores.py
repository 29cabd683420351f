"""How many processor cores this process may use, and how many of them others leave free.

A library's threads wait for each other after every operation. With more threads than free cores each operation takes as
long as the slowest thread waits for a core, and all of them together are several times slower than one alone.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

SYSTEM = Path("/")
NEARLY_FREE = 0.75
"""Share of a core that must be free for another thread to be worth its waiting."""


def affinity() -> frozenset[int]:
    """The cores this process may be scheduled on; numbered from 0 where the system does not say."""
    if hasattr(os, "sched_getaffinity"):
        return frozenset(os.sched_getaffinity(0))
    return frozenset(range(os.cpu_count() or 1))


def usable_cores(system: Path = SYSTEM) -> int:
    """Whole cores that affinity and the control group's quota leave this process, at least 1.

    Constant on a machine, whatever else runs there.
    """
    return max(1, math.floor(min(len(affinity()), cgroup_quota(system) + 0.01)))


def cgroup_quota(system: Path = SYSTEM) -> float:
    """Cores' worth of time that the control group of this process may use; infinite without a quota.

    Args:
        system: the root of the file system, with `proc/self/cgroup` and `sys/fs/cgroup` (version 2 or 1).
    """
    mount = system / "sys/fs/cgroup"
    quotas = [math.inf]
    for controllers, path in _groups(system):
        if controllers and "cpu" not in controllers:
            continue
        root = next((mount / name for name in controllers if (mount / name).is_dir()), mount)
        # The quota of every group above binds too; inside a container the path may be the host's, which is not there.
        for folder in (root, *(root / part for part in _prefixes(path))):
            quotas.append(_quota_v1(folder) if controllers else _quota_v2(folder))
    return min(quotas)


def _groups(system: Path) -> Iterator[tuple[tuple[str, ...], str]]:
    """(names of a version 1 hierarchy, path) or ((), path) for version 2."""
    for line in _text(system / "proc/self/cgroup").splitlines():
        _, _, rest = line.partition(":")
        names, _, path = rest.partition(":")
        yield ((names, *names.split(",")) if names else ()), path.strip("/")


def _prefixes(path: str) -> list[str]:
    parts = [part for part in path.split("/") if part not in ("", "..")]
    return ["/".join(parts[:count]) for count in range(1, len(parts) + 1)]


def _quota_v2(folder: Path) -> float:
    quota, _, period = _text(folder / "cpu.max").strip().partition(" ")
    return int(quota) / int(period) if quota.isdigit() and period.isdigit() and int(period) else math.inf


def _quota_v1(folder: Path) -> float:
    quota, period = (_text(folder / f"cpu.cfs_{name}_us").strip() for name in ("quota", "period"))
    return int(quota) / int(period) if quota.isdigit() and period.isdigit() and int(period) else math.inf


def _text(path: Path) -> str:
    with suppress(OSError):
        return path.read_text(encoding="utf-8", errors="replace")
    return ""


class CoreWatch:
    """Measures how many of the usable cores others left free, from one call of `free` to the next.

    Args:
        system: see `cgroup_quota`.
        own: CPU seconds of this process so far.
        clock: seconds.
    """

    def __init__(
        self,
        system: Path = SYSTEM,
        own: Callable[[], float] = time.process_time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._system, self._own, self._clock = system, own, clock
        self._cores = affinity()
        self.usable = usable_cores(system)
        """See `usable_cores`."""
        self._before = self._now()

    @property
    def seconds(self) -> float:
        """Since the last measurement began."""
        return self._clock() - self._before[0]

    def free(self) -> float:
        """Cores that nobody but this process used since the last call (or the start), between 0 and `usable`.

        Time that a virtual machine's host took away counts as used by others. Where the system counts no ticks, the
        load of the last minute stands for them.
        """
        began, own, busy = self._before
        now = self._before = self._now()
        seconds = max(now[0] - began, 1e-9)
        mine = (now[1] - own) / seconds
        used = _load() if busy is None or now[2] is None else (now[2] - busy) / seconds
        others = max(0.0, used - mine)
        return float(min(max(len(self._cores) - others, 0.0), self.usable))

    def _now(self) -> tuple[float, float, float | None]:
        return self._clock(), self._own(), busy_seconds(self._cores, self._system)


def busy_seconds(cores: frozenset[int], system: Path = SYSTEM) -> float | None:
    """Seconds that some cores together were not idle since the machine started; None where nobody counts them."""
    busy, found = 0, False
    for line in _text(system / "proc/stat").splitlines():
        name, *ticks = line.split()
        if name[:3] == "cpu" and name[3:].isdigit() and int(name[3:]) in cores and len(ticks) >= 5:
            # user nice system idle iowait irq softirq steal; guests are part of user
            busy += sum(int(tick) for place, tick in enumerate(ticks[:8]) if place not in (3, 4))
            found = True
    return busy / os.sysconf("SC_CLK_TCK") if found else None


def _load() -> float:
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0


def thread_count(free: float, most: int, now: int | None = None) -> int:
    """How many threads to compute with, 1 to `most`.

    Args:
        free: cores that others leave free, see `CoreWatch`.
        most: never more than this.
        now: the present number, which stays while it is about right, so that it does not swing; None: there is none.
    """
    wanted = min(max(1, math.floor(free + 1 - NEARLY_FREE)), most)
    if now is None or now > most:
        return wanted
    if wanted > now:
        return wanted if wanted - now >= max(1, now // 8) else now
    return wanted if free < now - max(0.5, now / 16) else now


def wished_threads() -> int | None:
    """The number of threads that OMP_NUM_THREADS asks for; None where it is not set or is no number."""
    first = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    return int(first) if first.isdigit() and int(first) else None
