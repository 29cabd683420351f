"""The answers to a task, for the prompts of tasks that quote them: of all shards, whichever process wrote them.

Where each record lies is known, in 24 bytes; a record is read and decoded when a prompt asks for it.
"""

from __future__ import annotations

import hashlib
import json
from array import array
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from augment.source_ids import SourceIds
from augment.store.request_index import KEY_BYTES, KeyTable, key_digest
from augment.store.shards import read_piece, read_pieces
from augrec.artefacts.source_folder import SourceFolder
from augrec.artefacts.tasks import TaskCard

MARK_BYTES = KEY_BYTES + 8
"""Of a record: its key, and 64 bits of its answer."""
KEPT = 1 << 14
"""Entities whose answers are in memory: an item stands in many prompts."""


@dataclass(frozen=True, slots=True)
class QuotedAnswer:
    """An answer as it is stored, with this data set's ids for items."""

    question: str
    fields: dict[str, Any]


class Answers:
    """The answers to one task, by entity; empty for whom there is none, because it failed or was never asked.

    Args:
        folder: R/augment/<source>.
        card: the task's.
        total: number of shards.
        ids: of the present data set.
        entities: how many users, or items, it has.
        present: whether a key, by its digest, is asked now; records of others are left over from earlier questions.

    Attributes:
        card: the task's.
        entities: how many users, or items, there are.
        answered: how many of them have an answer.
        records: how many of the present keys have a record.
        identity: one hash of everything that can be quoted.
    """

    def __init__(
        self, folder: Path, card: TaskCard, total: int, ids: SourceIds, entities: int, present: Callable[[bytes], bool]
    ) -> None:
        self.card, self.entities, self._ids = card, entities, ids
        self._paths = [SourceFolder(folder).task(card.name).shard(shard, total) for shard in range(total)]
        self.records = 0
        places, marks = array("q"), bytearray()
        for shard, path in enumerate(self._paths):
            seen = KeyTable()
            for piece in read_pieces(path, card.gives):
                stored = piece.stored
                if stored is None or seen.has(key := key_digest(stored.key)) or not present(key):
                    continue
                seen.add_digest(key)
                entity = ids.find(card.about, stored.entity)
                if entity is not None and stored.content["status"] == "ok":
                    places.extend((entity, shard, piece.offset))
                    marks += key + stored.answer.to_bytes(MARK_BYTES - KEY_BYTES, "big")
            self.records += len(seen)
        self.identity = hashlib.sha256(np.sort(np.frombuffer(bytes(marks), f"V{MARK_BYTES}")).tobytes()).hexdigest()
        table = np.array(places, dtype=np.int64).reshape(-1, 3)
        self._places = table[np.argsort(table[:, 0], kind="stable")]
        self._starts = np.searchsorted(self._places[:, 0], np.arange(entities + 1))
        self.answered = int((np.diff(self._starts) > 0).sum())
        self.of = lru_cache(maxsize=KEPT)(self._of)

    def fields(self, entity: int) -> dict[str, Any] | None:
        """The answer about an entity, where a task asks one question; None where there is none."""
        answers = self.of(entity)
        return answers[0].fields if answers else None

    def _of(self, entity: int) -> tuple[QuotedAnswer, ...]:
        """The answers about an entity, in the order of the questions' names."""
        found = []
        for _, shard, offset in self._places[self._starts[entity] : self._starts[entity + 1]].tolist():
            record = read_piece(self._paths[shard], offset, self.card.gives).record(self._ids, self.card.gives)
            if record is not None:
                found.append(QuotedAnswer(record.question, json.loads(record.fields or "{}")))
        return tuple(sorted(found, key=lambda answer: answer.question))

    def summary(self) -> dict[str, int]:
        """How many entities have an answer to quote, and how many prompts have to do without."""
        return {"answered": self.answered, "absent": self.entities - self.answered}
