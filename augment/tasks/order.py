"""In which order tasks are asked: one that quotes the answers to another comes in a later wave."""

from __future__ import annotations

from collections.abc import Collection, Mapping


def waves(reads: Mapping[str, Collection[str]]) -> list[tuple[str, ...]]:
    """The tasks wave by wave, in their order within each: everything that a task reads is answered in an earlier one.

    Args:
        reads: the names of tasks, and of those that they read, which are among them.

    Raises:
        ValueError: tasks read each other.
    """
    left, ordered = list(reads), list[tuple[str, ...]]()
    while left:
        wave = tuple(task for task in left if not any(read in left for read in reads[task]))
        if not wave:
            raise ValueError(f"{' and '.join(left)} quote each other's answers")
        ordered.append(wave)
        left = [task for task in left if task not in wave]
    return ordered
