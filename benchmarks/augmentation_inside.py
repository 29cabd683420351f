"""One running vLLM, fed in different ways. Runs in a process of its own."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from augment.engines.vllm.engine import VllmEngine
from augment.engines.vllm.options import VllmOptions
from augment.messages import Completion, Request
from benchmarks.augmentation_turns import Spent, Turns, clocked, in_turns
from benchmarks.augmentation_work import Work, chunks, instruction_first, task_major, valid_share

Texts = dict[str, str]
EXACT, WINDOW, BARE, CHUNKED = "ours, exact: true", "ours, exact: false", "LLM.generate", "LLM.generate on chunks"
OURS, OTHER = "our order", "task by task, instruction first"


@dataclass(frozen=True)
class Fed:
    """What ways of feeding cost, and what came out.

    Attributes:
        requests: how many were asked in each turn.
        turns: the cost.
        valid: share of requests answered within their schema.
        alike: share of answers that are those of the first alternative.
        cached: share of prompt tokens taken from the prefix cache, where it is known.
        steps: how often the engine stepped in the last turn; no load of the machine changes it.
        outside: CPU seconds of the process outside of these steps in the last turn: what feeding itself takes.
    """

    requests: int
    turns: Turns
    valid: dict[str, float]
    alike: dict[str, float]
    cached: dict[str, float]
    steps: dict[str, int]
    outside: dict[str, float]


class Lent:
    """A started engine for another run: not ended with it, and with blocks of its own."""

    def __init__(self, engine: VllmEngine, *, exact: bool) -> None:
        self._engine, self.exact = engine, exact
        self.block = engine.block if exact else 1 << 30

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def __enter__(self) -> Lent:
        return self

    def __exit__(self, *error: object) -> None:
        return None


def feeding(work: Work, rounds: int, chosen: Sequence[str] = ()) -> Fed:
    """Our run over a source against one call of `LLM.generate`, and against one call per `max_num_seqs` requests.

    Args:
        work: what is asked.
        rounds: turns of each way.
        chosen: ways to measure; all where there are none.
    """
    with started(work, work.engine) as engine:
        requests = work.requests(engine)
        size = work.engine.max_num_seqs
        ways: dict[str, Callable[[], Texts]] = {
            BARE: partial(generate, engine, requests, len(requests)),
            WINDOW: partial(run_over, work, engine, exact=False),
            EXACT: partial(run_over, work, engine, exact=True),
            CHUNKED: partial(generate, engine, requests, size),
        }
        return _measured(
            engine, requests, {name: way for name, way in ways.items() if name in (chosen or ways)}, rounds
        )


def ordering(work: Work, rounds: int, options: VllmOptions | None = None) -> Fed:
    """Our order against task by task with the instruction first, both through our loop."""
    with started(work, options or work.engine) as engine:
        requests = work.requests(engine)
        other = task_major([instruction_first(request) for request in requests])
        cached: dict[str, float] = {}
        ways: dict[str, Callable[[], Texts]] = {
            OURS: partial(_window, engine, requests, cached, OURS),
            OTHER: partial(_window, engine, other, cached, OTHER),
        }
        return _measured(engine, requests, ways, rounds, cached)


@contextmanager
def started(work: Work, options: VllmOptions) -> Iterator[VllmEngine]:
    """A running engine that has answered before, so that nothing is compiled or allocated while it is timed."""
    with (
        tempfile.TemporaryDirectory() as folder,
        VllmEngine(options, work.model.path, work.model.sha256, Path(folder) / "said.log") as engine,
    ):
        engine.start()
        for _ in engine.run(work.requests(engine)[: 2 * options.max_num_seqs]):
            pass
        yield engine


def run_over(work: Work, engine: VllmEngine, *, exact: bool) -> Texts:
    """Everything `augrec augment` does once its engine runs: prompts, tokens, keys, checks, files, the merged table."""
    engine.tokens.cache_clear()
    return work.answer(Lent(engine, exact=exact))


def generate(engine: VllmEngine, requests: Sequence[Request], size: int) -> Texts:
    """vLLM's own call, once per `size` requests, prompts given as tokens."""
    texts = {}
    for part in chunks(requests, size):
        prompts = [{"prompt_token_ids": list(engine.tokens(request.draft.messages))} for request in part]
        outputs = engine.llm.generate(prompts, [engine.parameters(request) for request in part], use_tqdm=False)
        texts.update({request.name: found.outputs[0].text for request, found in zip(part, outputs, strict=True)})
    return texts


def _window(engine: VllmEngine, requests: Sequence[Request], cached: dict[str, float], name: str) -> Texts:
    found: list[Completion] = list(engine.run(requests))
    cached[name] = sum(done.cached_tokens for done in found) / sum(done.prompt_tokens for done in found)
    return {done.request.name: json.dumps(done.label_logprobs) if done.label_logprobs else done.text for done in found}


def _measured(
    engine: VllmEngine,
    requests: Sequence[Request],
    ways: dict[str, Callable[[], Texts]],
    rounds: int,
    cached: dict[str, float] | None = None,
) -> Fed:
    texts: dict[str, Texts] = {}
    steps: dict[str, int] = {}
    outside: dict[str, float] = {}
    step = engine.llm.llm_engine.step

    def turn(name: str) -> Spent:
        engine.clear_cache()
        inside: list[float] = []

        def counted() -> Any:
            began = time.process_time()
            try:
                return step()
            finally:
                inside.append(time.process_time() - began)

        engine.llm.llm_engine.step = counted
        spent = clocked(lambda: texts.update({name: ways[name]()}))
        steps[name], outside[name] = len(inside), spent.cpu - sum(inside)
        return spent

    turns = in_turns({name: partial(turn, name) for name in ways}, rounds)
    first = texts[next(iter(ways))]
    return Fed(
        len(requests),
        turns,
        {name: valid_share(requests, found) for name, found in texts.items()},
        {name: sum(first[key] == text for key, text in found.items()) / len(first) for name, found in texts.items()},
        cached or {},
        steps,
        outside,
    )
