"""How long, and with how much memory, are the pages of a large study made?

    python -m benchmarks.pages [--json FILE] [--users N] [--variants N] [--seeds N] [--only run|comparison]

A run folder of exactly that shape is written first: 50 variants with 5 seeds, 100,000 users with 25 interactions each
on 10,000 items, a value per user of the 15 metrics that are evaluated unless a config says otherwise, and for the page
of the run a language model's profile of every user. Then each page is made in a process of its own, from the folder to
the last file, on one thread: CPU time is what an idle core takes. The comparison has half as many arms under two
recommenders, every arm beside the one without text and beside a control, all users and thirds of them; its measures of
texts are no part of it. Exit status: 0 within targets, 1 not.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from augrec.artefacts.files import write_json, write_parquet
from augrec.artefacts.interactions import read_interactions
from augrec.artefacts.records import RECORD_SCHEMA
from augrec.artefacts.run_folder import RunFolder
from augrec.artefacts.study_folder import ComparisonFolder
from augrec.artefacts.tasks import TaskCard, Text, write_card
from augrec.report.measures.downstream import Design, Downstream, groups_of
from augrec.report.options import ReportOptions
from augrec.report.pages.comparison.headline import headline
from augrec.report.pages.comparison.markdown import write_markdown
from augrec.report.pages.comparison.page import write_page
from augrec.report.pages.comparison.results import (
    SCHEMA,
    ArmFacts,
    ComparisonResults,
    DataFacts,
    Embedding,
    Provenance,
    RecommenderFacts,
    write_results,
)
from augrec.report.pages.run.page import write_report
from benchmarks.memory import held_most
from benchmarks.result import Result, add_json_option, report, run

CUTOFFS = (10, 20, 50)
HELD_OUT = {"train": 20, "valid": 2, "test": 3}
GENRES = ("Action", "Comedy", "Drama", "Horror", "Romance", "Science Fiction")
SECONDS, GIGABYTES = 60.0, 2.0
TEXT_MEASURES = (
    *("intrinsic", "agreement", "consistency", "position", "edge_worth", "alignment", "leak", "memorisation"),
    *("cost", "per_cost", "examples"),
)
"""What the comparison's page shows beside what is measured here; empty."""


class Shape(NamedTuple):
    """How large a study is."""

    users: int
    variants: int
    seeds: int

    @property
    def items(self) -> int:
        """A tenth of the users, or a hundred."""
        return max(100, self.users // 10)

    def __str__(self) -> str:
        return f"{self.variants} variants x {self.seeds} seeds x {self.users:,} users"


TARGET = Shape(users=100_000, variants=50, seeds=5)


class Made(NamedTuple):
    """What making a page took: seconds of a clock, CPU seconds of all threads, and the process's most memory."""

    seconds: float
    cpu_seconds: float
    peak_bytes: int


def write_study(folder: Path, shape: Shape) -> None:
    """A run folder of finished trainings, with the profiles that a language model wrote."""
    run_folder, rng = RunFolder(folder), np.random.default_rng(0)
    _write_dataset(run_folder, shape, rng)
    _write_profiles(run_folder, shape, rng)
    chance = rng.beta(1, 6, shape.users)
    for n in range(shape.variants):
        for seed in range(shape.seeds):
            drawn = np.random.default_rng([n, seed])
            _write_training(run_folder, name_of(n), seed, np.clip(chance * (1 + 0.002 * n), 0, 1), drawn)


def name_of(n: int) -> str:
    """The n-th variant's name."""
    return f"lightgcn-{n:02d}"


def _write_dataset(folder: RunFolder, shape: Shape, rng: np.random.Generator) -> None:
    per_user = sum(HELD_OUT.values())
    users = np.repeat(np.arange(shape.users, dtype=np.int32), per_user)
    first = (shape.items * rng.random(shape.users) ** 2).astype(np.int64)
    strides = rng.integers(1, shape.items // per_user, shape.users)
    items = (first[:, None] + strides[:, None] * np.arange(per_user)) % shape.items  # distinct ones of each user
    splits = [name for name, times in HELD_OUT.items() for _ in range(times)] * shape.users
    table = {"user": users, "item": items.ravel().astype(np.int32), "timestamp": np.arange(len(users)), "split": splits}
    write_parquet(folder.interactions, pa.table(table))
    titles = [f"Film {item}" for item in range(shape.items)]
    genres = [[GENRES[item % 6], GENRES[item // 6 % 6]] for item in range(shape.items)]
    ids = np.arange(shape.items, dtype=np.int32)
    write_parquet(
        folder.items, pa.table({"item": ids, "source_id": ids.astype(str), "title": titles, "genres": genres})
    )
    ids = np.arange(shape.users, dtype=np.int32)
    write_parquet(folder.users, pa.table({"user": ids, "source_id": ids.astype(str)}))
    counts = {"users": shape.users, "items": shape.items, "interactions": len(users)}
    write_json(
        folder.dataset_json, {"name": "made", "counts": counts, "genres": list(GENRES), "protocol": {}, "notes": []}
    )


def _write_profiles(folder: RunFolder, shape: Shape, rng: np.random.Generator) -> None:
    """Of every user, by a language model."""
    task, liked = folder.source("llm").task("user_profile"), rng.integers(0, 6, (shape.users, 2))
    answers = [
        json.dumps({"liked_genres": [GENRES[a], GENRES[b]], "summary": f"Likes {GENRES[a]} films, often of the {b}0s."})
        for a, b in liked.tolist()
    ]
    columns = {
        "key": [f"user_profile/{user}" for user in range(shape.users)],
        "task": ["user_profile"] * shape.users,
        "entity": np.arange(shape.users, dtype=np.int32),
        "question": [""] * shape.users,
        "status": ["ok"] * shape.users,
        "fields": answers,
        "text": answers,
        "prompt_tokens": rng.integers(200, 400, shape.users, dtype=np.int32),
        "completion_tokens": rng.integers(30, 90, shape.users, dtype=np.int32),
    }
    schema = pa.schema([field for field in RECORD_SCHEMA if field.name in columns])
    write_parquet(task.records, pa.table(columns, schema=schema))
    write_card(task.card, TaskCard(name="user_profile", about="user", gives=Text()))
    told = {"requests": shape.users, "ok": shape.users, "failed": 0}
    engine = {"engine": "vllm", "model": "made"}
    write_json(folder.summary, {"sources": {"llm": {"engine": engine, "tasks": {"user_profile": told}}}})


def _write_training(folder: RunFolder, name: str, seed: int, chance: np.ndarray, rng: np.random.Generator) -> None:
    """Metrics of lists with as many hits among the first k as a user's luck gives."""
    n_test, values = HELD_OUT["test"], dict[str, np.ndarray]()
    hits = np.zeros(len(chance))
    for k in CUTOFFS:
        hits = np.minimum(n_test, hits + rng.binomial(1, chance) + (rng.random(len(chance)) < chance / 4))
        place = rng.uniform(0.3, 1.0, len(chance))
        of_k = {"recall": hits / n_test, "precision": hits / k, "hit_rate": np.sign(hits)}
        of_k |= {"ndcg": place * hits / n_test, "mrr": place * np.sign(hits)}
        values |= {f"{metric}@{k}": of_metric for metric, of_metric in of_k.items()}
    training = folder.training(name, seed)
    write_parquet(training.per_user, pa.table({"user": np.arange(len(chance), dtype=np.int32), **values}))
    test = {metric: float(of_metric.mean()) for metric, of_metric in values.items()}
    test |= {f"coverage@{k}": 0.5 + 0.001 * seed for k in CUTOFFS}
    history = [
        {"epoch": epoch, "loss": 1 / (epoch + 1), "valid": {"recall@20": test["recall@20"] * (1 - 0.6 * 0.8**epoch)}}
        for epoch in range(20)
    ]
    facts = {"variant": name, "model": "lightgcn", "seed": seed, "fingerprint": "", "deterministic": False}
    facts |= {"valid": history[-1]["valid"], "test": test, "history": history, "best_epoch": 19, "epochs": 20}
    write_json(training.metrics, facts | {"seconds": 60.0, "device": "cpu", "n_test_users": len(chance)})


def make_run_page(folder: Path, shape: Shape) -> None:
    """As the stage `report` does it after the audit."""
    names = [name_of(n) for n in range(shape.variants)]
    options = ReportOptions(baseline=names[0], claim=names[1], controls=tuple(names[2:5]))
    write_report(RunFolder(folder), options, {"name": "made"}, variants=names)


def make_comparison_page(folder: Path, shape: Shape) -> None:
    """As `augrec compare` does it, without measures of texts."""
    arms = tuple(f"arm-{n:02d}" for n in range(shape.variants // 2))
    recommenders = ("one", "two")
    design = Design(
        arms=arms,
        recommenders=recommenders,
        baseline=arms[0],
        against=dict.fromkeys(arms, (arms[-1],)),
        metrics=("recall@20", "ndcg@20", "precision@20", "recall@50"),
        alpha=0.05,
        bootstrap=2000,
    )
    variants = {(arm, name): name_of(2 * n + m) for n, arm in enumerate(arms) for m, name in enumerate(recommenders)}
    run_folder, files = RunFolder(folder), ComparisonFolder(folder)
    seeds = {name: list(range(shape.seeds)) for name in variants.values()}
    downstream = Downstream(design, run_folder, variants, seeds, {})
    train = read_interactions(run_folder.interactions, shape.users, shape.items, splits=("train",)).of("train")
    groups = groups_of(downstream.test_users, np.bincount(train[:, 0], minlength=shape.users), None)
    judgements = downstream.judgements(groups)
    sizes = tuple(group.size() for group in groups)
    facts = tuple(ArmFacts(arm, arm, "llm" if n else "none", None, None, {}, None, None) for n, arm in enumerate(arms))
    no_texts: dict[str, Any] = dict.fromkeys(TEXT_MEASURES, ())
    results = ComparisonResults(
        schema=SCHEMA,
        name="made",
        title="made",
        created="",
        augrec_version="",
        headline=headline(design, arms[1], facts, {name: name for name in recommenders}, judgements, sizes),
        data=DataFacts("made", None, None, None, None),
        arms=facts,
        recommenders=tuple(RecommenderFacts(name, name, "lightgcn", "", ()) for name in recommenders),
        baseline=design.baseline,
        claim=arms[1],
        metrics=design.metrics,
        primary=design.metrics[0],
        alpha=design.alpha,
        equivalence_margin=design.margin,
        groups=sizes,
        downstream=judgements,
        provenance=Provenance("", {}, Embedding(None, None), None, {}, (), "", {}),
        seconds=0.0,
        **no_texts,
    )
    write_results(results, files.results)
    write_markdown(results, files.markdown)
    write_page(results, files.page, files.tables)


MAKERS: dict[str, Callable[[Path, Shape], None]] = {"run": make_run_page, "comparison": make_comparison_page}


def make(page: str, folder: Path, shape: Shape) -> Made:
    """Makes a page in this process, which should be fresh."""
    begun, cpu = time.perf_counter(), time.process_time()
    MAKERS[page](folder, shape)
    return Made(time.perf_counter() - begun, time.process_time() - cpu, held_most())


def results_of(page: str, shape: Shape, made: Made) -> list[Result]:
    """What is reported of one page; targets are those of the shape that they were set for."""
    name = f"page of a {page}, {shape}"
    if shape != TARGET:
        why = "another shape than the target's"
        judged = [
            Result.unjudged(f"{name}: CPU time", made.cpu_seconds, "s", why),
            Result.unjudged(f"{name}: peak memory", made.peak_bytes / 1e9, "GB", why),
        ]
    else:
        judged = [
            Result.at_most(f"{name}: CPU time", made.cpu_seconds, SECONDS, "s"),
            Result.at_most(f"{name}: peak memory", made.peak_bytes / 1e9, GIGABYTES, "GB"),
        ]
    return [*judged, Result.unjudged(f"{name}: by the clock", made.seconds, "s", "depends on who else computes")]


def measure(shape: Shape, pages: Sequence[str]) -> list[Result]:
    """Writes the folder, and makes each page in a process of its own."""
    results = []
    with tempfile.TemporaryDirectory() as root:
        folder = Path(root)
        write_study(folder, shape)
        for page in pages:
            with ProcessPoolExecutor(1, get_context("spawn")) as fresh:
                results += results_of(page, shape, fresh.submit(make, page, folder, shape).result())
    return results


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pages", description=(__doc__ or "").splitlines()[0])
    for name, value in TARGET._asdict().items():
        parser.add_argument(f"--{name}", type=int, default=value, metavar="N", help=f"({value:,})")
    parser.add_argument("--only", choices=MAKERS, help="one of the pages")
    add_json_option(parser)
    given = parser.parse_args(arguments)
    os.environ["OMP_NUM_THREADS"] = "1"  # of the processes that make pages
    shape = Shape(given.users, given.variants, given.seeds)
    pages = [given.only] if given.only else list(MAKERS)
    return report("Pages of large studies", measure(shape, pages), given.json)


if __name__ == "__main__":
    run(main)
