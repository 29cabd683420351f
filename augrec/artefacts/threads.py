"""How many threads a model on the CPU computes with: as many as cores are free, looked at again while it runs.

Two threads on busy cores are several times slower than one, see `augrec.artefacts.cores`. Where a product is cut into
parts by the number of threads, another number gives other last bits, as other hardware does; the numbers used are
recorded.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from augrec.artefacts.cores import CoreWatch, thread_count, wished_threads

SECONDS_BETWEEN_LOOKS = 5.0
SHORTEST_LOOK = 0.2
"""Seconds of watching before the first choice."""


class Threads:
    """The threads of one model that answers or encodes.

    Args:
        wished: the configuration's number, which then stays; None chooses by free cores.
        most: never more than this.
        set_threads: makes the library compute with a number of threads.
        watch: measures free cores; the first choice waits until it has done so for a moment.
        log: name of the logger that hears of every choice.

    Attributes:
        number: the present one.
        used: every number so far, in the order of first use.
        because: what decides, in words.
    """

    def __init__(
        self,
        wished: int | None,
        most: int,
        set_threads: Callable[[int], object],
        watch: CoreWatch,
        log: str = "augrec.threads",
    ) -> None:
        self._log = logging.getLogger(log)
        self._fixed = wished is not None
        self._most, self._set, self._watch = max(1, min(most, watch.usable)), set_threads, watch
        self.because = "the configuration says so"
        self.used: list[int] = []
        if wished is None:
            time.sleep(max(0.0, SHORTEST_LOOK - watch.seconds))
            self._choose(None)
        else:
            self._use(wished)

    def look(self) -> None:
        """Chooses anew when the last look is some seconds ago; called between steps."""
        if not self._fixed and self._watch.seconds >= SECONDS_BETWEEN_LOOKS:
            self._choose(self.number)

    def resume(self) -> None:
        """Goes on with the present number after somebody else set another, and looks."""
        self._set(self.number)
        self.look()

    def _choose(self, now: int | None) -> None:
        free = self._watch.free()
        number = thread_count(free, self._most, now)
        if number != now:
            self.because = f"{free:.1f} of {self._watch.usable} cores free"
            self._use(number)
            self._log.info("%s: %s", threads_in_words(number), self.because)

    def _use(self, number: int) -> None:
        self.number = number
        self._set(number)
        if number not in self.used:
            self.used.append(number)


def most_threads(torch_threads: int) -> int:
    """The most threads that a choice may give: what torch would take, or OMP_NUM_THREADS where that is less."""
    return min(torch_threads, wished_threads() or torch_threads)


def threads_in_words(*numbers: int) -> str:
    """ "1 thread", "4 threads" or "1 to 4 threads"."""
    least, most = min(numbers), max(numbers)
    count = f"{most}" if least == most else f"{least} to {most}"
    return f"{count} thread{'s' if most > 1 else ''}"
