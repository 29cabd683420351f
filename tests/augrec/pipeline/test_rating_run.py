"""Ratings from a file to the page: models of fields beside the baseline predictor, and what a source wrote of items."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from augment.engines.base import Engine, EngineInputs
from augment.engines.options import EngineOptions
from augment.engines.registry import ENGINES, EngineKind
from augment.messages import Completion, Request
from augrec.artefacts.files import read_json
from augrec.artefacts.run_folder import RunFolder
from augrec.artefacts.trainings import read_training
from augrec.pipeline.audit import audit_run
from augrec.pipeline.config.run_config import read_config
from augrec.pipeline.stages.base import Run
from recsys.options import Judged
from tests.kit.families import families
from tests.kit.toy_run import advance, open_run

pytestmark = pytest.mark.slow
DIRECTORS = ("Ada Ab", "Bo Be", "Cy Ce", "Di De", "Ed Ef")


class BuffOptions(EngineOptions):
    """Knows who directed a film."""

    kind: Literal["buff"] = "buff"
    """Which engine."""


class Buff(Engine):
    """Every fifth film is by the same director, and of one film in ten it knows nothing."""

    block = 8

    def __init__(self, options: BuffOptions, inputs: EngineInputs) -> None:
        self.identity = {"engine": "buff"}

    def run(self, requests: Sequence[Request]) -> Iterator[Completion]:
        for request in requests:
            rule, answer = request.draft.control
            told = {**rule(), "director": "unknown" if film(request) % 10 == 9 else DIRECTORS[film(request) % 5]}
            yield Completion(request, json.dumps(told), "stop", answer, prompt_tokens=3, completion_tokens=2)

    def describe(self) -> dict[str, Any]:
        return {**self.identity, "model": "buff", "llm": True}


def film(request: Request) -> int:
    """The number in the title that the prompt shows."""
    text = " ".join(content for _, content in request.draft.messages)
    return int(text.rpartition("Film ")[2].split()[0].strip('".,()'))


@pytest.fixture(autouse=True)
def registered() -> Iterator[None]:
    with ENGINES.including(EngineKind(BuffOptions, __name__)):
        yield


def build(options: BuffOptions, inputs: EngineInputs) -> Buff:
    return Buff(options, inputs)


def written(folder: Path, n_users: int = 60, n_items: int = 60, per_user: int = 12) -> Path:
    """Ratings that follow from the user's mood, the film's quality, and how much the user likes its director."""
    rng = np.random.default_rng(3)
    mood, liked = rng.normal(3, 0.4, n_users), rng.integers(0, 5, n_users)
    folder.mkdir()
    rows = ["user_id:token\titem_id:token\trating:float\ttimestamp:float"]
    for user in range(n_users):
        for when, item in enumerate(rng.permutation(n_items)[:per_user]):
            rating = np.clip(mood[user] + 1.5 * (item % 5 == liked[user]) + rng.normal(0, 0.2), 1, 5)
            rows.append(f"u{user}\ti{item}\t{rating:.2f}\t{when}")
    (folder / "data.inter").write_text("\n".join(rows) + "\n")
    items = [f"i{item}\tFilm {item}\t{1980 + item % 3}\tDrama" for item in range(n_items)]
    (folder / "data.item").write_text(
        "\n".join(["item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq", *items]) + "\n"
    )
    return folder


def config(folder: Path) -> dict[str, Any]:
    return {
        "name": "toy",
        "dataset": {
            "name": "Toy",
            "source": {"format": "recbole", "path": str(written(folder / "data"))},
            "domain": "movies",
            "min_rating": 0,
            "split": {"kind": "random", "ratios": [8, 1, 1]},
        },
        "candidates": {"model": "popular"},
        "generation": {"sources": {"llm": {"engine": {"kind": "buff"}, "tasks": ["item_attributes"]}}},
        "embedding": {"model": "tfidf"},
        "models": {
            "popular": {"family": "popularity", "training": {"monitor": "recall@20"}},
            "bias": {"family": "bias"},
            "fm": {"family": "deepfm", "dim": 8, "hidden": []},
        },
        "training": {"epochs": 60, "batch_size": 64, "lr": 0.01, "monitor": "rmse", "device": "cpu", "threads": 1},
        "seeds": [1, 2],
        "workers": 1,
        "variants": {
            "bias": {"model": "bias"},
            "fm": {"model": "fm"},
            "fm-directors": {"model": "fm", "source": "llm"},
            "fm-strangers": {"model": "fm", "source": "llm", "change": {"item_attributes": "shuffled"}},
        },
        "report": {
            "baseline": "bias",
            "claim": "fm-directors",
            "controls": ["fm-strangers"],
            "primary": "rmse",
            "secondary": ["mae", "pooled_rmse", "pooled_mae"],
            "bootstrap": 100,
        },
    }


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("ratings")
    with ENGINES.including(EngineKind(BuffOptions, __name__)):
        opened = open_run(folder, config(folder))
        advance(opened)
    return opened


def test_written_directors_lower_the_error_and_those_of_other_films_do_not(run: Run) -> None:
    files = RunFolder(run.folder)
    error = {
        name: np.mean([read_training(files.training(name, seed)).test["rmse"] for seed in (1, 2)])
        for name in ("fm", "fm-directors", "fm-strangers")
    }
    assert error["fm-directors"] < 0.9 * min(error["fm"], error["fm-strangers"])
    assert read_training(files.training("bias", 1)).details["deterministic"]
    assert audit_run(run.folder).violations == 0


def test_the_page_shows_ratings_with_less_being_better(run: Run) -> None:
    files = RunFolder(run.folder)
    rows = {(row["variant"], row["metric"]): row for row in read_json(files.results)["summary"]}
    names = ("bias", "fm", "fm-directors", "fm-strangers")
    assert {name for name, _ in rows} == set(names)
    assert rows["fm-directors", "rmse"]["ci_high"] < 0, "the difference to the baseline, lower by all of the interval"
    page = files.page.read_text()
    for metric in ("rmse", "pooled_rmse", "pooled_mae", "mae"):
        values = {name: rows[name, metric]["mean"] for name in names}
        assert min(values, key=lambda name: values[name]) == "fm-directors"
        assert f"{values['fm-directors']:.4f}" in page
    best = rows["fm-directors", "rmse"]["mean"]
    assert f'<strong><bdi>{best:.4f}</bdi></strong><span class="star" aria-label="best">' in page
    assert "better" in page


def test_nothing_runs_twice(run: Run) -> None:
    said = advance(run)
    assert said.count("skipped") == said.count("[")
    assert "running" not in said


def test_the_shipped_config_of_base_rows_has_every_family_that_rates() -> None:
    path = Path("configs/ml-100k/llama4rec-rating-base.yaml")
    shipped = read_config(path)
    assert {shipped.models[variant.model].family for variant in shipped.variants.values()} == set(
        families(Judged.RATING)
    )
    assert f"augrec run {path}" in path.read_text()
