"""Everything a source will be asked, as a lazy stream: user by user, a user's tasks side by side, then the items.

Tasks about users begin with the same system text and the same history, so neighbours share their prompts' beginning
and the engine computes it once. Nothing is held in memory but the request at hand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from augment.catalog import Catalog
from augment.engines.base import Engine
from augment.identity import engine_seed, refusal_key, request_key
from augment.shapes import Draft, Record, Request
from augment.tasks.base import Impossible, Task

MASKED = "masked"
"""The declared fallback of every failed record: the row is missing downstream, and never text."""


def requests(
    catalog: Catalog, tasks: list[Task], engine: Engine, seed: int, mine: Callable[[str, int], bool]
) -> Iterator[Request | Record]:
    """Requests, and failed records for entities that cannot be asked about.

    Args:
        mine: whether a (task, entity) belongs to this process.
    """
    for about, count, entity in (("user", catalog.n_users, catalog.user), ("item", catalog.n_items, catalog.item)):
        asked = [task for task in tasks if task.about == about]
        for number in range(count):
            theirs = [task for task in asked if mine(task.name, number)]
            if theirs:
                whom = entity(number)
                for task in theirs:
                    yield ask(task, number, whom, engine, seed)


def ask(task: Task, number: int, entity: Any, engine: Engine, seed: int) -> Request | Record:
    """One request that fits the engine's context, or the record of why there is none."""
    try:
        draft = fit(task, entity, engine)
    except Impossible as reason:
        return refusal(
            refusal_key(engine.identity, task.name, number, str(reason), seed), task.name, number, str(reason)
        )
    sampling = task.options.sampling
    key = request_key(engine.identity, task.name, draft, sampling, seed)
    return Request(key, task.name, draft, sampling, engine_seed(key, 1))


def fit(task: Task, entity: Any, engine: Engine) -> Draft:
    """The draft that leaves out as few of the oldest history items as the engine's context requires.

    At least the latest item stays: a profile of nobody is noise. Raises Impossible when not even that fits.
    """
    draft = task.draft(entity)
    if engine.context is None or _fits(draft, engine):
        return draft
    least, most = 1, len(draft.shown_history) - 1
    if most < least or not _fits(task.draft(entity, most), engine):
        shortest = task.draft(entity, most) if most >= least else draft
        tokens = engine.count_tokens(shortest.messages)
        raise Impossible(
            f"prompt_too_long: {tokens} tokens without older history and {draft.answer.max_tokens} for the answer, "
            f"with a context of {engine.context}"
        )
    while least < most:
        middle = (least + most) // 2
        if _fits(task.draft(entity, middle), engine):
            most = middle
        else:
            least = middle + 1
    return task.draft(entity, most)


def _fits(draft: Draft, engine: Engine) -> bool:
    return engine.count_tokens(draft.messages) + draft.answer.max_tokens <= (engine.context or 0)


def refusal(key: str, task: str, entity: int, reason: str) -> Record:
    """A failed record of something never asked."""
    return Record(key, task, entity, "failed", reason, None, "", "none", 0, 0, 0, attempt=0, fallback=MASKED)
