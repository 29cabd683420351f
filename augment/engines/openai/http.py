"""One question to an OpenAI-compatible server: what is worth asking again, and what ends the run.

Busy servers (429), failing ones (5xx), timeouts, connections that end early and bodies that are no answer are asked
again after a wait that doubles, or as long as `Retry-After` says; where that does not help, a request stays unanswered.
A refusal of the key, the model or the address ends the run at once. Any other refusal (4xx) is the last word on its
request, unless the server refuses all of them. The key is read from the environment and goes into one header, nothing
else.
"""

from __future__ import annotations

import asyncio
import math
import os
import random
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Literal

from augment.engines.base import EngineFailed
from augment.engines.openai.options import OpenAIOptions
from augment.engines.openai.reply import (
    MOST_BYTES,
    PAGE,
    Broken,
    ChatReply,
    Foreign,
    read_code,
    read_error,
    read_json,
    read_reply,
    read_words,
    status_of_error,
    unpacked,
    words,
)
from augrec.artefacts.errors import AugrecError, UsageError

if TYPE_CHECKING:
    import httpx

AGAIN = frozenset({408, 409, 424, 425, 429, 499})
"""Statuses below 500 that say nothing of a request: 424 is how Text Generation Inference and hosted endpoints say that
the model behind them broke off, 499 how a gateway says that somebody hung up before the answer."""
TOO_LONG = ("context length", "context_length", "maximum context", "too long", "max_model_len")
REFUSED = ("content_filter", "content_policy", "content policy", "content management policy", "responsibleai")
NO_MONEY = ("insufficient_quota", "exceeded your current quota")
SECONDS_TO_CONNECT = 30.0
"""A machine that is gone does not even refuse; less than an answer may take."""
KEPT = "finished records are kept: run the same command again"


@dataclass(frozen=True)
class Reply:
    """What came of one question: a completion, or the reason why there is none."""

    answer: ChatReply | None
    reason: str = ""
    lost: bool = False
    """Whether the server failed to answer, however often it was asked."""
    doubt: AugrecError | None = None
    """What a refusal means when the server refuses every request; None where it can only concern this one."""


@dataclass(frozen=True)
class Trouble:
    """Why one question got no answer, where another try can help."""

    reason: str
    wait: float | None = None
    """Seconds that the server asks to wait."""
    connection: Literal["refused", "lost"] | None = None
    """Whether nobody was there, or whoever was there went away while it was asked."""
    busy: bool = False
    """Whether the server only has too much to do."""
    foreign: bool = False
    """Whether what answered is no server of chat completions: of an engine that begins, the end."""


class ServerSilent(EngineFailed):
    """A server that cannot be reached or gives no answer, however often it is asked."""


class Server:
    """An OpenAI-compatible server. Opens no socket before the first question.

    Args:
        options: of this server: with a `base_url`.
    """

    def __init__(self, options: OpenAIOptions) -> None:
        import httpx

        self._options = options
        self._key = key_in(options.api_key_env)
        self.retried: Counter[str] = Counter()
        headers = {} if self._key is None else {"Authorization": f"Bearer {self._key}"}
        limits = httpx.Limits(max_connections=options.concurrency, max_keepalive_connections=options.concurrency)
        headers |= {"Accept-Encoding": "identity"}
        self._client = httpx.AsyncClient(
            headers=headers,
            timeout=httpx.Timeout(options.timeout, connect=min(options.timeout, SECONDS_TO_CONNECT)),
            limits=limits,
            trust_env=False,
        )
        self._url = f"{str(options.base_url).rstrip('/')}/chat/completions"

    async def close(self) -> None:
        """Closes every connection."""
        await self._client.aclose()

    async def ask(self, payload: dict[str, Any], name: str, *, tries: int) -> Reply:
        """Sends one question, again where that can help, as of an engine that begins.

        Args:
            payload: the body.
            name: of the request; decides how waits are spread.
            tries: how often.

        Raises:
            ServerSilent: nobody is there.
            AugrecError: the server refuses in a way that it would refuse every request.
        """
        draw = random.Random(name)
        for attempt in range(tries):
            found = await self.once(payload)
            if isinstance(found, Reply):
                return found
            if found.connection == "refused":
                raise self._unreachable(found.reason.partition(": ")[2])
            if found.foreign:
                what = f"no server of chat completions answers there (status 200): {found.reason.partition(': ')[2]}"
                remedy = "mend `base_url`: it ends in /v1 and names the server itself, not a proxy, a login or a page"
                raise EngineFailed(what, where=self._url, remedy=remedy)
            if attempt + 1 < tries:
                await asyncio.sleep(self.wait(attempt, found.wait, draw))
        return Reply(None, f"{found.reason}, {tries} times", lost=True)

    async def once(self, payload: dict[str, Any]) -> Reply | Trouble:
        """Sends one question once.

        Raises:
            AugrecError: the server refuses in a way that it would refuse every request.
        """
        import httpx

        try:
            status, headers, data = await self._post(payload)
            said, kind = "", headers.get("Content-Type", "")
            if status == 200:
                body = read_json(data, kind)
                inside = status_of_error(body)
                if inside is None:
                    return Reply(read_reply(body))
                status, said = inside, f" in an answer of status 200: {read_words(body, self._key)}"
            else:
                body = read_error(data, kind)
            settled = self._settled(status, body, headers)
            if settled is not None:
                return settled
            trouble = Trouble(f"server_error: status {status}{said}", _retry_after(headers), busy=status == 429)
        except httpx.ConnectTimeout:
            trouble = Trouble("server_unreachable: no connection in time", connection="refused")
        except (httpx.TimeoutException, TimeoutError):
            trouble = Trouble(f"timeout: no answer within {self._options.timeout:g} s")
        except httpx.ConnectError as error:
            trouble = Trouble(f"server_unreachable: {self._clean(str(error))}", connection="refused")
        except httpx.HTTPError as error:
            trouble = Trouble(f"connection_lost: {type(error).__name__}", connection="lost")
        except Broken as broken:
            trouble = Trouble(f"broken_body: {self._clean(str(broken))}", foreign=isinstance(broken, Foreign))
        self.retried[trouble.reason.partition(":")[0]] += 1
        return trouble

    async def longest(self) -> int | None:
        """Tokens of the longest prompt and answer that the server lists for the model; None where it does not say."""
        import httpx

        try:
            answer = await self._client.get(f"{str(self._options.base_url).rstrip('/')}/models")
            listed = read_json(answer.content[:MOST_BYTES]).get("data")
            found = next(one for one in listed if one.get("id") == self._options.model)
        except (httpx.HTTPError, Broken, AttributeError, TypeError, StopIteration):
            return None
        most = found.get("max_model_len")
        return most if isinstance(most, int) and not isinstance(most, bool) else None

    async def _post(self, payload: dict[str, Any]) -> tuple[int, httpx.Headers, bytes]:
        """Status, headers and unpacked body of one answer that is whole within `timeout` and not longer than it may."""
        data = bytearray()
        async with (
            asyncio.timeout(self._options.timeout),
            self._client.stream("POST", self._url, json=payload) as response,
        ):
            async for chunk in response.aiter_raw():
                data += chunk
                if len(data) > MOST_BYTES:
                    raise Broken(f"the answer is longer than {MOST_BYTES >> 20} MiB")
        return (
            response.status_code,
            response.headers,
            unpacked(bytes(data), response.headers.get("Content-Encoding", "")),
        )

    def wait(self, attempt: int, asked: float | None, draw: random.Random) -> float:
        """Seconds until the next attempt: doubling, spread so that not all return at once, never less than told."""
        own = self._options.backoff * 2**attempt * (0.5 + draw.random())
        return min(max(own, asked or 0.0), self._options.longest_wait)

    def _settled(self, status: int, body: Any, headers: httpx.Headers) -> Reply | None:
        """A refusal, or None for trouble that may pass. Raises the error that ends the run."""
        message, options = read_words(body, self._key), self._options
        if 300 <= status < 400 and "Location" in headers:
            message = self._clean(f"it sends to {headers['Location']}")
        ends = ended(status, message, read_code(body), options, self._url)
        if ends is not None:
            raise ends
        return refusal(status, message, read_code(body), options, self._url)

    def _unreachable(self, error: str) -> AugrecError:
        return ServerSilent(
            f"no server can be reached ({error})",
            where=self._options.address,
            remedy="start it, e.g. `vllm serve MODEL`, or mend `base_url`",
        )

    def _clean(self, text: str) -> str:
        """One short line without the key, should a server repeat it."""
        return words(text.replace(self._key, "***") if self._key else text)


def key_in(variable: str | None) -> str | None:
    """The key that an environment variable holds; None where no variable is named.

    Raises:
        UsageError: it holds none, or what no header can hold.
    """
    if variable is None:
        return None
    key = os.environ.get(variable, "").strip()
    if not key:
        raise UsageError(f"the environment variable {variable} holds no key", remedy=f"export {variable}=... first")
    if not (key.isascii() and key.isprintable()):
        what = f"the environment variable {variable} holds letters that no key has: other than ASCII, or a line break"
        raise UsageError(what, remedy=f"export the key alone as {variable}")
    return key


def ended(status: int, message: str, code: str, options: OpenAIOptions, url: str) -> EngineFailed | None:
    """The error of a refusal that meets every request and that nothing but the user can mend."""
    answer = f"status {status}: {message}" if message else f"status {status}"
    if status in (401, 403):
        key = f"the variable {options.api_key_env}" if options.api_key_env else "no key, as `api_key_env` is not set"
        return EngineFailed(
            f"the server refuses the key ({answer if PAGE in message else f'status {status}'})",
            where=options.address,
            remedy=f"it was sent {key}; export a valid key there and run again",
        )
    if status == 402 or (status == 429 and any(mark in f"{message} {code}".casefold() for mark in NO_MONEY)):
        remedy = "mend it with whoever runs the server; " + KEPT
        return EngineFailed(f"the account may ask no more ({answer})", where=options.address, remedy=remedy)
    if status in (404, 405) or 300 <= status < 400:
        return EngineFailed(
            f"the server knows no model '{options.model}' or no such address ({answer})",
            where=url,
            remedy="`model` is the name the server gives it (GET base_url/models), `base_url` ends in /v1",
        )
    if status == 511:
        remedy = "log in to the network, or name a server that is reached without; " + KEPT
        return EngineFailed(f"the network asks for a login first ({answer})", where=url, remedy=remedy)
    return None


def refusal(status: int, message: str, code: str, options: OpenAIOptions, url: str) -> Reply | None:
    """What a status other than 200 says of its request; None where it is trouble that may pass."""
    if status < 400 or status >= 500 or status in AGAIN:
        return None
    about = f"{message} {code}".casefold()
    if status == 413 or any(mark in about for mark in TOO_LONG):
        return Reply(None, f"prompt_too_long: the server says {message[:200]!r}")
    reason = f"refused_by_engine: status {status}, {message[:200]!r}"
    if any(mark in about for mark in REFUSED):
        return Reply(None, reason)
    remedy = f"a parameter or the answer's schema is not accepted for model '{options.model}'; `dialect: openai` "
    doubt = EngineFailed(
        f"the server refuses the request (status {status}: {message})",
        where=url,
        remedy=remedy + "sends OpenAI's own parameters only, `dialect: vllm` more; " + KEPT,
    )
    return Reply(None, reason, doubt=doubt)


def _retry_after(headers: httpx.Headers) -> float | None:
    """Seconds that the server asks to wait: a number, or a date."""
    text = headers.get("Retry-After", "")
    try:
        seconds = float(text)
    except ValueError:
        try:
            date = parsedate_to_datetime(text)
            date = date if date.tzinfo else date.replace(tzinfo=UTC)  # C's asctime, which HTTP allows and means so
            seconds = (date - datetime.now(UTC)).total_seconds()
        except (ValueError, TypeError, OverflowError):
            return None
    return max(seconds, 0.0) if math.isfinite(seconds) else None
