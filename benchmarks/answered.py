"""What does an augment stage cost that finds everything answered, and how does that grow with the number of users?

    python -m benchmarks.answered [--json FILE] [--users N ...]

A made-up data set in the prepared layout: ten interactions a user, a quarter as many items, titles, genres, and a
description that no template shows; ten candidates a user. A source by rules answers edges, profiles and attributes.
Measured in CPU seconds of one process: the stage with everything to do, the same again with nothing left to do, after
one item more (a data change, which leaves nearly all questions as they were), and what the report reads of it. Each
size is one process, so that the ratios of a size come from one run.
"""

from __future__ import annotations

import argparse
import multiprocessing
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from augrec.artefacts.files import write_json, write_parquet
from augrec.artefacts.run_folder import RunFolder
from benchmarks.result import Result, add_json_option, report, run

USERS = (2_000, 20_000)
PER_USER, USERS_PER_ITEM, CANDIDATES = 10, 4, 10
GENRES = ("Action", "Comedy", "Crime", "Drama", "Horror", "Romance", "War", "Western")
WORDS = ("amber", "bridge", "captain", "desert", "evening", "forest", "garden", "harbour", "island", "journey")
AGAIN, CHANGED, READ, GROWTH = 0.1, 1.0, 0.3, 1.5


class Measured(NamedTuple):
    """CPU seconds of one size."""

    n_users: int
    requests: int
    first: float
    again: float
    changed: float
    read: float


def write_made_up(folder: Path, n_users: int, more_items: int = 0) -> None:
    """`dataset/` and `candidates/` as the stages write them; more items come last, and nobody has seen them."""
    run, rng = RunFolder(folder), np.random.default_rng(0)
    n_items = max(n_users // USERS_PER_ITEM, 4 * (PER_USER + CANDIDATES))
    draws = (n_items * rng.random((n_users, 3 * (PER_USER + CANDIDATES))) ** 2).astype(np.int64)
    chosen = np.stack([_distinct(row, PER_USER + CANDIDATES, n_items) for row in draws])
    user = np.repeat(np.arange(n_users), PER_USER)
    split = np.tile(np.array(["train"] * (PER_USER - 2) + ["valid", "test"]), n_users)
    columns = {"user": pa.array(user, pa.int32()), "item": pa.array(chosen[:, :PER_USER].ravel(), pa.int32())}
    times = pa.array(np.tile(np.arange(PER_USER), n_users), pa.int64())
    write_parquet(run.interactions, pa.table(columns | {"timestamp": times, "split": split}))
    total = n_items + more_items
    number = np.arange(total)
    text = [" ".join(WORDS[(item * 7 + word * 3) % len(WORDS)] for word in range(60)) for item in range(total)]
    genres = [sorted({GENRES[item % 8], GENRES[item * 3 % 8]}) for item in range(total)]
    items = {
        "item": pa.array(number, pa.int32()),
        "source_id": [f"item-{item}" for item in range(total)],
        "title": [f"The {WORDS[item % 10]} of number {item}" for item in range(total)],
        "year": pa.array(1950 + number % 70, pa.int16()),
        "genres": pa.array(genres, pa.list_(pa.string())),
        "description": text,
    }
    write_parquet(run.items, pa.table(items))
    users = {"user": pa.array(np.arange(n_users), pa.int32()), "source_id": [f"user-{user}" for user in range(n_users)]}
    write_parquet(run.users, pa.table(users))
    write_json(run.dataset_json, {"name": "made up", "domain": "movies", "genres": list(GENRES)})
    shown = {
        "user": pa.array(np.repeat(np.arange(n_users), CANDIDATES), pa.int32()),
        "rank": pa.array(np.tile(np.arange(CANDIDATES), n_users), pa.int32()),
        "item": pa.array(chosen[:, PER_USER:].ravel(), pa.int32()),
    }
    write_parquet(run.candidates, pa.table(shown))


def _distinct(draws: np.ndarray, count: int, n_items: int) -> np.ndarray:
    """The first `count` different items of a user's draws; the least items fill up what is missing."""
    found = list(dict.fromkeys(draws.tolist()))[:count]
    known = set(found)
    found += [item for item in range(n_items) if item not in known][: count - len(found)]
    return np.array(found)


def answer(data: Path, out: Path) -> int:
    """The augment stage of a source by rules; how many requests it has."""
    from augment.catalog import Catalog
    from augment.options import GenerationOptions
    from augment.runner import run_source

    options = GenerationOptions.model_validate({"sources": {"rules": {"engine": {"kind": "heuristic"}}}})
    catalog = Catalog.load(RunFolder(data).dataset, RunFolder(data).candidates)
    source = options.sources["rules"]
    summary = run_source(catalog, "rules", source, options, folder=out, seed=0)
    return sum(task["requests"] for task in summary["tasks"].values())


def seconds(work: Callable[[], Any]) -> float:
    """CPU seconds of this process."""
    begun = time.process_time()
    work()
    return time.process_time() - begun


def measure(n_users: int) -> Measured:
    """In this process, which should be fresh."""
    from augrec.report.pages.run.generated import read_records

    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        write_made_up(folder / "tiny", 100)
        answer(folder / "tiny", folder / "tiny" / "out")  # loads what is loaded at first use
        write_made_up(folder / "data", n_users)
        out, counts = RunFolder(folder / "run").source("rules").root, list[int]()
        first, again = (seconds(lambda: counts.append(answer(folder / "data", out))) for _ in range(2))
        write_made_up(folder / "more", n_users, more_items=1)
        changed = seconds(lambda: counts.append(answer(folder / "more", out)))
        read = seconds(lambda: read_records(folder / "run", ["rules"]))
        assert counts == [counts[0], counts[0], counts[0] + 1]
    return Measured(n_users, counts[0], first, again, changed, read)


def results_of(sizes: Sequence[Measured]) -> list[Result]:
    """What is reported of the measured sizes, the smallest first."""
    results = []
    for size in sizes:
        name = f"{size.n_users:,} users, {size.requests:,} requests"
        judged = size.n_users >= USERS[-1]
        small = "too small to judge"
        for what, value, limit in (
            ("nothing left to do / everything to do", size.again / size.first, AGAIN),
            ("one item more / everything to do", size.changed / size.first, CHANGED),
            ("reading records for the report / everything to do", size.read / size.first, READ),
        ):
            label = f"{name}: {what}"
            results.append(
                Result.at_most(label, value, limit, "x") if judged else Result.unjudged(label, value, "x", small)
            )
        results += [
            Result.unjudged(f"{name}: {what}", value, "s", "for information")
            for what, value in (
                ("everything to do", size.first),
                ("nothing left to do", size.again),
                ("one item more", size.changed),
                ("reading records for the report", size.read),
            )
        ]
    for before, last in pairwise(sizes):
        growth = (last.first / last.requests) / (before.first / before.requests)
        name = f"everything to do per request, {last.n_users:,} users / {before.n_users:,}"
        results.append(Result.at_most(name, growth, GROWTH, "x"))
    return results


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.answered", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--users", type=int, nargs="+", default=USERS, metavar="N", help="the sizes")
    add_json_option(parser)
    given = parser.parse_args(arguments)
    sizes = []
    for n_users in sorted(given.users):
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as fresh:
            sizes.append(fresh.submit(measure, n_users).result())
    return report("Augment stage that finds everything answered, by rules, CPU seconds", results_of(sizes), given.json)


if __name__ == "__main__":
    run(main)
