"""Who holds something: a process, named so that others can tell whether it still lives.

A number alone does not name a process: numbers are used again after a restart, and every container counts its own. So
the machine's boot, the space that numbers count in, and the time the process started are part of the name.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, Literal

FIRST_SPACE = "pid:[4026531836]"
"""The name Linux gives the space of processes that are in no container."""

PLACE = ("host", "machine", "boot", "space", "pid", "started")
"""Fields that name a process."""

Life = Literal["alive", "dead", "elsewhere"]


@dataclass(frozen=True)
class Owner:
    """A process."""

    host: str
    machine: str
    """The installation's id; "" where it has none."""
    boot: str
    """The machine's id of this boot; "" where it has none."""
    space: str
    """What its number counts in; "" where that is unknown."""
    pid: int
    started: str
    """When it started, in the kernel's ticks since the boot; "" where that is unknown."""
    since: str = field(default="", compare=False)
    """When it wrote this."""
    shared: bool = field(default=False, compare=False)
    """Whether others may hold the same beside it."""

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}" + (f" since {self.since}" if self.since else "")

    @property
    def line(self) -> str:
        """One line of JSON."""
        return json.dumps(asdict(self)) + "\n"

    def place(self) -> dict[str, Any]:
        """What names the process, for a line of somebody's own; `owner_of` reads it back."""
        values = asdict(self)
        return {name: values[name] for name in PLACE}

    def life(self) -> Life:
        """Whether it lives, as far as this process can know: of another machine or container it cannot."""
        me = here()
        if (self.boot, self.space) == (me.boot, me.space) and (me.boot or self.host == me.host):
            state, started = _process(self.pid)
            there = state not in ("", "Z", "X") and (not started or not self.started or started == self.started)
            return "alive" if there else "dead"
        same = self.host == me.host and self.machine == me.machine != ""
        if same and self.boot != me.boot and self.space == me.space == FIRST_SPACE:
            return "dead"  # the machine was started anew
        return "elsewhere"


def owner_of(line: Mapping[str, Any]) -> Owner | None:
    """The process that a line names beside other things; None where it lacks something."""
    pid, texts = line.get("pid"), [line.get(name) for name in PLACE if name != "pid"]
    if isinstance(pid, bool) or not isinstance(pid, int) or not 0 < pid < 1 << 31:
        return None
    host, machine, boot, space, started = (text if isinstance(text, str) else None for text in texts)
    if host is None or machine is None or boot is None or space is None or started is None:
        return None
    return Owner(host, machine, boot, space, pid, started)


def read_owner(text: str) -> Owner | None:
    """The owner that a line names; None for anything else."""
    try:
        line = json.loads(text)
    except (ValueError, RecursionError):
        return None
    owner = owner_of(line) if isinstance(line, dict) else None
    if owner is None:
        return None
    return replace(owner, since=str(line.get("since", "")), shared=line.get("shared") is True)


def this_process(*, shared: bool) -> Owner:
    """This process, now."""
    me, now = here(), datetime.now(UTC).isoformat(timespec="seconds")
    pid = os.getpid()
    return Owner(me.host, me.machine, me.boot, me.space, pid, _process(pid)[1], now, shared)


@dataclass(frozen=True)
class Place:
    """A machine, or a container on it."""

    host: str
    machine: str
    boot: str
    space: str


@cache
def here() -> Place:
    """Where this process runs."""
    space = ""
    with suppress(OSError):
        space = str(Path("/proc/self/ns/pid").readlink())
    return Place(platform.node(), _line("/etc/machine-id"), _line("/proc/sys/kernel/random/boot_id"), space)


def _line(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def _process(pid: int) -> tuple[str, str]:
    """State and start of a process of this machine; "" for the state of one that is not there."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        stat = ""
    if ")" in stat:
        fields = stat.rpartition(")")[2].split()  # the name before may hold blanks and brackets
        return fields[0], fields[19]
    try:
        os.kill(pid, 0)  # some systems hide other people's processes in /proc
    except ProcessLookupError:
        return "", ""
    except OSError:
        pass
    return "R", ""
