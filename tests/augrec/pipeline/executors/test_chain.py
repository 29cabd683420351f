"""Stages are skipped while nothing changed, run again when something did, and say why."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from filelock import FileLock
from rich.console import Console

from augrec.artefacts.errors import AugrecError, DataError, UsageError
from augrec.artefacts.files import read_json, write_npy, write_parquet, write_text
from augrec.pipeline.config.run_config import read_config
from augrec.pipeline.executors import chain
from augrec.pipeline.stages import base, registry
from augrec.pipeline.stages.base import Run, Stage, require_marker
from tests.kit.toy_config import toy_config, write_config
from tests.kit.toy_run import silent


class First(Stage):
    """Writes the run's seed."""

    name = "prepare"
    folder_name = "dataset"

    def __init__(self) -> None:
        self.runs = 0
        self.fail = False

    def section(self, run: Run) -> dict[str, Any]:
        return {"seed": run.config.seed}

    def finish(self, run: Run) -> dict[str, Any]:
        self.runs += 1
        write_text(self.folder(run) / "out.txt", f"{run.config.seed % 10}")
        if self.fail:
            raise AugrecError("killed in the middle")
        return {"runs": self.runs}

    def outputs(self, run: Run) -> Iterable[Path]:
        return [self.folder(run) / "out.txt"]


class Second(First):
    """Copies what the first wrote."""

    name, folder_name, after = "candidates", "candidates", ("prepare",)

    def section(self, run: Run) -> dict[str, Any]:
        return {}


@pytest.fixture
def stages(monkeypatch: pytest.MonkeyPatch) -> tuple[First, Second]:
    first, second = First(), Second()
    monkeypatch.setattr(base, "code_identity", lambda entries: "code")
    monkeypatch.setattr(registry, "STAGES", {"prepare": first, "candidates": second})
    return first, second


@pytest.fixture
def run(tmp_path: Path) -> Run:
    write_config(tmp_path / "toy.yaml", toy_config("nowhere"))
    return make_run(tmp_path)


def make_run(tmp_path: Path, *overrides: str) -> Run:
    return Run(read_config(tmp_path / "toy.yaml", [f"output={tmp_path / 'run'}", *overrides]))


def run_all(run: Run, **arguments: Any) -> str:
    shown = io.StringIO()
    chain.run_all(run, console=Console(file=shown, width=200), **arguments)
    return shown.getvalue()


def test_a_finished_stage_is_skipped(stages: tuple[First, Second], run: Run) -> None:
    assert run_all(run).count("first time") == 2
    assert run_all(run).count("skipped, unchanged") == 2
    assert [stage.runs for stage in stages] == [1, 1]


def test_a_changed_key_runs_the_stage_again_and_is_named(
    stages: tuple[First, Second], run: Run, tmp_path: Path
) -> None:
    run_all(run)
    shown = run_all(make_run(tmp_path, "seed=1"))
    assert "seed: 7 -> 1" in shown
    assert [stage.runs for stage in stages] == [2, 2]


def test_equal_outputs_stop_the_chain_early(stages: tuple[First, Second], run: Run, tmp_path: Path) -> None:
    run_all(run)
    run_all(make_run(tmp_path, "seed=17"))  # the first stage writes the same digit
    assert [stage.runs for stage in stages] == [2, 1]


def test_force_starts_from_nothing(stages: tuple[First, Second], run: Run) -> None:
    run_all(run)
    stray = run.folder / "dataset" / "stray.txt"
    stray.write_text("old")
    assert "forced" in run_all(run, force=["prepare"])
    assert [stage.runs for stage in stages] == [2, 1]
    assert not stray.exists()


@pytest.mark.parametrize("force", [[], ["candidates"]])
def test_a_folder_inside_a_run_that_is_a_link_to_elsewhere_is_left_alone(
    stages: tuple[First, Second], run: Run, tmp_path: Path, force: list[str]
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for name in ("out.txt", "stage.json"):
        (elsewhere / name).write_text("{}")
    run.files.begin()
    (run.folder / "candidates").symlink_to(elsewhere)
    (elsewhere / "stage.json").write_text('{"fingerprint": "", "identity": {}, "outputs": {}, "details": {"runs": 1}}')
    before = {path.name: path.read_text() for path in elsewhere.iterdir()}
    with pytest.raises(AugrecError, match="refused to write outside"):
        run_all(run, force=force)
    assert {path.name: path.read_text() for path in elsewhere.iterdir()} == before


def test_a_lost_output_runs_the_stage_again(stages: tuple[First, Second], run: Run) -> None:
    run_all(run)
    (run.folder / "candidates" / "out.txt").unlink()
    assert "an output is gone: candidates/out.txt" in run_all(run)
    assert [stage.runs for stage in stages] == [1, 2]


class Table(First):
    """Writes a table and a matrix."""

    def finish(self, run: Run) -> dict[str, Any]:
        write_parquet(self.folder(run) / "rows.parquet", pa.table({"seed": [run.config.seed] * 1000}))
        write_npy(self.folder(run) / "vectors.npy", np.zeros(1000))
        return super().finish(run)

    def outputs(self, run: Run) -> Iterable[Path]:
        return [self.folder(run) / name for name in ("rows.parquet", "vectors.npy")]


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch, stages: tuple[First, Second]) -> Table:
    first = Table()
    monkeypatch.setattr(registry, "STAGES", {"prepare": first, "candidates": stages[1]})
    return first


@pytest.mark.parametrize(
    "damage",
    [flip_a_bit, lambda path: path.write_bytes(path.read_bytes()[:-1]), lambda path: path.write_bytes(b"")],
    ids=["a bit", "its end", "all of it"],
)
def test_a_damaged_table_is_found_and_never_skipped(table: Table, run: Run, damage: Callable[[Path], None]) -> None:
    run_all(run)
    path = run.folder / "dataset" / "rows.parquet"
    whole = path.read_bytes()
    damage(path)
    shown = run_all(run)
    assert "running: an output is damaged (its sha256 is not the one written): dataset/rows.parquet" in shown
    assert (table.runs, path.read_bytes()) == (2, whole)
    assert run_all(run).count("skipped, unchanged") == 2


def test_a_stage_that_reads_a_damaged_table_is_refused(table: Table, run: Run) -> None:
    run_all(run)
    path = run.folder / "dataset" / "rows.parquet"
    for damage in (flip_a_bit, Path.unlink):
        damage(path)
        with pytest.raises(DataError, match=r"rows.parquet(.|\n)*augrec prepare CONFIG"):
            chain.run_one(run, "candidates", force=False, console=silent())
    run_all(run)
    chain.run_one(run, "candidates", force=False, console=silent())


def test_a_matrix_is_not_hashed_again(table: Table, run: Run) -> None:
    """It would take as long as the work."""
    run_all(run)
    path = run.folder / "dataset" / "vectors.npy"
    flip_a_bit(path)
    assert run_all(run).count("skipped, unchanged") == 2
    path.write_bytes(path.read_bytes()[:-1])  # and whether it is whole is seen without reading it
    assert "an output is damaged" in run_all(run)


def test_a_stage_that_died_has_no_marker(stages: tuple[First, Second], run: Run) -> None:
    stages[0].fail = True
    with pytest.raises(AugrecError, match="killed"):
        run_all(run)
    assert not (run.folder / "dataset" / "stage.json").exists()
    stages[0].fail = False
    assert "resuming" in run_all(run)


def test_a_rerun_that_dies_leaves_no_old_marker(stages: tuple[First, Second], run: Run, tmp_path: Path) -> None:
    run_all(run)
    stages[0].fail = True
    with pytest.raises(AugrecError):
        run_all(make_run(tmp_path, "seed=1"))
    with pytest.raises(DataError, match="has not finished"):
        require_marker(run, "prepare")


def test_one_stage_refuses_a_folder_made_from_another_config(
    stages: tuple[First, Second], run: Run, tmp_path: Path
) -> None:
    run_all(run)
    with pytest.raises(UsageError, match=r"made from something else: seed: 7 -> 1") as caught:
        chain.run_one(make_run(tmp_path, "seed=1"), "candidates", force=False, console=silent())
    assert "augrec run CONFIG" in str(caught.value)
    assert [stage.runs for stage in stages] == [1, 1]


def test_one_stage_needs_the_stages_before_it(stages: tuple[First, Second], run: Run) -> None:
    with pytest.raises(DataError, match="'prepare' has not finished"):
        chain.run_one(run, "candidates", force=False, console=silent())


def test_a_second_process_is_refused(stages: tuple[First, Second], run: Run) -> None:
    run.folder.mkdir()
    with FileLock(run.folder / ".lock"), pytest.raises(AugrecError, match="another augrec process"):
        run_all(run)
    assert stages[0].runs == 0


def test_the_resolved_config_is_saved_beside_the_results(stages: tuple[First, Second], run: Run) -> None:
    run_all(run)
    assert read_config(run.folder / "config.yaml") == run.config


def test_the_marker_names_every_output_with_its_hash(stages: tuple[First, Second], run: Run) -> None:
    run_all(run)
    marker = read_json(run.folder / "dataset" / "stage.json")
    assert list(marker["outputs"]) == ["dataset/out.txt"]
    assert len(marker["outputs"]["dataset/out.txt"]) == 64


def test_differences_are_short_and_limited() -> None:
    before = {"section": {f"key{number}": number for number in range(9)}}
    now = {"section": {f"key{number}": number + 1 for number in range(9)}}
    found = chain.differences(before, now)
    assert found[0] == "key0: 0 -> 1"
    assert found[-1] == "and 5 more"
    before, now = {"rating": "stars", "k": True, "old": 1}, {"rating": None, "k": False}
    assert chain.differences(before, now) == ["rating: stars -> null", "k: true -> false", "old: 1 -> null"]
