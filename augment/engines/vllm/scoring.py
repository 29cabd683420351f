"""Scored requests in vLLM: one token, and the log-probabilities of the labels alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from augrec.artefacts.errors import UsageError

MOST_LABELS = 128
"""vLLM 0.32 reports no more chosen tokens per request."""


def scoring_parameters(ids: Sequence[int]) -> Any:
    """vLLM's parameters: nothing is drawn, as the token itself is not used."""
    from vllm import SamplingParams

    return SamplingParams(temperature=0.0, max_tokens=1, logprob_token_ids=list(ids))


def check_count(labels: Sequence[str]) -> None:
    """Raises UsageError when there are more labels than vLLM reports on."""
    if len(labels) > MOST_LABELS:
        raise UsageError(f"vLLM gives the log-probabilities of {MOST_LABELS} tokens, and {len(labels)} are asked for")


def label_logprobs(written: Any, ids: Sequence[int]) -> tuple[float, ...]:
    """The log-probabilities of the labels at the first token of an output; () when vLLM did not give them all."""
    first = written.logprobs[0] if written.logprobs else {}
    return tuple(float(first[token].logprob) for token in ids) if all(token in first for token in ids) else ()
