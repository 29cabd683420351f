"""What the benchmark of generation asks: the demo's requests about MovieLens-100K's users, and other orders of them."""

from __future__ import annotations

import io
import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import yaml
from rich.console import Console

from augment.answers.answer import Malformed
from augment.catalog import Catalog
from augment.engines.vllm.engine import VllmEngine
from augment.engines.vllm.number_format import settled_format
from augment.engines.vllm.options import VllmOptions
from augment.messages import Completion, Message, Request
from augment.options import GenerationOptions, SourceOptions
from augment.runner import run_source
from augrec.artefacts.files import write_text
from augrec.artefacts.records import read_records
from augrec.artefacts.run_folder import RunFolder
from augrec.artefacts.source_folder import SourceFolder
from augrec.pipeline.config.run_config import Config, read_config
from augrec.pipeline.executors.chain import run_one
from augrec.pipeline.stages.base import Run
from augrec.pipeline.weights import ResolvedModel, resolve

Value = TypeVar("Value")

DEMO = Path(__file__).parent.parent / "configs" / "ml-100k" / "demo.yaml"
SOURCE = "smollm2"
THREADS = 1
TASKS_ABOUT_USERS = ("edges", "user_profile")


@dataclass(frozen=True)
class Work:
    """The config that asks a number of users, its data prepared, each request once whatever becomes of it."""

    config: Path
    history: int | None = None
    """Most items of a history in a prompt, where not the demo's number."""
    scored: bool = False
    """Whether edges are scored, in two orders of the candidates, and nothing else is asked."""

    @cached_property
    def parsed(self) -> Config:
        """The config as `augrec` reads it."""
        return read_config(self.config)

    @property
    def run(self) -> Path:
        """The run folder."""
        assert self.parsed.output is not None
        return self.parsed.output

    @property
    def generation(self) -> GenerationOptions:
        """What is generated, and how."""
        assert self.parsed.generation is not None
        generation = self.parsed.generation
        changed: dict[str, Any] = {} if self.history is None else {"max_history": self.history}
        if self.scored:
            edges = generation.tasks.edges.model_copy(update={"mode": "score"})  # type: ignore[attr-defined]
            changed["tasks"] = generation.tasks.model_copy(update={"edges": edges})  # type: ignore[attr-defined]
        return generation.model_copy(update=changed)

    @property
    def source(self) -> SourceOptions:
        """The one source."""
        source = self.generation.sources[SOURCE]
        return source.model_copy(update={"tasks": ("edges",)}) if self.scored else source

    @property
    def engine(self) -> VllmOptions:
        """Its engine, with the number format that it chooses here: everybody is measured in the same."""
        assert isinstance(self.source.engine, VllmOptions)
        dtype = settled_format(self.source.engine, self.model.path).dtype
        return self.source.engine.model_copy(update={"dtype": dtype})

    @cached_property
    def model(self) -> ResolvedModel:
        """The weights; converted first where that was never done."""
        assert isinstance(self.source.engine, VllmOptions)
        return resolve(self.source.engine.model)

    @cached_property
    def catalog(self) -> Catalog:
        """The users."""
        return Catalog.load(RunFolder(self.run).dataset, RunFolder(self.run).candidates)

    def requests(self, engine: VllmEngine) -> list[Request]:
        """Everything the source is asked, in our order; `engine` must be entered, and is not started."""
        noted = Noting(engine)
        self.answer(noted)
        return noted.asked

    def answer(self, engine: Any) -> dict[str, str]:
        """A whole run over the source with an entered engine; the text of every request by its name."""
        with tempfile.TemporaryDirectory() as folder:
            run_source(
                self.catalog, SOURCE, self.source, self.generation,
                folder=Path(folder), seed=self.parsed.seed, engine=engine,
            )  # fmt: skip
            return answers_in(Path(folder), self.source.tasks)


class Noting:
    """An engine that answers nothing and notes what it was asked."""

    def __init__(self, engine: VllmEngine) -> None:
        self._engine = engine
        self.exact, self.block = False, 1 << 30
        self.asked: list[Request] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def __enter__(self) -> Noting:
        return self

    def __exit__(self, *error: object) -> None:
        return None

    def start(self) -> None:
        """See Engine."""

    def run(self, requests: Sequence[Request]) -> Iterator[Completion]:
        """See Engine."""
        self.asked.extend(requests)
        for request in requests:
            yield Completion(request, "", "error", request.draft.answer, error="refused_by_engine: only noted")


def answers_in(folder: Path, tasks: Iterable[str]) -> dict[str, str]:
    """The text of every first attempt by its request's name, from a source's merged tables."""
    source = SourceFolder(folder)
    tables = (read_records(source.task(task).records, columns=["key", "text"]) for task in tasks)
    return {f"{record.key}/1": record.text for table in tables for record in table}


def valid_share(requests: Sequence[Request], texts: Mapping[str, str]) -> float:
    """Share of requests whose text is an answer of their schema."""
    return sum(_parses(request, texts.get(request.name, "")) for request in requests) / len(requests)


def _parses(request: Request, text: str) -> bool:
    if request.draft.labels:
        return len(json.loads(text or "[]")) == len(request.draft.labels)
    try:
        request.draft.answer.parse(text)
    except Malformed:
        return False
    return True


def config_of(demo: dict[str, Any], run: Path, users: int, batch: int) -> dict[str, Any]:
    """The demo's config with `users` of its users asked: tasks about users only, one attempt each, `batch` at once.

    The demo computes 64 requests at once; fewer keep the windows and batches of an engine in proportion to the fewer
    requests asked here, and its blocks are of the default size. On a CPU everybody computes on one thread, so that CPU
    seconds can be compared.
    """
    engine = demo["generation"]["sources"][SOURCE]["engine"] | {"max_num_seqs": batch, "threads": THREADS}
    engine.pop("block", None)  # the default is what is measured
    source = {"engine": engine, "tasks": list(TASKS_ABOUT_USERS), "users": users}
    base = demo["candidates"]["model"]
    return demo | {
        "name": "generation",
        "output": str(run),
        "generation": demo["generation"] | {"attempts": 1, "shards": 1, "sources": {SOURCE: source}},
        "variants": {base: {"model": base}},
        "report": {"baseline": base},
    }


def prepared(folder: Path, users: int, batch: int, sample: int | None = None) -> Work:
    """The demo's data and candidates under `folder`, by the main job's stages.

    `sample`: so many users instead of the demo's 200, with popular items as candidates, which need no training.
    """
    config = folder / "generation.yaml"
    demo = yaml.safe_load(DEMO.read_text(encoding="utf-8"))
    if sample is not None:
        demo["dataset"]["sample_users"] = sample
        demo["candidates"]["model"] = "popularity"
    write_text(config, yaml.safe_dump(config_of(demo, folder / "run", users, batch)))
    for stage in ("prepare", "candidates"):
        run_one(Run(read_config(config)), stage, force=False, console=Console(file=io.StringIO()))
    return Work(config)


def instruction_first(request: Request) -> Request:
    """The same question with what is shared by a user's prompts, the history, at the end."""
    system, user = request.draft.messages
    history, _, instruction = user.content.partition("\n\n")
    turned = (system, Message("user", f"{instruction}\n\n{history}"))
    return replace(request, draft=replace(request.draft, messages=turned))


def task_major(requests: Sequence[Request]) -> list[Request]:
    """All requests of the first task, then all of the next, and so for the orders of a scored one; users as given."""
    tasks = list(dict.fromkeys(request.task for request in requests))
    return sorted(requests, key=lambda request: (tasks.index(request.task), request.order))


def chunks(values: Sequence[Value], size: int) -> Iterator[Sequence[Value]]:
    """Consecutive parts of `size`; the last may be shorter."""
    return (values[start : start + size] for start in range(0, len(values), size))
