"""What stands in a previewed prompt for what an earlier stage has not made yet: candidates, hints and answers.

Nothing is trained or asked for it. Lists hold the most popular items, the next user is the similar one, and an answer
is what the rule of its task says, marked so that nobody takes it for a language model's, and as long as one would be.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

import numpy as np

from augment.answers.answer import Answer
from augment.answers.token_budget import TOKENS_PER_WORD
from augment.catalog import Catalog
from augment.hints import Hints
from augment.store.answers import Answers, QuotedAnswer
from augment.tasks.base import Impossible, Task
from augrec.artefacts.interactions import UserItems

MARK = "(stand-in)"
FILLER = "text"
"""A word of a stand-in that is as long as a text is expected to be."""


def popular_lists(catalog: Catalog, users: Iterable[int], size: int) -> UserItems:
    """The most popular items that some users do not know from training; the other users have none."""
    trained = np.zeros(catalog.n_items, np.int64)
    for user in range(catalog.n_users):
        trained[catalog.train_items(user)] += 1
    ranked = np.argsort(-trained, kind="stable")
    owners: list[int] = []
    items: list[int] = []
    for user in sorted(users):
        known = catalog.train_items(user)
        among = ranked[: size + len(known)]
        listed = among[~np.isin(among, known)][:size].tolist()
        owners += [user] * len(listed)
        items += listed
    return UserItems.build(np.array(owners, np.int64), np.array(items, np.int64), catalog.n_users)


def hints_by_popularity(catalog: Catalog, listed: UserItems) -> Hints:
    """A recommender's word where none was trained: the next user with a history is similar, and popular items score."""
    known = np.flatnonzero(catalog.history_lengths)
    trained = np.zeros(catalog.n_items, np.int64)
    for user in known:
        trained[catalog.train_items(int(user))] += 1
    scores = dict(enumerate((trained / max(1, trained.max(initial=0))).tolist()))

    def similar(user: int) -> int | None:
        others = known[known != user]
        return int(others[np.searchsorted(others, user) % len(others)]) if len(others) else None

    return Hints(similar, lambda user: scores, listed, "stand-in")


class RuleAnswers(Answers):
    """The answers to a task that nobody has asked yet: what its rule says, marked.

    Args:
        task: the one that is quoted.
        catalog: whose entities it is about.
    """

    def __init__(self, task: Task, catalog: Catalog) -> None:
        self._task, self._catalog = task, catalog
        self.entities = catalog.n_users if task.about == "user" else catalog.n_items
        self.answered = self.records = 0
        self.identity = "stand-in"
        self.of = lru_cache(maxsize=1 << 14)(self._by_rule)

    def _by_rule(self, entity: int) -> tuple[QuotedAnswer, ...]:
        whom: Any = self._catalog.user(entity) if self._task.about == "user" else self._catalog.item(entity)
        try:
            drafts = list(self._task.questions(whom))
        except Impossible:
            return ()
        return tuple(
            QuotedAnswer(draft.question, marked(draft.control.rule(), expected_words(draft.answer))) for draft in drafts
        )


class FinishedAnswers(RuleAnswers):
    """The answers to a task whose records are merged already.

    Args:
        task, catalog: as above.
        known: the answers about each entity.
    """

    def __init__(self, task: Task, catalog: Catalog, known: Mapping[int, tuple[QuotedAnswer, ...]]) -> None:
        super().__init__(task, catalog)
        self.answered = len(known)
        self.of = lru_cache(maxsize=1 << 14)(lambda entity: known.get(entity, ()))


def expected_words(answer: Answer) -> int:
    """How long the prose of an answer is guessed to be: half of its budget; 0 for what is no prose."""
    return 0 if answer.expected_tokens is None else answer.expected_tokens // (2 * TOKENS_PER_WORD)


def marked(value: Any, words: int = 0) -> Any:
    """The same answer with every text marked, and filled up to so many words."""
    if isinstance(value, str):
        said = [MARK, *value.split()]
        return " ".join([*said, *[FILLER] * (words - len(said))])
    if isinstance(value, Mapping):
        return {name: marked(inner, words) for name, inner in value.items()}
    return [marked(inner) for inner in value] if isinstance(value, list | tuple) else value
