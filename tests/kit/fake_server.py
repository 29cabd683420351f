"""A server of chat completions on the loopback that answers, or misbehaves, as a test says."""

from __future__ import annotations

import json
import random
import threading
from collections import Counter
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.kit.fake_engine import legal

Answer = Callable[["Asked"], Any]


class Asked:
    """One request as the server saw it: `number` counts how often this very prompt was sent.

    A `canary` is what an engine asks for its own sake; it is `free` where it may be answered as the server likes.
    """

    def __init__(self, body: dict[str, Any], headers: Any, number: int, path: str) -> None:
        self.body, self.headers, self.number = body, headers, number
        self.path = path
        self.free = "response_format" not in body
        self.schema = {} if self.free else body["response_format"]["json_schema"]["schema"]
        self.canary = self.free or "canary" in str(self.schema)


class FakeServer:
    """Chat completions on the loopback. `answer(asked)` is a text, a body, (status, body, headers), or None to hang.

    Attributes:
        likeliest: the log-probabilities of the first token of a free answer, by token; empty: it gives none.
        longest: what it lists as the most tokens of a request; None: it lists no models.
        listed: (status, body, headers) in place of that list.
    """

    def __init__(self) -> None:
        self.answer: Answer = self.honest
        self.likeliest: dict[str, float] = {}
        self.longest: int | None = None
        self.listed: tuple[int, Any, dict[str, str]] | None = None
        self.dead = False
        self.asked: list[Asked] = []
        self.at_once = self.most_at_once = 0
        self.released = threading.Event()
        self._lock, self._seen = threading.Lock(), Counter[str]()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                server.handle(self)

            def do_GET(self) -> None:
                listed = [{"id": "m", "max_model_len": server.longest}]
                said = (200, {"data": listed}, {}) if server.longest else (404, {}, {})
                server._reply(self, server.listed or said)

            def log_message(self, *arguments: object) -> None:
                return None

        self._handler = Handler
        self._listen(0)
        self.url = f"http://127.0.0.1:{self._http.server_port}/v1"

    def _listen(self, port: int) -> None:
        self._http = ThreadingHTTPServer(("127.0.0.1", port), self._handler)
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self.released.set()
        if not self.dead:
            self._stop()

    def die(self) -> None:
        """As `kill -9` does: nobody listens, and what is under way ends without an answer."""
        self.dead = True
        self._stop()

    def come_back(self) -> None:
        """Listens again at the same address."""
        self.dead = False
        self._listen(self._http.server_port)

    def _stop(self) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def honest(self, asked: Asked) -> str:
        """A text the schema allows that depends on the seed only."""
        return json.dumps(legal(asked.schema, random.Random(asked.body["seed"])), ensure_ascii=False)

    def handle(self, http: BaseHTTPRequestHandler) -> None:
        if self.dead:  # a connection from before
            http.close_connection = True
            return
        body = json.loads(http.rfile.read(int(http.headers["Content-Length"])))
        with self._lock:
            name = json.dumps([body["messages"], body.get("seed")])
            self._seen[name] += 1
            asked = Asked(body, http.headers, self._seen[name], http.path)
            self.asked.append(asked)
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            said = self._freely() if asked.free else self.honest(asked) if asked.canary else self.answer(asked)
            if self.dead:
                http.close_connection = True
            else:
                self._reply(http, said)
        finally:
            with self._lock:
                self.at_once -= 1

    def _freely(self) -> dict[str, Any]:
        tops = [{"token": token, "logprob": value} for token, value in self.likeliest.items()]
        said = completion("Hello")
        said["choices"][0]["logprobs"] = {"content": [{"top_logprobs": tops}]} if tops else None
        return said

    def _reply(self, http: BaseHTTPRequestHandler, said: Any) -> None:
        if said is None:  # hangs until the test is over
            self.released.wait()
            http.close_connection = True
            return
        status, headers = 200, {}
        if isinstance(said, str):
            said = completion(said)
        if isinstance(said, tuple):
            status, said, headers = said
        data = said if isinstance(said, bytes) else json.dumps(said).encode()
        cut = headers.pop("cut", None)
        http.send_response(status)
        http.send_header("Content-Length", str(len(data)))
        for name, value in headers.items():
            http.send_header(name, value)
        http.end_headers()
        http.wfile.write(data[:cut])
        if cut is not None:
            http.close_connection = True


def completion(text: str | None, finish: str = "stop", **message: Any) -> dict[str, Any]:
    """The body of a reply with one choice."""
    return {
        "choices": [{"message": {"role": "assistant", "content": text, **message}, "finish_reason": finish}],
        "usage": {"prompt_tokens": 40, "completion_tokens": 9, "prompt_tokens_details": {"cached_tokens": 32}},
        "system_fingerprint": "vllm-0.33",
    }
