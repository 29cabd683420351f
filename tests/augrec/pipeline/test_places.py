"""Where things lie is no part of what a stage is made from: contents are, and names of files inside a folder."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from augrec.artefacts.errors import UsageError
from augrec.pipeline.config.run_config import read_config
from augrec.pipeline.stages import STAGES, chain
from augrec.pipeline.stages.base import Run

CONFIG = """
name: placed
output: {place}/run
dataset:
  name: toy
  source:
    format: table
    path: {place}/data
    table: {{interactions: {place}/data/clicks.csv, items: items.csv}}
  split: {{kind: random}}
candidates: {{model: pop}}
generation:
  templates: {place}/templates
  sources:
    local: {{engine: {{kind: vllm, model: {place}/weights}}}}
    rule: {{engine: {{kind: heuristic}}}}
    old: {{engine: {{kind: replay, records: {place}/old/augment/rule, dataset: {place}/old/dataset, vectors: true}}}}
embedding: {{model: {place}/encoder}}
features:
  image: {{path: {place}/image.npy, ids: {place}/ids.txt}}
models: {{pop: {{family: popularity}}}}
variants: {{pop: {{model: pop}}}}
report: {{baseline: pop}}
"""
FILES = {
    "data/clicks.csv": "user_id,item_id\n1,2\n",
    "data/items.csv": "item_id,title\n2,Two\n",
    "templates/line.j2": "{% macro line(item) %}{{ item.title }}{% endmacro %}",
    "old/augment/rule/edges/records.parquet": "records",
    "old/dataset/items.parquet": "items",
    "old/dataset/users.parquet": "users",
    "old/embed/rule/user_profile.npy": "vectors",
    "old/embed/rule/user_profile.json": "{}",
    "ids.txt": "2\n",
}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with everything a config can point at; weights are resolved by what their folder's name ends in."""
    folder = tmp_path / "first place"
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    np.save(folder / "image.npy", np.ones((1, 2)))
    monkeypatch.setattr(
        import_module("augrec.pipeline.weights.resolve"),
        "resolve",
        lambda name: SimpleNamespace(sha256=f"weights of {Path(name).name}"),
    )
    monkeypatch.setenv("AUGREC_CACHE", str(tmp_path / "cache"))
    return folder


def sections(place: Path) -> dict[str, Any]:
    config = place.parent / "placed.yaml"
    config.write_text(CONFIG.format(place=place))
    run = Run(read_config(config))
    return {stage.name: stage.section(run) for stage in chain(run.config)}


def test_the_same_files_elsewhere_are_the_same(place: Path, tmp_path: Path) -> None:
    before = sections(place)
    moved = tmp_path / "second place"
    shutil.move(place, moved)
    assert sections(moved) == before
    assert "first place" not in json.dumps(before)


def written(name: str) -> Callable[[Path], Any]:
    return lambda place: (place / name).write_text("other content")


@pytest.mark.parametrize(
    ("change", "stage"),
    [
        (written("templates/line.j2"), "augment"),
        (written("templates/added.j2"), "augment"),
        (lambda place: (place / "templates" / "line.j2").unlink(), "augment"),
        (written("old/augment/rule/edges/records.parquet"), "augment"),
        (written("old/dataset/items.parquet"), "augment"),
        (written("old/embed/rule/user_profile.npy"), "embed"),
        (written("old/embed/rule/user_profile.json"), "embed"),
        (written("ids.txt"), "embed"),
        (written("image.npy"), "embed"),
        (written("data/clicks.csv"), "prepare"),
        (written("data/items.csv"), "prepare"),
    ],
)
def test_other_content_at_the_same_place_is_another(place: Path, change: Callable[[Path], Any], stage: str) -> None:
    before = sections(place)
    change(place)
    assert sections(place)[stage] != before[stage]


def test_other_weights_are_others(place: Path) -> None:
    before = sections(place)
    text = CONFIG.replace("{place}/weights", "{place}/larger").replace("{place}/encoder", "{place}/coder")
    path = place.parent / "other.yaml"
    path.write_text(text.format(place=place))
    run = Run(read_config(path))
    assert STAGES["augment"].section(run) != before["augment"]
    assert STAGES["embed"].section(run) != before["embed"]


def test_a_folder_of_templates_that_is_gone_is_an_error(place: Path) -> None:
    shutil.rmtree(place / "templates")
    with pytest.raises(UsageError, match="templates does not exist"):
        sections(place)


def test_the_place_of_the_data_is_no_content_of_the_data_set(tmp_path: Path) -> None:
    hashes = []
    for path in ("here", "there"):
        meta = tmp_path / path / "dataset.json"
        meta.parent.mkdir()
        meta.write_text(json.dumps({"name": "toy", "source": {"format": "table", "path": path}}))
        hashes.append(STAGES["prepare"].output_hash(meta))
    assert hashes[0] == hashes[1]
