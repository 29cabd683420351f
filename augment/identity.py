"""Names that mean the same everywhere and always: request keys, engine seeds and shards, all by sha256."""

from __future__ import annotations

import hashlib
from typing import Any

from artefacts.files import digest
from augment.sampling import Sampling
from augment.shapes import Draft

SCHEME = 1
"""Raised when the content of a key changes; old records are then stale instead of wrongly reused."""


def request_key(engine: dict[str, Any], task: str, draft: Draft, sampling: Sampling, seed: int) -> str:
    """The sha256 of everything that decides an answer, and of whom it is about.

    The attempt, timing and speed settings are no part of it. Two users with the same prompt have two keys, because the
    entity is one; history and candidates are in through the messages. Nothing is drawn for a scored draft, so sampling
    and seed are no part of its key, and the prompts of all its orders are.
    """
    if draft.labels:
        prompts = [order.messages for order in draft.orders]
        scored = {"engine": engine, "task": task, "entity": draft.entity, "labels": draft.labels, "prompts": prompts}
        return digest({"scheme": SCHEME, **scored})
    return digest(
        {
            "scheme": SCHEME,
            "engine": engine,
            "task": task,
            "entity": draft.entity,
            "messages": draft.messages,
            "grammar": draft.answer.fingerprint,
            "sampling": sampling.model_dump(mode="json"),
            "seed": seed,
        }
    )


def refusal_key(engine: dict[str, Any], task: str, entity: int, reason: str, seed: int) -> str:
    """The key of an entity that cannot be asked about: changes when the reason does."""
    return digest({"scheme": SCHEME, "engine": engine, "task": task, "entity": entity, "refused": reason, "seed": seed})


def engine_seed(key: str, attempt: int) -> int:
    """The seed of one attempt, 63 bits."""
    return int.from_bytes(hashlib.sha256(f"{key}/{attempt}".encode()).digest()[:8], "big") >> 1


def shard_of(kind: str, entity: int, total: int) -> int:
    """The shard of an entity: the same for all tasks about it, and independent of how many entities there are."""
    return int.from_bytes(hashlib.sha256(f"{kind}:{entity}".encode()).digest()[:8], "big") % total
