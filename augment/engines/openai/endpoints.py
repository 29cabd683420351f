"""Several servers of one model, which share the requests of a run by how fast they answer.

A request waits for a free place at any server that is there; whoever answers frees one and takes the next, so that a
server twice as fast answers twice as many. What fails is asked elsewhere at once, and at the same server after a wait
that doubles. A server whose connection breaks, or that fails `SILENT_IN_A_ROW` times, is away: it gets nothing until it
answers the questions of `examination` again, which also show that it still has the same model. Where all are away, or
there is one server only, requests wait for it as long as `retries` says and stay unanswered then.

What one server refuses is asked at every other one that is there before it is final: it may have been started otherwise
than they were. The first answer counts; where all refuse, the first refusal.

A request is asked at one place at a time. One that was under way at `MOST_ENDS` servers as they went away, and that are
still away, may be what ends them: it is not given to another one, and stays unanswered.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from typing import Any

from augment.accounting.endpoints import EndpointCounts
from augment.engines.base import EngineFailed
from augment.engines.openai.examination import Examined, difference, evidence, examine
from augment.engines.openai.http import Reply, Server, ServerSilent, Trouble
from augment.engines.openai.options import OpenAIOptions
from augrec.artefacts.errors import AugrecError
from augrec.artefacts.progress import say

NOT_EXAMINED = "not examined yet"
SILENT_IN_A_ROW = 3
MOST_ENDS = 2
GRACE = 30.0
"""Seconds that servers are waited for at the start when one is there already."""


class Endpoint:
    """One of the servers.

    Attributes:
        taken: places that are taken, by requests and by waits after a failure.
        away: why it is asked nothing; "" while it is there.
        barred: whether it is never asked again, because it has another model.
        refused: what it said of every request, e.g. of the key, since it was there last.
        overruled: whether it refused what another one answered.
        counts: see EndpointCounts.
    """

    def __init__(self, options: OpenAIOptions) -> None:
        self.options, self.server = options, Server(options)
        self.taken = self.silent = 0
        self.away = ""
        self.barred = False
        self.refused: AugrecError | None = None
        self.overruled = False
        self.counts = EndpointCounts()

    @property
    def full(self) -> bool:
        """Whether no place is free."""
        return self.taken >= self.options.concurrency

    def count(self, outcome: Reply | Trouble) -> None:
        """Counts one try."""
        self.counts.asked += 1
        if isinstance(outcome, Trouble):
            self.silent += not outcome.busy
            self.counts.failures[outcome.reason.partition(":")[0]] += 1
            return
        self.silent = 0
        if outcome.answer is None:
            self.counts.refused += 1
            return
        usage = outcome.answer.usage
        self.counts.answered += 1
        self.counts.prompt_tokens += usage.prompt
        self.counts.completion_tokens += usage.completion
        self.counts.cached_tokens += usage.cached


@dataclass
class Visit:
    """What befell one request so far."""

    draw: random.Random
    """Spreads its waits."""
    tries: Counter[Endpoint] = field(default_factory=Counter)
    not_before: dict[Endpoint, float] = field(default_factory=dict)
    lost_at: set[Endpoint] = field(default_factory=set)
    """Where the connection broke while it was under way."""
    refusals: dict[Endpoint, Reply] = field(default_factory=dict)
    """What servers said of it that will not answer it, in this order."""
    reason: str = ""


class Endpoints:
    """The servers of an engine. Opens no socket before `start`.

    Args:
        options: the engine's.
    """

    def __init__(self, options: OpenAIOptions) -> None:
        self._options = options
        self.each = [Endpoint(own) for own in options.each]
        self._changed, self._back = asyncio.Event(), asyncio.Event()
        self._returning: dict[Endpoint, asyncio.Task[None]] = {}
        self._like: tuple[Endpoint, Examined] | None = None

    @property
    def capacity(self) -> int:
        """How many requests may be under way now."""
        return sum(endpoint.options.concurrency for endpoint in self._there() or self._usable() or self.each)

    @property
    def retried(self) -> Counter[str]:
        """Tries without an answer, by reason."""
        return sum((endpoint.server.retried for endpoint in self.each), Counter())

    async def start(self) -> None:
        """Examines every server; waits for those that are slow to answer a moment, where another one is there.

        Raises:
            AugrecError: no server answers, or one of them cannot be used or has another model.
        """
        if len(self.each) == 1:
            tries = self._options.retries + 1
            await examine(self.each[0].server, self.each[0].options, tries=tries, compared=False)
            return
        for endpoint in self.each:
            endpoint.away = NOT_EXAMINED
            self._await_return(endpoint)
        loop, until = asyncio.get_running_loop(), None
        while any(endpoint.away == NOT_EXAMINED for endpoint in self.each):
            if self._there():
                until = until or loop.time() + GRACE
                if loop.time() >= until:
                    break
            await self._change(until)
            self._raise_refusals()
        self._raise_refusals()
        if not self._there():
            first = self.each[0].away
            raise ServerSilent(
                f"none of the {len(self.each)} endpoints answers; of the first: {first}",
                where=self._options.address,
                remedy="start them, e.g. `vllm serve MODEL`, or mend `endpoints`",
            )

    async def returned(self) -> None:
        """Waits until a server comes back, so that `capacity` has grown."""
        await self._back.wait()

    async def close(self) -> None:
        """Closes every connection."""
        tasks = list(self._returning.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for endpoint in self.each:
            await endpoint.server.close()

    async def ask(self, payload: dict[str, Any], name: str) -> Reply:
        """Asks one question until a server answers it, all refuse it, or all were asked as often as they may.

        Args:
            payload: the body.
            name: of the request; decides how waits are spread.

        Raises:
            AugrecError: no server is left that does not refuse every request.
        """
        visit = Visit(random.Random(name))
        while (endpoint := await self._place(visit)) is not None:
            release = partial(self._release, endpoint)
            try:
                outcome = await self._try(endpoint, payload)
            except EngineFailed as refused:
                release()
                endpoint.refused = refused
                if not [other for other in self._there() if other is not endpoint]:
                    raise
                self._leave(endpoint, refused.what)
                continue
            except BaseException:
                release()
                raise
            if isinstance(outcome, Reply):
                release()
                if outcome.answer is not None:
                    _overrule(visit)
                    return outcome
                visit.refusals[endpoint] = outcome
                continue
            wait = self._miss(visit, endpoint, outcome)
            if wait:  # the place is not given to another request meanwhile: the server has trouble enough
                asyncio.get_running_loop().call_later(wait, release)
            else:
                release()
        if visit.refusals:
            return next(iter(visit.refusals.values()))
        if not self._usable():
            self._raise_refusals()
        return Reply(None, f"{visit.reason}, {visit.tries.total()} times", lost=True)

    async def _try(self, endpoint: Endpoint, payload: dict[str, Any]) -> Reply | Trouble:
        if endpoint.away:  # as all of them are: what comes back may be another model, and is examined first
            return Trouble(f"endpoint_away: {endpoint.away}")
        outcome = await endpoint.server.once(payload)
        endpoint.count(outcome)
        return outcome

    def _miss(self, visit: Visit, endpoint: Endpoint, trouble: Trouble) -> float:
        """Notes that a try gave no answer; seconds until this server may be asked the same again, 0 for never."""
        wait = endpoint.server.wait(visit.tries[endpoint], trouble.wait, visit.draw)
        visit.tries[endpoint] += 1
        visit.reason = trouble.reason
        if trouble.connection == "lost":
            visit.lost_at.add(endpoint)
        if len(self.each) > 1 and (trouble.connection or endpoint.silent >= SILENT_IN_A_ROW):
            self._leave(endpoint, trouble.reason)
        if visit.tries[endpoint] > self._options.retries:
            return 0.0
        visit.not_before[endpoint] = asyncio.get_running_loop().time() + wait
        return wait

    async def _place(self, visit: Visit) -> Endpoint | None:
        """A place for a request, as soon as one is free; None where there is nobody left to ask."""
        now = asyncio.get_running_loop().time
        while True:
            there = self._there()
            if there and sum(bool(endpoint.away) for endpoint in visit.lost_at) >= MOST_ENDS:
                return None
            asked = there if visit.refusals else there or self._usable()  # a refusal waits for nobody who is away
            left = [one for one in asked if one not in visit.refusals and visit.tries[one] <= self._options.retries]
            if not left:
                return None
            free = [one for one in left if not one.full and visit.not_before.get(one, 0.0) <= now()]
            if free:
                best = min(free, key=lambda one: (visit.tries[one], one.taken / one.options.concurrency))
                best.taken += 1
                return best
            await self._change(
                min((at for one in left if (at := visit.not_before.get(one, 0.0)) > now()), default=None)
            )

    def _leave(self, endpoint: Endpoint, reason: str) -> None:
        """Asks a server nothing until it has shown that it is well."""
        if not endpoint.away:
            endpoint.away, endpoint.silent = reason, 0
            self._await_return(endpoint)
            self._tell()

    def _await_return(self, endpoint: Endpoint) -> None:
        task = asyncio.get_running_loop().create_task(self._return(endpoint))
        task.add_done_callback(lambda _: self._tell())  # whoever waits sees it, should it have broken off
        self._returning[endpoint] = task

    async def _return(self, endpoint: Endpoint) -> None:
        """Examines a server that is away until it may be asked again."""
        told = False
        for attempt in count():
            tries = self._options.retries + 1 if endpoint.away == NOT_EXAMINED else 1
            try:
                found = await examine(endpoint.server, endpoint.options, tries=tries, compared=True)
            except AugrecError as problem:
                silent = isinstance(problem, ServerSilent)
                endpoint.away, endpoint.refused = problem.what, None if silent else problem
            else:
                self._admit(endpoint, found)
            self._tell()
            if not endpoint.away and told:
                say(f"openai  {endpoint.options.base_url} is there again")
            if not endpoint.away or endpoint.barred:
                return
            if not told:
                say(f"openai  {endpoint.options.base_url} is away: {endpoint.away}")
                told = True
            await asyncio.sleep(min(self._options.backoff * 2 ** min(attempt, 20), self._options.longest_wait))

    def _admit(self, endpoint: Endpoint, found: Examined) -> None:
        """Lets a server be asked that has the model of the one that was there first."""
        first, like = self._like or (endpoint, found)
        unlike = difference(like, found)
        if unlike:
            endpoint.barred, endpoint.away = True, f"it serves another model: {unlike}"
            endpoint.refused = EngineFailed(
                f"the endpoints serve different models under the name '{self._options.model}': {unlike}",
                where=f"{first.options.base_url} and {endpoint.options.base_url}",
                remedy="name endpoints of the same weights, settings and vLLM, or a source for each model",
            )
            say(f"openai  {endpoint.options.base_url} is left out: {endpoint.away}")
            return
        self._like = first, like
        if first is not endpoint:
            endpoint.counts.evidence = evidence(like, found)
        endpoint.away, endpoint.refused = "", None
        self._back.set()
        self._back = asyncio.Event()

    def _raise_refusals(self) -> None:
        for task in self._returning.values():
            if task.done():
                task.result()  # raises what nobody expected
        for endpoint in self.each:
            if endpoint.refused is not None:
                raise endpoint.refused

    def _usable(self) -> list[Endpoint]:
        return [endpoint for endpoint in self.each if not endpoint.barred]

    def _there(self) -> list[Endpoint]:
        return [endpoint for endpoint in self.each if not endpoint.away]

    def _release(self, endpoint: Endpoint) -> None:
        endpoint.taken -= 1
        self._tell()

    def _tell(self) -> None:
        """Wakes whoever waits for a place."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def _change(self, until: float | None) -> None:
        """Waits for a free place or a server that comes or goes, until some time of the loop's clock."""
        with suppress(TimeoutError):
            async with asyncio.timeout_at(until):
                await self._changed.wait()


def _overrule(visit: Visit) -> None:
    """Says of each server once that it refuses what another one answers."""
    for endpoint, refusal in visit.refusals.items():
        if not endpoint.overruled:
            endpoint.overruled = True
            say(f"openai  {endpoint.options.base_url} refuses what another endpoint answers: {refusal.reason}")
