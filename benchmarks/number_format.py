"""Does `dtype: auto` take the faster of float32 and bfloat16 on this processor, and on one without bfloat16 products?

    python -m benchmarks.number_format [--rounds N] [--json FILE]

Measured is a linear layer as torch multiplies it on one thread, the larger one of a small model, for the tokens of a
batch of prompts and for one token of each of 64 answers: in this processor's instructions, and with those beyond AVX2
taken from torch and oneDNN by environment variables, which imitates a processor that lacks them and is none. No engine
runs; vLLM multiplies by kernels of its own where it has some.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence

from augment.engines.vllm.number_format import ROWS, measured_seconds
from augment.engines.vllm.process_environment import environment
from augrec.artefacts.processor import format_by_flags, format_by_measurement, processor_flags
from benchmarks.fresh import in_a_fresh_process
from benchmarks.result import Result, add_json_option, report, run

ROUNDS = 20
WITHIN = 1.1
TOKENS = {"prompts": ROWS, "answers": 64}
AVX2_ALONE = {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"}
HERE, IMITATED = "this processor", "imitated: AVX2 alone"
Seconds = Mapping[str, Mapping[str, float]]


def products(rounds: int) -> dict[str, dict[str, float]]:
    """Seconds of the layer by what passes through it and by format, the best of some rounds."""
    best: dict[str, dict[str, float]] = {}
    for _ in range(rounds):
        for what, tokens in TOKENS.items():
            found = measured_seconds(tokens)
            best[what] = {name: min(value, best.get(what, found)[name]) for name, value in found.items()}
    return best


def chosen(flags: frozenset[str], seconds: Seconds) -> str:
    """What `dtype: auto` takes on a processor of these flags."""
    known = format_by_flags(flags)
    return (known or format_by_measurement(seconds["prompts"])).dtype


def results_of(where: str, flags: frozenset[str], seconds: Seconds) -> list[Result]:
    """The format that is chosen beside the faster one, and both."""
    dtype = chosen(flags, seconds)
    results = []
    for what, by_format in seconds.items():
        over = by_format[dtype] / min(by_format.values())
        times = by_format["float32"] / by_format["bfloat16"]
        results.append(Result.at_most(f"{where}, {what}: {dtype} (chosen) / the faster one", over, WITHIN, "x"))
        results.append(Result.unjudged(f"{where}, {what}: float32 / bfloat16", times, "x", "for information"))
    return results


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.number_format", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--rounds", type=int, default=ROUNDS, metavar="N")
    add_json_option(parser)
    given = parser.parse_args(arguments)
    results = results_of(HERE, processor_flags(), in_a_fresh_process(products, given.rounds))
    with environment(dict(AVX2_ALONE)):
        results += results_of(IMITATED, frozenset({"avx2"}), in_a_fresh_process(products, given.rounds))
    return report("Number format", results, given.json)


if __name__ == "__main__":
    run(main)
