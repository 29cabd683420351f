"""One question to an OpenAI-compatible server: what is worth asking again, and what ends the run.

Busy servers (429), failing ones (5xx), timeouts and connections that end early are asked again after a wait that
doubles, or as long as `Retry-After` says. Other refusals (4xx) would be the same for every request: they end the run
with a message that names what to mend. The key is read from the environment and goes into one header, nothing else.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from artefacts.errors import AugrecError, UsageError
from augment.options import OpenAIOptions

if TYPE_CHECKING:
    import httpx

AGAIN = frozenset({408, 409, 425, 429})
TOO_LONG = ("context length", "context_length", "maximum context", "too long", "max_model_len")
KEPT = "finished records are kept: run the same command again"


@dataclass(frozen=True)
class Reply:
    """What came of one question: a body, or the reason why there is none."""

    body: dict[str, Any] | None
    reason: str = ""
    lost: bool = False
    """Whether the server failed to answer, however often it was asked."""


class Server:
    """An OpenAI-compatible server. Opens no socket before the first question."""

    def __init__(self, options: OpenAIOptions) -> None:
        import httpx

        self._options = options
        self._key = _key(options.api_key_env)
        self.retried: Counter[str] = Counter()
        headers = {} if self._key is None else {"Authorization": f"Bearer {self._key}"}
        limits = httpx.Limits(max_connections=options.concurrency, max_keepalive_connections=options.concurrency)
        self._client = httpx.AsyncClient(
            headers=headers, timeout=httpx.Timeout(options.timeout), limits=limits, trust_env=False
        )
        self._url = f"{options.base_url.rstrip('/')}/chat/completions"

    async def close(self) -> None:
        """Closes every connection."""
        await self._client.aclose()

    async def ask(self, payload: dict[str, Any], name: str, *, patient: bool = True) -> Reply:
        """Sends one question, again where that can help.

        Args:
            payload: the body.
            name: of the request; decides how waits are spread.
            patient: whether a server that cannot be reached at all is tried again.

        Raises:
            AugrecError: the server refuses in a way that it would refuse every request.
        """
        import httpx

        draw = random.Random(name)
        for attempt in range(self._options.retries + 1):
            wait = None
            try:
                response = await self._client.post(self._url, json=payload)
            except httpx.TimeoutException:
                reason = f"timeout: no answer within {self._options.timeout:g} s"
            except httpx.ConnectError as error:
                if not patient:
                    raise self._unreachable(error) from None
                reason = f"server_unreachable: {self._clean(str(error))}"
            except httpx.TransportError as error:
                reason = f"connection_lost: {type(error).__name__}"
            else:
                if response.status_code == 200:
                    body = _body(response)
                    if body is not None:
                        return Reply(body)
                    reason = "broken_body: the answer is not the JSON of a chat completion"
                elif response.status_code in AGAIN or response.status_code >= 500:
                    reason = f"server_error: status {response.status_code}"
                    wait = _retry_after(response)
                else:
                    return self._refused(response)
            self.retried[reason.partition(":")[0]] += 1
            if attempt < self._options.retries:
                await asyncio.sleep(self._wait(attempt, wait, draw))
        return Reply(None, f"{reason}, {self._options.retries + 1} times", lost=True)

    def _wait(self, attempt: int, told: float | None, draw: random.Random) -> float:
        """Seconds until the next attempt: doubling, spread so that not all return at once, never less than told."""
        own = self._options.backoff * 2**attempt * (0.5 + draw.random())
        return min(max(own, told or 0.0), self._options.longest_wait)

    def _refused(self, response: httpx.Response) -> Reply:
        """A refusal that concerns this request alone, or the error that ends the run."""
        options, status = self._options, response.status_code
        said = self._clean(_message(response))
        if status == 413 or (status == 400 and any(mark in said.casefold() for mark in TOO_LONG)):
            return Reply(None, f"prompt_too_long: the server says {said[:200]!r}")
        if status in (401, 403):
            key = (
                f"the variable {options.api_key_env}" if options.api_key_env else "no key, as `api_key_env` is not set"
            )
            raise AugrecError(
                f"the server refuses the key (status {status})",
                where=options.base_url,
                remedy=f"it was sent {key}; export a valid key there and run again",
            )
        if status == 404:
            raise AugrecError(
                f"the server knows no model '{options.model}' or no such address (status 404: {said})",
                where=self._url,
                remedy="`model` is the name the server gives it (GET base_url/models), `base_url` ends in /v1",
            )
        remedy = f"a parameter or the answer's schema is not accepted for model '{options.model}'; `dialect: openai` "
        raise AugrecError(
            f"the server refuses the request (status {status}: {said})",
            where=self._url,
            remedy=remedy + "sends OpenAI's own parameters only, `dialect: vllm` more; " + KEPT,
        )

    def _unreachable(self, error: Exception) -> AugrecError:
        return AugrecError(
            f"no server can be reached ({self._clean(str(error))})",
            where=self._options.base_url,
            remedy="start it, e.g. `vllm serve MODEL`, or mend `base_url`",
        )

    def _clean(self, text: str) -> str:
        """One short line without the key, should a server repeat it."""
        line = " ".join(text.split())
        return (line.replace(self._key, "***") if self._key else line)[:300]


def _key(variable: str | None) -> str | None:
    if variable is None:
        return None
    key = os.environ.get(variable, "").strip()
    if not key:
        raise UsageError(f"the environment variable {variable} holds no key", remedy=f"export {variable}=... first")
    return key


def _body(response: httpx.Response) -> dict[str, Any] | None:
    try:
        body = response.json()
    except ValueError:
        return None
    return body if usable(body) else None


def usable(body: Any) -> bool:
    """Whether a body is a chat completion."""
    try:
        return isinstance(body["choices"][0]["message"], dict)
    except (LookupError, TypeError):
        return False


def _message(response: httpx.Response) -> str:
    """The server's words, whatever their wrapping."""
    try:
        body = response.json()
    except ValueError:
        return response.text
    inner = body.get("error", body) if isinstance(body, dict) else body
    said = inner.get("message", inner) if isinstance(inner, dict) else inner
    return said if isinstance(said, str) else json.dumps(said)


def _retry_after(response: httpx.Response, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> float | None:
    """Seconds that the server asks to wait: a number, or a date."""
    text = response.headers.get("Retry-After", "")
    try:
        return max(float(text), 0.0)
    except ValueError:
        pass
    try:
        return max((parsedate_to_datetime(text) - now()).total_seconds(), 0.0)
    except (ValueError, TypeError):
        return None
