"""How much memory a process held at most. Imports nothing that would count in it."""

from __future__ import annotations

import re
import resource
import sys
from pathlib import Path

STATUS = Path("/proc/self/status")


def held_most() -> int:
    """The most bytes that this process held since it began to run its program, where the system tells that.

    Elsewhere what `getrusage` says, in which a process that was started by a larger one counts as large as that.
    """
    found = re.search(r"VmHWM:\s*(\d+) kB", STATUS.read_text()) if STATUS.exists() else None
    if found:
        return int(found[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
