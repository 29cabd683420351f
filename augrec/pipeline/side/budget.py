"""Whom a language model is asked about when it cannot be asked about everybody: the option of a variant."""

from __future__ import annotations

from pydantic import PositiveInt

from augment.samples import UsersBy
from augrec.artefacts.options import Options


class Budget(Options):
    """So many users, in an order."""

    users: PositiveInt
    """How many of those with a training interaction."""
    by: UsersBy = "tail"
    """tail: fewest training interactions first; head: most; random: a drawn order that is always the same."""
