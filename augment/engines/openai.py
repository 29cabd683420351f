"""Any OpenAI-compatible server: `vllm serve` on another machine first, paid APIs where the config names one.

Questions fly side by side, at most `concurrency` of them, and each answer is handed on as it arrives. A server that
stops answering ends the run before its silence is written down as failures.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator, Sequence
from functools import lru_cache
from types import TracebackType
from typing import Any

from artefacts.errors import AugrecError
from augment.engines.canary import CANARY, CANARY_PROMPTS, CANARY_TOKENS, held
from augment.engines.openai_http import KEPT, Reply, Server
from augment.engines.openai_scoring import Scores, read_scores, scoring_payload
from augment.options import OpenAIOptions
from augment.sampling import Sampling
from augment.shapes import Completion, FinishReason, Message, Messages, Request

BLOCKS = 64
"""Multiples of `concurrency` handed over at once; large, so that draining is rare."""
WRAPPER = "answer"


class OpenAIEngine:
    """See Engine."""

    def __init__(self, options: OpenAIOptions) -> None:
        self._options = options
        self.identity: dict[str, Any] = {
            "engine": "openai",
            "model": options.model,
            "revision": options.revision,
            "dialect": options.dialect,
            "extra_body": options.extra_body,
        }
        self.context: int | None = None
        self.block = options.concurrency * BLOCKS
        self.exact = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._server: Server | None = None
        self._checked = False
        self._fingerprints: set[str] = set()
        self._schema = lru_cache(maxsize=256)(self._wrapped)

    def __enter__(self) -> OpenAIEngine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._loop is not None and self._server is not None:
            self._loop.run_until_complete(self._server.close())
            self._loop.close()
        self._loop = self._server = None
        self._checked = False

    def start(self) -> None:
        """See Engine. Asks what cannot be answered within a schema: a server that ignores schemas is found out here."""
        if self._checked:
            return
        self._server = Server(self._options)
        self._loop = asyncio.new_event_loop()
        room = int(CANARY_TOKENS * self._options.slack)
        for prompt in CANARY_PROMPTS:
            payload = self._payload((Message("user", prompt),), json.dumps(CANARY), "canary", room)
            reply = self._loop.run_until_complete(self._server.ask(payload, prompt, patient=False))
            if reply.body is None:
                raise AugrecError(
                    f"the server does not answer ({reply.reason})", where=self._options.base_url, remedy=KEPT
                )
            text = self._text(reply.body)
            if not held(text, compact=False):
                raise AugrecError(
                    f"the server does not hold answers to their schema: it wrote {text[:80]!r} where only "
                    '{"canary": "amber"} or {"canary": "cobalt"} were possible',
                    where=self._options.base_url,
                    remedy="use a server that honours response_format json_schema, as vLLM does",
                )
        self._checked = True

    def count_tokens(self, messages: Messages) -> int:
        """Not known here: only the server has the tokenizer. It is not asked, as there is no context to fit."""
        return 0

    def check_labels(self, labels: Sequence[str]) -> None:
        """Not known here: whether the server gives log-probabilities shows in its first answer."""

    def forget(self) -> None:
        """The server's cache is its own."""

    def run(self, requests: Sequence[Request]) -> Iterator[Completion]:
        """See Engine. Raises AugrecError when the server refuses everything or stops answering."""
        self.start()
        assert self._loop is not None
        waiting = iter(requests)
        flying: set[asyncio.Task[tuple[Completion, bool]]] = set()
        lost: list[Completion] = []
        try:
            while True:
                while len(flying) < self._options.concurrency and (request := next(waiting, None)) is not None:
                    flying.add(self._loop.create_task(self._answer(request)))
                if not flying:
                    yield from lost
                    return
                done, flying = self._loop.run_until_complete(asyncio.wait(flying, return_when=asyncio.FIRST_COMPLETED))
                for task in sorted(done, key=_trouble):
                    completion, silent = task.result()
                    if silent:
                        lost.append(completion)
                        self._give_up(lost)
                    else:
                        yield from lost
                        lost.clear()
                        yield completion
        finally:
            for task in flying:
                task.cancel()
            if flying:
                self._loop.run_until_complete(asyncio.gather(*flying, return_exceptions=True))

    def describe(self) -> dict[str, Any]:
        """See Engine. Holds no key."""
        return {
            **self.identity,
            "base_url": self._options.base_url,
            "concurrency": self._options.concurrency,
            "system_fingerprints": sorted(self._fingerprints),
            "retried": dict(sorted(self._server.retried.items())) if self._server else {},
        }

    def _give_up(self, lost: list[Completion]) -> None:
        """Ends the run when request after request stays unanswered: they are not recorded, and asked next time."""
        if len(lost) >= self._options.give_up:
            raise AugrecError(
                f"the server stopped answering: {len(lost)} requests in a row failed, the last with {lost[-1].error!r}",
                where=self._options.base_url,
                remedy=KEPT,
            )

    async def _answer(self, request: Request) -> tuple[Completion, bool]:
        """The completion of a request, and whether the server was silent."""
        assert self._server is not None
        began = time.monotonic()
        reply = await self._server.ask(self.payload(request), request.name)
        return self._completion(request, reply, time.monotonic() - began), reply.lost

    def payload(self, request: Request) -> dict[str, Any]:
        """The body of a request."""
        answer, labels = request.draft.answer, request.draft.labels
        if labels:
            return scoring_payload(self._options, request.draft.messages, labels)
        room = int(answer.max_tokens * self._options.slack)
        grammar = request.grammar or answer.grammar
        return self._payload(request.draft.messages, grammar, request.task, room, request.sampling, request.seed)

    def _payload(
        self,
        messages: Messages,
        grammar: str,
        name: str,
        room: int,
        sampling: Sampling | None = None,
        seed: int = 0,
    ) -> dict[str, Any]:
        drawn = sampling or Sampling(temperature=0.0)
        official = self._options.dialect == "openai"
        payload: dict[str, Any] = {
            "model": self._options.model,
            "messages": [message._asdict() for message in messages],
            "temperature": drawn.temperature,
            "top_p": drawn.top_p,
            "seed": seed,
            "max_completion_tokens" if official else "max_tokens": room,
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": name, "strict": True, "schema": self._schema(grammar)},
            },
        }
        if not official:
            payload |= {"top_k": drawn.top_k or -1, "repetition_penalty": drawn.repetition_penalty}
        return payload | self._options.extra_body

    def _wrapped(self, grammar: str) -> dict[str, Any]:
        """The schema; inside an object for OpenAI, whose schemas may not begin with a choice."""
        schema = json.loads(grammar)
        if self._options.dialect != "openai":
            return schema
        definitions = schema.pop("$defs", None)
        outer = {
            "type": "object",
            "properties": {WRAPPER: schema},
            "required": [WRAPPER],
            "additionalProperties": False,
        }
        return outer if definitions is None else outer | {"$defs": definitions}

    def _text(self, body: dict[str, Any]) -> str:
        """The answer's text, taken out of its object where it was put into one."""
        text = body["choices"][0]["message"].get("content") or ""
        if self._options.dialect == "openai":
            try:
                return json.dumps(json.loads(text)[WRAPPER], ensure_ascii=False, separators=(",", ":"))
            except (ValueError, LookupError, TypeError):
                return text
        return text

    def _completion(self, request: Request, reply: Reply, seconds: float) -> Completion:
        if reply.body is None:
            return Completion(request, "", "error", request.draft.answer, busy=seconds, error=reply.reason)
        choice, usage = reply.body["choices"][0], reply.body.get("usage") or {}
        if fingerprint := reply.body.get("system_fingerprint"):
            self._fingerprints.add(str(fingerprint))
        finished = choice.get("finish_reason")
        reason: FinishReason = finished if finished in ("stop", "length") else "error"
        error = None if reason != "error" else f"engine_error: finished with {finished}"
        if refusal := choice["message"].get("refusal"):
            reason, error = "error", f"refused_by_engine: {str(refusal)[:200]}"
        scores: Scores | None = None
        if request.draft.labels and error is None:
            scores = read_scores(choice, request.draft.labels, self._options)
            reason, error = ("stop", None) if scores.logprobs else ("error", scores.problem)
        return Completion(
            request,
            self._text(reply.body),
            reason,
            request.draft.answer,
            prompt_tokens=usage.get("prompt_tokens") or 0,
            completion_tokens=usage.get("completion_tokens") or 0,
            cached_tokens=(usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0,
            busy=seconds,
            error=error,
            label_logprobs=scores.logprobs if scores else (),
            notes=scores.notes if scores else (),
        )


def _trouble(task: asyncio.Task[tuple[Completion, bool]]) -> int:
    """Answers first, then silence, then errors, so that what was answered is handed on before an error ends the run."""
    if task.exception() is not None:
        return 2
    return int(task.result()[1])
