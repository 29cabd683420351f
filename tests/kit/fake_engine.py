"""An engine that answers without a model, and the answers that a model held by a grammar might give."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from augment.engines.base import Engine
from augment.messages import Completion, Messages, Request


def legal(schema: dict[str, Any], rng: random.Random, definitions: dict[str, Any] | None = None) -> Any:
    """A value the schema allows, drawn at random; what a model held by the grammar might write."""
    definitions = schema.get("$defs", {}) if definitions is None else definitions
    if "$ref" in schema:
        return legal(definitions[schema["$ref"].rpartition("/")[2]], rng, definitions)
    if "anyOf" in schema:
        return legal(rng.choice(schema["anyOf"]), rng, definitions)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return rng.choice(schema["enum"])
    if schema["type"] == "object":
        return {name: legal(field, rng, definitions) for name, field in schema["properties"].items()}
    if schema["type"] == "array":
        count = rng.randint(schema.get("minItems", 0), schema["maxItems"])
        return [legal(schema["items"], rng, definitions) for _ in range(count)]
    return rng.choice(["Jane Doe", "Zoë Ångström", "Li"])


def honest(request: Request, company: Sequence[Request]) -> str:
    """An answer within the grammar that depends on the request's seed only."""
    grammar = json.loads(request.grammar or request.draft.answer.grammar)
    return json.dumps(legal(grammar, random.Random(request.seed)), ensure_ascii=False, separators=(",", ":"))


def sociable(request: Request, company: Sequence[Request]) -> str:
    """Like `honest`, but another answer when other requests are in the batch: what rounding does to a real model."""
    others = hashlib.sha256("".join(other.name for other in company).encode()).hexdigest()
    grammar = json.loads(request.grammar or request.draft.answer.grammar)
    return json.dumps(legal(grammar, random.Random(f"{request.seed}{others}")), separators=(",", ":"))


class FakeEngine(Engine):
    """Words are tokens. `answer(request, block)` writes the text; dies with `Killed` after `lives` completions."""

    def __init__(
        self,
        answer: Callable[[Request, Sequence[Request]], str | Completion] = honest,
        *,
        context: int | None = None,
        block: int = 8,
        exact: bool = False,
        lives: int | None = None,
    ) -> None:
        self.identity: dict[str, Any] = {"engine": "fake"}
        self.answer, self.context, self.block, self.exact, self.lives = answer, context, block, exact, lives
        self.starts, self.asked = 0, list[Request]()

    def start(self) -> None:
        self.starts += 1

    def count_tokens(self, messages: Messages) -> int:
        return sum(len(message.content.split()) for message in messages)

    def run(self, requests: Sequence[Request]) -> Iterator[Completion]:
        for request in sorted(requests, key=lambda request: request.seed):
            if self.lives is not None:
                if self.lives == 0:
                    raise Killed
                self.lives -= 1
            self.asked.append(request)
            written = self.answer(request, requests)
            if isinstance(written, Completion):
                yield written
            else:
                tokens = self.count_tokens(request.draft.messages)
                yield Completion(request, written, "stop", request.draft.answer, tokens, len(written), tokens // 2, 0.1)

    def describe(self) -> dict[str, Any]:
        return {"engine": "fake", "starts": self.starts}


class Killed(Exception):
    """The process died here."""
