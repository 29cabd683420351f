"""Questions to stand-in servers, and whole sources that they answer."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from augment.catalog import Catalog
from augment.engines.openai.engine import OpenAIEngine
from augment.engines.openai.options import OpenAIOptions
from augment.messages import Request
from augment.options import GenerationOptions
from augment.requests import ask
from augment.runner import run_source
from augment.tasks import TASKS
from augment.tasks.base import Context
from tests.kit.fake_server import FakeServer


def options(server: FakeServer | Sequence[FakeServer], **changes: Any) -> OpenAIOptions:
    """Quick to ask again; patient, because a server on a busy machine may take a second to answer and does not hang."""
    quick = {"backoff": 0.001, "longest_wait": 0.004, "timeout": 60.0, "retries": 3, "concurrency": 4}
    where = (
        {"base_url": server.url}
        if isinstance(server, FakeServer)
        else {"endpoints": [{"base_url": one.url} for one in server]}
    )
    return OpenAIOptions.model_validate(where | {"model": "m"} | quick | changes)


def requests(context: Context, engine: OpenAIEngine, task: str = "user_profile", count: int = 12) -> list[Request]:
    made = TASKS[task](context, TASKS[task].Options())
    asked = [next(ask(made, user, context.catalog.user(user), engine, seed=0)) for user in range(count)]
    return [request for request in asked if isinstance(request, Request)]


def whole_source(
    server: FakeServer | Sequence[FakeServer],
    catalog: Catalog,
    out: Path,
    engine: OpenAIEngine | None = None,
    attempts: int = 1,
    **changes: Any,
) -> dict[str, Any]:
    """Profiles of all users by the server, as a run asks for them."""
    settings = options(server, **{"retries": 2, "give_up": 8, "concurrency": 6} | changes).model_dump()
    source = {"engine": settings, "tasks": ["user_profile"]}
    generation = GenerationOptions.model_validate({"sources": {"api": source}, "shards": 1, "attempts": attempts})
    return run_source(
        catalog, "api", generation.sources["api"], generation,
        folder=out, seed=0, engine=engine,
    )  # fmt: skip


def stored(out: Path) -> list[dict[str, Any]]:
    """The lines of all shards, users by number."""
    rows = [json.loads(line) for path in out.glob("*/shards/*.jsonl") for line in path.open("rb")]
    return [row | {"entity": int(row["entity"].removeprefix("u"))} for row in rows]
