"""The whole chain: skipped when finished, the same figures from the same seed, and killed without loss."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from augrec.artefacts.files import read_json, read_parquet
from augrec.pipeline.config.run_config import read_config
from augrec.pipeline.stages import chain
from augrec.pipeline.stages.base import Run
from tests.kit.toy_config import write_config
from tests.kit.toy_run import advance
from tests.kit.waiting import wait_until


def run_in_process(config: Path, *overrides: str) -> str:
    return advance(Run(read_config(config, list(overrides))))


def values(run: Path) -> dict[tuple, float | None]:
    rows = read_json(run / "report" / "results.json")["rows"]
    return {
        (row["variant"], row["seed"], row["metric"]): None if row["value"] is None else round(row["value"], 6)
        for row in rows
    }


def records(run: Path) -> dict[str, list]:
    return {
        str(path.relative_to(run)): read_parquet(path).to_pylist()
        for path in sorted((run / "augment").glob("*/*/records.parquet"))
    }


@pytest.fixture
def config(finished_run: Path) -> Path:
    return finished_run.parent / "toy.yaml"


def test_every_artefact_is_there(finished_run: Path, config: Path) -> None:
    expected = ["config.yaml", "audit.json", "augment/summary.json", "report/results.json", "report/index.html"]
    expected += [f"{stage.folder_in(Path())}/stage.json" for stage in chain(read_config(config))]
    expected += [
        f"train/{variant}/seed-{seed}/{name}"
        for variant in ("llmrec", "shuffled", "base", "popular")
        for seed in (1, 2)
        for name in ("metrics.json", "per_user.parquet", "model.safetensors", "train.log")
    ]
    assert [name for name in expected if not (finished_run / name).is_file()] == []
    assert list(finished_run.rglob("*.tmp")) == []


def test_every_stage_is_skipped_the_second_time(finished_run: Path, config: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in finished_run.rglob("*.parquet")}
    shown = run_in_process(config, f"output={finished_run}")
    assert shown.count("skipped, unchanged") == len(chain(read_config(config)))
    assert {path: path.stat().st_mtime_ns for path in finished_run.rglob("*.parquet")} == before


def test_the_same_seed_gives_the_same_figures(finished_run: Path, config: Path, tmp_path: Path) -> None:
    run_in_process(config, f"output={tmp_path / 'again'}")
    assert values(tmp_path / "again") == values(finished_run)
    assert records(tmp_path / "again") == records(finished_run)


def test_a_new_variant_trains_only_itself(finished_run: Path, config: Path, tmp_path: Path) -> None:
    run = shutil.copytree(finished_run, tmp_path / "run")
    kept = {path: path.stat().st_mtime_ns for path in run.glob("train/*/*/metrics.json")}
    constant = "variants.constant={model: llmrec, source: rule, change: {user_profile: constant}}"
    run_in_process(config, f"output={run}", constant)
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert {row[0] for row in values(run)} == {"llmrec", "shuffled", "base", "popular", "constant"}


def test_a_variant_that_is_gone_leaves_the_report(finished_run: Path, config: Path, tmp_path: Path) -> None:
    run = shutil.copytree(finished_run, tmp_path / "run")
    content = yaml.safe_load(config.read_text())
    del content["variants"]["popular"]
    smaller = write_config(tmp_path / "smaller.yaml", content)
    run_in_process(smaller, f"output={run}")
    assert {row[0] for row in values(run)} == {"llmrec", "shuffled", "base"}
    assert (run / "train" / "popular" / "seed-1" / "metrics.json").exists()  # `augrec clean` deletes, nothing else


def files_in(folder: Path) -> int:
    return sum(len(names) for _, _, names in os.walk(folder))


def killed_at(moment: int, command: list[str], run: Path) -> bool:
    """Starts a run and kills it when there are so many files; False where it ended before. Seconds would be a guess."""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        wait_until(
            lambda: files_in(run) >= moment,
            f"{moment} files",
            between=0.05,
            lost=lambda: process.poll() is not None and "the run has ended",
        )
        process.kill()
    return process.returncode < 0


def test_a_run_killed_at_random_moments_ends_as_if_it_had_not_been(
    finished_run: Path, config: Path, tmp_path: Path
) -> None:
    run = tmp_path / "killed"
    command = [sys.executable, "-m", "augrec.cli", "run", str(config), f"output={run}"]
    moments = sorted(random.Random(3).sample(range(1, files_in(finished_run) - 20), 4))
    killed = sum(killed_at(moment, command, run) for moment in moments)
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert killed > 0
    assert values(run) == values(finished_run)
    assert records(run) == records(finished_run)


def test_the_workers_of_a_killed_run_die_with_it(config: Path, tmp_path: Path) -> None:
    run = tmp_path / "orphans"
    command = [sys.executable, "-m", "augrec.cli", "run", str(config), f"output={run}", "training.epochs=2000"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        wait_until(
            lambda: list(run.glob("train/*/*/train.log")),
            "the first training",
            lost=lambda: process.poll() is not None and "the run has ended",
        )
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        process.kill()
    assert len(children) >= 2

    def alive() -> list[str]:
        return [child for child in children if Path(f"/proc/{child}").exists()]

    wait_until(lambda: not alive(), "the end of the workers", 20, more=alive)
