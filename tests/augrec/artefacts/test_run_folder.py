"""Paths inside a run folder, and its layout."""

from __future__ import annotations

from pathlib import Path

import pytest

from augrec.artefacts.errors import DataError
from augrec.artefacts.run_folder import LAYOUT, DatasetFolder, RunFolder, TrainingFolder

WHERE = {
    "dataset/interactions.parquet": lambda run: run.interactions,
    "dataset/items.parquet": lambda run: run.items,
    "dataset/users.parquet": lambda run: run.users,
    "dataset/dataset.json": lambda run: run.dataset_json,
    "candidates/candidates.parquet": lambda run: run.candidates,
    "base/users.npy": lambda run: run.base.users,
    "base/items.npy": lambda run: run.base.items,
    "base/neighbours.parquet": lambda run: run.base.neighbours,
    "base/lists.parquet": lambda run: run.base.lists,
    "base/held_out.parquet": lambda run: run.base.held_out,
    "base/trainings/fold-2/held_out.parquet": lambda run: run.base.held_out_of("fold-2"),
    "augment/summary.json": lambda run: run.summary,
    "augment/gpt/engine.json": lambda run: run.source("gpt").engine_json,
    "augment/gpt/edges/records.parquet": lambda run: run.source("gpt").task("edges").records,
    "augment/gpt/edges/task.json": lambda run: run.source("gpt").task("edges").card,
    "augment/stage.json": lambda run: run.stage_marker("augment"),
    "embed/gpt/director": lambda run: run.matrix("gpt", "director"),
    "embed/summary.json": lambda run: run.embed_summary,
    "train/base/seed-3/metrics.json": lambda run: run.training("base", 3).metrics,
    "train/base/seed-3/per_user.parquet": lambda run: run.training("base", 3).per_user,
    "train/base/seed-3/model.safetensors": lambda run: run.training("base", 3).model,
    "train/base/seed-3/members/ease/metrics.json": lambda run: run.training("base", 3).member("ease").metrics,
    "report/results.json": lambda run: run.results,
    "report/index.html": lambda run: run.page,
    "audit.json": lambda run: run.audit_json,
    "config.yaml": lambda run: run.config,
}
"""As docs/artefacts.md has them."""


@pytest.mark.parametrize("name", WHERE)
def test_everything_lies_where_the_documentation_says(name: str) -> None:
    assert WHERE[name](RunFolder(Path("runs/x"))) == Path("runs/x") / name


def test_parts_exist_outside_of_runs(tmp_path: Path) -> None:
    assert DatasetFolder(tmp_path).files == tuple(
        tmp_path / name for name in ("interactions.parquet", "items.parquet", "users.parquet", "dataset.json")
    )
    assert TrainingFolder(tmp_path).log == tmp_path / "train.log"


def test_sources_tasks_and_seeds_are_those_that_are_there(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    assert (run.sources(), run.source("b").tasks(), run.seeds("base")) == ([], [], [])
    for source, task in (("b", "user_profile"), ("b", "edges"), ("a", "edges")):
        records = run.source(source).task(task).records
        records.parent.mkdir(parents=True)
        records.touch()
    run.source("c").task("edges").shards.mkdir(parents=True)
    for name in ("seed-10", "seed-9", "seed-x", "other"):
        (run.train / "base" / name).mkdir(parents=True)
    assert [source.name for source in run.sources()] == ["a", "b"]
    assert [task.name for task in run.source("b").tasks()] == ["edges", "user_profile"]
    assert run.seeds("base") == [9, 10]


def test_a_new_folder_says_its_layout_once(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "new")
    run.begin()
    before = run.layout.stat().st_mtime_ns
    run.begin()
    run.check_layout()
    assert run.layout.stat().st_mtime_ns == before


def test_a_folder_of_an_older_layout_is_refused_with_the_way_out(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    run.check_layout()
    (tmp_path / "dataset").mkdir()
    run.stage_marker("dataset").write_text("{}", encoding="utf-8")
    for look in (run.check_layout, run.begin):
        with pytest.raises(DataError, match="made by an older version") as error:
            look()
        assert error.value.where == str(tmp_path)
        assert "run the config again with another `output`" in (error.value.remedy or "")
    assert not run.layout.exists()


@pytest.mark.parametrize("content", ['{"layout": 99}', '{"layout": "2"}', "{}", "[]"])
def test_a_folder_of_another_layout_is_refused(tmp_path: Path, content: str) -> None:
    run = RunFolder(tmp_path)
    run.layout.write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=f"this version reads and writes {LAYOUT}"):
        run.check_layout()
