"""How many prompt tokens an order of requests leaves to compute, counted without an engine.

A prefix cache gives back whole blocks from the beginning of a prompt, as long as every token before them is the same;
of a whole prompt it leaves one token. Counted is one prompt after the other, the block that was used longest ago making
room, while an engine has several under way.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from augment.engines.vllm.engine import VllmEngine
from augment.engines.vllm.sizes import memory_need
from augment.messages import Request
from benchmarks.augmentation_work import Work, instruction_first, task_major


@dataclass(frozen=True)
class Shared:
    """Prompt tokens left to compute.

    Attributes:
        ours: our order.
        other: task by task, the instruction first.
        ours_by_token, other_by_token: the same if blocks were of one token, so that a common beginning is shared to its
            end: no packing of the same prompts shares more.
    """

    ours: int
    other: int
    ours_by_token: int
    other_by_token: int


def sharing(work: Work, cache_gib: float, log: Path) -> Shared:
    """Both orders of a source's requests, with the block size and a cache of the benchmark's engine.

    Args:
        work: what is asked.
        cache_gib: GiB of the key-value cache.
        log: for what the engine says; it is not started.
    """
    options, model = work.engine, work.model
    need = memory_need(model.path, options)
    cached = int(cache_gib * (1 << 30) / (need.one_request / need.longest))
    block = options.block_size or 32
    with VllmEngine(options, model.path, model.sha256, log) as engine:
        requests = work.requests(engine)
        other = task_major([instruction_first(order) for order in _orders(requests)])
        ours, theirs = ([engine.tokens(order.draft.messages) for order in way] for way in (_orders(requests), other))
    return Shared(*(computed(prompts, size, cached) for size in (block, 1) for prompts in (ours, theirs)))


def _orders(requests: Iterable[Request]) -> list[Request]:
    return [order for request in requests for order in request.in_orders()]


def computed(prompts: Iterable[Sequence[int]], block: int, cached: int) -> int:
    """Tokens of prompts that the cache does not give back.

    Args:
        prompts: token ids, in the order in which they are asked.
        block: tokens of a block.
        cached: tokens that the cache holds.
    """
    held: OrderedDict[int, None] = OrderedDict()
    total = 0
    for prompt in prompts:
        beginnings, hit, found = _beginnings(prompt, block), 0, True
        for number, beginning in enumerate(beginnings, start=1):
            found = found and beginning in held and number * block < len(prompt)
            hit = number * block if found else hit
        total += len(prompt) - hit
        for beginning in reversed(beginnings):  # of one prompt the end goes first
            held[beginning] = None
            held.move_to_end(beginning)
        while len(held) > cached // block:
            held.popitem(last=False)
    return total


def _beginnings(prompt: Sequence[int], block: int) -> list[int]:
    """A mark for each whole block and all before it."""
    marks, mark = [], 0
    for start in range(0, len(prompt) - block + 1, block):
        mark = hash((mark, *prompt[start : start + block]))
        marks.append(mark)
    return marks
