"""How much memory does a publisher's file take per million lines, and what would ten million need?

    python -m benchmarks.reading [--json FILE] [--lines N [N]] [--ways WAY ...]
    python -m benchmarks.reading --lines 10000000 --ways whole

Files in the layout of Amazon's reviews of 2014 are read and prepared: reviews of some 400 letters, a user for every
three lines and an item for every fifteen, few of whom make most of the lines. Once the 3-core of a fifth of the users
stays, of ratings from 3 on (`filtered`); once all of it (`whole`). pandas reads the same reviews as a user would,
`read_json(lines=True)`. Each runs in a process of its own. Two sizes say what ten million lines would need; the second
command measures them, which takes ten minutes of an idle core and 2 GB of the disk.
"""

from __future__ import annotations

import argparse
import gzip
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from augrec.artefacts.errors import AugrecError
from augrec.artefacts.run_folder import RunFolder
from benchmarks.memory import held_most
from benchmarks.result import Result, add_json_option, report, run

LINES = (250_000, 500_000)
GOAL, LIMIT_GB = 10_000_000, 2.0
PER_USER, PER_ITEM, SKEW, WORDS = 3, 15, 4, 70
PAPER = {"min_rating": 3, "sample_users": 0.2, "sampling": "before_k_core", "k_core": 3}
REVIEWS, ITEMS = "reviews_Books.json.gz", "meta_Books.json.gz"
BLOCK = 10_000
SALT = ["calm", "sea", "gulls", "went", "on", "to", "the", "reef", "of", "old", "and", "new", "ships", "so"]


class Measured(NamedTuple):
    """Of one way to read one file."""

    lines: int
    seconds: float
    """CPU time."""
    memory: int
    """The most bytes that the process held."""


def write_files(folder: Path, n: int) -> None:
    """n reviews, sorted by item as the published ones are, and a line for each item."""
    rng = np.random.default_rng(0)
    users, items = ((max(n // per, 1) * rng.random(n) ** SKEW).astype(np.int64) for per in (PER_USER, PER_ITEM))
    items.sort()
    texts = [" ".join(rng.choice(SALT, WORDS)) for _ in range(500)]
    with gzip.open(folder / REVIEWS, "wt", compresslevel=1) as out:
        for start in range(0, n, BLOCK):
            out.write("".join(_review(k, users[k], items[k], texts) for k in range(start, min(start + BLOCK, n))))
    with gzip.open(folder / ITEMS, "wt", compresslevel=1) as out:
        for item in range(max(n // PER_ITEM, 1)):
            about = {"asin": f"{item:010d}", "title": f"Book {item}", "description": texts[item % len(texts)]}
            out.write(f"{about | {'categories': [['Books', 'Sea']]}!r}\n")


def _review(number: int, user: int, item: int, texts: list[str]) -> str:
    return (
        f'{{"reviewerID": "A{user:013d}", "asin": "{item:010d}", "helpful": [0, 0], '
        f'"reviewText": "{texts[number % len(texts)]} {number}", "overall": {1 + number % 5}.0, "summary": "s", '
        f'"unixReviewTime": {1_300_000_000 + 37 * number}}}\n'
    )


def prepared(folder: Path, filters: Mapping[str, object]) -> None:
    """Reads and prepares the files."""
    from recsys.data.options import DatasetOptions
    from recsys.data.prepare import prepare
    from recsys.data.readers.registry import read

    source = {"format": "amazon-2014", "path": str(folder)}
    chosen = {"name": "reading", "domain": "books", "source": source, "split": {"kind": "by_interaction"}}
    options = DatasetOptions.model_validate(chosen | dict(filters))
    prepare(read(options, folder), options, RunFolder(folder).dataset, 0)


def by_pandas(folder: Path) -> None:
    """The reviews as one frame, the items not at all."""
    import pandas as pd

    pd.read_json(folder / REVIEWS, lines=True)


WAYS: dict[str, Callable[[Path], None]] = {
    "filtered": lambda folder: prepared(folder, PAPER),
    "whole": lambda folder: prepared(folder, {}),
    "pandas": by_pandas,
}
TITLES = {"filtered": "filtered", "whole": "all stays"}


def work(way: str, folder: Path) -> None:
    """One way in this process, which should be fresh; prints CPU seconds and bytes."""
    begun = time.process_time()
    WAYS[way](folder)
    print(time.process_time() - begun, held_most())


def measure(way: str, folder: Path, lines: int) -> Measured:
    """One way in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.reading", "--work", way, str(folder)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise AugrecError(f"reading by {way} failed: {ended.stderr.strip()[-300:]}", remedy="try fewer --lines")
    seconds, memory = ended.stdout.split()[-2:]
    return Measured(lines, float(seconds), int(memory))


def at_goal(small: Measured, large: Measured) -> float:
    """Bytes that `GOAL` lines would need, by what the lines between the two sizes took."""
    return large.memory + (large.memory - small.memory) / (large.lines - small.lines) * (GOAL - large.lines)


def results_of(name: str, small: Measured, large: Measured) -> list[Result]:
    """What is reported of one way to prepare: of the larger size, and of `GOAL` lines, measured where that is it."""
    results = [
        Result.unjudged(f"{name}: {large.lines:,} lines, peak memory", large.memory / 1e9, "GB", "for information"),
        Result.unjudged(
            f"{name}: time per million lines", large.seconds / large.lines * 1e6, "s", "read, prepared and written"
        ),
    ]
    if large.lines == GOAL:
        results[0] = Result.at_most(f"{name}: {GOAL:,} lines, peak memory", large.memory / 1e9, LIMIT_GB, "GB")
    elif large.lines > small.lines:
        needed = at_goal(small, large) / 1e9
        results.append(Result.at_most(f"{name}: {GOAL:,} lines, extrapolated", needed, LIMIT_GB, "GB"))
    return results


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reading", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--lines", type=int, nargs="+", default=LINES, metavar="N", help="one size, or two")
    parser.add_argument("--ways", nargs="+", choices=[*WAYS], default=[*WAYS], help="what is run; all by default")
    parser.add_argument("--work", nargs=2, metavar=("WAY", "FOLDER"), help=argparse.SUPPRESS)
    add_json_option(parser)
    given = parser.parse_args(arguments)
    if given.work:
        work(given.work[0], Path(given.work[1]))
        return 0
    measured: dict[str, list[Measured]] = {way: [] for way in given.ways}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for lines in sorted(given.lines):
            write_files(folder, lines)
            for way, sizes in measured.items():
                if way != "pandas" or lines == max(given.lines):
                    sizes.append(measure(way, folder, lines))
    results = []
    for way, sizes in measured.items():
        if way == "pandas":
            title = f"pandas: {sizes[0].lines:,} lines, peak memory"
            results.append(Result.unjudged(title, sizes[0].memory / 1e9, "GB", "reviews alone, unprepared"))
        else:
            results += results_of(TITLES[way], sizes[0], sizes[-1])
    return report("Reading a publisher's files", results, given.json)


if __name__ == "__main__":
    run(main)
