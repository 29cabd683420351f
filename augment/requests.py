"""Everything a source will be asked, as a lazy stream: user by user, a user's tasks side by side, then the items.

Tasks about users begin with the same system text and the same history, so neighbours share their prompts' beginning
and the engine computes it once. Within a shard the users with the longest histories come first: prompts of like length
are in the batch together, and what is left takes no longer than the rate so far says. Nothing is held in memory but the
request at hand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import Any, Protocol

import numpy as np

from augment.catalog import Catalog
from augment.engines.base import Engine
from augment.engines.heuristic import RULE_ENGINE
from augment.hashes import engine_seed, refusal_key, request_key, shard_of
from augment.messages import MASKED, Control, Draft, Messages, Record, Request
from augment.samples import UsersBy, by_degree
from augment.source_ids import POSITIONS, SourceIds
from augment.tasks.base import Impossible, Task
from augrec.artefacts.tasks import About

Ask = Callable[[Sequence[Task], int], Iterable[Request | Record]]
"""The questions of several tasks about one entity: requests, or the records of why there is none."""


class TokenCounter(Protocol):
    """What of an engine decides how long a prompt may be; see `Engine`."""

    @property
    def context(self) -> int | None:
        """Most tokens of a prompt and its answer; None: no bound."""

    def count_tokens(self, messages: Messages) -> int:
        """Tokens of a prompt."""


ABOUT: tuple[About, ...] = ("user", "item")
NOBODYS = -1
"""The shard of a user who is not asked about."""


class Questions:
    """All questions of a source, shard by shard, so that what shares a block does not depend on who runs which shards.

    Args:
        tasks: what is asked.
        ask: makes the questions about an entity.
        total: number of shards.
        selected: shards of this process.
        users: who is asked about, True per user; None is all.
        longest: most items of a history that a prompt shows; longer ones are alike. None: no bound.
    """

    def __init__(
        self,
        catalog: Catalog,
        tasks: Sequence[Task],
        ask: Ask,
        total: int,
        selected: Iterable[int],
        users: np.ndarray | None = None,
        longest: int | None = None,
    ) -> None:
        self._catalog, self._tasks, self._ask, self._longest = catalog, tasks, ask, longest
        self._selected = list(selected)
        self._counts: dict[int, int] = {}
        self._shards = {
            about: np.fromiter((shard_of(about, name, total) for name in catalog.source_ids(about)), np.int32)
            for about in ABOUT
            if any(task.about == about for task in tasks)
        }
        if users is not None and "user" in self._shards:
            self._shards["user"] = np.where(users, self._shards["user"], NOBODYS)

    def __len__(self) -> int:
        """How many questions the selected shards hold; of a shard that was not read yet, as many as there can be."""
        unread = [shard for shard in self._selected if shard not in self._counts]
        asked = {about: int(np.isin(shards, unread).sum()) for about, shards in self._shards.items()}
        return sum(self._counts.values()) + sum(asked[task.about] * task.most_questions for task in self._tasks)

    def count(self, shard: int, questions: int) -> None:
        """Says how many questions a selected shard holds, where they were read before."""
        self._counts[shard] = questions

    @property
    def shards(self) -> list[int]:
        """The selected shards."""
        return list(self._selected)

    def blocks(self, size: int) -> Iterator[list[Request | Record]]:
        """Consecutive questions of one shard, about `size` at a time; a small rest joins the block before it."""
        for shard in self._selected:
            yield from self.blocks_of(shard, size)

    def blocks_of(self, shard: int, size: int) -> Iterator[list[Request | Record]]:
        """The blocks of one shard."""
        stream = self._counted(shard)
        block = list(islice(stream, size))
        while rest := list(islice(stream, size)):
            if len(rest) < size // 2:
                block += rest
            else:
                yield block
                block = rest
        if block:
            yield block

    def _counted(self, shard: int) -> Iterator[Request | Record]:
        made = 0
        for asked in self._of(shard):
            made += 1
            yield asked
        self.count(shard, made)

    def _of(self, shard: int) -> Iterator[Request | Record]:
        for about, shards in self._shards.items():
            asked = [task for task in self._tasks if task.about == about]
            numbers = np.flatnonzero(shards == shard)
            if about == "user":
                shown = np.minimum(self._catalog.history_lengths[numbers], self._longest or np.iinfo(np.int64).max)
                numbers = numbers[np.argsort(-shown, kind="stable")]
            for number in numbers.tolist():
                yield from self._ask(asked, number)


def drawn_users(catalog: Catalog, number: int | None, seed: int, by: UsersBy = "random") -> np.ndarray | None:
    """True for the first `number` users, among the askable, in an order that the seed fixes; None for all users.

    A user's place in that order depends on nobody else but by who is askable, so that fewer users are some of more, and
    users who come or go change it for nobody else. Where only those with a list are asked, `None` is all of these. By
    `tail` and `head` the order begins with the shortest and with the longest training histories.
    """
    if number is None:
        return catalog.askable if catalog.listed_only else None
    names = catalog.source_ids("user")
    known = np.flatnonzero(catalog.askable).tolist()
    lengths = catalog.history_lengths
    ranks = {"random": None, "tail": lengths, "head": -lengths}[by]
    return np.isin(np.arange(catalog.n_users), by_degree(known, number, ranks, names.__getitem__, f"{seed}/asked"))


def asker(catalog: Catalog, engine: Engine, seed: int) -> Ask:
    """Asks an engine with prompts from the catalogue."""

    def questions(tasks: Sequence[Task], number: int) -> Iterator[Request | Record]:
        whom = catalog.user(number) if tasks[0].about == "user" else catalog.item(number)
        for task in tasks:
            yield from ask(task, number, whom, engine, seed, catalog.ids)

    return questions


def ask(
    task: Task, number: int, entity: Any, engine: Engine, seed: int, ids: SourceIds = POSITIONS
) -> Iterator[Request | Record]:
    """A task's questions about an entity: requests that fit the engine's context, or the records of why there is none.

    Args:
        number: contiguous id of the entity.
        ids: of the data set; every id is its own name for data without a source.
    """
    shorter = Shorter(task, entity)
    asked = set[str]()
    try:
        for whole in task.questions(entity):
            if whole.question in asked:
                raise ValueError(f"the task {task.name} has two questions called {whole.question!r} about {number}")
            asked.add(whole.question)
            try:
                draft = fit(whole, partial(shorter, whole.question), engine)
            except Impossible as impossible:
                yield _refused(task, number, whole.question, impossible, engine, seed, ids)
            else:
                yield _request(task, draft, engine, seed, ids)
    except Impossible as impossible:
        yield _refused(task, number, "", impossible, engine, seed, ids)


def _request(task: Task, draft: Draft, engine: Engine, seed: int, ids: SourceIds) -> Request:
    sampling, identity = task.options.sampling, engine.identity
    if identity.get("engine") == RULE_ENGINE:  # a rule reads more than the prompt says, as counts over all items
        answer = draft.control.rule()
        identity = identity | {"answer": answer}
        draft = replace(draft, control=Control(lambda: answer, draft.control.answer))
    key = request_key(identity, task.name, task.about, draft, sampling, seed, ids)
    return Request(key, task.name, draft, sampling, engine_seed(key, 1))


def _refused(
    task: Task, number: int, question: str, impossible: Impossible, engine: Engine, seed: int, ids: SourceIds
) -> Record:
    reason, whom = str(impossible), ids.of(task.about, number)
    key = refusal_key(engine.identity, task.name, task.about, whom, reason, seed, question)
    return refusal(key, task.name, number, reason, question)


class Shorter:
    """The questions about an entity without its oldest history items, each number of them made once."""

    def __init__(self, task: Task, entity: Any) -> None:
        self._task, self._entity = task, entity
        self._made: dict[int, dict[str, Draft]] = {}

    def __call__(self, question: str, drop: int) -> Draft:
        """A question without so many of the oldest items."""
        if drop not in self._made:
            self._made[drop] = {draft.question: draft for draft in self._task.questions(self._entity, drop)}
        return self._made[drop][question]


def fit(whole: Draft, shorter: Callable[[int], Draft], engine: TokenCounter) -> Draft:
    """The draft that leaves out as few of the oldest history items, or of an item's reviews, as the context needs.

    At least the latest item stays: a profile of nobody is noise.

    Args:
        whole: with all of the history.
        shorter: the same question without so many of the oldest items.

    Raises:
        Impossible: not even that fits.
    """
    if engine.context is None or _fits(whole, engine):
        return whole
    least, most = 1, whole.droppable
    if most < least or not _fits(shorter(most), engine):
        shortest = shorter(most) if most >= least else whole
        tokens = engine.count_tokens(shortest.messages)
        raise Impossible(
            f"prompt_too_long: {tokens} tokens without older history and {whole.answer.max_tokens} for the answer, "
            f"with a context of {engine.context}"
        )
    while least < most:
        middle = (least + most) // 2
        if _fits(shorter(middle), engine):
            most = middle
        else:
            least = middle + 1
    return shorter(most)


def _fits(draft: Draft, engine: TokenCounter) -> bool:
    longest = max(engine.count_tokens(order.messages) for order in draft.orders)
    return longest + draft.answer.max_tokens <= (engine.context or 0)


def refusal(key: str, task: str, entity: int, reason: str, question: str = "") -> Record:
    """A failed record of something never asked."""
    blank = (None, "", "none", 0, 0, 0)
    return Record(key, task, entity, "failed", reason, *blank, attempt=0, fallback=MASKED, question=question)
