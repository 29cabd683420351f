"""What instruction tuning costs on a CPU: our trainer in both number formats beside trl's as it comes, in CPU seconds.

    python -m benchmarks.tuning [--model FOLDER] [--steps N] [--batch N] [--rounds R] [--json FILE]

All ways teach the same made-up instructions the same way: prompts of drawn tokens, as long as those of the shipped
chains, and answers of two tokens. Each runs in a process of its own in the environment that trains (`make tune-env`),
in turns, on one thread. trl's way is float32, four instructions at once.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from augrec.artefacts.errors import AugrecError
from augrec.artefacts.files import sha256_file
from augrec.artefacts.loss_curve import read_losses
from augrec.artefacts.processor import format_by_flags, processor_flags
from augrec.artefacts.token_sequences import TokenSequence, write_sequences
from augrec.artefacts.tune_folder import TuneFolder
from augrec.pipeline.doctor.checks import SMALL_LLM
from augrec.pipeline.tuning import start
from augrec.pipeline.tuning.environment import tune_environment
from augrec.pipeline.tuning.launch import environment_variables
from augrec.pipeline.tuning.settings import TrainerSettings
from augrec.pipeline.weights.resolve import resolve
from benchmarks import tuning_way
from benchmarks.result import Result, add_json_option, report, run

SHORTEST, LONGEST = 280, 510
"""Tokens of an instruction, as those of `configs/ml-100k/llama4rec-direct.yaml`."""
WAYS = {"trl, float32": ("trl", "float32"), "float32": ("ours", "float32"), "bfloat16": ("ours", "bfloat16")}


def write_tokens(path: Path, count: int) -> int:
    """Made-up instructions whose answer says which half of the words the prompt begins in; their tokens."""
    draws = np.random.default_rng(3)
    sequences = []
    for number in range(count):
        prompt = draws.integers(1_000, 41_000, draws.integers(SHORTEST, LONGEST))
        answer = (330 if prompt[0] < 21_000 else 350, 2)
        sequences.append(TokenSequence(str(number), (*prompt.tolist(), *answer), len(prompt)))
    write_sequences(path, sequences)
    return sum(len(each.tokens) for each in sequences)


def measured(model: Path, folder: Path, steps: int, batch: int, rounds: int) -> list[Result]:
    """What each way takes, and our ways against trl's."""
    taken: dict[str, list[float]] = {way: [] for way in WAYS}
    peak: dict[str, float] = {}
    losses: dict[str, list[float]] = {}
    files = TuneFolder(folder / "way")
    tokens = write_tokens(folder / "sequences.parquet", steps * batch)
    for _ in range(rounds):
        for way, (program, dtype) in WAYS.items():
            shutil.rmtree(files.root, ignore_errors=True)
            files.root.mkdir()
            shutil.copy(folder / "sequences.parquet", files.tokens)
            settings = TrainerSettings(
                model=str(model), model_sha256="", folder=str(files.root), tokens_sha256=sha256_file(files.tokens),
                code=program, method="lora", epochs=1, learning_rate=2e-4, batch_size=batch,
                micro_batch_size=min(4, batch), warmup_steps=1, seed=1, dtype=dtype,
                lora={"rank": 16, "alpha": 32, "dropout": 0.0},
            )  # fmt: skip
            settings.write(files.settings)
            told = told_by(program, files)
            taken[way].append(told["cpu_seconds"])
            peak[way] = told["peak_bytes"]
            losses[way] = [point.loss for point in read_losses(files.losses)]
    middle = {way: statistics.median(seconds) for way, seconds in taken.items()}
    here = format_by_flags(processor_flags())
    (before, plain, low), exact = WAYS, zip(losses["trl, float32"], losses["float32"], strict=True)
    return [
        *(Result.unjudged(f"tokens per CPU second, {way}", tokens / middle[way], "1/s", "measured") for way in WAYS),
        *(Result.unjudged(f"peak memory, {way}", peak[way] / 2**30, "GiB", "measured") for way in WAYS),
        *(Result.unjudged(f"loss of step {steps}, {way}", losses[way][-1], "nats", "measured") for way in WAYS),
        Result.at_least(f"{before} / {plain}", middle[before] / middle[plain], 1.0, "x"),
        Result.at_least(f"{before} / {low}", middle[before] / middle[low], 2.0, "x")
        if here is not None and here.dtype == "bfloat16"
        else Result.unjudged(f"{before} / {low}", middle[before] / middle[low], "x", "no bfloat16 products here"),
        Result.at_most("losses in float32, most apart", max(abs(a - b) for a, b in exact), 1e-3, "nats"),
    ]


def told_by(program: str, files: TuneFolder) -> dict[str, float]:
    """CPU seconds and memory of one training.

    Raises:
        AugrecError: it failed.
    """
    words = [str(tune_environment().python.absolute()), str(Path(tuning_way.__file__).absolute())]
    words += [str(Path(start.__file__).absolute()), str(files.settings), program]
    environment = environment_variables() | {"OMP_NUM_THREADS": "1"}
    alive, held = os.pipe()  # the trainer ends when nobody holds the other end of its input any more
    try:
        ended = subprocess.run(words, stdin=alive, env=environment, capture_output=True, text=True, check=False)
    finally:
        os.close(alive)
        os.close(held)
    if ended.returncode:
        raise AugrecError(f"the training ended with {ended.returncode}: {ended.stderr[-500:]}", where=files.root)
    told: dict[str, float] = json.loads(ended.stdout.splitlines()[-1])
    return told


def main() -> int:
    """Reads the command line, measures, reports."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tuning", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", default=SMALL_LLM, help="a folder, or a name that the pipeline resolves to one")
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--batch", type=int, default=4, help="instructions of a step")
    parser.add_argument("--rounds", type=int, default=2)
    add_json_option(parser)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        results = measured(resolve(asked.model).path, Path(folder), asked.steps, asked.batch, asked.rounds)
    return report("instruction tuning on one thread of a CPU, LoRA of rank 16", results, asked.json)


if __name__ == "__main__":
    run(main)
