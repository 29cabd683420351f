"""The very prompts of a source, with their schemas and lengths, and what a sample of them says of all."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from augment.catalog import Catalog
from augment.engines.base import Engine
from augment.hashes import draw_seed
from augment.messages import Completion, Draft, Message, Messages, Record, Request
from augment.options import GenerationOptions, SourceOptions
from augment.preview.stand_ins import FinishedAnswers, RuleAnswers
from augment.prompts.rendering import Prompts
from augment.requests import ask, drawn_users
from augment.store.answers import QuotedAnswer
from augment.store.lines import Stored
from augment.tasks import TASKS, Task, card_of
from augment.tasks.base import Context

LETTERS_PER_TOKEN = 4.0
"""Of English prose, where no tokenizer is at hand."""
STORED_TWICE = 1.4
"""Bytes on the disk per byte of a record's line: the log that is kept, and the compressed table made from it."""


class Template(Protocol):
    """A model's chat template and tokenizer; see `augment.engines.vllm.chat.Chat`."""

    def tokens(self, messages: Messages) -> tuple[int, ...]:
        """Ids of the prompt."""

    def text(self, messages: Messages) -> str:
        """The prompt as the model reads it."""

    def plain_tokens(self, text: str) -> tuple[int, ...]:
        """Ids of a text without the template."""


class Reader(Engine):
    """Counts the tokens of prompts as an engine would, and answers nothing.

    Args:
        template: of the model; None: tokens are guessed from letters, and nothing is shortened.
        context: longest prompt and answer together.
    """

    def __init__(self, template: Template | None, context: int | None) -> None:
        self.identity: dict[str, Any] = {"engine": "preview"}
        self.template, self.context = template, context if template is not None else None

    def count_tokens(self, messages: Messages) -> int:
        """See Engine."""
        if self.template is not None:
            return len(self.template.tokens(messages))
        return math.ceil(sum(len(message.content) for message in messages) / LETTERS_PER_TOKEN)

    def count_text(self, text: str) -> int:
        """Tokens of an answer."""
        return (
            math.ceil(len(text) / LETTERS_PER_TOKEN) if self.template is None else len(self.template.plain_tokens(text))
        )

    def run(self, requests: Sequence[Request]) -> Iterator[Completion]:
        """See Engine; a preview asks nobody."""
        raise NotImplementedError("a preview answers nothing")

    def describe(self) -> dict[str, Any]:
        """See Engine."""
        return {**self.identity, "llm": False}


@dataclass(frozen=True)
class Shown:
    """One question as it would be asked.

    Args:
        entity: the source's id of the user or item.
        question: tells several questions about one entity apart; "" where there is one.
        messages: the prompt; empty where nothing can be asked, which `refused` says.
        text: the prompt after the chat template; None where no tokenizer is at hand.
        prompt_tokens: its length.
        schema: of the answer.
        most_tokens: of the answer.
        labels: the answers whose probabilities are read, where no text is.
        orders: in how many orders of its candidates it is asked.
        dropped_history: items left out because the context is too short.
        refused: why nothing is asked.
    """

    entity: str
    question: str
    messages: tuple[Message, ...] = ()
    text: str | None = None
    prompt_tokens: int = 0
    schema: Mapping[str, Any] | None = None
    most_tokens: int = 0
    labels: tuple[str, ...] = ()
    orders: int = 1
    dropped_history: int = 0
    refused: str | None = None


@dataclass(frozen=True)
class TaskPreview:
    """One task of a source.

    Args:
        task: its name.
        about: whom it is asked about, "user" or "item".
        entities: how many of them there are.
        sampled: of how many of these prompts were made.
        requests: about all of them, as the sample says; every order of a scored question is one.
        refused: questions about all of them that cannot be asked.
        prompt_tokens: least, mean and most of the sampled prompts.
        written: mean tokens of an answer, guessed by the task's rule, and of prose by half of its budget; 1 where a
            label is scored.
        most_written: tokens that an answer may have.
        bytes: on the disk, of all records.
        stand_ins: what in the prompts is not there yet, in words.
        shown: the questions that were asked for.
    """

    task: str
    about: str
    entities: int
    sampled: int
    requests: int
    refused: int
    prompt_tokens: tuple[int, float, int]
    written: float
    most_written: int
    bytes: float
    stand_ins: tuple[str, ...]
    shown: tuple[Shown, ...]

    def asked_again(self, times: int) -> TaskPreview:
        """The same about so many lists of every user."""
        return replace(self, requests=times * self.requests, refused=times * self.refused, bytes=times * self.bytes)


class Preview:
    """The prompts of one source.

    Args:
        catalog: what may be told to a model, as prompts show it, candidates and hints included.
        askable: who is asked about, as `catalog` said before stand-ins were put into it.
        source: what is asked.
        generation: the section it stands in.
        seed: the run's.
        reader: counts tokens.
        answers: the answers that are there already, by task and entity.
    """

    def __init__(
        self,
        catalog: Catalog,
        askable: np.ndarray,
        source: SourceOptions,
        generation: GenerationOptions,
        seed: int,
        reader: Reader,
        answers: Mapping[str, Mapping[int, tuple[QuotedAnswer, ...]]],
    ) -> None:
        self._reader, self._askable, self._seed = reader, askable, draw_seed(seed, source.draw)
        quoted: dict[str, Any] = {}
        self._catalog = catalog.quoting(quoted)
        prompts, terms = Prompts(generation.templates), source.engine.history_terms
        context = Context(self._catalog, prompts, generation.max_history, seed, terms)
        self.tasks = [
            TASKS[name](context, generation.task_options(name, source))
            for wave in generation.waves(source)
            for name in wave
        ]
        self._quoted_by_rule: set[str] = set()
        for task in self.tasks:
            known = answers.get(task.name)
            self._quoted_by_rule |= {task.name} if known is None else set()
            quoted[task.name] = (
                RuleAnswers(task, self._catalog) if known is None else FinishedAnswers(task, self._catalog, known)
            )

    def of(self, task: Task, sampled: Sequence[int], shown: Sequence[int], stand_ins: Sequence[str]) -> TaskPreview:
        """What a task asks.

        Args:
            task: one of `tasks`.
            sampled: entities of which the estimate is made.
            shown: entities whose prompts are shown.
            stand_ins: what in the prompts is not there yet, beside answers.
        """
        made = {entity: list(self._questions(task, entity)) for entity in dict.fromkeys([*sampled, *shown])}
        asked = [one for entity in sampled for one in made[entity]]
        requests = [one for one in asked if isinstance(one, Request)]
        entities = int(self._askable.sum()) if task.about == "user" else self._catalog.n_items
        scale = entities / len(sampled) if sampled else 0.0
        lengths = [self._reader.count_tokens(order.messages) for one in requests for order in one.draft.orders]
        written = [self._guessed(one.draft) for one in requests for _ in one.draft.orders]
        quoted = [read for read in task.reads if read in self._quoted_by_rule]
        return TaskPreview(
            task=task.name,
            about=task.about,
            entities=entities,
            sampled=len(sampled),
            requests=round(scale * len(lengths)),
            refused=round(scale * (len(asked) - len(requests))),
            prompt_tokens=(min(lengths, default=0), _mean(lengths), max(lengths, default=0)),
            written=_mean(written),
            most_written=max((1 if one.draft.labels else one.draft.answer.max_tokens for one in requests), default=0),
            bytes=STORED_TWICE * scale * sum(self._bytes(task, one) for one in asked),
            stand_ins=(*stand_ins, *(f"the answers to {read}: what its rule says" for read in quoted)),
            shown=tuple(self._shown(task, one) for entity in shown for one in made[entity]),
        )

    def drafts(self, task: Task, entity: int) -> list[Draft]:
        """The questions of a task about an entity that can be asked."""
        return [one.draft for one in self._questions(task, entity) if isinstance(one, Request)]

    def _questions(self, task: Task, entity: int) -> Iterator[Request | Record]:
        whom: Any = self._catalog.user(entity) if task.about == "user" else self._catalog.item(entity)
        return ask(task, entity, whom, self._reader, self._seed, self._catalog.ids)

    def _shown(self, task: Task, asked: Request | Record) -> Shown:
        if isinstance(asked, Record):
            return Shown(self._catalog.ids.of(task.about, asked.entity), asked.question, refused=asked.reason)
        draft, template = asked.draft, self._reader.template
        return Shown(
            entity=self._catalog.ids.of(task.about, draft.entity),
            question=draft.question,
            messages=draft.messages,
            text=None if template is None else template.text(draft.messages),
            prompt_tokens=self._reader.count_tokens(draft.messages),
            schema=draft.answer.schema,
            most_tokens=1 if draft.labels else draft.answer.max_tokens,
            labels=draft.labels,
            orders=len(draft.orders),
            dropped_history=draft.dropped_history,
        )

    def _guessed(self, draft: Draft) -> float:
        """Tokens of an answer: as many as the rule's has, and of prose half of its budget at least."""
        if draft.labels:
            return 1.0
        return float(max(self._reader.count_text(_by_rule(draft)), (draft.answer.expected_tokens or 0) // 2))

    def _bytes(self, task: Task, asked: Request | Record) -> int:
        """Of the line that the answer would be stored as, if it were the rule's."""
        record = asked if isinstance(asked, Record) else _recorded(asked)
        return len(Stored.of(record, card_of(task), self._catalog.ids).line().encode())


def sampled_entities(task: Task, askable: np.ndarray, n_items: int, wanted: int, seed: int) -> list[int]:
    """Users who are asked about, or items, drawn with the seed."""
    there = np.flatnonzero(askable) if task.about == "user" else np.arange(n_items)
    drawn = np.random.default_rng(seed).permutation(len(there))[:wanted]
    return sorted(there[drawn].tolist())


def asked_users(catalog: Catalog, source: SourceOptions, seed: int) -> np.ndarray:
    """bool [n_users]: whom a source is asked about."""
    drawn = drawn_users(catalog, source.users, seed)
    return catalog.askable if drawn is None else drawn


def _by_rule(draft: Draft) -> str:
    return json.dumps(draft.control.rule(), ensure_ascii=False, separators=(",", ":"))


def _recorded(asked: Request) -> Record:
    draft = asked.draft
    text = "" if draft.labels else _by_rule(draft)
    return Record(
        asked.key, asked.task, draft.entity, "ok", None, None, text + text, "stop", 0, 0, 0, 1,
        shown_history=draft.shown_history, shown_candidates=draft.shown_candidates, question=draft.question,
        shown_reviews=draft.shown_reviews, reviews_sha256=draft.reviews_sha256, shown_similar=draft.shown_similar,
        block="0" * 64, engine="0" * 16,
    )  # fmt: skip


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else 0.0
