"""How far two sources say the same of the same user or item.

Words may differ and the meaning not: beside equality stands the cosine of the two texts' vectors, and beside that the
cosine with the text that the other source wrote for somebody else, because texts of one form are alike anyway.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np

from augrec.report.measures.directions import unit_rows
from augrec.report.measures.source_records import SourceRecords


@dataclass(frozen=True)
class Agreement:
    """Two sources of one task.

    Attributes:
        a, b: the sources.
        task: what both were asked.
        entities: those that both answered.
        exact: the share that is equal in every field of either; None where the two share no field.
        fields: field -> mean likeness, over the answers in which both have it.
        cosine: of the two vectors of the same entity, on average; None without comparable vectors.
        cosine_strangers: the same of two different entities.
    """

    a: str
    b: str
    task: str
    entities: int
    exact: float | None
    fields: dict[str, float]
    cosine: float | None
    cosine_strangers: float | None


def agreement(
    a: SourceRecords,
    b: SourceRecords,
    vectors_a: np.ndarray | None = None,
    vectors_b: np.ndarray | None = None,
    *,
    seed: int = 0,
) -> Agreement:
    """How far two sources of one task agree.

    Fields are compared where both have them. `exact` asks for equality in every field of either, and is None where the
    two share no field (prose and fields).

    Args:
        a, b: records of the same task.
        vectors_a, vectors_b: [n, d] by entity, a row of zeros where there is none; None, or different d, for no cosine.
        seed: of who the strangers are.
    """
    both = np.intersect1d(a.answered(), b.answered())
    answers_a, answers_b = dict(a.answers()), dict(b.answers())
    pairs = [(answers_a[key], answers_b[key]) for key in sorted(answers_a.keys() & answers_b.keys())]
    alike: dict[str, list[float]] = {}
    exact = []
    for first, second in pairs:
        shared = [name for name in first if name in second]
        for name in shared:
            alike.setdefault(name, []).append(likeness(first[name], second[name]))
        if shared:
            exact.append(first.keys() == second.keys() and all(alike[name][-1] == 1.0 for name in shared))
    own, strangers = cosines(vectors_a, vectors_b, both, seed)
    return Agreement(
        a=a.source,
        b=b.source,
        task=a.task,
        entities=len(both),
        exact=float(np.mean(exact)) if exact else None,
        fields={name: float(np.mean(shares)) for name, shares in alike.items()},
        cosine=own,
        cosine_strangers=strangers,
    )


def likeness(first: Any, second: Any) -> float:
    """1 for values that are equal, case apart; for two lists their Jaccard index, 1 where both are empty."""
    if isinstance(first, list) and isinstance(second, list):
        left, right = ({_folded(value) for value in values} for values in (first, second))
        return len(left & right) / len(left | right) if left | right else 1.0
    return float(_folded(first) == _folded(second))


def _folded(value: Any) -> str:
    if isinstance(value, str):
        return " ".join(value.casefold().split())
    return json.dumps(value, sort_keys=True)


def cosines(
    first: np.ndarray | None, second: np.ndarray | None, entities: np.ndarray, seed: int
) -> tuple[float | None, float | None]:
    """Mean cosine of the two vectors of the same entity, and of those of two different ones, both over all entities.

    Strangers stand next to each other on a circle of random order, so nobody is their own stranger.
    """
    if first is None or second is None or first.shape[1] != second.shape[1]:
        return None, None
    entities = entities[(entities < len(first)) & (entities < len(second))]
    left, right = unit_rows(first[entities]), unit_rows(second[entities])
    there = left.any(axis=1) & right.any(axis=1)
    left, right = left[there], right[there]
    if not len(left):
        return None, None
    own = float(np.einsum("nd,nd->n", left, right).mean())
    if len(left) < 2:
        return own, None
    other = strangers(len(left), np.random.default_rng([seed, 0xA6]))
    return own, float(np.einsum("nd,nd->n", left, right[other]).mean())


def strangers(count: int, rng: np.random.Generator) -> np.ndarray:
    """int64 [count]: for each one somebody else, everybody once (count above 1)."""
    circle = rng.permutation(count)
    other = np.empty(count, dtype=np.int64)
    other[circle] = np.roll(circle, 1)
    return other
