"""A folder, a prepared one, a run and a config are all data that can be described."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from augrec.artefacts.errors import UsageError
from augrec.pipeline.description import options_of, render
from recsys.data.description import describe
from recsys.data.readers.registry import read
from tests.kit.toy_config import toy_config, write_config
from tests.kit.toy_run import advance, open_run


def test_what_is_described_by_its_place(tmp_path: Path, toy_data: Path) -> None:
    run = open_run(tmp_path, toy_config(toy_data))
    advance(run, "prepare")
    config = str(tmp_path / "toy.yaml")
    found = {}
    for place in (str(toy_data), str(run.folder), str(run.files.dataset), config):
        options, own = options_of(place, None, None)
        assert own == (place == config)
        found[place] = describe(read(options, Path(options.source.path)), options if own else None)
    assert found[str(toy_data)].rows == found[config].rows == 40 * 12
    assert found[str(run.folder)] == found[str(run.files.dataset)]
    (own_thresholds,) = [left for left in found[config].left if left.own]
    assert (own_thresholds.min_rating, own_thresholds.k_core) == (3.0, 2)
    assert own_thresholds.interactions == found[str(run.folder)].pairs
    shown = io.StringIO()
    render(found[config], "Toy", Console(file=shown, width=120))
    assert "Toy: 40 users, 30 items, 480 interactions" in shown.getvalue()
    assert "this config" in shown.getvalue()


def test_a_section_is_enough_and_a_study_has_a_base(tmp_path: Path, toy_data: Path) -> None:
    section = {"dataset": toy_config(toy_data)["dataset"]}
    write_config(tmp_path / "begun.yaml", section)
    write_config(tmp_path / "study.yaml", {"name": "study", "base": "begun.yaml"})
    for name in ("begun.yaml", "study.yaml"):
        assert options_of(str(tmp_path / name), None, None)[0].source.path == str(toy_data)
    changed, _ = options_of(str(tmp_path / "begun.yaml"), ["dataset.k_core=9"], None)
    assert changed.k_core == 9


def test_what_nothing_is_known_of_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="laid out"):
        options_of(str(tmp_path), None, None)
    with pytest.raises(UsageError, match="takes no overrides"):
        options_of(str(tmp_path), ["dataset.k_core=9"], "ml-1m")
    write_config(tmp_path / "none.yaml", {"name": "none"})
    with pytest.raises(UsageError, match="no section `dataset`"):
        options_of(str(tmp_path / "none.yaml"), None, None)
