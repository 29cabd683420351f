"""A tiny data set in the documented layout, and an engine that answers without a model."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from augment.catalog import Catalog
from augment.engines.base import Engine
from augment.messages import Completion, Messages, Request
from augment.options import GenerationOptions
from augment.prompts.rendering import Prompts
from augment.runner import run_source
from augment.tasks.base import Context

GENRES = ["Action", "Comedy", "Drama", "Horror", "War"]
N_USERS, N_ITEMS = 12, 20


def write_dataset(folder: Path, titles: dict[int, str] | None = None, domain: str = "movies") -> None:
    """User u has items u..u+4 in training (oldest first), u+5 in validation, u+6 in test; candidates are u+7..u+12."""
    titles = titles or {}
    (folder / "dataset").mkdir(parents=True)
    (folder / "candidates").mkdir()
    splits = ["train"] * 5 + ["valid", "test"]
    rows = [(u, (u + k) % N_ITEMS, 100 - u + k, splits[k]) for u in range(N_USERS) for k in range(7)]
    users, items, times, split = zip(*rows, strict=True)
    pq.write_table(
        pa.table(
            {
                "user": pa.array(users, pa.int32()),
                "item": pa.array(items, pa.int32()),
                "timestamp": pa.array(times, pa.int64()),
                "split": pa.array(split),
            }
        ),
        folder / "dataset" / "interactions.parquet",
    )
    pq.write_table(
        pa.table(
            {
                "item": pa.array(range(N_ITEMS), pa.int32()),
                "source_id": [f"s{i}" for i in range(N_ITEMS)],
                "title": [titles.get(i, f"Title {i:02d}") for i in range(N_ITEMS)],
                "year": pa.array([1980 + i if i % 7 else None for i in range(N_ITEMS)], pa.int16()),
                "genres": pa.array([[GENRES[i % 5], GENRES[(i * 3 + 1) % 5]] for i in range(N_ITEMS)]),
            }
        ),
        folder / "dataset" / "items.parquet",
    )
    pq.write_table(
        pa.table({"user": pa.array(range(N_USERS), pa.int32()), "source_id": [f"u{u}" for u in range(N_USERS)]}),
        folder / "dataset" / "users.parquet",
    )
    meta = {"name": "tiny", "domain": domain, "genres": GENRES}
    (folder / "dataset" / "dataset.json").write_text(json.dumps(meta))
    shown = [(u, r, (u + 7 + r) % N_ITEMS, 1.0 - r / 10) for u in range(N_USERS) for r in range(6)]
    users, ranks, items, scores = zip(*shown, strict=True)
    pq.write_table(
        pa.table(
            {
                "user": pa.array(users, pa.int32()),
                "rank": pa.array(ranks, pa.int32()),
                "item": pa.array(items, pa.int32()),
                "score": pa.array(scores, pa.float32()),
            }
        ),
        folder / "candidates" / "candidates.parquet",
    )


def legal(schema: dict[str, Any], rng: random.Random, definitions: dict[str, Any] | None = None) -> Any:
    """A value the schema allows, drawn at random; what a model held by the grammar might write."""
    definitions = schema.get("$defs", {}) if definitions is None else definitions
    if "$ref" in schema:
        return legal(definitions[schema["$ref"].rpartition("/")[2]], rng, definitions)
    if "anyOf" in schema:
        return legal(rng.choice(schema["anyOf"]), rng, definitions)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return rng.choice(schema["enum"])
    if schema["type"] == "object":
        return {name: legal(field, rng, definitions) for name, field in schema["properties"].items()}
    if schema["type"] == "array":
        count = rng.randint(schema.get("minItems", 0), schema["maxItems"])
        return [legal(schema["items"], rng, definitions) for _ in range(count)]
    return rng.choice(["Jane Doe", "Zoë Ångström", "Li"])


def honest(request: Request, company: Sequence[Request]) -> str:
    """An answer within the grammar that depends on the request's seed only."""
    grammar = json.loads(request.grammar or request.draft.answer.grammar)
    return json.dumps(legal(grammar, random.Random(request.seed)), ensure_ascii=False, separators=(",", ":"))


def sociable(request: Request, company: Sequence[Request]) -> str:
    """Like `honest`, but another answer when other requests are in the batch: what rounding does to a real model."""
    others = hashlib.sha256("".join(other.name for other in company).encode()).hexdigest()
    grammar = json.loads(request.grammar or request.draft.answer.grammar)
    return json.dumps(legal(grammar, random.Random(f"{request.seed}{others}")), separators=(",", ":"))


class FakeEngine(Engine):
    """Words are tokens. `answer(request, block)` writes the text; dies with `Killed` after `lives` completions."""

    def __init__(
        self,
        answer: Callable[[Request, Sequence[Request]], str | Completion] = honest,
        *,
        context: int | None = None,
        block: int = 8,
        exact: bool = False,
        lives: int | None = None,
    ) -> None:
        self.identity: dict[str, Any] = {"engine": "fake"}
        self.answer, self.context, self.block, self.exact, self.lives = answer, context, block, exact, lives
        self.starts, self.asked = 0, list[Request]()

    def start(self) -> None:
        self.starts += 1

    def count_tokens(self, messages: Messages) -> int:
        return sum(len(message.content.split()) for message in messages)

    def run(self, requests: Sequence[Request]) -> Iterator[Completion]:
        for request in sorted(requests, key=lambda request: request.seed):
            if self.lives is not None:
                if self.lives == 0:
                    raise Killed
                self.lives -= 1
            self.asked.append(request)
            written = self.answer(request, requests)
            if isinstance(written, Completion):
                yield written
            else:
                tokens = self.count_tokens(request.draft.messages)
                yield Completion(request, written, "stop", request.draft.answer, tokens, len(written), tokens // 2, 0.1)

    def describe(self) -> dict[str, Any]:
        return {"engine": "fake", "starts": self.starts}


class Killed(Exception):
    """The process died here."""


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """A prepared run folder with dataset/ and candidates/."""
    write_dataset(tmp_path / "run")
    return tmp_path / "run"


@pytest.fixture
def catalog(dataset: Path) -> Catalog:
    return Catalog.load(dataset / "dataset", dataset / "candidates" / "candidates.parquet")


@pytest.fixture
def context(catalog: Catalog) -> Context:
    return Context(catalog, Prompts(), max_history=15, seed=7)


@pytest.fixture
def generation() -> GenerationOptions:
    return GenerationOptions(sources={"fake": {"engine": {"kind": "heuristic"}}}, shards=3)


@pytest.fixture
def run(catalog: Catalog, generation: GenerationOptions, tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """run(engine, folder name, **generation overrides) runs the three tasks and returns the summary."""

    def call(engine: FakeEngine, folder: str = "out", seed: int = 0, **overrides: Any) -> dict[str, Any]:
        shards = overrides.pop("only", None)
        options = generation.model_copy(update=overrides)
        source = options.sources["fake"]
        return run_source(
            catalog,
            "fake",
            source,
            options,
            folder=tmp_path / folder,
            seed=seed,
            shards=shards,
            engine=engine,
        )

    return call


@pytest.fixture
def records(tmp_path: Path) -> Callable[..., dict[str, list[dict[str, Any]]]]:
    """records(folder name) reads the merged tables."""

    def call(folder: str = "out") -> dict[str, list[dict[str, Any]]]:
        return {
            path.parent.name: pq.read_table(path).to_pylist()
            for path in sorted((tmp_path / folder).glob("*/records.parquet"))
        }

    return call


@pytest.fixture
def fake() -> type[FakeEngine]:
    """The engine class; its answers `honest` and `sociable` are attributes."""
    FakeEngine.honest, FakeEngine.sociable, FakeEngine.Killed = staticmethod(honest), staticmethod(sociable), Killed  # type: ignore[attr-defined]
    return FakeEngine


@pytest.fixture
def make_dataset() -> Callable[..., None]:
    return write_dataset


@pytest.fixture
def draw_legal() -> Callable[..., Any]:
    return legal
