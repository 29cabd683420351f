"""From completions to records: parse, check, and ask again with a new seed where that can help."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from augment.answers import Malformed
from augment.engines.base import Engine
from augment.identity import engine_seed
from augment.shapes import MASKED, Completion, Record, Request
from augment.tasks.base import Contradiction, Task

FINAL_ERRORS = ("prompt_too_long", "refused_by_engine")
"""Reasons that another seed cannot change."""


class Failed(Exception):
    """One attempt failed; the text is the reason, `code: detail`."""


@dataclass
class Spent:
    """What the attempts of one request cost together."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    busy: float = 0.0

    def add(self, completion: Completion) -> None:
        self.prompt_tokens += completion.prompt_tokens
        self.completion_tokens += completion.completion_tokens
        self.cached_tokens += completion.cached_tokens
        self.busy += completion.busy

    def total(self, record: Record) -> Record:
        """The record with the counts of all attempts instead of the last one's."""
        return replace(
            record,
            prompt_tokens=self.prompt_tokens,
            completion_tokens=self.completion_tokens,
            cached_tokens=self.cached_tokens,
        )


def converse(
    engine: Engine, tasks: Mapping[str, Task], requests: Sequence[Request], attempts: int
) -> Iterator[tuple[Record, float]]:
    """Answers a block of requests: every request ends as one record, with the seconds it was in the batch.

    Attempts go round by round, each in the order of the first, so that the engine meets the same batches whenever the
    block is answered. Token counts of a record are sums over its attempts.
    """
    spent = {request.key: Spent() for request in requests}
    place = {request.key: index for index, request in enumerate(requests)}
    pending = list(requests)
    while pending:
        again: list[Request] = []
        for completion in engine.run(pending):
            key = completion.request.key
            spent[key].add(completion)
            outcome = _judge(tasks[completion.request.task], completion, attempts)
            if isinstance(outcome, Request):
                again.append(outcome)
            else:
                yield spent[key].total(outcome), spent[key].busy
        pending = sorted(again, key=lambda request: place[request.key])


def _judge(task: Task, completion: Completion, attempts: int) -> Record | Request:
    """The record of a completion, or the request of the next attempt."""
    request = completion.request
    try:
        checked = task.check(_parse(completion), request.draft)
    except Contradiction as contradiction:
        reason = f"contradiction: {contradiction.reason}"
        narrower = contradiction.narrower
        following = _next(request)
        if narrower is not None:
            following = replace(following, grammar=narrower.grammar, narrowed=(contradiction.note,))
    except Failed as failure:
        reason, following = str(failure), _next(request)
    else:
        fields = json.dumps(checked.fields, ensure_ascii=False, separators=(",", ":"))
        return _record(completion, "ok", fields=fields, repairs=(*request.narrowed, *checked.repairs))
    if request.attempt >= attempts or reason.partition(":")[0] in FINAL_ERRORS:
        return _record(completion, "failed", reason=reason)
    return following


def _parse(completion: Completion) -> dict:
    if completion.error is not None:
        raise Failed(completion.error)
    if completion.finish_reason != "stop":
        raise Failed(f"not_finished: {completion.finish_reason} after {completion.completion_tokens} tokens")
    try:
        return completion.answer.parse(completion.text)
    except Malformed as problem:
        raise Failed(f"malformed: {problem}") from None


def _next(request: Request) -> Request:
    attempt = request.attempt + 1
    return replace(request, attempt=attempt, seed=engine_seed(request.key, attempt))


def _record(
    completion: Completion,
    status: str,
    *,
    reason: str | None = None,
    fields: str | None = None,
    repairs: tuple[str, ...] = (),
) -> Record:
    request, draft = completion.request, completion.request.draft
    return Record(
        request.key,
        request.task,
        draft.entity,
        status,  # type: ignore[arg-type]
        reason,
        fields,
        completion.text,
        completion.finish_reason,
        completion.prompt_tokens,
        completion.completion_tokens,
        completion.cached_tokens,
        request.attempt,
        repairs,
        draft.shown_history,
        draft.shown_candidates,
        draft.dropped_history,
        None if status == "ok" else MASKED,
    )
