"""How much a file of a stranger may become in memory: not more than a fixed share of what it stores.

A few bytes can name an array of 2^40 rows, refer to one text a million times, or nest lists that refer to each other so
that each level doubles what a reader of them sees. What is read is therefore measured as if every reference were a
copy, and compared with the bytes on the disk. Honest files repeat themselves too (many items share one vector), hence a
factor and an allowance.
"""

from __future__ import annotations

from pathlib import Path

from augrec.artefacts.errors import DataError

FACTOR = 64
"""Bytes in memory for each byte stored."""
ALLOWANCE = 2**25
"""Bytes in memory that any file may need."""
FEW_IDS = 2**16
"""Ids that any file may name, however little it holds."""
IDS_PER_ENTRY = 16
"""Ids, known and unknown, for each interaction; real data have fewer ids than interactions."""
DEEPEST = 64
"""Levels of lists, dicts and tuples inside each other; released files have four."""


def memory_limit(stored: int) -> int:
    """Bytes in memory for a file of `stored` bytes."""
    return ALLOWANCE + FACTOR * stored


def check_ids(count: int, entries: int, what: str, where: str | Path) -> None:
    """Raises DataError where the ids 0..count-1 are far more than the data could speak of.

    Args:
        count: how many ids follow from the file: its highest id, or the shape of a matrix.
        entries: interactions that are stored.
        what: they are ids of, e.g. "users".
        where: the file.
    """
    if count > FEW_IDS + IDS_PER_ENTRY * entries:
        raise DataError(
            f"{count} {what} follow from the highest id or the shape, and there are only {entries} interactions",
            where=where,
            remedy="ids count from 0 without large gaps; renumber them",
        )


def check_dense(rows: int, dim: int, stored: int, where: str | Path) -> None:
    """Raises DataError where a matrix of float32 [rows, dim] would be much larger than the file it is made from."""
    if rows * dim * 4 > memory_limit(stored):
        raise DataError(
            f"vectors of {dim} numbers for {rows} ids need {rows * dim * 4} bytes, and the file has {stored}",
            where=where,
            remedy="the file belongs to other data, or is made to fill the memory",
        )
