"""What is taken from a server's reply: the one place where bytes written by others become typed values.

Servers, gateways and batch services differ, and any of them may be broken. Counts are bounded whole numbers, text is
valid Unicode, and what else a reply holds is not looked at. A reply without a chat completion is `Broken`: asking again
can help. One whose completion holds no usable text says so in `problem`: another seed can help.
"""

from __future__ import annotations

import html
import json
import math
import re
import zlib
from dataclasses import dataclass
from typing import Any

from augrec.artefacts.files import parse_json
from augrec.artefacts.visible import one_line, without_surrogates

MOST_BYTES = 16 << 20
"""The longest reply that is read, as sent and unpacked; an answer is some KiB."""
UNSEEN = re.compile(r"<!--.*?-->|<(script|style)\b.*?(</\1\s*>|\Z)|<[^<>]*>?", re.DOTALL | re.IGNORECASE)
"""What a browser does not show of a page."""
PAGE = "a page for browsers"
MOST_OF_PAGE = 20_000
MOST_TOKENS = 10_000_000
"""No count is larger: so that all attempts of a request fit the int32 of its record."""
LONGEST_WORDS = 300
FINISHED = {
    **dict.fromkeys(("eos_token", "stop_sequence", "end_turn", "eos", "complete"), "stop"),
    **dict.fromkeys(("max_tokens", "max_output_tokens", "max_length"), "length"),
}
"""What servers and gateways in front of other services call the end of an answer, in small letters."""
NO_STATUS = 502
"""What an error without a status of its own counts as: trouble of whoever is asked in turn."""
THOUGHTS = ("thinking", "redacted_thinking", "reasoning")
"""Types of parts of a content that are what a model thought before its answer."""
PACKED = ("gzip", "x-gzip", "deflate")
ANY_HEADER = 47
"""zlib's word for a window of any size with a header of either kind."""


class Broken(ValueError):
    """A reply is no chat completion; the text says why."""


class Foreign(Broken):
    """What came is of another kind than a chat completion, as a login, a proxy or another service sends it: whoever
    answers so does it again. The text is as long as they wrote it."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens as the server counts them; 0 where it does not, or says something else than a count."""

    prompt: int = 0
    completion: int = 0
    cached: int = 0
    odd: tuple[str, ...] = ()
    """Names of what was no count."""


@dataclass(frozen=True, slots=True)
class ChatReply:
    """The first choice of a chat completion."""

    text: str
    finish_reason: str
    problem: str = ""
    """Why the text is not what the model wrote; empty where it is."""
    refusal: str = ""
    usage: Usage = Usage()
    likeliest: tuple[tuple[str, float], ...] = ()
    """The first token's alternatives with their log-probabilities, finite or not; () where there are none."""
    fingerprint: str = ""


def unpacked(data: bytes, encoding: str) -> bytes:
    """A body without its `Content-Encoding`.

    Raises:
        Broken: the encoding is unknown or damaged, or the body would be larger than MOST_BYTES.
    """
    names = [name for part in encoding.split(",") if (name := part.strip().casefold()) not in ("", "identity")]
    if not names:
        return data
    if len(names) > 1 or names[0] not in PACKED:
        raise Broken(f"the answer is packed as {words(encoding)!r}")
    unpacker = zlib.decompressobj(ANY_HEADER)
    try:
        content = unpacker.decompress(data, MOST_BYTES)
    except zlib.error as error:
        raise Broken(f"the answer cannot be unpacked ({error})") from None
    if unpacker.unconsumed_tail or not unpacker.eof:
        raise Broken("the packed answer is too long, or its end is missing")
    return content


def read_json(data: bytes | str, kind: str = "") -> Any:
    """The value of some JSON.

    Args:
        data: the JSON.
        kind: what its sender says that it is, e.g. "text/html; charset=utf-8".

    Raises:
        Foreign: it is a page for browsers, or a stream of events.
        Broken: it is anything else that is not JSON, however deep, long or badly encoded it is.
    """
    try:
        return parse_json(data)
    except ValueError as error:
        page = page_in(data, kind)
        if page:
            raise Foreign(f"the answer is not JSON but {page}") from None
        if _start(data).startswith(("data:", "event:")):
            raise Foreign("the answer is a stream of events, and a whole one was asked for") from None
        raise Broken(f"the answer is not JSON ({words(str(error))})") from None


def read_error(data: bytes, kind: str) -> Any:
    """What a body other than an answer says: its JSON, or else its beginning as text, of a page what is seen of it."""
    try:
        return parse_json(data)
    except ValueError:
        return page_in(data, kind) or data[:2000].decode(errors="replace")


def page_in(data: bytes | str, kind: str) -> str:
    """A page for browsers in words, with its kind and what is seen of it first; "" for what is none."""
    if not (_start(data).startswith("<") or kind.casefold().lstrip().startswith(("text/html", "application/xhtml"))):
        return ""
    text = data[:MOST_OF_PAGE].decode(errors="replace") if isinstance(data, bytes) else data[:MOST_OF_PAGE]
    seen = one_line(html.unescape(UNSEEN.sub(" ", text)), MOST_OF_PAGE)
    return f"{PAGE} ({words(kind) or 'of no stated type'}) that begins {seen!r}"


def _start(data: bytes | str) -> str:
    start = data[:200].decode(errors="replace") if isinstance(data, bytes) else data[:200]
    return start.lstrip("\ufeff \t\r\n").casefold()


def read_reply(body: Any) -> ChatReply:
    """A chat completion from the JSON of its body.

    Raises:
        Foreign: the body says nothing of choices.
        Broken: it has no first choice with a message.
    """
    if not isinstance(body, dict) or "choices" not in body:
        raise Foreign(f"the answer is not the JSON of a chat completion: {_written(body)}")
    choices = body["choices"]
    choice = choices[0] if isinstance(choices, list) and choices else None
    message = choice.get("message") if isinstance(choice, dict) else None
    if not isinstance(choice, dict) or not isinstance(message, dict):
        raise Broken("the answer is not the JSON of a chat completion")
    text, problem = _text(message.get("content"))
    refusal, finish = message.get("refusal"), choice.get("finish_reason")
    return ChatReply(
        text,
        _finish(_line(finish)),
        problem,
        _line(refusal) if refusal else "",
        _usage(body.get("usage")),
        _likeliest(choice.get("logprobs")),
        _line(body.get("system_fingerprint") or ""),
    )


def _finish(reason: str) -> str:
    small = reason.casefold()
    return small if small in ("stop", "length") else FINISHED.get(small, reason)


def status_of_error(body: Any) -> int | None:
    """The status of an error that came with status 200, as gateways send it; None where the body holds none."""
    error = body.get("error") if isinstance(body, dict) and not body.get("choices") else None
    if not error:
        return None
    code = error.get("code") if isinstance(error, dict) else None
    if isinstance(code, str) and re.fullmatch("[45][0-9]{2}", code):
        code = int(code)
    return code if type(code) is int and 400 <= code <= 599 else NO_STATUS


def read_words(body: Any, secret: str | None = None) -> str:
    """What a body says went wrong, whatever its wrapping: `error`, `message`, `detail`, or all of it.

    Args:
        body: its JSON, or text.
        secret: what is not repeated, should it stand there.
    """
    while isinstance(body, dict):
        inner = next((body[key] for key in ("error", "message", "detail") if body.get(key)), None)
        if inner is None:
            break
        body = inner
    return words(_written(body).replace(secret, "***") if secret else _written(body))


def read_code(body: Any) -> str:
    """The code and type of a body's error, e.g. "content_filter invalid_request_error"; empty without."""
    inner = body.get("error", body) if isinstance(body, dict) else None
    inner = inner.get("error", inner) if isinstance(inner, dict) else None
    names = [inner.get(key) for key in ("code", "type")] if isinstance(inner, dict) else []
    return words(" ".join(str(value) for value in names if isinstance(value, str | int)))


def words(text: str) -> str:
    """A message as one short printable line."""
    return one_line(text, LONGEST_WORDS)


def _line(value: Any) -> str:
    """A JSON value as one line."""
    return words(_written(value))


def _written(value: Any) -> str:
    """A JSON value as text: of text itself."""
    try:
        return value if isinstance(value, str) else json.dumps(value)
    except RecursionError:
        return "(nested too deeply)"


def _text(content: Any) -> tuple[str, str]:
    """The text of a message, and what is wrong with it; parts of text are joined, without what was thought before."""
    if content is None:
        return "", ""
    if isinstance(content, list):
        said = [part for part in content if not (isinstance(part, dict) and part.get("type") in THOUGHTS)]
        parts = [part.get("text") if isinstance(part, dict) else part for part in said]
        texts = [part for part in parts if isinstance(part, str)]
        content = "".join(texts) if len(texts) == len(parts) else content
    if not isinstance(content, str):
        return "", f"malformed: the content is of JSON type {_kind(content)}, not text"
    clean = without_surrogates(content)
    return clean, "" if clean == content else "malformed: the text holds a lone surrogate"


def _kind(value: Any) -> str:
    kinds = {dict: "object", list: "array", bool: "boolean", int: "number", float: "number"}
    return kinds.get(type(value), "unknown")


def _usage(usage: Any) -> Usage:
    if not isinstance(usage, dict):
        return Usage(odd=() if usage is None else ("usage",))
    details = usage.get("prompt_tokens_details")
    reported = {
        "prompt_tokens": usage.get("prompt_tokens"),
        "completion_tokens": usage.get("completion_tokens"),
        "cached_tokens": details.get("cached_tokens") if isinstance(details, dict) else None,
    }
    counts = {name: _count(value) for name, value in reported.items()}
    prompt, completion, cached = (count or 0 for count in counts.values())
    odd = tuple(name for name, count in counts.items() if count is None)
    return Usage(prompt, completion, min(cached, prompt), odd)


def _count(value: Any) -> int | None:
    """A number of tokens; 0 for a missing one, None for what is none."""
    if value is None:
        return 0
    if isinstance(value, str):
        value = int(value) if re.fullmatch(r"[0-9]{1,8}", value) else None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 <= value <= MOST_TOKENS else None


def _likeliest(logprobs: Any) -> tuple[tuple[str, float], ...]:
    try:
        listed = logprobs["content"][0]["top_logprobs"]
        pairs = [(top["token"], _number(top["logprob"])) for top in listed]
    except (LookupError, TypeError):
        return ()
    return tuple((without_surrogates(token), value) for token, value in pairs if isinstance(token, str))


def _number(value: Any) -> float:
    """A float; NaN for what is no number."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return math.nan
    try:
        return float(value)
    except (ValueError, OverflowError):
        return math.nan
