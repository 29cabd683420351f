"""Energy that the machine used between two moments, by its own counters: NVIDIA devices', and the CPU's.

Devices are counted by NVML (package `nvidia-ml-py`; none before Volta), the CPU as `cpu_energy` says. The counters are
of whole devices and packages: what others run on them meanwhile is counted too. Where there is none of a kind, the
other alone is counted; where there is neither, energy is None. Nothing here fails.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import Any

from augrec.artefacts.cpu_energy import POWERCAP, PackageMeter
from augrec.artefacts.files import read_json, write_json


class EnergyMeter:
    """Joules of the devices that this process may use and of the CPU, from entering to leaving.

    Attributes:
        joules: what they used; None before the end, where nothing counts, and where a counter was lost on the way.
    """

    def __init__(self, powercap: Path = POWERCAP) -> None:
        self.joules: float | None = None
        self._start: dict[str, int] | None = None
        self._packages = PackageMeter(powercap)

    def __enter__(self) -> EnergyMeter:
        self._start = millijoules()
        self._packages.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        parts = []
        packages = self._packages.stop()
        if self._packages.counts:
            parts.append(packages)
        if self._start:
            parts.append(used(self._start, millijoules()))
        known = [part for part in parts if part is not None]
        self.joules = sum(known) if known and len(known) == len(parts) else None


def add_joules(path: Path, joules: float | None) -> None:
    """Adds to what a file says was used, which is replaced whole; nothing is written where nothing was counted."""
    if joules is not None:
        write_json(path, {"joules": (joules_in(path) or 0.0) + joules})


def joules_in(path: Path) -> float | None:
    """What `add_joules` added up; None where nothing was counted."""
    return float(read_json(path)["joules"]) if path.exists() else None


def used(start: Mapping[str, int] | None, end: Mapping[str, int] | None) -> float | None:
    """Joules between two readings; None where one is missing, differs in devices, or a counter began anew."""
    if not start or not end or start.keys() != end.keys() or any(end[name] < start[name] for name in start):
        return None
    return sum(end[name] - start[name] for name in start) / 1000


def millijoules() -> dict[str, int] | None:
    """The counter of every device that `CUDA_VISIBLE_DEVICES` leaves visible, by UUID; None where there are none."""
    try:
        with _nvml() as nvml:
            devices = list(_visible(nvml, os.environ.get("CUDA_VISIBLE_DEVICES")))
            return {
                str(nvml.nvmlDeviceGetUUID(device)): nvml.nvmlDeviceGetTotalEnergyConsumption(device)
                for device in devices
            }
    except Exception:  # a driver may answer anything, and no measurement is worth a generation
        return None


@contextmanager
def _nvml() -> Iterator[Any]:
    nvml = import_module("pynvml")
    nvml.nvmlInit()
    try:
        yield nvml
    finally:
        nvml.nvmlShutdown()


def _visible(nvml: Any, named: str | None) -> Iterator[Any]:
    """Handles of the devices that the variable names, by number or UUID; of all where it is not set."""
    if named is None:
        yield from (nvml.nvmlDeviceGetHandleByIndex(place) for place in range(nvml.nvmlDeviceGetCount()))
        return
    for name in filter(None, (part.strip() for part in named.split(","))):
        yield nvml.nvmlDeviceGetHandleByIndex(int(name)) if name.isdigit() else nvml.nvmlDeviceGetHandleByUUID(name)
