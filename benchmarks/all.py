"""Runs every benchmark, each in a process of its own, and says which missed a target.

    python -m benchmarks.all [NAME ...]

The anchors and the parity of RLMRec need folders that cannot be shipped: name them by AMAZON=folder and
RLMREC_GOLDEN=folder, or they are skipped. Exit status: 0 when all that ran met their targets, 1 when one did not, 2 for
an unknown name.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence

from benchmarks.result import run

GOLDEN = "tests/golden/llmrec"
BENCHMARKS: dict[str, list[str]] = {
    "parity": [f"{GOLDEN}/release", f"{GOLDEN}/expected.npz"],
    "parity_rlmrec": ["{}/release", "{}/expected.npz"],
    "propagation": [],
    "sampling": [],
    "evaluation": [],
    "llmrec_step": [],
    "item_models": [],
    "epoch": [],
    "lightgcn": [],
    "mf_bpr": [],
    "rlmrec_epoch": [],
    "rating_models": [],
    "sasrec_epoch": [],
    "sasrec_rectools": [],
    "bert4rec_epoch": [],
    "gpu": [],
    "scale": [],
    "answered": [],
    "reading": [],
    "preparing": [],
    "pages": [],
    "verdict_power": [],
    "augmentation": [],
    "embedding": [],
    "number_format": [],
    "tuned_weights": [],
    "tuning": [],
    "speculation": [],
    "anchors": ["{}"],
}
"""Names and arguments, in the order in which they run; {} is a folder that cannot be shipped."""
FOLDERS = {
    "parity_rlmrec": ("RLMREC_GOLDEN", "figures of RLMRec's own code"),
    "anchors": ("AMAZON", "RLMRec's release of Amazon-book"),
}
"""Benchmarks that need such a folder: the variable that names it, and what it is."""


def plan(names: Sequence[str], environment: Mapping[str, str]) -> tuple[dict[str, list[str]], dict[str, str]]:
    """The benchmarks to run with their arguments, and those to skip with the reason."""
    chosen = {name: arguments for name, arguments in BENCHMARKS.items() if not names or name in names}
    skipped: dict[str, str] = {}
    for name, (variable, what) in FOLDERS.items():
        folder = environment.get(variable, "")
        if name in chosen and folder:
            chosen[name] = [argument.format(folder) for argument in chosen[name]]
        elif chosen.pop(name, None):
            skipped[name] = f"needs {what}: {variable}=folder make bench"
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
        print(f"{name:14} {outcome}")
    return int(failed)


if __name__ == "__main__":
    run(main)
