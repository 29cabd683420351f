"""Array expressions: `3-5,9` for 3, 4, 5 and 9, as SLURM and the command line write them."""

from __future__ import annotations

import re
from collections.abc import Iterable

from augrec.artefacts.errors import UsageError

PART = re.compile(r"(\d+)(?:-(\d+))?")


def parse_ranges(text: str) -> list[int]:
    """The numbers of an expression, sorted, each once. Raises UsageError for anything else."""
    numbers: set[int] = set()
    for part in text.split(","):
        match = PART.fullmatch(part.strip())
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if first > last:
            raise UsageError(f"'{text}' is not a list of numbers and ranges", remedy="write e.g. 3-5,9")
        numbers.update(range(first, last + 1))
    return sorted(numbers)


def format_ranges(numbers: Iterable[int]) -> str:
    """The shortest expression for some numbers; empty for none."""
    parts: list[list[int]] = []
    for number in sorted(set(numbers)):
        if parts and number == parts[-1][1] + 1:
            parts[-1][1] = number
        else:
            parts.append([number, number])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in parts)
