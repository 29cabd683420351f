"""A scored question: how it is put, what becomes of its log-probabilities, and the rule that answers without an LLM."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING

from augment.answers.scoring import averaged, confidence, disagreement, label_answer, labels_for, normalised, ranked
from augment.messages import Control, Draft, Messages
from augment.tasks.base import Checked

if TYPE_CHECKING:
    from augment.entities import Item

SHARPNESS = 10.0
"""Of the control's probabilities: a tenth more likeness makes a candidate e times as likely."""


def likeness_to(history: tuple[Item, ...], shown: tuple[Item, ...]) -> list[float]:
    """Cosines between each candidate's genres and the genre counts of the history."""
    counts = Counter(genre for item in history for genre in item.genres)
    norm = math.sqrt(sum(count**2 for count in counts.values())) or 1.0
    return [sum(counts[g] for g in item.genres) / norm / max(len(item.genres), 1) ** 0.5 for item in shown]


def scored_draft(
    user: int,
    messages: Messages,
    history: tuple[Item, ...],
    shown: tuple[Item, ...],
    *,
    drop: int,
    similar: tuple[Item, ...] = (),
) -> Draft:
    """One order of a scored question: the answer is the letter of one of the shown items.

    Args:
        user: who is asked about.
        messages: the prompt, in which the items have the letters of `labels_for`.
        history: the items of the user that it shows.
        shown: what it asks about, in this order.
        drop: how many of the oldest items of the history were left out.
        similar: the items of a similar user that it shows.
    """
    labels = labels_for(len(shown))
    answer = label_answer(labels)
    return Draft(
        user,
        messages,
        answer,
        Control(lambda: scores_by_content(history, shown, labels), answer),
        shown_history=tuple(item.item for item in history),
        shown_candidates=tuple(item.item for item in shown),
        dropped_history=drop,
        labels=labels,
        shown_similar=tuple(item.item for item in similar),
    )


def checked_scores(logprobs: list[list[float]], draft: Draft) -> Checked:
    """The candidates' probabilities over all orders, and the pair of the likeliest and the unlikeliest."""
    orders = [
        dict(zip(order.shown_candidates, values, strict=True))
        for order, values in zip(draft.orders, logprobs, strict=True)
    ]
    scores = ranked(averaged(orders))
    (positive, most), (negative, least) = scores[0], scores[-1]
    fields = {
        "positive": positive,
        "negative": negative,
        "confidence": confidence(most, least),
        "disagreement": round(disagreement(orders), 6),
        "scores": scores,
    }
    return Checked(fields)


def scores_by_content(history: tuple[Item, ...], shown: tuple[Item, ...], labels: tuple[str, ...]) -> dict[str, float]:
    """The control of a scored question: log-probabilities, a softmax of the likeness."""
    likeness = likeness_to(history, shown)
    return normalised({label: SHARPNESS * value for label, value in zip(labels, likeness, strict=True)})
