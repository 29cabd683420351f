"""From completions to records: parse, check, and ask again with a new seed where that can help."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from augment.answers.answer import Malformed
from augment.answers.scoring import parsed, written
from augment.engines.base import Engine
from augment.hashes import engine_seed
from augment.messages import INT32_MAX, MASKED, Completion, Record, Request
from augment.tasks.base import Contradiction, Task

FINAL_ERRORS = ("prompt_too_long", "refused_by_engine", "no_label", "orders_disagree")
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
        """Adds tokens and seconds of one attempt."""
        self.prompt_tokens += completion.prompt_tokens
        self.completion_tokens += completion.completion_tokens
        self.cached_tokens += completion.cached_tokens
        self.busy += completion.busy

    def total(self, record: Record) -> Record:
        """The record with the counts of all attempts instead of the last one's, as far as its columns reach."""
        return replace(
            record,
            prompt_tokens=min(self.prompt_tokens, INT32_MAX),
            completion_tokens=min(self.completion_tokens, INT32_MAX),
            cached_tokens=min(self.cached_tokens, INT32_MAX),
        )


def _ignore(request: Request, reason: str) -> None:
    """Does nothing."""


def records_of(
    engine: Engine,
    tasks: Mapping[str, Task],
    requests: Sequence[Request],
    attempts: int,
    unanswered: Callable[[Request, str], None] = _ignore,
) -> Iterator[tuple[Record, float]]:
    """Answers a block of requests: every request ends as one record, with the seconds it was in the batch.

    But for those that the engine leaves unanswered: they have no record, and `unanswered` is called with the reason.

    Attempts go round by round, each in the order of the first, so that the engine meets the same batches whenever the
    block is answered. The orders of a scored request are asked side by side and end as one record. Token counts of a
    record are sums over its attempts and orders.
    """
    spent = {request.key: Spent() for request in requests}
    place = {request.key: index for index, request in enumerate(requests)}
    pending = list(requests)
    while pending:
        again: list[Request] = []
        orders: dict[str, dict[int, Completion]] = {}
        asked = {request.key: request for request in pending}
        for completion in engine.run([order for request in pending for order in request.in_orders()]):
            key = completion.request.key
            if completion.unanswered:
                if asked.pop(key, None) is not None:  # another order of it may have been silent too
                    unanswered(completion.request, completion.error or "")
                continue
            if key not in asked:
                continue
            spent[key].add(completion)
            answers = orders.setdefault(key, {})
            answers[completion.request.order] = completion
            if len(answers) < len(asked[key].draft.orders):
                continue
            completion = _joined(asked[key], orders.pop(key))
            outcome = _judge(tasks[completion.request.task], completion, attempts)
            if isinstance(outcome, Request):
                again.append(outcome)
            else:
                yield spent[key].total(outcome), spent[key].busy
        pending = sorted(again, key=lambda request: place[request.key])


def _joined(request: Request, orders: Mapping[int, Completion]) -> Completion:
    """The completions of a request's orders as one; the first that failed where any did."""
    first = orders[0]
    if not request.draft.labels:
        return first
    in_order = [orders[n] for n in range(len(orders))]
    failed = next((completion for completion in in_order if completion.error is not None), None)
    if failed is not None:
        return replace(failed, request=request)
    labels = request.draft.labels
    text = written([dict(zip(labels, completion.label_logprobs, strict=False)) for completion in in_order])
    return replace(first, text=text, notes=tuple(note for completion in in_order for note in completion.notes))


def _judge(task: Task, completion: Completion, attempts: int) -> Record | Request:
    """The record of a completion, or the request of the next attempt."""
    request = completion.request
    try:
        checked = task.check(_parse(completion), request.draft)
    except Contradiction as contradiction:
        reason = f"{contradiction.code}: {contradiction.reason}"
        narrower = contradiction.narrower
        following = _next(request)
        if narrower is not None:
            following = replace(following, grammar=narrower.grammar, narrowed=(contradiction.note,))
    except Failed as failure:
        reason, following = str(failure), _next(request)
    else:
        fields = json.dumps(checked.fields, ensure_ascii=False, separators=(",", ":"))
        repairs = (*request.narrowed, *completion.notes, *checked.repairs)
        return _record(completion, "ok", fields=fields, repairs=repairs)
    if request.attempt >= attempts or reason.partition(":")[0] in FINAL_ERRORS:
        return _record(completion, "failed", reason=reason)
    return following


def _parse(completion: Completion) -> dict:
    if completion.error is not None:
        raise Failed(completion.error)
    if completion.finish_reason != "stop":
        raise Failed(f"not_finished: {completion.finish_reason} after {completion.completion_tokens} tokens")
    draft = completion.request.draft
    try:
        if draft.labels:
            return {"label_logprobs": parsed(completion.text, draft.labels, len(draft.orders))}
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
        draft.question,
        draft.shown_reviews,
        draft.reviews_sha256,
        draft.shown_similar,
    )
