"""Runs every benchmark, each in a process of its own, and says which missed a target.

    python -m benchmarks.all [NAME ...]

The anchors need a folder that cannot be shipped: name it by AMAZON=folder, or they are skipped. Exit status: 0 when all
that ran met their targets, 1 when one did not, 2 for an unknown name.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence

from benchmarks.result import run

AMAZON = "AMAZON"
GOLDEN = "tests/golden/llmrec"
BENCHMARKS: dict[str, list[str]] = {
    "parity": [f"{GOLDEN}/release", f"{GOLDEN}/expected.npz"],
    "propagation": [],
    "sampling": [],
    "evaluation": [],
    "llmrec_step": [],
    "epoch": [],
    "rlmrec_epoch": [],
    "scale": [],
    "answered": [],
    "reading": [],
    "augmentation": [],
    "anchors": [],
}
"""Names and arguments, in the order in which they run."""


def plan(names: Sequence[str], environment: Mapping[str, str]) -> tuple[dict[str, list[str]], dict[str, str]]:
    """The benchmarks to run with their arguments, and those to skip with the reason."""
    chosen = {name: arguments for name, arguments in BENCHMARKS.items() if not names or name in names}
    skipped: dict[str, str] = {}
    if "anchors" in chosen:
        folder = environment.get(AMAZON, "")
        if folder:
            chosen["anchors"] = [folder]
        else:
            del chosen["anchors"]
            skipped["anchors"] = f"needs RLMRec's release of Amazon-book: {AMAZON}=folder make bench"
    return chosen, skipped


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.all", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", choices=[*BENCHMARKS, []], help="; ".join(BENCHMARKS))
    chosen, skipped = plan(parser.parse_args(arguments).names, os.environ)
    ended: dict[str, str] = {}
    failed = False
    for name, given in chosen.items():
        print(f"\n== {name}", flush=True)
        begun = time.monotonic()
        status = subprocess.run([sys.executable, "-m", f"benchmarks.{name}", *given], check=False).returncode
        failed |= status != 0
        outcome = "targets met" if status == 0 else f"FAILED with status {status}"
        ended[name] = f"{outcome}, {time.monotonic() - begun:.0f} s"
    print()
    for name, outcome in (ended | {name: f"skipped: {reason}" for name, reason in skipped.items()}).items():
        print(f"{name:12} {outcome}")
    return int(failed)


if __name__ == "__main__":
    run(main)
