"""How many questions are still to be answered, guessed while they are made one after the other."""

from __future__ import annotations


class Remaining:
    """Most of what is answered already is passed over in no time, so it must not count as work that is left.

    Which of the questions ahead have a record is not known before they are made. Records that were met by no question
    yet may belong to them; where the data have changed since, they belong to nobody, which the questions so far show.

    Args:
        records: how many are stored at the beginning.
    """

    def __init__(self, records: int) -> None:
        self._records = records
        self.asked = 0
        """Questions met so far."""
        self._missing = 0

    def meet(self, asked: int, missing: int) -> None:
        """Counts questions, and those among them that have no record."""
        self.asked += asked
        self._missing += missing

    def among(self, ahead: int) -> int:
        """How many of the questions ahead will have to be answered."""
        unmet = max(self._records - (self.asked - self._missing), 0)
        share = self._missing / self.asked if self.asked else 0.0
        return max(ahead - unmet, round(ahead * share))
