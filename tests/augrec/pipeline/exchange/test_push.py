"""What goes to a hub, and only when its user says so: against a hub on the loopback."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from augrec.artefacts.errors import AugrecError, UsageError
from augrec.pipeline.exchange.push import push

TOKEN = "hf_of_a_test"


class Hub:
    """Takes commits as the hub's API does, and keeps their files; `refuse` is the status of everything it refuses."""

    def __init__(self) -> None:
        self.made: list[dict[str, Any]] = []
        self.files: dict[str, bytes] = {}
        self.tokens: set[str | None] = set()
        self.asked: list[str] = []
        self.refuse: int | None = None
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                hub.asked.append(self.path)
                hub.tokens.add(self.headers["Authorization"])
                body = self._body()
                status, answer = (hub.refuse, {"error": "no"}) if hub.refuse else (200, hub.answer(self.path, body))
                self._say(status, answer)

            def _body(self) -> bytes:
                if self.headers["Transfer-Encoding"] != "chunked":
                    return self.rfile.read(int(self.headers["Content-Length"] or 0))
                parts = []
                while size := int(self.rfile.readline(), 16):
                    parts.append(self.rfile.read(size))
                    self.rfile.readline()
                self.rfile.readline()
                return b"".join(parts)

            def do_GET(self) -> None:
                hub.asked.append(self.path)
                self._say(200, {"id": "me/mine", "sha": "0" * 40, "siblings": []})

            def _say(self, status: int, answer: Any) -> None:
                text = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *arguments: object) -> None:
                return None

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True).start()

    def answer(self, path: str, body: bytes) -> Any:
        if path.endswith("/repos/create"):
            self.made.append(json.loads(body))
            return {"url": f"{self.url}/me/mine"}
        if "/preupload/" in path:
            named = [one["path"] for one in json.loads(body)["files"]]
            return {"files": [{"path": name, "uploadMode": "regular", "shouldIgnore": False} for name in named]}
        if "/commit/" not in path:
            return {"errors": [], "warnings": []}  # of a card that is looked at first
        for line in body.splitlines():
            entry = json.loads(line)
            if entry["key"] == "file":
                self.files[entry["value"]["path"]] = base64.b64decode(entry["value"]["content"])
        return {"commitUrl": f"{self.url}/me/mine/commit/1", "commitOid": "1", "hookOutput": ""}

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", "/nowhere/token")
    one = Hub()
    monkeypatch.setattr(constants, "ENDPOINT", one.url)
    yield one
    one.close()


@pytest.fixture
def export(tmp_path: Path) -> Path:
    (tmp_path / "out" / "llm").mkdir(parents=True)
    (tmp_path / "out" / "export.json").write_text('{"layout": "dataset"}')
    (tmp_path / "out" / "README.md").write_text("# A card\n")
    (tmp_path / "out" / "llm" / "profiles.parquet").write_bytes(b"PAR1 and more")
    return tmp_path / "out"


def test_nothing_is_asked_of_the_network_without_yes(hub: Hub, export: Path) -> None:
    said = push(export, "me/mine", token=TOKEN)
    assert said.url is None
    assert dict(said.files) == {"README.md": 9, "export.json": 21, "llm/profiles.parquet": 13}
    assert hub.asked == []


@pytest.mark.parametrize("public", [False, True])
def test_the_files_arrive_as_they_are_in_a_repository_that_is_private_unless_told(
    hub: Hub, export: Path, public: bool
) -> None:
    done = push(export, "me/mine", yes=True, public=public, token=TOKEN)
    assert done.url
    assert hub.files == {path.relative_to(export).as_posix(): path.read_bytes() for path in export.rglob("*.*")}
    (made,) = hub.made
    private = made.get("private") is True or made.get("visibility") == "private"  # by the version of the client
    assert (made["type"], private) == ("dataset", not public)
    assert hub.tokens == {f"Bearer {TOKEN}"}


def test_what_stands_in_the_way_is_said_before_anything_is_sent(
    hub: Hub, export: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    with pytest.raises(UsageError, match="there is no token"):
        push(export, "me/mine", yes=True)
    with pytest.raises(UsageError, match="names no repository"):
        push(export, "mine", yes=True, token=TOKEN)
    with pytest.raises(UsageError, match="no folder that can be pushed"):
        push(tmp_path, "me/mine", yes=True, token=TOKEN)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(UsageError, match="HF_HUB_OFFLINE"):
        push(export, "me/mine", yes=True, token=TOKEN)
    assert hub.asked == []


def test_a_refusal_is_an_error_that_does_not_show_the_token(hub: Hub, export: Path) -> None:
    hub.refuse = 403
    first = len(hub.asked)
    with pytest.raises(AugrecError, match="the hub did not take it") as caught:
        push(export, "me/mine", yes=True, token=TOKEN)
    assert TOKEN not in str(caught.value)
    assert len(hub.asked) > first
    assert hub.files == {}
    hub.close()
    with pytest.raises(AugrecError, match="the hub did not take it"):
        push(export, "me/mine", yes=True, token=TOKEN)
