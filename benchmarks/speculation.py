"""Whether drafting tokens pays: vLLM with n-gram speculation against without, with answers held to a schema and free.

    python -m benchmarks.speculation [--users 16] [--rounds 3] [--tokens 4] [--longest 96] [--json FILE]

Two engines over the demo's model and data, each in a process of its own, take turns; what is compared is CPU time of
all threads for each written token, since drafts change how much is written. On a CPU both compute on one thread. There
a drafted token costs its share of a step whether it is accepted or not; on a GPU with few requests at once it is nearly
free, so that a ratio from a CPU says nothing of one.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import yaml

from augment.engines.vllm.engine import VllmEngine
from augment.engines.vllm.options import SpeculativeOptions
from augment.messages import Request
from augrec.artefacts.files import write_text
from augrec.artefacts.progress import say
from benchmarks.augmentation_inside import started
from benchmarks.augmentation_work import TASKS_ABOUT_USERS, Work, prepared
from benchmarks.result import Result, add_json_option, report, run

FORMS = ("within a schema", "free")
PLAIN, DRAFTED = "plain", "n-gram"
BATCH = 8
LONGEST = 96
"""Tokens of an answer at most, of either form."""


@dataclass(frozen=True)
class Turn:
    """What answering all requests once cost."""

    cpu: float
    written: int
    drafted: float
    accepted: float

    @property
    def per_token(self) -> float:
        """CPU milliseconds for each written token."""
        return 1e3 * self.cpu / self.written


def draw_from_all(config: Path) -> None:
    """Sets `top_k: 0` for all tasks: on a CPU vLLM ends where drafts are checked with another."""
    content = yaml.safe_load(config.read_text(encoding="utf-8"))
    content["generation"]["tasks"] = {task: {"sampling": {"top_k": 0}} for task in TASKS_ABOUT_USERS}
    write_text(config, yaml.safe_dump(content))


def serve(orders: Connection, config: Path, tokens: int, longest: int) -> None:
    """A process: answers all requests in the form that it is told, again and again, until nobody asks."""
    work = Work(config)
    drafts = SpeculativeOptions(method="ngram", num_speculative_tokens=tokens) if tokens else None
    with started(work, work.engine.model_copy(update={"speculative_config": drafts})) as engine:
        requests = work.requests(engine)
        orders.send(len(requests))
        with suppress(EOFError):
            while True:
                held = orders.recv() == FORMS[0]
                engine.clear_cache()
                orders.send(answered(engine, requests, held=held, longest=longest))


def answered(engine: VllmEngine, requests: Sequence[Request], *, held: bool, longest: int) -> Turn:
    """All requests by vLLM's own call, within their schemas or free."""
    prompts = [{"prompt_token_ids": list(engine.tokens(request.draft.messages))} for request in requests]
    parameters = [engine.parameters(request) for request in requests]
    for one in parameters:
        one.max_tokens = longest
        if not held:
            one.structured_outputs = None
    before, began = drafts(engine.llm), time.process_time()
    outputs = engine.llm.generate(prompts, parameters, use_tqdm=False)
    cpu = time.process_time() - began
    drafted, accepted = (now - then for now, then in zip(drafts(engine.llm), before, strict=True))
    return Turn(cpu, sum(len(output.outputs[0].token_ids) for output in outputs), drafted, accepted)


def drafts(llm: Any) -> tuple[float, float]:
    """Tokens drafted and accepted so far; zeros without speculation."""
    values = {metric.name: getattr(metric, "value", 0.0) for metric in llm.get_metrics()}
    names = ("vllm:spec_decode_num_draft_tokens", "vllm:spec_decode_num_accepted_tokens")
    drafted, accepted = (float(values.get(name, 0.0)) for name in names)
    return drafted, accepted


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--users", type=int, default=16, help="who is asked about; two requests each")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each engine in each form")
    parser.add_argument("--tokens", type=int, default=4, help="most tokens of a draft")
    parser.add_argument("--longest", type=int, default=LONGEST, help="tokens of an answer at most")
    add_json_option(parser)
    arguments = parser.parse_args()
    os.environ.setdefault("NUMBA_NUM_THREADS", "1")  # vLLM drafts on one; others of the pool would spin beside it
    spawned = multiprocessing.get_context("spawn")
    turns: dict[tuple[str, str], list[Turn]] = {(arm, form): [] for arm in (PLAIN, DRAFTED) for form in FORMS}
    with tempfile.TemporaryDirectory() as folder, ExitStack() as running:
        config = prepared(Path(folder), arguments.users, BATCH, sample=200).config
        draw_from_all(config)
        ends = {}
        for arm, tokens in ((PLAIN, 0), (DRAFTED, arguments.tokens)):
            here, there = spawned.Pipe()
            process = spawned.Process(target=serve, args=(there, config, tokens, arguments.longest))
            process.start()
            there.close()
            running.callback(process.join)
            running.callback(here.close)  # the other end reads that there is no more to do
            ends[arm] = here
        requests = max(end.recv() for end in ends.values())
        for turn in range(arguments.rounds):
            for form in FORMS:
                for arm in (PLAIN, DRAFTED) if turn % 2 == 0 else (DRAFTED, PLAIN):
                    ends[arm].send(form)
                    turns[arm, form].append(ends[arm].recv())
                    last = turns[arm, form][-1]
                    say(f"{form}, {arm}: {last.written} tokens written, {last.per_token:.1f} ms of CPU time each")
    results = [line for form in FORMS for line in compared(form, turns[PLAIN, form], turns[DRAFTED, form])]
    return report(f"Drafts of {arguments.tokens} tokens by n-grams, {requests} requests", results, arguments.json)


def compared(form: str, plain: Sequence[Turn], drafted: Sequence[Turn]) -> list[Result]:
    """The ratio of CPU time for each token, the median over the rounds, with its range, and how many drafts held."""
    ratios = [two.per_token / one.per_token for one, two in zip(plain, drafted, strict=True)]
    share = sum(turn.accepted for turn in drafted) / max(1.0, sum(turn.drafted for turn in drafted))
    kept = sum(turn.accepted for turn in drafted) / sum(turn.written for turn in drafted)
    name = f"{form}, CPU time of a token, drafted / plain"
    return [
        Result.unjudged(name, statistics.median(ratios), "x", f"{min(ratios):.2f} to {max(ratios):.2f}; below 1 pays"),
        Result.unjudged(f"{form}, drafted tokens that were accepted", share, "share", "for information"),
        Result.unjudged(f"{form}, written tokens that were drafted", kept, "share", "for information"),
    ]


if __name__ == "__main__":
    run(main)
