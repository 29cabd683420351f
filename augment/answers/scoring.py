"""Choices read as probabilities: one token is asked for, a label, and the log-probabilities of all labels are read.

A question with n labels is asked in several orders of what the labels stand for, because models prefer some letters and
some places of a list. The second of every pair of orders is the first reversed. Orders are averaged as logarithms: a
preference that adds to the logits and grows or falls evenly along the list cancels exactly.
"""

from __future__ import annotations

import json
import math
from collections.abc import Hashable, Mapping, Sequence
from functools import cache
from itertools import combinations
from string import ascii_lowercase, ascii_uppercase
from typing import Literal, TypeVar

from augment.answers.answer import Answer, Malformed
from augrec.artefacts.errors import UsageError

LETTERS = ascii_uppercase + ascii_lowercase
"""A..Z, then a..z: one token in most vocabularies, where numbers above 9 are two."""
LEAST = -50.0
"""The lowest log-probability that is told from a lower one."""
DIGITS = 6

Choice = TypeVar("Choice", bound=Hashable)


def labels_for(count: int) -> tuple[str, ...]:
    """The labels of `count` candidates. Raises UsageError above 52."""
    if count > len(LETTERS):
        raise UsageError(
            f"{count} candidates cannot be scored: labels are the {len(LETTERS)} letters",
            remedy=f"set candidates to at most {len(LETTERS)}, or mode: choose",
        )
    return tuple(LETTERS[:count])


@cache
def label_answer(labels: tuple[str, ...]) -> Answer:
    """The shape of a scored answer: one label."""
    return Answer(Literal[labels])


def written(orders: Sequence[Mapping[str, float]]) -> str:
    """Log-probabilities by label, of each order, as the text that is stored."""
    rounded = [{label: round(max(value, LEAST), DIGITS) for label, value in order.items()} for order in orders]
    return json.dumps(rounded, separators=(",", ":"))


def parsed(text: str, labels: Sequence[str], orders: int) -> list[list[float]]:
    """`written` read back: for each order the log-probabilities in the order of the labels.

    Raises:
        Malformed: it is not a finite number for every label in every order.
    """
    try:
        logprobs = [[float(order[label]) for label in labels] for order in json.loads(text)]
    except (ValueError, LookupError, TypeError) as error:
        raise Malformed(f"not the log-probabilities of {len(labels)} labels ({error})") from None
    if len(logprobs) != orders or not all(math.isfinite(value) for order in logprobs for value in order):
        raise Malformed(f"not {orders} times {len(labels)} finite log-probabilities")
    return logprobs


def normalised(logprobs: Mapping[Choice, float]) -> dict[Choice, float]:
    """The same log-probabilities among these choices alone: their exponentials sum to 1."""
    most = max(logprobs.values())
    total = most + math.log(math.fsum(math.exp(value - most) for value in logprobs.values()))
    return {choice: value - total for choice, value in logprobs.items()}


def averaged(orders: Sequence[Mapping[Choice, float]]) -> dict[Choice, float]:
    """Probabilities from the log-probabilities of several orders: their mean, normalised among the choices."""
    each = [normalised(order) for order in orders]
    mean = {choice: math.fsum(order[choice] for order in each) / len(each) for choice in each[0]}
    return {choice: math.exp(value) for choice, value in normalised(mean).items()}


def disagreement(orders: Sequence[Mapping[Choice, float]]) -> float:
    """How much of the probability lies elsewhere in another order: total variation, the mean over pairs, in [0, 1]."""
    each = [{choice: math.exp(value) for choice, value in normalised(order).items()} for order in orders]
    pairs = [
        math.fsum(abs(first[choice] - second[choice]) for choice in first) / 2
        for first, second in combinations(each, 2)
    ]
    return math.fsum(pairs) / len(pairs) if pairs else 0.0


def ranked(probabilities: Mapping[int, float]) -> list[tuple[int, float]]:
    """Choices with their probabilities to six significant digits, likeliest first; ties by the lower number."""
    rounded = ((choice, float(f"{value:.{DIGITS}g}")) for choice, value in probabilities.items())
    return sorted(rounded, key=lambda pair: (-pair[1], pair[0]))


def confidence(likely: float, unlikely: float) -> float:
    """How surely the one is preferred to the other: (p - q) / (p + q), 0 when the model does not tell them apart.

    With Luce's rule of choice p / (p + q) is the probability of the one where only the two are to choose from; this is
    twice its distance from a half.
    """
    total = likely + unlikely
    return round(max(likely - unlikely, 0.0) / total, DIGITS) if total > 0 else 0.0
