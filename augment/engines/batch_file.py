"""Answers from files instead of a socket: OpenAI's batch format, which `vllm run-batch` reads and writes too.

One line per request goes out, one per answer comes back, in any order. What has no answer yet is not failed: it is what
the next file asks.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from artefacts.errors import DataError
from augment.engines.openai import OpenAIEngine
from augment.engines.openai_http import AGAIN, Reply, usable
from augment.options import OpenAIOptions
from augment.shapes import Completion, Request

URL = "/v1/chat/completions"


class BatchFileEngine(OpenAIEngine):
    """The same requests as OpenAIEngine, with the same keys; nothing is sent.

    Attributes:
        unanswered: requests that the results do not answer, as they must be asked next.
    """

    def __init__(self, options: OpenAIOptions, results: Sequence[Path]) -> None:
        super().__init__(options)
        self._lines = _index(results)
        self.unanswered: list[Request] = []

    def start(self) -> None:
        """Nothing to start."""

    def run(self, requests: Sequence[Request]) -> Iterator[Completion]:
        """See Engine; a request without an answer gets no completion."""
        for request in requests:
            reply = self._reply(request.name)
            if reply is None:
                self.unanswered.append(request)
            else:
                yield self._completion(request, reply, 0.0)

    def line(self, request: Request) -> str:
        """A request as a line of a batch file, without the newline."""
        entry = {"custom_id": request.name, "method": "POST", "url": URL, "body": self.payload(request)}
        return json.dumps(entry, ensure_ascii=False, separators=(",", ":"))

    def describe(self) -> dict[str, Any]:
        """See Engine."""
        return {**self.identity, "answered_by": "batch files", "system_fingerprints": sorted(self._fingerprints)}

    def _reply(self, name: str) -> Reply | None:
        """The answer to a request; None when there is none, or only trouble that passes."""
        if name not in self._lines:
            return None
        path, place = self._lines[name]
        with path.open("rb") as lines:
            lines.seek(place)
            entry = json.loads(lines.readline())
        response = entry.get("response") or {}
        status, body = response.get("status_code"), response.get("body")
        if status == 200 and usable(body):
            return Reply(body)
        if entry.get("error") or status in AGAIN or not isinstance(status, int) or status >= 500 or status == 200:
            return None
        return Reply(None, f"refused_by_engine: status {status}, {json.dumps(body)[:200]}")


def _index(results: Sequence[Path]) -> dict[str, tuple[Path, int]]:
    """Where the answer to each request lies: file and offset; the last of several with one name."""
    found: dict[str, tuple[Path, int]] = {}
    for path in results:
        place = 0
        try:
            with path.open("rb") as lines:
                for number, line in enumerate(lines, start=1):
                    if line.strip():
                        found[_name(line, f"{path}:{number}")] = path, place
                    place += len(line)
        except FileNotFoundError:
            raise DataError("the file of results does not exist", where=path) from None
    return found


def _name(line: bytes, where: str) -> str:
    try:
        return str(json.loads(line)["custom_id"])
    except (ValueError, LookupError, TypeError):
        raise DataError(
            "not a line of batch results", where=where, remedy='each line is {"custom_id": ..., "response": ...}'
        ) from None
