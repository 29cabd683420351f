"""Attributes of the 40 items in two tastes that tests of training are made on."""

from __future__ import annotations

import numpy as np

from recsys.augmentation import AttributeNodes


def genres_of_two_tastes() -> AttributeNodes:
    """A genre for each half of 40 items, and one that every second item of both has too; nothing of users."""
    pairs = [(item, node) for item in range(40) for node in (item // 20, 2)[: 1 + item % 2]]
    names = (("genre", "comedy"), ("genre", "war"), ("genre", "western"))
    return AttributeNodes(names, np.array(pairs), np.zeros((0, 2), dtype=np.int64))
