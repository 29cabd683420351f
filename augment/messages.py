"""What is passed on from a task to the store: messages, a request, what an engine made of it, and its record."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple

from pydantic import Field

from augment.answers.answer import Answer
from augrec.artefacts.options import Options

FinishReason = Literal["stop", "length", "error", "none"]
INT32_MAX = (1 << 31) - 1
MASKED = "masked"
"""The declared fallback of every failed record: the row is missing downstream, and never text."""


class Message(NamedTuple):
    """One turn of a chat prompt."""

    role: Literal["system", "user"]
    content: str


Messages = tuple[Message, ...]


class Sampling(Options):
    """Sampling parameters of one task; part of every request's identity."""

    temperature: float = Field(default=0.7, ge=0.0, le=2.0)
    """0 is greedy; below about 0.3 small models repeat the first candidate for everybody."""
    top_p: float = Field(default=1.0, gt=0.0, le=1.0)
    """Draw from the smallest set of tokens with this much probability. Below 1 the whole vocabulary is sorted for every
    token, which costs a sixth of a small model's time on a CPU."""
    top_k: int = Field(default=40, ge=0)
    """Draw from this many likeliest tokens; 0 is all."""
    repetition_penalty: float = Field(default=1.0, gt=0.0, le=2.0)
    """Above 1, tokens already seen become less likely. It also counts the prompt and the JSON punctuation."""


class Control(NamedTuple):
    """The answer of a task without a language model: a rule, and the shape it answers in (it may say "unknown")."""

    rule: Callable[[], dict[str, Any]]
    answer: Answer


@dataclass(frozen=True, slots=True)
class Draft:
    """What a task asks about one entity, before it has an identity.

    Args:
        entity: contiguous id of the user or item.
        messages: the chat prompt.
        answer: the shape the reply must have; its schema is the decoding grammar.
        control: used by the heuristic engine only.
        shown_history: item ids in the prompt, oldest first.
        shown_candidates: item ids in label order: label k is `shown_candidates[k - 1]`.
        dropped_history: how many of the oldest items were left out because the context is too short.
        labels: of a scored draft, the one-token answers whose log-probabilities are wanted; empty: text is.
        others: of a scored draft, the same question with its candidates in other orders.
        question: tells the questions of one task about one entity apart; the same text for the same question, whoever
            else is asked what. "" where there is one.
        shown_reviews: whose reviews are in the prompt: of a draft about an item the users who wrote them, of one about
            a user the items that they wrote about.
        reviews_sha256: of these reviews as the data hold them, see `augment.reviews`; "" without any.
        shown_similar: items of a similar user in the prompt, in order.
    """

    entity: int
    messages: Messages
    answer: Answer
    control: Control
    shown_history: tuple[int, ...] = ()
    shown_candidates: tuple[int, ...] = ()
    dropped_history: int = 0
    labels: tuple[str, ...] = ()
    others: tuple[Draft, ...] = ()
    question: str = ""
    shown_reviews: tuple[int, ...] = ()
    reviews_sha256: str = ""
    shown_similar: tuple[int, ...] = ()

    @property
    def droppable(self) -> int:
        """How much of it can be left out: all but the latest item of a history, or an item's reviews."""
        return len(self.shown_history) - 1 if self.shown_history else len(self.shown_reviews)

    @property
    def orders(self) -> tuple[Draft, ...]:
        """The draft in all its orders; most have one."""
        return (self, *self.others)


@dataclass(frozen=True, slots=True)
class Request:
    """A draft with its identity: what an engine is given.

    `key` names the question whatever the attempt; `seed` and `grammar` are those of this attempt. A grammar other
    than the answer's own is a narrower one, for a retry after a contradiction. `order` counts the orders of a scored
    draft, which an engine meets as requests of their own.
    """

    key: str
    task: str
    draft: Draft
    sampling: Sampling
    seed: int
    attempt: int = 1
    grammar: str = ""
    narrowed: tuple[str, ...] = ()
    order: int = 0

    @property
    def name(self) -> str:
        """Names this attempt, and order; unique among requests in flight."""
        return f"{self.key}/{self.attempt}" + (f"/{self.order}" if self.order else "")

    def in_orders(self) -> tuple[Request, ...]:
        """What an engine is asked: a request for each order of the draft."""
        others = (replace(self, draft=draft, order=n) for n, draft in enumerate(self.draft.others, start=1))
        return (self, *others)


@dataclass(frozen=True, slots=True)
class Completion:
    """What an engine made of a request. Counts are tokens; `cached_tokens` of the prompt came from the prefix cache.

    `answer` is the shape the text is in; `busy` is how many seconds the request was in the batch; `error` says why
    there is no text. `unanswered`: the engine or server was in trouble, which says nothing of the request: it gets no
    record, and is asked again by the next run. `label_logprobs` are in the order of the draft's labels, natural
    logarithms; `notes` say what the engine had to assume.
    """

    request: Request
    text: str
    finish_reason: FinishReason
    answer: Answer
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    busy: float = 0.0
    error: str | None = None
    label_logprobs: tuple[float, ...] = ()
    notes: tuple[str, ...] = ()
    unanswered: bool = False


@dataclass(frozen=True, slots=True)
class Record:
    """What is stored of one request: one line of a shard (see `augment.store.lines`), one row of `records.parquet`.

    Token counts are sums over all attempts; `text` and `finish_reason` are the last attempt's. `question` is the
    draft's: a task has one record for every question about an entity. `block` names the
    requests it was answered together with by an exact engine, "" by any other; `engine` names the description of what
    made it. Both are stored beside the answer and are no part of it.
    """

    key: str
    task: str
    entity: int
    status: Literal["ok", "failed"]
    reason: str | None
    fields: str | None
    text: str
    finish_reason: str
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int
    attempt: int
    repairs: tuple[str, ...] = ()
    shown_history: tuple[int, ...] = ()
    shown_candidates: tuple[int, ...] = ()
    dropped_history: int = 0
    fallback: str | None = None
    question: str = ""
    shown_reviews: tuple[int, ...] = ()
    reviews_sha256: str = ""
    shown_similar: tuple[int, ...] = ()
    block: str = field(default="", compare=False)
    engine: str = field(default="", compare=False)
