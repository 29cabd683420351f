"""Answers from files instead of a socket: OpenAI's batch format, which `vllm run-batch` reads and writes too.

One line per request goes out, one per answer comes back, in any order. What has no answer yet is not failed: it is what
the next file asks. That is so for a line of status 0, 401, 404, 424, 429, 499 or 5xx, one that says "expired", and one
without a status: the request never reached a model, or the model was in trouble. Status 400, 413 and the like are the
last word.
A completion that is there is an answer, though a service leaves the status out, or the wrapping around the body.
vLLM writes the reason of a refusal into `error` (its own shape, or a text) and no body; OpenAI into the body.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

from augment.engines.base import EngineFailed
from augment.engines.openai.engine import OpenAIEngine
from augment.engines.openai.http import Reply, ended, refusal
from augment.engines.openai.options import OpenAIOptions
from augment.engines.openai.reply import Broken, read_code, read_json, read_reply, read_words, status_of_error
from augment.messages import Completion, Request
from augrec.artefacts.errors import DataError

URL = "/v1/chat/completions"
NO_LINE = "no_line"
"""The reason of a request that no line is about, as before the first answers."""


class BatchFileEngine(OpenAIEngine):
    """The same requests as OpenAIEngine, with the same keys; nothing is sent.

    Attributes:
        unanswered: requests that the results do not answer, as they must be asked next.
        differing: how many requests have two answers that differ; the last one counts.
    """

    def __init__(self, options: OpenAIOptions, results: Sequence[Path]) -> None:
        super().__init__(options)
        self._lines, self.differing = _index(results, options)
        self.unanswered: list[Request] = []

    def start(self) -> None:
        """Nothing to start."""

    def run(self, requests: Sequence[Request]) -> Iterator[Completion]:
        """See Engine."""
        for request in requests:
            outcome = self._outcome(request, self._reply(request.name), 0.0)
            if outcome.completion.unanswered:
                self.unanswered.append(request)
                yield outcome.completion
            elif isinstance(outcome.doubt, EngineFailed):
                yield outcome.completion
            else:
                yield from self._judged(outcome)
        yield from self._release()

    def line(self, request: Request) -> str:
        """A request as a line of a batch file, without the newline."""
        entry = {"custom_id": request.name, "method": "POST", "url": URL, "body": self.payload(request)}
        return json.dumps(entry, ensure_ascii=False, separators=(",", ":"))

    def strangers(self, known: Collection[str]) -> list[str]:
        """Names in the results that are of none of the keys `known`."""
        return [name for name in self._lines if name.partition("/")[0] not in known]

    def ahead(self) -> list[str]:
        """Names in the results of tries that come after the one that is open: the answers before are elsewhere."""
        tries = {request.key: request.attempt for request in self.unanswered}
        parts = {name: name.partition("/") for name in self._lines}
        return [
            name
            for name, (key, _, attempt) in parts.items()
            if key in tries and attempt.isdecimal() and int(attempt) > tries[key]
        ]

    @property
    def named(self) -> int:
        """How many requests the results are about."""
        return len(self._lines)

    def describe(self) -> dict[str, Any]:
        """See Engine."""
        return {
            **self.identity,
            "llm": True,
            "answered_by": "batch files",
            "system_fingerprints": sorted(self._fingerprints),
        }

    def _reply(self, name: str) -> Reply:
        """The answer to a request, or why there is none."""
        if name not in self._lines:
            return Reply(None, f"{NO_LINE}: the files of results hold no line of it", lost=True)
        path, place = self._lines[name]
        with path.open("rb") as lines:
            lines.seek(place)
            return line_reply(json.loads(lines.readline()), self._options)


def line_reply(entry: dict[str, Any], options: OpenAIOptions) -> Reply:
    """What a line of results says of its request."""
    response, error = entry.get("response"), entry.get("error")
    response = response if isinstance(response, dict) else {}
    body = response if "choices" in response else response.get("body")
    status, inside = _status(response.get("status_code"), error), status_of_error(body)
    if response.get("status_code") is None and not error and isinstance(body, dict) and body.get("choices"):
        status = 200  # nothing says otherwise
    if status == 200 and inside is not None:
        status = inside
    if status == 200:
        try:
            return Reply(read_reply(body))
        except Broken as broken:
            return Reply(None, f"broken_body: {broken}", lost=True)
    about = error or body
    message, code = read_words(about) if about else "", read_code(about)
    final = refusal(status, message, code, options, URL) if ended(status, message, code, options, URL) is None else None
    return final or Reply(None, f"not_processed (status {status}): {message[:200]!r}", lost=True)


def _status(status: Any, error: Any) -> int:
    """The HTTP status of a line; where it has none, the one in its error, and 0 for neither."""
    inner = error.get("error", error) if isinstance(error, dict) else None
    codes = [status, inner.get("code") if isinstance(inner, dict) else None]
    for value in codes:
        if isinstance(value, str) and re.fullmatch("[0-9]{3}", value):
            return int(value)
        if isinstance(value, int | float) and 100 <= value <= 599 and value == int(value):  # pandas writes 200.0
            return int(value)
    return 0


def _index(results: Sequence[Path], options: OpenAIOptions) -> tuple[dict[str, tuple[Path, int]], int]:
    """Where the answer to each request lies: file and offset; of several with one name the last that is final. And how
    many have final ones that differ."""
    places: dict[str, tuple[Path, int]] = {}
    final: dict[str, int] = {}
    differing: set[str] = set()
    for path in results:
        place = 0
        try:
            with path.open("rb") as lines:
                for number, line in enumerate(lines, start=1):
                    if line.strip():
                        entry = _entry(line, f"{path}:{number}")
                        name, reply = entry["custom_id"], line_reply(entry, options)
                        if not (reply.lost and name in final):
                            places[name] = path, place
                        if not reply.lost:
                            said = hash(reply.reason if reply.answer is None else reply.answer.text)
                            if final.setdefault(name, said) != said:
                                differing.add(name)
                    place += len(line)
        except (FileNotFoundError, IsADirectoryError):
            remedy = "name the file that the service or `vllm run-batch` wrote"
            raise DataError("the file of results does not exist", where=path, remedy=remedy) from None
    return places, len(differing)


def _entry(line: bytes, where: str) -> dict[str, Any]:
    try:
        entry = read_json(line)
    except Broken:
        entry = None
    if not isinstance(entry, dict) or not isinstance(entry.get("custom_id"), str):
        raise DataError(
            "not a line of batch results",
            where=where,
            remedy='each line is {"custom_id": ..., "response": ...}; fetch the file again where it is cut short, and '
            "unpack it where it is packed",
        )
    if "response" not in entry and {"method", "url"} <= entry.keys():
        raise DataError(
            "the line asks a request, and answers none",
            where=where,
            remedy="name the file that the service or `vllm run-batch` wrote, not the one it was given",
        )
    return entry
