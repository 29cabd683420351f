"""What pages call users: by the source's id, or by a pseudonym that nobody without the data can trace back."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from augrec.artefacts.hashed_numbers import hashed_names
from augrec.artefacts.interactions import UserItems

DIGITS = 8
EXAMPLES = re.compile(r",? e\.g\. .*", re.DOTALL)


class UserNames:
    """The names of the users of a run.

    A pseudonym is a hash of the user's id with a key that follows from all training interactions: the same on every
    page of the same prepared data, and of no use to whoever does not hold these. Of a public data set anybody does.

    Args:
        users: the table of users.
        histories: their training items.
        hide: whether ids, histories and what the data say of users are kept from pages.
    """

    def __init__(self, users: pa.Table, histories: UserItems, hide: bool) -> None:
        self.hide = hide
        self._users = users
        self._key = hashlib.sha256(b"pseudonyms" + histories.starts.tobytes() + histories.items.tobytes()).digest()

    def of(self, user: int) -> str:
        """What a user is called, e.g. the id 196, or 0c5f23a1."""
        source_id = str(self._users["source_id"][user].as_py())
        if not self.hide:
            return source_id
        return f"{int(hashed_names([source_id], self._key)[0]):016x}"[:DIGITS]

    def shown(self, titles: Sequence[str]) -> tuple[str, ...]:
        """Items that a user has; none where they are hidden."""
        return () if self.hide else tuple(titles)

    def reason(self, text: str) -> str:
        """Why a request about a user failed; its code alone where ids are hidden, for the rest may name one."""
        return text.partition(":")[0] if self.hide else text

    def own(self, values: tuple[Any, ...]) -> tuple[Any, ...]:
        """What the data say of a user; nothing where it is hidden."""
        return () if self.hide else values


def without_examples(notes: Sequence[str]) -> list[str]:
    """What was said of the data, without the ids that it gives as examples of users."""
    return [EXAMPLES.sub("", note) if "user" in note else note for note in notes]
