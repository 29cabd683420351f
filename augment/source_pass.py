"""One pass over the questions of a source: asks what is not answered yet, and stores every answer.

Requests are taken in blocks. An exact engine's block is answered whole, from an empty prefix cache: the other requests
in a batch change the last bits of a result, so only the same block gives the same text. Every record names the block it
was answered in. One that was interrupted is answered again as it was; what was stored before stays, and is compared
with the new answer; the summary says how many agreed. Where the records that are there come from other blocks, because
the data or the questions have changed since, the missing ones alone are asked, as a block of their own.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from itertools import chain

from augment.accounting.endpoints import Accounts, EndpointNote
from augment.accounting.remaining import Remaining
from augment.accounting.summary import Seconds
from augment.accounting.timeline import Timeline
from augment.completions import records_of
from augment.engines.base import Engine, EngineFailed
from augment.hashes import block_of
from augment.messages import Record, Request
from augment.replay.replay import Replay
from augment.requests import Questions, refusal
from augment.store.asked_keys import AskedKeys, ShardKeys
from augment.store.line_check import Damaged
from augment.store.made_by import write_description
from augment.store.open_requests import OpenNote
from augment.store.request_index import KeyTable
from augment.store.store import Store, block_bits
from augment.store.under_way import MOST_DEATHS, UnderWay
from augment.tasks import Task
from augrec.artefacts.counts import counted
from augrec.artefacts.progress import Ticker, progress, say, waiting
from augrec.artefacts.source_folder import SourceFolder
from augrec.artefacts.visible import visible

SECONDS_BETWEEN_SHARES = 2.0

Block = list[Request | Record]


class Pass:
    """One pass over the questions of a source.

    Args:
        maker: what answers requests; or what replays records, where everything that is asked has one already.
        store: where records are kept.
        tasks: what is asked.
        attempts: how often a request is asked.
        asked_keys: the keys that earlier passes found.
        under_way: where it is noted what the engine is given; None for engines that end no process.
        record_fatal: whether what ended the process again and again is recorded as failed.
    """

    def __init__(
        self,
        maker: Engine | Replay,
        store: Store,
        tasks: Iterable[Task],
        attempts: int,
        asked_keys: AskedKeys,
        under_way: UnderWay | None = None,
        record_fatal: bool = False,
    ) -> None:
        self._maker, self._store, self._attempts, self._asked_keys = maker, store, attempts, asked_keys
        self._engine = None if isinstance(maker, Replay) else maker
        self._under_way, self._record_fatal = under_way, record_fatal
        self._remaining = Remaining(len(store))
        self._tasks = {task.name: task for task in tasks}
        files = SourceFolder(store.folder)
        self._seconds = Seconds(files.note("seconds", store.selected[0]))
        self._timeline = Timeline(files.note("timeline", store.selected[0]), self._grammar_seconds)
        self._endpoints = EndpointNote(files.note("endpoints", store.selected[0]), self._accounts)
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
            self._remaining.meet(len(first), 0)
        else:
            return
        if self._under_way is not None and self._under_way.suspects and not self._record_fatal:
            suspects = counted(len(self._under_way.suspects), "request that has", "requests that have")
            say(
                f"{title}  the engine ended while it answered {suspects} no record yet; where it does so every time, "
                "`record_unanswered: true` in its section comes past them"
            )
        if self._engine is not None:  # it starts before the clock of the progress display does
            with waiting(f"{title}  starting the engine"):
                self._engine.start()
        left = self._ahead(questions)
        if left < len(questions):
            say(f"{title}  {len(questions) - left:,} kept, {left:,} to go")
        self.started = True
        self._made_by = write_description(self._store.folder, self._maker)
        pulse = self._engine.pulse if self._engine else None
        with self._timeline, self._endpoints, progress(title, left, "requests", pulse, whole=len(questions)) as ticker:
            for block in chain([first], blocks):
                missing = self._missing(block)
                self._remaining.meet(len(block), len(missing))
                ticker.expect(len(missing) + self._ahead(questions))
                self._recorded += len(block) - len(missing)
                self._answer(block, missing, ticker)
            ticker.expect(self._unanswered())
        self._store.sync()

    def _ahead(self, questions: Questions) -> int:
        """How many requests of the blocks to come will have to be answered, with those that stay open anyway."""
        return self._remaining.among(len(questions) - self._remaining.asked) + self._unanswered()

    def _unanswered(self) -> int:
        return sum(sum(reasons.values()) for reasons in self.open.values())

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
            self._remaining.meet(len(known), 0)
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

    def _answer(self, block: Block, missing: Block, ticker: Ticker) -> None:
        """Answers what is missing of a block, together with what it was or has to be answered with."""
        for asked in missing:
            if isinstance(asked, Record):
                self._keep(asked, ticker)
        requests = [asked for asked in missing if isinstance(asked, Request)]
        if not requests or self._engine is None:
            return
        suspects = self._suspects(requests)
        for request in suspects:
            self._answer_alone(self._engine, request, ticker)
        if suspects:
            requests = [request for request in requests if request not in suspects]
        elif self._engine.exact:
            requests = self._interrupted(block) or requests
        if requests:
            self._generate(self._engine, requests, ticker)

    def _suspects(self, requests: list[Request]) -> list[Request]:
        """Those that may end the process, where such are to be recorded."""
        if self._under_way is None or not self._record_fatal:
            return []
        return [request for request in requests if request.key in self._under_way.suspects]

    def _answer_alone(self, engine: Engine, request: Request, ticker: Ticker) -> None:
        """Asks nothing else meanwhile; records as failed what ended the process so before."""
        assert self._under_way is not None
        if not self._under_way.is_fatal(request.key):
            self._generate(engine, [request], ticker)
            return
        draft = request.draft
        reason = f"ends_the_engine: {MOST_DEATHS} times, asked alone"
        record = replace(
            refusal(request.key, request.task, draft.entity, reason, draft.question),
            shown_history=draft.shown_history,
            shown_candidates=draft.shown_candidates,
            dropped_history=draft.dropped_history,
            shown_reviews=draft.shown_reviews,
            reviews_sha256=draft.reviews_sha256,
            shown_similar=draft.shown_similar,
        )
        self._keep(record, ticker)
        self._under_way.settle(request.key)

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
        keys = (request.key for request in requests)
        with self._under_way.asking(keys) if self._under_way else nullcontext():
            for record, busy in records_of(engine, self._tasks, requests, self._attempts, leave_open):
                self._seconds.add(record.task, busy)
                if self._seconds.share_every(SECONDS_BETWEEN_SHARES):
                    self._endpoints.write()
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

    def _accounts(self) -> Accounts:
        return self._engine.accounts() if self._engine else {}

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
        counts = {"failed": self._failed, "unanswered": self._unanswered()}
        if any(counts.values()):
            ticker.note(", ".join(f"{count} {name}" for name, count in counts.items() if count))
