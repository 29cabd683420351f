"""However many users are asked about, only the block at hand is in memory; of the others a few bytes each."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from augment.hashes import request_key
from augment.messages import Completion, Draft, Message, Record, Request, Sampling
from augment.requests import Questions
from augment.source_ids import Positions
from augment.source_pass import Pass
from augment.store.asked_keys import AskedKeys
from augment.store.store import Store
from augment.tasks.base import Checked, Context, Task, card_of
from augment.tasks.edges import Edges, EdgesOptions
from tests.kit.fake_engine import FakeEngine

BLOCK = 16


class Plain(Task):
    """A task whose question is one line."""

    name = "edges"
    about = "user"
    gives = Edges.gives

    def __init__(self, context: Context) -> None:
        self._draft = Edges(context, EdgesOptions(candidates=3)).draft(context.catalog.user(0))

    def ask(self, tasks: Sequence[Any], user: int) -> Iterator[Request]:
        messages = (Message("user", f"What does {user} like?"),)
        draft = Draft(user, messages, self._draft.answer, self._draft.control)
        key = request_key({}, self.name, "user", draft, Sampling(), 0, Positions())
        yield Request(key, self.name, draft, Sampling(), 1)

    def check(self, answer: dict[str, Any], draft: Draft) -> Checked:
        return Checked({"positive": answer["most_likely"], "negative": answer["least_likely"]})


def in_memory() -> int:
    """Requests, their answers and their records that somebody still holds."""
    gc.collect()
    return sum(isinstance(found, Request | Completion | Record) for found in gc.get_objects())


@pytest.fixture
def young() -> Iterator[None]:
    """What earlier tests left is not looked through again and again."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.mark.usefixtures("young")
@pytest.mark.parametrize("users", [4 * BLOCK, 16 * BLOCK])
def test_no_more_than_a_block_is_held(users: int, context: Context, tmp_path: Path) -> None:
    most = 0

    def answer(request: Request, company: Sequence[Request]) -> str:
        nonlocal most
        if request is company[-1]:
            most = max(most, in_memory())
        return '{"most_likely":1,"least_likely":2}'

    before, task = in_memory(), Plain(context)
    engine = FakeEngine(answer, block=BLOCK)
    engine.asked = SimpleNamespace(append=lambda request: None)
    with Store(tmp_path, {"edges": card_of(task)}, 2) as store:
        run = Pass(engine, store, [task], 1, AskedKeys(tmp_path, 2, "made of this"))  # type: ignore[list-item]
        many = SimpleNamespace(n_users=users, n_items=0, history_lengths=np.zeros(users, np.int64))
        many.source_ids = lambda about: [str(number) for number in range(users if about == "user" else 0)]
        questions = Questions(many, [task], task.ask, 2, [0, 1])  # type: ignore[arg-type, list-item]
        run.go(questions, "test")
        assert len(run.present["edges"]) == users
    # A block and a half that is answered, the next that is read ahead of it, and what each answer and record is.
    assert BLOCK <= most - before <= 5 * BLOCK
