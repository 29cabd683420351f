"""Scored requests to an OpenAI-compatible server: one token with the log-probabilities of the likeliest twenty.

A label that is not among the twenty is at most as likely as the last of them: it gets that floor, which is noted in
the record's repairs. vLLM's dialect holds the token to the labels, so that up to twenty labels are complete; OpenAI's
has no such parameter, and a token counts for a label when it is the label but for white space.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from augment.answers.scoring import LEAST
from augment.engines.openai.options import OpenAIOptions
from augment.messages import Messages
from augrec.artefacts.errors import AugrecError, UsageError

TOP = 20
"""The most that OpenAI, and vLLM by default, report."""
MOST = 1e-3
"""The highest log-probability that rounding explains; a higher one is none."""


@dataclass(frozen=True)
class Scores:
    """Log-probabilities in the order of the labels; () and the reason when no label was among the likeliest tokens."""

    logprobs: tuple[float, ...]
    notes: tuple[str, ...] = ()
    problem: str | None = None
    doubt: AugrecError | None = None
    """What the problem means when every answer has it."""


def scoring_payload(options: OpenAIOptions, messages: Messages, labels: Sequence[str]) -> dict[str, Any]:
    """The body of a scored request."""
    official = options.dialect == "openai"
    payload: dict[str, Any] = {
        "model": options.model,
        "messages": [message._asdict() for message in messages],
        "temperature": 0.0,
        "max_completion_tokens" if official else "max_tokens": 1,
        "logprobs": True,
        "top_logprobs": TOP,
    }
    if not official:
        payload["structured_outputs"] = {"choice": list(labels)}
    return payload | options.extra_body


def read_scores(listed: Sequence[tuple[str, float]], labels: Sequence[str], options: OpenAIOptions) -> Scores:
    """The labels' scores among the likeliest tokens of a server's answer; see `augment.engines.openai.reply`."""
    if not listed:
        doubt = UsageError(
            f"the server gives no log-probabilities for model '{options.model}', and edges are to be scored",
            where=options.base_url,
            remedy="set generation.tasks.edges.mode: choose, or use a server and a model with `logprobs`",
        )
        return Scores((), problem="no_logprobs: the answer holds no log-probabilities", doubt=doubt)
    found: dict[str, float] = {}
    possible = [(token.strip(), value) for token, value in listed if LEAST < value < MOST]
    for token, value in possible:
        if token in labels:
            found[token] = _either(found[token], value) if token in found else value
    if not found:
        return Scores((), problem="no_label: none of the labels is among the likeliest tokens")
    floor = min(value for _, value in possible) if len(possible) == len(listed) else LEAST
    missing = [label for label in labels if label not in found]
    notes = (f"scores: {', '.join(missing)} at the floor {floor:.2f}",) if missing else ()
    return Scores(tuple(found.get(label, floor) for label in labels), notes)


def _either(one: float, other: float) -> float:
    """The log-probability of one token or the other."""
    most = max(one, other)
    return most + math.log(math.exp(one - most) + math.exp(other - most))
