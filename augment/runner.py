"""Runs one source over a data set: asks what is not answered yet, stores every answer, merges at the end.

Requests are taken in blocks. An exact engine's block is answered whole, from an empty prefix cache, when any of its
records is missing: the other requests in a batch change the last bits of a result, so only the same block gives the
same text. What was stored before stays, and is compared with the new answer; the summary says how many agreed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from artefacts.errors import UsageError
from artefacts.files import read_json, write_json
from artefacts.progress import Ticker, progress
from augment.catalog import Catalog
from augment.conversation import converse
from augment.engines import build_engine
from augment.engines.base import Engine
from augment.options import GenerationOptions, SourceOptions
from augment.prompting import Prompts
from augment.requests import requests
from augment.shapes import Record, Request
from augment.store import Store
from augment.summary import SECONDS_ARE, Seconds, merge, seconds_of
from augment.tasks import TASKS, Task
from augment.tasks.base import Context


def run_source(
    catalog: Catalog,
    name: str,
    source: SourceOptions,
    generation: GenerationOptions,
    *,
    folder: Path,
    model: Path | None,
    model_sha256: str | None,
    seed: int,
    shards: Collection[int] | None = None,
    engine: Engine | None = None,
) -> dict[str, Any]:
    """Answers everything a source is asked and writes `folder/<task>/records.parquet`. Resumable at any point.

    Args:
        catalog: what may be told to a model.
        name: the source's name, for progress.
        folder: R/augment/<source>.
        model: resolved local folder of the weights; None for engines without.
        model_sha256: its hash.
        seed: the run's seed.
        shards: the shards this process answers, e.g. of one array task; only a run over all of them merges.
        engine: an engine to use instead of the configured one.

    Returns:
        {"engine": what answered, "tasks": {task: counts, tokens, seconds}, "seconds_are": what seconds mean,
        "recomputed": how many stored records were computed again, "recomputed_alike": how many gave the same text}.
        The tasks of a run over some shards are counted, not merged.
    """
    if "edges" in source.tasks and not catalog.has_candidates:
        raise UsageError("edges need candidates, and none were computed", where=name, remedy="run the candidates stage")
    context = Context(catalog, Prompts(generation.templates), generation.max_history, seed)
    tasks = [TASKS[task](context, generation.tasks.of(task)) for task in source.tasks]  # type: ignore[attr-defined]
    store = Store(folder, {task.name: task.about for task in tasks}, generation.shards, shards)
    engine = engine or build_engine(
        source.engine, model=model, model_sha256=model_sha256, log=folder / f"engine{_suffix(shards)}.log"
    )
    with store, engine:
        run = _Run(engine, store, {task.name: task for task in tasks}, generation.attempts)
        run.seconds = Seconds(folder / "seconds" / f"{store.selected[0]:05d}.json")
        with progress(f"augment {name}", _total(catalog, tasks, store), "requests") as ticker:
            for block in _blocks(requests(catalog, tasks, engine, seed, store.mine), engine.block):
                run.answer(block, ticker)
            run.finish()
        described = _described(engine, folder, run.started)
    summaries = {}
    for task in tasks:
        target = folder / task.name / ("records.parquet" if shards is None else f"records{_suffix(shards)}.parquet")
        tally = merge(store.records(task.name), run.present[task.name], target)
        summaries[task.name] = tally.summary(seconds_of(folder, task.name))
    return {
        "engine": described,
        "tasks": summaries,
        "seconds_are": SECONDS_ARE,
        "recomputed": run.recomputed,
        "recomputed_alike": run.alike,
    }


def _suffix(shards: Collection[int] | None) -> str:
    return "" if shards is None else f"-{min(shards):05d}"


def _total(catalog: Catalog, tasks: list[Task], store: Store) -> int:
    count = {"user": catalog.n_users, "item": catalog.n_items}
    if len(store.selected) == store.total:
        return sum(count[task.about] for task in tasks)
    return sum(store.mine(task.name, entity) for task in tasks for entity in range(count[task.about]))


def _blocks(stream: Iterator[Request | Record], size: int) -> Iterator[list[Request | Record]]:
    while block := list(islice(stream, size)):
        yield block


def _described(engine: Engine, folder: Path, started: bool) -> dict[str, Any]:
    """What answered; kept in a file, because a run with nothing left to do starts no engine to ask."""
    path = folder / "engine.json"
    if started or not path.exists():
        write_json(path, engine.describe())
    return read_json(path)


@dataclass
class _Run:
    """One pass over the stream of requests."""

    engine: Engine
    store: Store
    tasks: dict[str, Task]
    attempts: int
    seconds: Seconds = field(init=False)
    present: dict[str, set[str]] = field(init=False)
    started: bool = False
    failed: int = 0
    recomputed: int = 0
    alike: int = 0

    def __post_init__(self) -> None:
        self.present = {task: set() for task in self.tasks}

    def answer(self, block: Sequence[Request | Record], ticker: Ticker) -> None:
        """Answers what is missing of a block; all of it when the engine is exact."""
        missing = [asked for asked in block if asked.key not in self.store]
        for asked in block:
            self.present[asked.task].add(asked.key)
        ticker.skip(len(block) - len(missing))
        for asked in missing:
            if isinstance(asked, Record):
                self._store(asked, ticker)
        wanted = block if self.engine.exact else missing
        questions = [asked for asked in wanted if isinstance(asked, Request)]
        if any(isinstance(asked, Request) for asked in missing):
            self._generate(questions, ticker)

    def finish(self) -> None:
        """Waits for the disk."""
        self.store.sync()

    def _generate(self, questions: list[Request], ticker: Ticker) -> None:
        if not self.started:
            ticker.note("starting the engine")
            self.engine.start()
            self.started = True
            ticker.note("")
        if self.engine.exact:
            self.engine.forget()
        self.seconds.begin()
        for record, busy in converse(self.engine, self.tasks, questions, self.attempts):
            self.seconds.add(record.task, busy)
            self.seconds.share_every(2.0)
            if record.key in self.store:
                self.recomputed += 1
                self.alike += self.store.agrees(record)
            else:
                self._store(record, ticker)
        self.seconds.share()

    def _store(self, record: Record, ticker: Ticker) -> None:
        self.store.append(record)
        self.failed += record.status == "failed"
        ticker.advance()
        if self.failed:
            ticker.note(f"{self.failed} failed")
