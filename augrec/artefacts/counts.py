"""Counts with what is counted, as people say them: one item, two items."""

from __future__ import annotations


def counted(number: int, singular: str, plural: str | None = None) -> str:
    """A count with thousands set apart by commas, and the word or words that fit it.

    Args:
        number: how many.
        singular: what there is one of.
        plural: what there are several or none of; None: the singular with an s.

    >>> counted(1, "item"), counted(2000, "item"), counted(0, "line has", "lines have")
    ('1 item', '2,000 items', '0 lines have')
    """
    return f"{number:,} {noun(number, singular, plural)}"


def noun(number: int, singular: str, plural: str | None = None) -> str:
    """The word or words that fit a count; see `counted`."""
    return singular if number == 1 else plural or f"{singular}s"
