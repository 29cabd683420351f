"""A tiny data set in the documented layout, and a run of tasks over it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from augment.catalog import Catalog
from augment.options import GenerationOptions
from augment.prompts.rendering import Prompts
from augment.runner import run_source
from augment.tasks.base import Context
from tests.kit.fake_engine import FakeEngine
from tests.kit.prepared_data import write_prepared


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """A prepared run folder with dataset/ and candidates/."""
    write_prepared(tmp_path / "run")
    return tmp_path / "run"


@pytest.fixture
def catalog(dataset: Path) -> Catalog:
    return Catalog.load(dataset / "dataset", dataset / "candidates" / "candidates.parquet")


@pytest.fixture
def context(catalog: Catalog) -> Context:
    return Context(catalog, Prompts(), max_history=15, seed=7)


@pytest.fixture
def generation() -> GenerationOptions:
    return GenerationOptions(sources={"fake": {"engine": {"kind": "heuristic"}}}, shards=3)


@pytest.fixture
def run(catalog: Catalog, generation: GenerationOptions, tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """run(engine, folder name, **generation overrides) runs the three tasks and returns the summary."""

    def call(engine: FakeEngine, folder: str = "out", seed: int = 0, **overrides: Any) -> dict[str, Any]:
        shards = overrides.pop("only", None)
        options = generation.model_copy(update=overrides)
        source = options.sources["fake"]
        return run_source(
            catalog,
            "fake",
            source,
            options,
            folder=tmp_path / folder,
            seed=seed,
            shards=shards,
            engine=engine,
        )

    return call


@pytest.fixture
def records(tmp_path: Path) -> Callable[..., dict[str, list[dict[str, Any]]]]:
    """records(folder name) reads the merged tables."""

    def call(folder: str = "out") -> dict[str, list[dict[str, Any]]]:
        return {
            path.parent.name: pq.read_table(path).to_pylist()
            for path in sorted((tmp_path / folder).glob("*/records.parquet"))
        }

    return call
