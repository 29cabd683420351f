"""Whether a server may be asked: it holds answers to their schema, and it is the same model as the others.

Two servers are told apart by what can be seen of a model from outside: how many tokens it counts in the same prompts
(its tokenizer and chat template), how much it thinks of the likeliest first words of an answer (its weights), and the
longest prompt it takes. Number formats and kernels move log-probabilities by a tenth, other weights by units. Weights
that differ by a light tuning may pass, and of a server that counts no tokens and gives no log-probabilities nothing is
known but the name.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from augment.engines.base import EngineFailed
from augment.engines.grammar_probe import CANARY, CANARY_PROMPTS, CANARY_SYSTEM, CANARY_TOKENS, held, system_left_out
from augment.engines.openai.dialect import TOP, answer_text, chat_payload
from augment.engines.openai.http import KEPT, Reply, Server, ServerSilent
from augment.engines.openai.options import OpenAIOptions
from augment.messages import Message, Sampling

LIKELY = -4.0
"""Tokens below this log-probability (2 %) are not compared: there rounding counts for more."""
ALIKE = 0.5
"""The most by which log-probabilities of the same weights differ."""

Likeliest = tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Examined:
    """What was seen of a server that may be asked."""

    prompt_tokens: tuple[int, ...] = ()
    """Of the probe's prompts."""
    likeliest: tuple[Likeliest, ...] = ()
    """Of the first token of a free answer to each; () where the server does not say."""
    longest: int | None = None
    """Most tokens of a prompt and its answer; None where it does not say."""


async def examine(server: Server, options: OpenAIOptions, *, tries: int, compared: bool) -> Examined:
    """Asks what cannot be answered within a schema, and, where it is compared, what tells models apart.

    Args:
        server: who is asked.
        options: of this server.
        tries: how often a question is asked.
        compared: whether there are others that it shall be like.

    Raises:
        ServerSilent: it does not answer.
        EngineFailed: it answers, and cannot be used.
    """
    counts = await _counted(server, options, tries)
    if not compared:
        return Examined(counts)
    likeliest = []
    for prompt in CANARY_PROMPTS:
        payload = _free_question(options, prompt)
        reply = await server.ask(payload, prompt, tries=tries)
        if reply.lost:
            raise _silent(reply, options)
        listed = reply.answer.likeliest if reply.answer else ()
        likeliest.append(tuple((token, value) for token, value in listed if math.isfinite(value)))
    return Examined(counts, tuple(likeliest), await server.longest())


async def _counted(server: Server, options: OpenAIOptions, tries: int) -> tuple[int, ...]:
    """The tokens of the probe's prompts, each of which was answered within its schema."""
    room = int(CANARY_TOKENS * options.slack)
    counts = []
    for prompt in CANARY_PROMPTS:
        system = (Message("system", CANARY_SYSTEM),) if prompt == CANARY_PROMPTS[-1] else ()
        messages = (*system, Message("user", prompt))
        payload = chat_payload(options, messages, json.dumps(CANARY), "canary", room, Sampling(temperature=0.0))
        reply = await server.ask(payload, prompt, tries=tries)
        if reply.answer is None:
            raise reply.doubt or _silent(reply, options)
        text, _ = answer_text(reply.answer, options)
        if not held(text, compact=False):
            raise EngineFailed(
                f"the server does not hold answers to their schema: it wrote {text[:80]!r} where only "
                '{"canary": "amber"} or {"canary": "cobalt"} were possible',
                where=options.address,
                remedy="use a server that honours response_format json_schema, as vLLM does",
            )
        finish = reply.answer.finish_reason
        if finish != "stop":
            raise EngineFailed(
                f"the server ends a whole answer with finish_reason {finish!r} instead of 'stop', so it "
                "looks like one that was cut short",
                where=options.address,
                remedy="use a server that says 'stop', as vLLM does",
            )
        counts.append(reply.answer.usage.prompt)
    if system_left_out(counts):
        raise EngineFailed(
            f"the server leaves out the system text: it counts {counts[-1]} tokens with "
            f"{len(CANARY_SYSTEM.split())} words of it, and {max(counts[:-1])} without",
            where=options.address,
            remedy="start it with a chat template that has a system role (vllm serve --chat-template FILE)",
        )
    return tuple(counts)


def _free_question(options: OpenAIOptions, prompt: str) -> dict[str, Any]:
    payload: dict[str, Any] = {
        "model": options.model,
        "messages": [Message("user", prompt)._asdict()],
        "temperature": 0.0,
        "max_completion_tokens" if options.dialect == "openai" else "max_tokens": 1,
        "logprobs": True,
        "top_logprobs": TOP,
    }
    return payload | options.extra_body


def _silent(reply: Reply, options: OpenAIOptions) -> ServerSilent:
    return ServerSilent(f"the server does not answer ({reply.reason})", where=options.address, remedy=KEPT)


def difference(first: Examined, other: Examined) -> str:
    """By what another server shows that it is not the same model as the first; "" where it shows nothing."""
    for one, two in zip(first.prompt_tokens, other.prompt_tokens, strict=True):
        if one and two and one != two:
            return f"one counts {one} tokens in a prompt and the other {two}"
    if first.longest and other.longest and first.longest != other.longest:
        return f"one takes {first.longest} tokens at most and the other {other.longest}"
    gap = largest_gap(first, other)
    return f"the log-probabilities of the same words differ by {gap:.2f}" if gap is not None and gap > ALIKE else ""


def largest_gap(first: Examined, other: Examined) -> float | None:
    """How far two servers' log-probabilities of likely first words are apart; None where one gives none."""
    pairs = [pair for pair in zip(first.likeliest, other.likeliest, strict=True) if all(pair)]
    return max((max(_gap(one, two), _gap(two, one)) for one, two in pairs), default=None)


def _gap(one: Likeliest, two: Sequence[tuple[str, float]]) -> float:
    """A word that is not among the other's is at most as likely there as the last of them."""
    known, floor = dict(two), min(value for _, value in two)
    return max((value - known.get(token, floor) for token, value in one if value >= LIKELY), default=0.0)


def evidence(first: Examined, other: Examined) -> str:
    """What speaks for it that two servers have the same model, in words."""
    gap = largest_gap(first, other)
    counted = all((*first.prompt_tokens, *other.prompt_tokens))
    tokens = "the same number of tokens in the same prompts" if counted else "tokens are not counted"
    weights = "no log-probabilities are given" if gap is None else f"log-probabilities at most {gap:.2g} apart"
    return f"{tokens}, {weights}"
