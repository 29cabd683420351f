"""Runs one source over a data set: asks what is not answered yet, stores every answer, merges at the end.

Requests are taken in blocks. An exact engine's block is answered whole, from an empty prefix cache: the other requests
in a batch change the last bits of a result, so only the same block gives the same text. Every record names the block it
was answered in. One that was interrupted is answered again as it was; what was stored before stays, and is compared
with the new answer; the summary says how many agreed. Where the records that are there come from other blocks, because
the data or the questions have changed since, the missing ones alone are asked, as a block of their own.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

from augment.accounting.energy import EnergyMeter, add_energy, energy_of
from augment.accounting.roofline import Peaks, roofline
from augment.accounting.summary import SECONDS_ARE, Seconds, seconds_of
from augment.accounting.timeline import Timeline, spent
from augment.catalog import Catalog
from augment.completions import records_of
from augment.engines.base import Engine, EngineFailed, EngineInputs
from augment.engines.registry import build_engine
from augment.hashes import block_of
from augment.messages import Record, Request
from augment.options import GenerationOptions, SourceOptions
from augment.prompts.presentation import Presentation
from augment.prompts.rendering import Prompts
from augment.replay.options import ReplayOptions
from augment.replay.replay import Replay
from augment.requests import Ask, Questions, asker, drawn_users
from augment.store.asked_keys import AskedKeys, LastPass, ShardKeys, made_of
from augment.store.line_check import Damaged
from augment.store.made_by import engines_of, write_description
from augment.store.open_requests import OpenNote
from augment.store.request_index import KeyTable
from augment.store.store import Store, block_bits
from augment.store.table import merge
from augment.tasks import TASKS, Task
from augment.tasks.base import Context
from augrec.artefacts.errors import UsageError
from augrec.artefacts.files import write_json
from augrec.artefacts.progress import Ticker, progress, waiting
from augrec.artefacts.visible import visible

SECONDS_BETWEEN_SHARES = 2.0

Block = list[Request | Record]


def run_source(
    catalog: Catalog,
    name: str,
    source: SourceOptions,
    generation: GenerationOptions,
    *,
    folder: Path,
    seed: int,
    shards: Collection[int] | None = None,
    engine: Engine | None = None,
) -> dict[str, Any]:
    """Answers everything a source is asked and writes `folder/<task>/records.parquet`. Resumable at any point.

    Args:
        catalog: what may be told to a model.
        name: the source's name, for progress.
        folder: R/augment/<source>.
        seed: the run's seed.
        shards: the shards this process answers, e.g. of one array task; only a run over all of them merges.
        engine: what answers, unless records are replayed. None: the configured one, if it loads no weights.

    Returns:
        {"engine": what made most of the records, "engines": {name: what made how many of them},
        "tasks": {task: counts, tokens, seconds}, "seconds_are": what seconds mean,
        "users": how many were drawn to be asked about, where not all are; the others have no record,
        "recomputed": how many stored records were computed again, "recomputed_alike": how many gave the same text,
        "grammar_seconds": what the engine spent on grammars by kind, summed over all runs, {} where it does not say,
        "energy_joules": of the devices while generating, summed over all runs, None where none counts it,
        "open": where some were not answered, how many by task and reason; they have no record and are asked next time,
        "damaged": where there were some, how many stored lines were set aside and asked again,
        "roofline": see `augment.accounting.roofline`, where a language model was run}.
        The tasks of a run over some shards are counted, not merged.

    Raises:
        EngineFailed: the engine or its server cannot go on; what was answered before is stored.
    """
    replayed = source.engine.replays
    if "edges" in source.tasks and not catalog.has_candidates and not replayed:
        raise UsageError("edges need candidates, and none were computed", where=name, remedy="run the candidates stage")
    if not replayed:
        catalog = catalog.presented(Presentation(generation.item_text, source.titles, seed))
        catalog.require_titles()
    prompts, terms = Prompts(generation.templates), source.engine.history_terms
    context = Context(catalog, prompts, generation.max_history, seed, terms)
    tasks = [TASKS[task](context, generation.task_options(task, source)) for task in source.tasks]
    store = Store(folder, {task.name: task.about for task in tasks}, generation.shards, shards, catalog.ids)
    maker: Engine | Replay
    if isinstance(source.engine, ReplayOptions):
        maker = Replay(source.engine, catalog)
        ask: Ask = maker.questions
    else:
        maker = engine or build_engine(source.engine, EngineInputs.beside(folder, _suffix(shards)))
        ask = asker(catalog, maker, seed)
    tables = {task.name: folder / task.name / f"records{_suffix(shards)}.parquet" for task in tasks}
    with ExitStack() as running:
        running.enter_context(maker)
        made_from = made_of(catalog, source, generation, tasks, maker, seed)
        last = LastPass(folder, f"last-pass{_suffix(shards)}.json", made_from, store.paths, tables)
        kept = last.read()
        if kept is not None:
            OpenNote(folder, store.selected).clear()
            return kept | _limits(source, kept, shards)
        with store:
            run = Pass(maker, store, tasks, generation.attempts, AskedKeys(folder, store.total, made_from))
            run.check_labels()
            users = drawn_users(catalog, source.users, seed)
            questions = Questions(catalog, tasks, ask, store.total, store.selected, users, generation.max_history)
            with EnergyMeter() as meter:
                run.go(questions, f"augment {name}")
            add_energy(folder, store.selected[0], meter.joules if run.started else None)
            if run.started:
                write_description(folder, maker)
            running.close()  # an engine's memory is free while tables are merged
            summary = _merged(run, store, maker, tables, None if users is None else int(users.sum()))
        if all(summary["tasks"][task]["requests"] == len(present) for task, present in run.present.items()):
            last.write(summary)
    here: dict[str, Any] = {"recomputed": run.recomputed, "recomputed_alike": run.alike}
    here |= {name: value for name, value in (("open", run.open), ("damaged", store.damaged)) if value}
    return summary | here | _limits(source, summary, shards)


def _merged(
    run: Pass, store: Store, maker: Engine | Replay, tables: dict[str, Path], users: int | None
) -> dict[str, Any]:
    """Writes the tables; the summary of everything that is stored, whoever answered it."""
    summaries, tallies = {}, []
    for task, path in tables.items():
        tally = merge(store.records(task), run.present[task], path)
        asked = {name: counts.get(task) for name, counts in run.asked.items()}
        summaries[task] = tally.summary(seconds_of(store.folder, task)) | asked
        tallies.append(tally)
    described, made = engines_of(store.folder, maker, tallies)
    write_json(store.folder / "engine.json", described | {"engines": made})
    return {
        "engine": described,
        "engines": made,
        "tasks": summaries,
        "seconds_are": SECONDS_ARE,
        **({} if users is None else {"users": users}),
        "recomputed": 0,
        "recomputed_alike": 0,
        "grammar_seconds": spent(store.folder),
        "energy_joules": energy_of(store.folder),
    }


def _limits(source: SourceOptions, summary: dict[str, Any], shards: Collection[int] | None) -> dict[str, Any]:
    """What the device could do at most, of a whole source."""
    given = source.engine.peaks
    peaks = Peaks(*given) if given else None
    found = roofline(summary["engine"], summary["tasks"], peaks) if shards is None else None
    return {} if found is None else {"roofline": found}


def _suffix(shards: Collection[int] | None) -> str:
    return "" if shards is None else f"-{min(shards):05d}"


class Pass:
    """One pass over the questions of a source.

    Args:
        maker: what answers requests; or what replays records, where everything that is asked has one already.
        store: where records are kept.
        tasks: what is asked.
        attempts: how often a request is asked.
        asked_keys: the keys that earlier passes found.
    """

    def __init__(
        self,
        maker: Engine | Replay,
        store: Store,
        tasks: Iterable[Task],
        attempts: int,
        asked_keys: AskedKeys,
    ) -> None:
        self._maker, self._store, self._attempts, self._asked_keys = maker, store, attempts, asked_keys
        self._engine = None if isinstance(maker, Replay) else maker
        self._tasks = {task.name: task for task in tasks}
        self._seconds = Seconds(store.folder / "seconds" / f"{store.selected[0]:05d}.json")
        self._timeline = Timeline(store.folder / "timeline" / f"{store.selected[0]:05d}.json", self._grammar_seconds)
        self._failed = 0
        self.asked: dict[str, dict[str, int]] = {"max_tokens": {}, "prompts_per_attempt": {}}
        self.present = {task: KeyTable() for task in self._tasks}
        self.started = False
        self._made_by = ""
        self.recomputed = self.alike = 0
        self._recorded = 0
        self.open: dict[str, dict[str, int]] = {}

    def check_labels(self) -> None:
        """Raises UsageError when a task asks for log-probabilities that the engine cannot give."""
        for task in self._tasks.values():
            if self._engine is not None and task.options.labels:
                self._engine.check_labels(task.options.labels)

    def go(self, questions: Questions, title: str) -> None:
        """Answers everything that is not answered yet, as far as the engine can; says in a file what stays open."""
        note = OpenNote(self._store.folder, self._store.selected)
        note.clear()
        try:
            self._go(questions, title)
        except EngineFailed as failed:
            note.write(len(questions), self._recorded, self.open, failed.what)
            left = f"{self._recorded:,} of {len(questions):,} requests have their record, the others are open"
            raise EngineFailed(f"{failed.what}; {left}", where=failed.where, remedy=failed.remedy) from failed.__cause__
        if self.open:
            note.write(len(questions), self._recorded, self.open, None)

    def _go(self, questions: Questions, title: str) -> None:
        blocks = self._blocks(questions)
        for first in blocks:
            if self._missing(first):
                break
            self._recorded += len(first)
        else:
            return
        if self._engine is not None:  # it starts before the clock of the progress display does
            with waiting(f"{title}  starting the engine"):
                self._engine.start()
        self.started = True
        self._made_by = write_description(self._store.folder, self._maker)
        expected, passed = len(questions), self._recorded
        pulse = self._engine.pulse if self._engine else None
        with self._timeline, progress(title, expected - passed, "requests", pulse) as ticker:
            for block in chain([first], blocks):
                self._answer(block, ticker)
                ticker.skip(expected - len(questions))  # fewer than there can be
                expected = len(questions)
        self._store.sync()

    def _missing(self, block: Block) -> Block:
        return [asked for asked in block if asked.key not in self._store]

    def _blocks(self, questions: Questions) -> Iterator[Block]:
        """The questions of all shards but those whose keys are known and answered; keeps the keys of the others."""
        left = []
        for shard in questions.shards:
            known = self._asked_keys.read(shard)
            if known is None or not all(self._store.has(digest) for task in known.digests for digest in known.of(task)):
                left.append(shard)
                continue
            self._include(known)
            questions.count(shard, len(known))
            self._recorded += len(known)
        for shard in left:
            keys = ShardKeys()
            for block in questions.blocks_of(shard, self._maker.block):
                for asked in block:
                    keys.add(asked)
                yield block
            self._asked_keys.write(shard, keys)
            self._include(keys)

    def _include(self, keys: ShardKeys) -> None:
        """Counts the questions of a shard among the present ones."""
        for task in keys.digests:
            for digest in keys.of(task):
                self.present[task].add_digest(digest)
        for name, counts in keys.asked.items():
            for task, number in counts.items():
                self.asked[name][task] = max(self.asked[name].get(task, 0), number)

    def _answer(self, block: Block, ticker: Ticker) -> None:
        """Answers what is missing of a block, together with what it was or has to be answered with."""
        missing = self._missing(block)
        ticker.skip(len(block) - len(missing))
        self._recorded += len(block) - len(missing)
        for asked in missing:
            if isinstance(asked, Record):
                self._keep(asked, ticker)
        requests = [asked for asked in missing if isinstance(asked, Request)]
        if requests and self._engine is not None:
            whole = self._interrupted(block) if self._engine.exact else None
            self._generate(self._engine, whole or requests, ticker)

    def _interrupted(self, block: Block) -> list[Request] | None:
        """The requests of a block that an exact engine began and did not finish; None where there is none.

        It is what is missing, and those that name the very block which these make together.
        """
        asked = [asked for asked in block if isinstance(asked, Request)]
        answered = {request.key: self._store.answered_with(request.key) for request in asked}
        for bits in dict.fromkeys(bits for bits in answered.values() if bits is not None):
            begun = [request for request in asked if answered[request.key] in (None, bits)]
            if block_bits(block_of(request.key for request in begun)) == bits:
                return begun
        return None

    def _generate(self, engine: Engine, requests: list[Request], ticker: Ticker) -> None:
        block = ""
        if engine.exact:
            block = block_of(request.key for request in requests)
            engine.clear_cache()

        def leave_open(request: Request, reason: str) -> None:
            self._leave_open(request, reason)
            self._say(ticker)

        self._seconds.begin()
        self._timeline.begin()
        for record, busy in records_of(engine, self._tasks, requests, self._attempts, leave_open):
            self._seconds.add(record.task, busy)
            self._seconds.share_every(SECONDS_BETWEEN_SHARES)
            self._timeline.add(record)
            if record.key in self._store:
                self.recomputed += 1
                self.alike += self._store.agrees(record)
            else:
                self._keep(replace(record, block=block), ticker)
        self._seconds.share()

    def _leave_open(self, request: Request, reason: str) -> None:
        if request.key not in self._store:
            reasons = self.open.setdefault(request.task, {})
            code = reason.partition(",")[0] if reason.startswith("server_error") else reason.partition(":")[0]
            reasons[code] = reasons.get(code, 0) + 1

    def _grammar_seconds(self) -> dict[str, float]:
        return self._maker.describe().get("grammar_seconds") or {}

    def _keep(self, record: Record, ticker: Ticker) -> None:
        try:
            self._store.append(replace(record, engine=self._made_by))
        except Damaged as damage:  # an engine let through what no file can hold
            print(f"not stored, and asked again: {visible(str(damage))}", file=sys.stderr, flush=True)
            reasons = self.open.setdefault(record.task, {})
            reasons["not_storable"] = reasons.get("not_storable", 0) + 1
            self._say(ticker)
            return
        self._recorded += 1
        self._failed += record.status == "failed"
        ticker.advance()
        self._say(ticker)

    def _say(self, ticker: Ticker) -> None:
        counts = {"failed": self._failed, "unanswered": sum(sum(reasons.values()) for reasons in self.open.values())}
        if any(counts.values()):
            ticker.note(", ".join(f"{count} {name}" for name, count in counts.items() if count))
