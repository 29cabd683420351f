"""A small synthetic run folder with every artefact that the report reads, and hostile text where an LLM wrote."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from augrec.artefacts.files import write_json, write_parquet
from augrec.artefacts.run_folder import RunFolder
from augrec.artefacts.tasks import Attributes, Edges, TaskCard, Text, write_card
from augrec.report.options import ReportOptions

GENRES = ["Action", "Comedy", "Drama", "Horror", "Romance", "Sci-Fi"]
USERS, ITEMS = 60, 40
VARIANTS = ["pop", "ease", "lightgcn-without", "lightgcn-llm", "lightgcn-shuffled"]
GAIN = {"pop": -0.12, "ease": 0.02, "lightgcn-without": 0.0, "lightgcn-llm": 0.05, "lightgcn-shuffled": 0.048}
METRICS = ("recall@20", "ndcg@20", "precision@20")
SCRIPT = "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"
ARABIC = "فيلم عن الحب والحرب"
VLLM = {
    "engine": "vllm",
    "model": "/models/llm-135m",
    "max_model_len": 2048,
    "model_sha256": "a1" * 32,
    "tokenizer_sha256": "a2" * 32,
    "chat_template_sha256": "a3" * 32,
    "versions": {"vllm": "0.32.0", "xgrammar": "0.2.8"},
}
LONG = "Supercalifragilistic" * 12


def _dataset(run: Path, rng: np.random.Generator) -> None:
    pairs = [(u, int(i)) for u in range(USERS) for i in rng.choice(ITEMS, 12, replace=False)]
    split = ["train"] * 9 + ["valid"] + ["test"] * 2
    interactions = {
        "user": pa.array([u for u, _ in pairs], pa.int32()),
        "item": pa.array([i for _, i in pairs], pa.int32()),
        "rating": pa.array(rng.integers(1, 6, len(pairs)), pa.float32()),
        "timestamp": pa.array(rng.integers(0, 10**9, len(pairs)), pa.int64()),
        "split": split * USERS,
    }
    titles = [f"Film number {i}" for i in range(ITEMS)]
    titles[:4] = [SCRIPT, ARABIC, LONG, "Crème & <Brûlée>"]
    items = {
        "item": pa.array(range(ITEMS), pa.int32()),
        "source_id": [str(i + 1) for i in range(ITEMS)],
        "title": titles,
        "year": pa.array([None if i % 7 == 0 else 1950 + i for i in range(ITEMS)], pa.int16()),
        "genres": [rng.choice(GENRES, rng.integers(1, 3), replace=False).tolist() for _ in range(ITEMS)],
    }
    users = {
        "user": pa.array(range(USERS), pa.int32()),
        "source_id": [str(u + 1) for u in range(USERS)],
        "age": pa.array(rng.integers(18, 70, USERS), pa.int32()),
        "gender": rng.choice(["F", "M"], USERS).tolist(),
    }
    write_parquet(run / "dataset" / "interactions.parquet", pa.table(interactions))
    write_parquet(run / "dataset" / "items.parquet", pa.table(items))
    write_parquet(run / "dataset" / "users.parquet", pa.table(users))
    counts = {"users": USERS, "items": ITEMS, "interactions": len(pairs), "train": USERS * 9, "valid": USERS}
    write_json(
        run / "dataset" / "dataset.json",
        {
            "name": "synthetic-films",
            "source": {"format": "recbole", "path": "/data/films", "files": {"films.inter": "ab" * 32}},
            "licence": "made up",
            "domain": "movies",
            "protocol": {"min_rating": 3, "k_core": 5, "split": "leave-last-out", "seed": 0},
            "counts": {**counts, "test": USERS * 2, "items_without_train": 1, "users_with_test": USERS},
            "genres": GENRES,
            "split_sha256": "cd" * 32,
            "dropped": {"duplicates": 3, "below_min_rating": 120},
            "notes": ["2 of 60 items have no row in films.item, e.g. '<i>7</i>'"],
        },
    )


def _answer(task: str, rng: np.random.Generator, entity: int) -> dict[str, Any]:
    if task == "edges":
        positive, negative = rng.choice(ITEMS, 2, replace=False)
        return {"positive": int(positive), "negative": int(negative)}
    if task == "item_attributes":
        director = [SCRIPT, ARABIC, LONG, "Ida Lupino", "Yasujirō Ozu"][entity % 5]
        return {"director": director, "country": ["Japan", "USA"][entity % 2], "language": "English"}
    return {
        "age": "25-34",
        "gender": "F",
        "liked_genres": rng.choice(GENRES, 2, replace=False).tolist(),
        "disliked_genres": ["Horror"],
        "liked_directors": [SCRIPT, ARABIC, LONG][entity % 3 : entity % 3 + 1],
        "country": "USA",
        "language": ARABIC if entity % 9 == 0 else "English",
    }


def _records(task: str, source: str, rng: np.random.Generator) -> list[dict[str, Any]]:
    records = []
    for entity in range(ITEMS if task == "item_attributes" else USERS):
        failed = source != "heuristic" and entity % 10 == 7
        answer = None if failed else json.dumps(_answer(task, rng, entity), ensure_ascii=False)
        asked = 0 if source == "heuristic" else 1
        records.append(
            {
                "key": f"{task}/{entity}",
                "task": task,
                "entity": entity,
                "status": "failed" if failed else "ok",
                "reason": f"not_finished: {SCRIPT} {LONG}" if failed else None,
                "fields": answer,
                "text": f"{SCRIPT} {ARABIC} {LONG} ```json" if failed else answer,
                "finish_reason": "length" if failed else "stop",
                "prompt_tokens": asked * (1 + failed) * (300 + entity),
                "completion_tokens": asked * (1 + failed) * (80 - entity % 9),
                "cached_tokens": asked * 200,
                "attempt": 1 + failed,
                "repairs": [f"director: placeholder '{SCRIPT} {ARABIC}'", "duplicate genre"] if entity % 5 == 0 else [],
                "shown_history": [] if task == "item_attributes" else [1, 2, 3, 0],
                "shown_candidates": [4, 5, 6] if task == "edges" else [],
                "dropped_history": 0,
                "fallback": "masked" if failed else None,
            }
        )
    return records


def _timeline(path: Path, began: int, interval: float, gap: int) -> None:
    """60 intervals with 3 requests each, and a pause after the first 20 of `gap` intervals."""
    starts = [began + interval * (n + (gap if n >= 20 else 0)) for n in range(60)]
    points = [[at - at % interval, interval, 3.0, 900.0, 600.0, 240.0] for at in starts]
    write_json(
        path,
        {
            "started": float(began),
            "interval": interval,
            "columns": ["at", "seconds", "requests", "prompt_tokens", "cached_tokens", "completion_tokens"],
            "points": points,
            "spent_seconds": {"compile": 0.5, "mask": 2.0},
        },
    )


CARDS = {
    "edges": TaskCard(name="edges", about="user", gives=Edges()),
    "user_profile": TaskCard(name="user_profile", about="user", gives=Text()),
    "item_attributes": TaskCard(name="item_attributes", about="item", gives=Attributes()),
}


def _augment(run: Path, sources: tuple[str, ...], rng: np.random.Generator) -> None:
    described: dict[str, Any] = {}
    for source in sources:
        engine = {"engine": "heuristic"} if source == "heuristic" else dict(VLLM)
        tasks: dict[str, Any] = {}
        for task in ("edges", "user_profile", "item_attributes"):
            records = _records(task, source, rng)
            schema = pa.schema(
                [
                    *[(name, pa.string()) for name in ("key", "task", "status", "reason", "fields", "text")],
                    *[(name, pa.string()) for name in ("finish_reason", "fallback")],
                    *[(name, pa.int32()) for name in ("entity", "prompt_tokens", "completion_tokens")],
                    *[(name, pa.int32()) for name in ("cached_tokens", "attempt", "dropped_history")],
                    *[(name, pa.list_(pa.int32())) for name in ("shown_history", "shown_candidates")],
                    ("repairs", pa.list_(pa.string())),
                ]
            )
            table = pa.Table.from_pylist(records, schema=schema)
            write_parquet(run / "augment" / source / task / "records.parquet", table)
            write_card(run / "augment" / source / task / "task.json", CARDS[task])
            failed = sum(r["status"] == "failed" for r in records)
            tasks[task] = {
                "requests": len(records),
                "ok": len(records) - failed,
                "failed": failed,
                "failed_by_reason": {"not_finished": failed} if failed else {},
                "repaired": sum(bool(r["repairs"]) for r in records),
                "prompt_tokens": 300 * len(records),
                "completion_tokens": 80 * len(records),
                "seconds": 12.5,
                "completion_tokens_per_second": 384.0,
                "prompt_tokens_per_second": 1440.0,
                "prefix_cache_hit_rate": None if source == "heuristic" else 0.66,
                "max_tokens": 96,
            }
        if source != "heuristic":
            _timeline(run / "augment" / source / "timeline" / "00000.json", began=1_760_000_000, interval=2.0, gap=300)
            _timeline(run / "augment" / source / "timeline" / "00002.json", began=1_760_000_004, interval=4.0, gap=150)
        described[source] = {"engine": engine, "tasks": tasks}
    write_json(
        run / "augment" / "summary.json", {"sources": described, "totals": {"requests": 1, "ok": 1, "failed": 0}}
    )


def _train(run: Path, variants: list[str], seeds: int, rng: np.random.Generator) -> None:
    base = rng.beta(2, 3, USERS)
    test_users = np.arange(USERS) >= 2  # the first two users have no test items
    for variant in variants:
        fixed = variant in ("pop", "ease")
        for seed in range(seeds):
            noise = np.random.default_rng([0 if fixed else seed + 1, len(variant)])
            columns = {}
            for n, metric in enumerate(METRICS):
                values = (base + GAIN[variant] + noise.normal(0, 0.04, USERS)) / (1 + n)
                columns[metric] = np.where(test_users, values, np.nan)
            folder = run / "train" / variant / f"seed-{seed}"
            table = pa.table({"user": pa.array(range(USERS), pa.int32()), **columns})
            write_parquet(folder / "per_user.parquet", table)
            test = {metric: float(np.nanmean(values)) for metric, values in columns.items()}
            reached = [test["recall@20"] * (1 - 0.6 * 0.7**epoch) for epoch in range(8)]
            history = [
                {"epoch": epoch, "loss": 1 / (epoch + 1), "valid": {"recall@20": value}, "seconds": 0.1}
                for epoch, value in enumerate(reached)
            ]
            metrics = {
                "variant": variant,
                "model": variant.split("-")[0],
                "seed": seed,
                "fingerprint": "ef" * 32,
                "deterministic": False,
                "valid": {"recall@20": reached[-1]},
                "test": {**test, "coverage@20": 0.1 if variant == "pop" else 0.5 + 0.01 * (0 if fixed else seed)},
                "best_epoch": 7,
                "epochs": 8,
                "history": [] if fixed else history,
                "parameters": 0 if fixed else 6400,
                "seconds": 1.0,
                "device": "cpu",
                "n_test_users": int(test_users.sum()),
            }
            write_json(folder / "metrics.json", metrics)


def _markers(run: Path) -> None:
    machine = {"host": "node1", "cpu": "2 cores", "device": "cpu"}
    for n, stage in enumerate(("dataset", "candidates", "augment", "embed", "train")):
        marker = {
            "stage": stage,
            "fingerprint": f"{n:02d}" * 32,
            "seconds": 3.5 * n,
            "machine": machine,
            "version": "0.1.0",
            "identity": {"code": f"{n:02x}" * 32},
        }
        write_json(run / stage / "stage.json", marker)
    embedding = {
        "field": "profile",
        "group": "llm",
        "rows": USERS,
        "dim": 384,
        "missing": [7],
        "model": "all-MiniLM-L6-v2",
    }
    write_json(run / "embed" / "llm" / "profile.json", {**embedding, "model_sha256": "12" * 32, "pooling": "mean"})


MakeRun = Callable[..., Path]


def _run(
    root: Path,
    variants: list[str] | None = None,
    seeds: int = 3,
    sources: tuple[str, ...] = ("llm", "heuristic"),
) -> Path:
    run = root / "runs" / "demo"
    rng = np.random.default_rng(5)
    _dataset(run, rng)
    if sources:
        _augment(run, sources, rng)
    _train(run, VARIANTS if variants is None else variants, seeds, rng)
    _markers(run)
    (run / "config.yaml").write_text("name: demo\n", encoding="utf-8")
    return run


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    """`make_run(variants=, seeds=, sources=)` writes a run folder and returns it."""
    return partial(_run, tmp_path)


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run without a page. Read only: a test that changes it makes its own."""
    return _run(tmp_path_factory.mktemp("stored"))


@pytest.fixture(scope="module")
def reported(stored: Path, options: ReportOptions, config: dict[str, Any], variants: list[str]) -> Path:
    """The same with its page."""
    from augrec.report.pages.run.page import write_report

    write_report(RunFolder(stored), options, config, variants=variants)
    return stored


@pytest.fixture(scope="module")
def variants() -> list[str]:
    """The variants of the synthetic run in display order."""
    return list(VARIANTS)


@pytest.fixture(scope="module")
def options() -> ReportOptions:
    """Compares with the model that gets no augmentation; few resamples, to be fast."""
    return ReportOptions(baseline="lightgcn-without", bootstrap=300, examples=3)


@pytest.fixture(scope="module")
def config() -> dict[str, Any]:
    """A resolved config as plain values, with text that must be escaped."""
    return {"name": "demo", "seeds": [0, 1, 2], "note": "</pre><script>document.title='owned'</script>", "k": None}
