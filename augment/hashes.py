"""Stable names by sha256: request keys, engine seeds, blocks and shards.

Users and items are in them by their source's ids, because contiguous ids mean something else after a data change.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

from augment.messages import Draft, Sampling
from augment.source_ids import SourceIds, reviewed
from augrec.artefacts.files import digest
from augrec.artefacts.tasks import About

SCHEME = 2
"""Raised when the content of a key changes; old records are then stale instead of wrongly reused."""


def request_key(
    engine: dict[str, Any], task: str, about: About, draft: Draft, sampling: Sampling, seed: int, ids: SourceIds
) -> str:
    """The sha256 of everything that decides an answer and its record, and of whom it is about.

    The attempt, timing and speed settings are no part of it. Two users with the same prompt have two keys, because the
    entity is one; items with the same title make two keys, because the items shown are in it beside the prompts.
    Nothing is drawn for a scored draft, so sampling and seed are no part of its key, and all its orders are. The name
    of the question is part of it where an entity has several.
    """
    content: dict[str, Any] = {
        "scheme": SCHEME,
        "engine": engine,
        "task": task,
        "about": about,
        "entity": ids.of(about, draft.entity),
        "history": ids.items(draft.shown_history),
        "candidates": [ids.items(order.shown_candidates) for order in draft.orders],
        "messages": [order.messages for order in draft.orders],
        **({"question": draft.question} if draft.question else {}),
        **({"similar": ids.items(draft.shown_similar)} if draft.shown_similar else {}),
        **({"reviews": ids.several(reviewed(about), draft.shown_reviews)} if draft.shown_reviews else {}),
    }
    if draft.labels:
        return digest(content | {"labels": draft.labels})
    drawn = {"grammar": draft.answer.fingerprint, "sampling": sampling.model_dump(mode="json"), "seed": seed}
    return digest(content | drawn)


def refusal_key(
    engine: dict[str, Any], task: str, about: About, source_id: str, reason: str, seed: int, question: str = ""
) -> str:
    """The key of what cannot be asked about an entity: changes when the reason does."""
    whom = {"engine": engine, "task": task, "about": about, "entity": source_id}
    whom |= {"question": question} if question else {}
    return digest({"scheme": SCHEME, **whom, "refused": reason, "seed": seed})


def block_of(keys: Iterable[str]) -> str:
    """Names a block of requests that an exact engine answers together: 16 hex digits of the keys in their order."""
    return digest(list(keys))[:16]


def engine_seed(key: str, attempt: int) -> int:
    """The seed of one attempt, 63 bits."""
    return int.from_bytes(hashlib.sha256(f"{key}/{attempt}".encode()).digest()[:8], "big") >> 1


def draw_seed(seed: int, draw: int) -> int:
    """What the keys of a draw's questions, and so all its engine seeds, follow from: the run's seed for the first."""
    return (
        seed if draw == 1 else int.from_bytes(hashlib.sha256(f"{seed}/draw-{draw}".encode()).digest()[:8], "big") >> 1
    )


def shard_of(about: About, source_id: str, total: int) -> int:
    """The shard of an entity: the same for all tasks about it, whatever other entities there are."""
    return int.from_bytes(hashlib.sha256(f"{about}:{source_id}".encode()).digest()[:8], "big") % total


def reviews_sha256(texts: Iterable[str]) -> str:
    """One hash of reviews as the data hold them, in the order in which they were shown; "" for none."""
    shown = list(texts)
    return digest(shown) if shown else ""
