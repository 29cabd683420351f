"""What is sent to an OpenAI-compatible server, and what its answers mean: `dialect` says with which parameters.

vLLM's dialect has parameters of its own. OpenAI's schemas may not begin with a choice, so an answer is inside an object
there. A scored request asks for one token with the log-probabilities of the likeliest twenty. A label that is not among
them is at most as likely as the last of them: it gets that floor, which is noted in the record's repairs. In vLLM's the
token is held to the labels, so that up to twenty are complete; OpenAI's has no such parameter, and a token counts for a
label when it is the label but for white space.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from augment.answers.scoring import LEAST
from augment.engines.openai.options import OpenAIOptions
from augment.engines.openai.reply import ChatReply
from augment.messages import Messages, Sampling
from augrec.artefacts.errors import AugrecError, UsageError
from augrec.artefacts.visible import without_surrogates

WRAPPER = "answer"
"""The key of an answer in the object that OpenAI's dialect puts it into."""
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


def chat_payload(
    options: OpenAIOptions,
    messages: Messages,
    grammar: str,
    name: str,
    room: int,
    sampling: Sampling,
    seed: int = 0,
    ebnf: str = "",
) -> dict[str, Any]:
    """The body of a request for an answer in the shape of a JSON schema, or of rules where the server takes them.

    Args:
        options: the engine's.
        messages: the prompt.
        grammar: the schema as text.
        name: of the schema.
        room: most tokens of the answer.
        sampling: how they are drawn.
        seed: of the draw.
        ebnf: rules that say more than the schema, see `Answer.ebnf`; OpenAI takes none.
    """
    official = options.dialect == "openai"
    payload: dict[str, Any] = {
        "model": options.model,
        "messages": [message._asdict() for message in messages],
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "seed": seed,
        "max_completion_tokens" if official else "max_tokens": room,
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": name, "strict": True, "schema": _schema(grammar, wrapped=official)},
        },
    }
    if not official:
        payload |= {"top_k": sampling.top_k or -1, "repetition_penalty": sampling.repetition_penalty}
        if ebnf:
            del payload["response_format"]
            payload["structured_outputs"] = {"grammar": ebnf}
    return payload | options.extra_body


@lru_cache(maxsize=256)
def _schema(grammar: str, *, wrapped: bool) -> dict[str, Any]:
    """The schema; inside an object for OpenAI, whose schemas may not begin with a choice."""
    schema: dict[str, Any] = json.loads(grammar)
    if not wrapped:
        return schema
    definitions = schema.pop("$defs", None)
    outer = {
        "type": "object",
        "properties": {WRAPPER: schema},
        "required": [WRAPPER],
        "additionalProperties": False,
    }
    return outer if definitions is None else outer | {"$defs": definitions}


def answer_text(answer: ChatReply, options: OpenAIOptions) -> tuple[str, str]:
    """The answer's text, taken out of its object where it was put into one, and what is wrong with it."""
    text, problem = answer.text, answer.problem
    if options.dialect == "openai" and not problem:
        try:
            text = json.dumps(json.loads(text)[WRAPPER], ensure_ascii=False, separators=(",", ":"))
        except (ValueError, LookupError, TypeError, RecursionError):
            return text, ""
        if without_surrogates(text) != text:
            return without_surrogates(text), "malformed: the text holds a lone surrogate"
    return text, problem


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
            where=options.address,
            remedy="set generation.tasks.edges.mode: choose, or use a server and a model with `logprobs`",
        )
        return Scores((), problem="no_logprobs: the answer holds no log-probabilities", doubt=doubt)
    scores: dict[str, float] = {}
    possible = [(token.strip(), value) for token, value in listed if LEAST < value < MOST]
    for token, value in possible:
        if token in labels:
            scores[token] = _either(scores[token], value) if token in scores else value
    if not scores:
        return Scores((), problem="no_label: none of the labels is among the likeliest tokens")
    floor = min(value for _, value in possible) if len(possible) == len(listed) else LEAST
    missing = [label for label in labels if label not in scores]
    notes = (f"scores: {', '.join(missing)} at the floor {floor:.2f}",) if missing else ()
    return Scores(tuple(scores.get(label, floor) for label in labels), notes)


def _either(first: float, second: float) -> float:
    """The log-probability of one token or the other."""
    most = max(first, second)
    return most + math.log(math.exp(first - most) + math.exp(second - most))
