"""Any OpenAI-compatible server: `vllm serve` on another machine first, paid APIs where the config names one.

Questions fly side by side, at most `concurrency` of them at each server, and each answer is handed on as it arrives;
`augment.engines.openai.endpoints` says which server is asked. Silence is never a failure of a request: it stays
unanswered, and `give_up` silent ones in a row, over all blocks, end the run. What is refused is held back until another
request of the same task was answered: if all are refused, the run ends.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from augment.accounting.endpoints import Accounts
from augment.engines.base import BROKEN_OFF, Engine, EngineFailed, EngineInputs
from augment.engines.openai.dialect import Scores, answer_text, chat_payload, read_scores, scoring_payload
from augment.engines.openai.endpoints import Endpoints
from augment.engines.openai.http import KEPT, Reply
from augment.engines.openai.options import OpenAIOptions
from augment.messages import Completion, FinishReason, Request
from augrec.artefacts.errors import AugrecError

BLOCKS = 64
"""Multiples of `concurrency` handed over at once; large, so that draining is rare."""
MOST_FINGERPRINTS = 20


@dataclass(frozen=True)
class Outcome:
    """A completion, and for a refusal what it means when the server refuses every request of its task."""

    completion: Completion
    doubt: AugrecError | None = None


class OpenAIEngine(Engine):
    """See Engine."""

    def __init__(self, options: OpenAIOptions) -> None:
        self._options = options
        self.identity: dict[str, Any] = {
            "engine": "openai",
            "model": options.model,
            "revision": options.revision,
            "dialect": options.dialect,
            "extra_body": options.deciding,
        }
        self._most_flying = sum(one.concurrency for one in options.each)
        self.block = self._most_flying * BLOCKS
        self._loop: asyncio.AbstractEventLoop | None = None
        self._endpoints: Endpoints | None = None
        self._checked = False
        self._fingerprints: set[str] = set()
        self._silent = 0
        self._lost: list[Completion] = []
        self._answered: set[str] = set()
        self._refused: dict[str, list[Completion]] = {}
        self._doubts: dict[str, AugrecError] = {}

    def __exit__(self, *raised: object) -> None:
        if self._loop is not None and self._endpoints is not None:
            self._loop.run_until_complete(self._endpoints.close())
            self._loop.close()
        self._loop = self._endpoints = None
        self._checked = False

    def start(self) -> None:
        """See Engine. Asks what cannot be answered within a schema: a server that ignores schemas is found out here."""
        if self._checked:
            return
        self._endpoints = Endpoints(self._options)
        self._loop = asyncio.new_event_loop()
        self._loop.run_until_complete(self._endpoints.start())
        self._checked = True

    def check_labels(self, labels: Sequence[str]) -> None:
        """Not known here: whether the server gives log-probabilities shows in its first answer."""

    def run(self, requests: Sequence[Request]) -> Iterator[Completion]:
        """See Engine. Raises AugrecError when the server refuses everything or stops answering."""
        self.start()
        assert self._loop is not None
        assert self._endpoints is not None
        waiting = iter(requests)
        flying: set[asyncio.Task[Outcome]] = set()
        returned = self._loop.create_task(self._endpoints.returned())
        try:
            while True:
                while len(flying) < self._endpoints.capacity and (request := next(waiting, None)) is not None:
                    flying.add(self._loop.create_task(self._answer(request)))
                if not flying:
                    yield from self._release()
                    return
                awaited = asyncio.wait({*flying, returned}, return_when=asyncio.FIRST_COMPLETED)
                self._loop.run_until_complete(awaited)
                if returned.done():
                    returned = self._loop.create_task(self._endpoints.returned())
                done = {task for task in flying if task.done()}
                flying -= done
                for task in sorted(done, key=_trouble):
                    yield from self._judged(task.result())
        finally:
            begun: list[asyncio.Task[Any]] = [*flying, returned]
            for one in begun:
                one.cancel()
            self._loop.run_until_complete(asyncio.gather(*begun, return_exceptions=True))

    def describe(self) -> dict[str, Any]:
        """See Engine. Holds no key."""
        return {
            **self.identity,
            "llm": True,
            **({"base_url": self._options.base_url} if self._options.base_url else {}),
            "extra_body": self._options.extra_body,
            "concurrency": self._options.concurrency,
            "system_fingerprints": sorted(self._fingerprints),
            "retried": dict(sorted(self._endpoints.retried.items())) if self._endpoints else {},
        }

    def accounts(self) -> Accounts:
        """See Engine."""
        each = self._endpoints.each if self._endpoints else ()
        return {str(endpoint.options.base_url): endpoint.counts for endpoint in each}

    def _judged(self, outcome: Outcome) -> Iterator[Completion]:
        """Hands on what is certain: an answer, silence, and refusals once the server answers others of their task."""
        completion, task = outcome.completion, outcome.completion.request.task
        if completion.unanswered:
            self._silent += 1
            self._give_up(completion)
            self._lost.append(replace(completion, unanswered=not self._options.record_unanswered))
        elif outcome.doubt is not None and not self._options.record_unanswered and task not in self._answered:
            self._doubts.setdefault(task, outcome.doubt)
            refused = self._refused.setdefault(task, [])
            refused.append(completion)
            # Refusals come faster than answers, of which as many may be under way as may fly.
            if len(refused) >= self._options.give_up + 4 * self._most_flying:
                raise outcome.doubt
        else:
            self._silent = 0
            yield from self._lost
            self._lost.clear()
            if completion.finish_reason != "error":
                self._answered.add(task)
                yield from self._refused.pop(task, ())
            yield completion

    def _release(self) -> Iterator[Completion]:
        """What is still held back at the end of a block. Raises where all that is known of a task are refusals."""
        for task in self._refused:
            raise self._doubts[task]
        yield from self._lost
        self._lost.clear()

    def _give_up(self, last: Completion) -> None:
        """Ends the run when request after request stays unanswered."""
        if self._silent >= self._options.give_up:
            raise EngineFailed(
                f"the server stopped answering: {self._silent} requests in a row failed, the last with {last.error!r}",
                where=self._options.address,
                remedy=f"see to the server; {KEPT}",
            )

    async def _answer(self, request: Request) -> Outcome:
        """What becomes of a request."""
        assert self._endpoints is not None
        began = time.monotonic()
        reply = await self._endpoints.ask(self.payload(request), request.name)
        return self._outcome(request, reply, time.monotonic() - began)

    def payload(self, request: Request) -> dict[str, Any]:
        """The body of a request."""
        answer, labels = request.draft.answer, request.draft.labels
        if labels:
            return scoring_payload(self._options, request.draft.messages, labels)
        room = int(answer.max_tokens * self._options.slack)
        grammar = request.grammar or answer.grammar
        drawn = (request.sampling, request.seed, "" if request.grammar else answer.ebnf)
        return chat_payload(self._options, request.draft.messages, grammar, request.task, room, *drawn)

    def _outcome(self, request: Request, reply: Reply, seconds: float) -> Outcome:
        answer = reply.answer
        if answer is None:
            return Outcome(
                Completion(
                    request,
                    text="",
                    finish_reason="error",
                    answer=request.draft.answer,
                    busy=seconds,
                    error=reply.reason,
                    unanswered=reply.lost,
                ),
                reply.doubt,
            )
        if answer.fingerprint and len(self._fingerprints) < MOST_FINGERPRINTS:
            self._fingerprints.add(answer.fingerprint)
        text, problem = answer_text(answer, self._options)
        reason: FinishReason = answer.finish_reason if answer.finish_reason in ("stop", "length") else "error"  # type: ignore[assignment]
        error = problem or None if reason != "error" else f"engine_error: finished with {answer.finish_reason}"
        if answer.refusal:
            reason, error = "error", f"refused_by_engine: {answer.refusal[:200]}"
        scores: Scores | None = None
        if request.draft.labels and error is None:
            scores = read_scores(answer.likeliest, request.draft.labels, self._options)
            reason, error = ("stop", None) if scores.logprobs else ("error", scores.problem)
        usage = answer.usage
        odd = (f"usage: {', '.join(usage.odd)} not a count, taken as 0",) if usage.odd else ()
        completion = Completion(
            request,
            text,
            reason,
            request.draft.answer,
            prompt_tokens=usage.prompt,
            completion_tokens=usage.completion,
            cached_tokens=usage.cached,
            busy=seconds,
            error=error,
            label_logprobs=scores.logprobs if scores else (),
            notes=(*(scores.notes if scores else ()), *odd),
            unanswered=answer.finish_reason in BROKEN_OFF,
        )
        return Outcome(completion, scores.doubt if scores else None)


def _trouble(task: asyncio.Task[Outcome]) -> int:
    """Answers first, then what may end the run, then errors, so that what was answered is handed on before."""
    if task.exception() is not None:
        return 2
    outcome = task.result()
    return int(outcome.completion.unanswered or outcome.doubt is not None)


def build(options: OpenAIOptions, inputs: EngineInputs) -> OpenAIEngine:
    """See `augment.engines.registry`."""
    return OpenAIEngine(options)
