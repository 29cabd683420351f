"""What does each stage from raw interactions to rendered requests take, in time and memory, and how does that grow?

    python -m benchmarks.preparing [--json FILE] [--interactions N ...] [--only STAGE ...] [--shards N] [--rounds N]

Made-up ratings with times as a table of one's own, ten for a user and forty for an item, few of whom have most of them;
items have titles, years, genres and a description. 2,000,000 interactions are of 200,000 users and 50,000 items. Each
stage runs in a process of its own: `prepare` reads, splits and writes the data; `candidates` lists the ten most popular
items that a user does not know; `catalogue` reads what prompts are made of; `requests` renders one of twenty shards of
edges, profiles and attributes, as one task of an array does, answers them by rules and stores the answers. Every shard
reads the catalogue first, so that shards are compared by their time for a request only where there are as many.

Seconds are CPU seconds of the process, after a few hundred interactions for which it loads its libraries. All stages
are to grow with the interactions. By a recommender whose scores are a user's own, lists of candidates would look at
every item for every user, and grow with the product of the two. With `--rounds N` all sizes are made and measured N
times in turns, so that a ratio is of one state of the machine: seconds and ratios are medians, memory is the most.
Exit status: 0 within targets, 1 not.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.csv as csv

from augrec.artefacts.run_folder import RunFolder
from benchmarks.memory import held_most
from benchmarks.result import Result, add_json_option, report, run

SIZES = (200_000, 2_000_000)
TARGET, GIGABYTES, GROWTH = 2_000_000, 4.0, 1.5
PER_USER, PER_ITEM, SKEW, CANDIDATES = 10, 40, 2, 10
SHARDS = 20
"""Of which one is asked for, unless `--shards` says another number."""
GENRES = ("Action", "Comedy", "Crime", "Drama", "Horror", "Romance", "War", "Western")
WORDS = ("amber", "bridge", "captain", "desert", "evening", "forest", "garden", "harbour", "island", "journey")
RATINGS, FILMS = "ratings.csv", "films.csv"
TINY, FEW = "tiny", 400


class Size(NamedTuple):
    """How large the data are."""

    interactions: int

    @property
    def users(self) -> int:
        """Everybody has an interaction."""
        return max(1, self.interactions // PER_USER)

    @property
    def items(self) -> int:
        """Every item has one."""
        return max(4 * CANDIDATES, self.interactions // PER_ITEM)

    def __str__(self) -> str:
        return f"{self.interactions:,} interactions"


class Measured(NamedTuple):
    """What one stage took: CPU seconds, the most bytes of its process, and of how many things it was made."""

    seconds: float
    memory: int
    made: int


def write_files(folder: Path, size: Size) -> None:
    """ratings.csv and films.csv of that size."""
    folder.mkdir(exist_ok=True)
    rng, rows = np.random.default_rng(0), size.interactions
    users, items = (_drawn(rows, count, rng) for count in (size.users, size.items))
    ratings = {
        "user": users,
        "item": items,
        "rating": rng.integers(1, 6, rows),
        "time": np.arange(rows) + 1_500_000_000,
    }
    csv.write_csv(pa.table(ratings), folder / RATINGS)
    number = np.arange(size.items)
    texts = [" ".join(WORDS[(item * 7 + word * 3) % 10] for word in range(40)) for item in range(1000)]
    films = {
        "item": number,
        "title": [f"The {WORDS[item % 10]} of number {item}" for item in number],
        "year": 1950 + number % 70,
        "genres": [f"{GENRES[item % 8]}|{GENRES[(item // 8) % 8]}" for item in number],
        "description": [texts[item % 1000] for item in number],
    }
    csv.write_csv(pa.table(films), folder / FILMS)


def _drawn(rows: int, count: int, rng: np.random.Generator) -> np.ndarray:
    """Numbers below `count`, each at least once where there are rows enough, the low ones often; in no order."""
    everybody = np.arange(min(rows, count))
    others = (count * rng.random(rows - len(everybody)) ** SKEW).astype(np.int64)
    return rng.permutation(np.concatenate([everybody, others]))


def prepare_data(folder: Path) -> int:
    """The stage `prepare`; how many interactions stay."""
    from recsys.data.options import DatasetOptions
    from recsys.data.prepare import prepare
    from recsys.data.readers.registry import read

    table = {"interactions": RATINGS, "items": FILMS, "user": "user", "item": "item", "rating": "rating"}
    source = {"format": "table", "path": str(folder), "table": table | {"timestamp": "time"}}
    chosen = {"name": "made up", "domain": "movies", "source": source, "split": {"kind": "leave_last_out"}}
    options = DatasetOptions.model_validate(chosen)
    counts = prepare(read(options, folder), options, RunFolder(folder).dataset, 0)["counts"]
    return int(counts["interactions"])


def list_candidates(folder: Path) -> int:
    """The stage `candidates` by popularity; of how many users."""
    import torch

    from recsys.data.dataset import Dataset
    from recsys.evaluation.candidates import write_candidates

    torch.set_num_threads(1)
    dataset = Dataset.load(RunFolder(folder).dataset, test=False)
    counts = torch.from_numpy(dataset.popularity).float()
    write_candidates(lambda users: counts.expand(len(users), -1), dataset, CANDIDATES, RunFolder(folder).candidates)
    return dataset.n_users


def read_catalogue(folder: Path) -> int:
    """What an augment stage reads first; how many users and items."""
    from augment.catalog import Catalog

    catalog = Catalog.load(RunFolder(folder).dataset, RunFolder(folder).candidates)
    return catalog.n_users + catalog.n_items


def render_requests(folder: Path, shards: int = SHARDS) -> int:
    """One shard of as many of the stage `augment` by rules; how many requests it has."""
    from augment.catalog import Catalog
    from augment.options import GenerationOptions
    from augment.runner import run_source

    options = GenerationOptions.model_validate(
        {"shards": shards, "sources": {"rules": {"engine": {"kind": "heuristic"}}}}
    )
    catalog = Catalog.load(RunFolder(folder).dataset, RunFolder(folder).candidates)
    out = RunFolder(folder).source("rules").root
    summary = run_source(catalog, "rules", options.sources["rules"], options, folder=out, seed=0, shards=[0])
    return sum(task["requests"] for task in summary["tasks"].values())


STAGES: Mapping[str, Callable[..., int]] = {
    "prepare": prepare_data,
    "candidates": list_candidates,
    "catalogue": read_catalogue,
    "requests": render_requests,
}
OF = {"prepare": "interaction", "candidates": "user", "catalogue": "user or item", "requests": "request"}
"""What the time of a stage is told for."""


def work(stage: str, folder: Path, shards: int = SHARDS) -> Measured:
    """One stage in this process, which should be fresh; a tiny data set below `folder` comes first."""
    STAGES[stage](folder / TINY)
    given = {"shards": shards} if stage == "requests" else {}
    begun = time.process_time()
    made = STAGES[stage](folder, **given)
    return Measured(time.process_time() - begun, held_most(), made)


def measure(size: Size, stages: Sequence[str], shards: int = SHARDS) -> dict[str, Measured]:
    """Stages of one size, each in a process of its own; those before the last one asked for run, too."""
    last = max(list(STAGES).index(stage) for stage in stages)
    found = {}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        write_files(folder, size)
        write_files(folder / TINY, Size(FEW))
        for stage in list(STAGES)[: last + 1]:
            with ProcessPoolExecutor(1, get_context("spawn")) as fresh:
                found[stage] = fresh.submit(work, stage, folder, shards).result()
    return {stage: found[stage] for stage in stages}


def results_of(rounds: Sequence[Mapping[Size, Mapping[str, Measured]]]) -> list[Result]:
    """What is reported of the sizes that each round measured, the smallest first."""
    results = []
    turns = "for information" if len(rounds) == 1 else f"median of {len(rounds)} rounds"
    for size, stages in rounds[0].items():
        for stage in stages:
            name, all_rounds = f"{stage}, {size}", [sizes[size][stage] for sizes in rounds]
            seconds = statistics.median(measured.seconds for measured in all_rounds)
            memory = max(measured.memory for measured in all_rounds) / 1e9
            results.append(Result.unjudged(f"{name}: CPU time", seconds, "s", turns))
            results.append(
                Result.at_most(f"{name}: peak memory", memory, GIGABYTES, "GB")
                if size.interactions == TARGET
                else Result.unjudged(f"{name}: peak memory", memory, "GB", "another size than the target's")
            )
    for before, after in pairwise(rounds[0]):
        for stage in rounds[0][before]:
            growth = statistics.median(_each(sizes[after][stage]) / _each(sizes[before][stage]) for sizes in rounds)
            name = f"{stage}: time for each {OF[stage]}, {after} / {before.interactions:,}"
            results.append(Result.at_most(name, growth, GROWTH, "x"))
    return results


def _each(measured: Measured) -> float:
    return measured.seconds / measured.made


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.preparing", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--interactions", type=int, nargs="+", default=SIZES, metavar="N", help="the sizes")
    parser.add_argument("--only", choices=STAGES, nargs="+", default=list(STAGES), help="some of the stages")
    parser.add_argument("--shards", type=int, default=SHARDS, metavar="N", help="one of so many shards of requests")
    parser.add_argument("--rounds", type=int, default=1, metavar="N", help="how often all sizes are measured, in turns")
    add_json_option(parser)
    given = parser.parse_args(arguments)
    sizes = [Size(interactions) for interactions in sorted(given.interactions)]
    rounds = [{size: measure(size, given.only, given.shards) for size in sizes} for _ in range(given.rounds)]
    return report("From raw interactions to rendered requests", results_of(rounds), given.json)


if __name__ == "__main__":
    run(main)
