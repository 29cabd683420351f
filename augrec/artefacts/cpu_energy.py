"""Energy that the CPU's packages and their memory used, by the counters that Linux shows of them (RAPL).

Packages and memory (`dram`) of the control type `intel-rapl` are added up, which AMD's packages have too; cores and
uncore are parts of a package, `psys` holds packages, and `intel-rapl-mmio` shows them a second time: left out. The
counters are of the whole machine. Most systems let the administrator alone read them (`chmod o+r` of `energy_uj`);
where one of them cannot be read, nothing is known.

Source: Documentation/power/powercap/powercap.rst of the Linux kernel.
"""

from __future__ import annotations

import re
from pathlib import Path
from threading import Event, Thread
from typing import NamedTuple

POWERCAP = Path("/sys/class/powercap")
PERIOD = 60.0
"""Seconds between two looks: a counter of 2^16 joules begins anew after as many at a kilowatt."""

_ZONE = re.compile(r"intel-rapl:\d+(:\d+)?")
_COUNTED = re.compile(r"package-\d+(-die-\d+)?|dram")


class Zone(NamedTuple):
    """A counter."""

    folder: Path
    largest: int
    """The value, in microjoules, after which it begins at 0 again."""

    def microjoules(self) -> int:
        """What it shows; OSError or ValueError where it cannot be read."""
        return int((self.folder / "energy_uj").read_text())


def zones(powercap: Path = POWERCAP) -> list[Zone]:
    """The counters of packages and memory; none where the system shows none, or not all of them to this user."""
    found = []
    try:
        for folder in sorted(powercap.iterdir()):
            if _ZONE.fullmatch(folder.name) and _COUNTED.fullmatch((folder / "name").read_text().strip()):
                zone = Zone(folder, int((folder / "max_energy_range_uj").read_text()))
                zone.microjoules()
                found.append(zone)
    except (OSError, ValueError):
        return []
    return found


class PackageMeter:
    """Adds up what packages and memory use, from `start` to `stop`.

    A thread looks at the counters meanwhile: they begin anew within minutes, and two readings cannot tell how often.
    """

    def __init__(self, powercap: Path = POWERCAP) -> None:
        self._zones = zones(powercap)
        self._shown: list[int] = []
        self._used, self._lost = 0, False
        self._ended = Event()
        self._thread: Thread | None = None

    @property
    def counts(self) -> bool:
        """Whether there is anything to read."""
        return bool(self._zones)

    def start(self) -> None:
        """Begins to count."""
        self.look()
        if self.counts:
            self._thread = Thread(target=self._keep_looking, name="energy of packages", daemon=True)
            self._thread.start()

    def stop(self) -> float | None:
        """Joules since `start`; None where there is no counter, or one could not be read any more."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()
        self.look()
        return None if self._lost or not self.counts else self._used / 1e6

    def look(self) -> None:
        """Adds what was used since the last look; a counter that shows less than before has begun anew once."""
        try:
            shown = [zone.microjoules() for zone in self._zones]
        except (OSError, ValueError):
            self._lost = True
            return
        for zone, now, before in zip(self._zones, shown, self._shown, strict=False):  # none before the first look
            self._used += now - before + (zone.largest if now < before else 0)
        self._shown = shown

    def _keep_looking(self) -> None:
        while not self._ended.wait(PERIOD):
            self.look()
