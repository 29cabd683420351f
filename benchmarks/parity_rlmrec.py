"""Are our RLMRec models the published ones? Replays figures that the authors' code made, with its own random draws.

    python -m benchmarks.parity_rlmrec RELEASE_DIR EXPECTED_NPZ [--json FILE] [--model NAME ...]

RELEASE_DIR has the released layout with its embeddings. EXPECTED_NPZ holds, for each model: its settings, initial
parameters, batches and draws; embeddings, loss terms and gradients of the code at them; parameters after its steps of
Adam, and metrics. Exit status: 0 within tolerance, 1 not, 2 wrong usage.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from augrec.artefacts.errors import DataError
from benchmarks.result import Result, add_json_option, report, run
from benchmarks.rlmrec_parity.expected import Expected, ReleasedData
from benchmarks.rlmrec_parity.registry import backbone_of
from benchmarks.rlmrec_parity.replay import Replay


def compare(folder: Path, expected: Path, models: Sequence[str] = ()) -> list[Result]:
    """Every comparison, model by model.

    Args:
        folder: the released files.
        expected: the figures.
        models: which of them; all by default.

    Raises:
        AugrecError: a file is missing or malformed, or its settings cannot be replayed.
    """
    data, figures = ReleasedData.read(folder), Expected.read(expected)
    known = figures.models
    for name in models:
        if name not in known:
            raise DataError(f"there are no figures of '{name}'", where=expected, remedy=f"one of {', '.join(known)}")
    results: list[Result] = []
    for name in models or known:
        backbone, aligner = backbone_of(name)
        results += Replay(backbone, aligner, data, figures.of(name)).results()
    if not any(result.ok is not None for result in results):
        raise DataError("there is nothing to compare", where=expected)
    return results


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.parity_rlmrec", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("release", type=Path, metavar="RELEASE_DIR", help="folder in RLMRec's released layout")
    parser.add_argument("expected", type=Path, metavar="EXPECTED_NPZ", help="figures of the authors' code")
    parser.add_argument("--model", action="append", default=[], metavar="NAME", help="only this one; may be repeated")
    add_json_option(parser)
    given = parser.parse_args(arguments)
    results = compare(given.release, given.expected, given.model)
    return report("RLMRec against the authors' code", results, given.json)


if __name__ == "__main__":
    run(main)
