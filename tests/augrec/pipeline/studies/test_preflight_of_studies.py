"""What the runs of a study lack is said once, and of which runs where it is not all of them."""

from __future__ import annotations

from pathlib import Path

import yaml

from augrec.pipeline.studies.experiment.plan import read_experiment
from augrec.pipeline.studies.preflight import look_at_file, look_at_plan
from tests.kit.toy_config import toy_config, write_config

SETTINGS = """
settings:
  without: {}
  image: {change: {features: {image: {path: image.npy}}}}
  again: {change: {features: {image: {path: image.npy}}, seeds: [3]}}
"""


def test_every_run_of_an_experiment_is_looked_at(experiment_with_data: Path) -> None:
    assert look_at_plan(read_experiment(experiment_with_data), download=False) == []
    changed = yaml.safe_load(experiment_with_data.read_text()) | yaml.safe_load(SETTINGS)
    changed["tables"]["main"]["settings"] = ["without"]
    write_config(experiment_with_data, changed)
    (image,) = look_at_plan(read_experiment(experiment_with_data), download=False)
    assert image.level == "problem"
    assert image.where == "features.image (data/image, data/again)"


def test_what_all_runs_lack_is_said_once(experiment_file: Path) -> None:
    changed = yaml.safe_load(experiment_file.read_text()) | {"settings": {"a": {}, "b": {"change": {"seeds": [3]}}}}
    write_config(experiment_file, changed)
    (data,) = look_at_file(experiment_file, None)
    assert (data.level, data.where) == ("problem", "dataset.source.path")


def test_what_a_comparison_imports_first_need_not_be_there_yet(tmp_path: Path, toy_data: Path) -> None:
    base = toy_config(toy_data, {"embedding": {"model": "tfidf"}, "models": {"text": {"family": "text_gcn", "dim": 8}}})
    compare = {
        "name": "toy",
        "output": str(tmp_path / "out"),
        "base": base,
        "published": {"authors": {"layout": "rlmrec", "path": str(tmp_path / "release")}},
        "arms": {"none": {}, "authors": {"source": "authors"}},
        "recommenders": {"text": {"model": "text", "scale": "temperature", "scales": [0.2]}},
        "baseline": "none",
        "metrics": ["recall@10"],
        "seeds": [1],
    }
    path = write_config(tmp_path / "compare.yaml", compare)
    (release,) = look_at_file(path, None)
    assert (release.level, release.where) == ("problem", "published.authors")
    (tmp_path / "release").mkdir()
    assert look_at_file(path, None) == []
