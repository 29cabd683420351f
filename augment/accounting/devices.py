"""GPUs by what people call them: the peaks and the memory that their makers print."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass

from augment.accounting.roofline import DEVICES, Peaks


@dataclass(frozen=True)
class Device:
    """One kind of GPU.

    Args:
        name: as its driver reports it.
        peaks: what it can do at most.
        memory: bytes.
    """

    name: str
    peaks: Peaks
    memory: float


def devices_called(text: str) -> list[Device]:
    """The kinds of GPU that a name may mean: its driver's own, or words of it such as "h100" or "a100-80gb"."""
    with DEVICES.open("rb") as file:
        entries = tomllib.load(file)["device"]
    known = [
        Device(name, Peaks(entry["flops"], entry["bytes_per_second"], entry["source"]), entry["memory"])
        for entry in entries
        for name in entry["names"]
    ]
    exact = [device for device in known if device.name == text]
    return exact or [device for device in known if _words(text) and _words(text) <= _words(device.name)]


def _words(text: str) -> set[str]:
    return {word for word in re.split(r"[^a-z0-9]+", text.lower()) if word}
