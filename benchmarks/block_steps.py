"""How many more steps an engine takes whose batch empties at the end of every block, counted from a run's own answers.

    python -m benchmarks.block_steps RUN [--source NAME] [--batch N] [--repeat N] [--json FILE]

RUN is a finished run, of whose source as many tokens are written per attempt as its records say. Users and items come
in a drawn order, each with its tasks one after the other, the whole several times over, as in a run so many times as
large. A batch of `--batch` requests is filled as soon as one is done; a step writes one token of each. An exact engine
does so block by block, and within a block attempt by attempt; the other asks everything once, then what failed again.

No engine runs here, so nothing of it depends on the machine or its load. Where a step takes the same time however full
the batch is, as on a GPU that is far from full, steps are time; where it takes as long as its tokens, blocks cost
nothing.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from augment.engines.vllm.options import VllmOptions
from augrec.artefacts.records import read_records
from augrec.artefacts.run_folder import RunFolder
from augrec.artefacts.tasks import read_card
from benchmarks.result import Result, add_json_option, report, run

BATCH, REPEAT = 64, 16
BLOCKS = (1, 4, 16, 64)
DEFAULT = int(VllmOptions.model_fields["block"].default)

Attempts = list[int]
"""Tokens of each attempt of one request."""


def asked(run_folder: Path, source: str, repeat: int) -> list[Attempts]:
    """The requests of a source in a drawn order, what is asked about one user or item together."""
    tasks = RunFolder(run_folder).source(source).tasks()
    columns = ["entity", "attempt", "completion_tokens"]
    about: dict[tuple[str, int], list[Attempts]] = {}
    for task in tasks:
        subject = read_card(task.card).about
        for record in read_records(task.records, columns=columns):
            attempts = max(record.attempt, 1)
            tokens = max(1, round(record.completion_tokens / attempts))
            about.setdefault((subject, record.entity), []).append([tokens] * attempts)
    rng = np.random.default_rng(0)
    entities = sorted(about)
    return [
        request for _ in range(repeat) for row in rng.permutation(len(entities)) for request in about[entities[row]]
    ]


def steps(lengths: Iterable[int], batch: int) -> int:
    """Steps until requests of so many tokens are answered, at most `batch` of them at once."""
    waiting, running, taken = iter(lengths), np.zeros(0, dtype=np.int64), 0
    while True:
        joined = [length for _, length in zip(range(batch - len(running)), waiting, strict=False)]
        running = np.concatenate([running, np.array(joined, dtype=np.int64)])
        if not len(running):
            return taken
        least = int(running.min())
        taken += least
        running = running[running > least] - least


def in_rounds(requests: Sequence[Attempts], batch: int) -> int:
    """Steps when everything is asked once, and then what failed again."""
    most = max(map(len, requests))
    rounds = ([attempts[n] for attempts in requests if len(attempts) > n] for n in range(most))
    return sum(steps(lengths, batch) for lengths in rounds)


def in_blocks(requests: Sequence[Attempts], batch: int, block: int) -> int:
    """Steps when each `block` batches of requests are answered before the next ones are asked."""
    size = batch * block
    return sum(in_rounds(requests[start : start + size], batch) for start in range(0, len(requests), size))


def measure(requests: Sequence[Attempts], batch: int) -> list[Result]:
    """Steps of blocks of several sizes over those of one call."""
    whole = in_rounds(requests, batch)
    return [
        Result.unjudged(
            f"steps, block: {block}{' (default)' if block == DEFAULT else ''} / one call",
            in_blocks(requests, batch, block) / whole,
            "x",
            f"{len(requests):,} requests",
        )
        for block in sorted({*BLOCKS, DEFAULT})
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.block_steps", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("run", type=Path, metavar="RUN", help="a finished run")
    parser.add_argument("--source", default="smollm2", metavar="NAME")
    parser.add_argument("--batch", type=int, default=BATCH, metavar="N", help="max_num_seqs")
    parser.add_argument("--repeat", type=int, default=REPEAT, metavar="N", help="how many times the run's own size")
    add_json_option(parser)
    given = parser.parse_args(arguments)
    return report("Blocks", measure(asked(given.run, given.source, given.repeat), given.batch), given.json)


if __name__ == "__main__":
    run(main)
