"""A stopped process, a dead engine, a damaged table: the run ends as if nothing had happened, and says what did."""

from __future__ import annotations

import io
import json
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pyarrow as pa
import pytest
from rich.console import Console

from augrec.artefacts.errors import DataError
from augrec.artefacts.files import read_parquet, write_parquet
from augrec.artefacts.run_folder import RunFolder
from augrec.pipeline.audit import audit_run
from augrec.pipeline.config.run_config import read_config
from augrec.pipeline.executors.chain import run_all, run_one
from augrec.pipeline.host.attempts import Attempts
from augrec.pipeline.host.stopping import AGAIN
from augrec.pipeline.stages.base import Run
from tests.kit.machine_speed import patience
from tests.kit.toy_run import advance, silent
from tests.kit.waiting import wait_until

Start = Callable[..., "subprocess.Popen[str]"]
TASKS = ("edges", "user_profile", "item_attributes")


def tables(folder: Path) -> dict[str, bytes]:
    return {task: (folder / "augment" / "rule" / task / "records.parquet").read_bytes() for task in TASKS}


def keys(folder: Path) -> list[str]:
    paths = folder.glob("augment/rule/*/shards/*.jsonl")
    return [json.loads(line)["key"] for path in paths for line in path.read_bytes().splitlines()]


def test_a_stopped_run_resumes_to_the_same_tables(
    open_run: Run, finished_run: Path, start: Start, tmp_path: Path
) -> None:
    config = str(tmp_path / "toy.yaml")
    process = start("augment", config, slow=0.2)
    wait_until(
        lambda: any(path.stat().st_size for path in open_run.folder.glob("augment/rule/*/shards/*")), "an answer"
    )
    process.send_signal(signal.SIGUSR1)
    said, _ = process.communicate(timeout=patience(60))
    assert process.returncode == AGAIN, said
    assert "run the same command again" in said
    before = keys(open_run.folder)
    again = start("augment", config)
    said, _ = again.communicate(timeout=patience(120))
    assert again.returncode == 0, said
    after = keys(open_run.folder)
    assert len(set(after)) == len(after)
    assert 0 < len(before) < len(after)
    assert set(before) <= set(after)
    assert tables(open_run.folder) == tables(finished_run)


def test_an_engine_that_dies_ends_the_process_and_is_counted(
    open_run: Run, finished_run: Path, start: Start, tmp_path: Path
) -> None:
    config, fail = str(tmp_path / "toy.yaml"), tmp_path / "fail"
    fail.write_text("0")
    process = start("augment", config, "--source", "rule", "--shards", "0", AUGREC_TEST_FAIL=str(fail))
    said, _ = process.communicate(timeout=patience(120))
    assert process.returncode == 1, said
    assert "the engine fell over" in said
    stored = keys(open_run.folder)
    assert len(set(stored)) == len(stored) == 5, "what was finished is kept"
    path = open_run.folder / "augment" / "rule" / "attempts" / "00000.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["event"] for line in lines] == ["start", "failed"]
    assert lines[1]["reason"] == "RuntimeError: the engine fell over"
    assert Attempts(path, lines[0]["print"]).tries(None) == 1
    again = start("augment", config, AUGREC_TEST_FAIL=str(tmp_path / "mended"))
    said, _ = again.communicate(timeout=patience(120))
    assert again.returncode == 0, said
    assert set(stored) <= set(keys(open_run.folder))
    assert tables(open_run.folder) == tables(finished_run)


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 1
    path.write_bytes(content)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def older(path: Path) -> None:
    """Whole, but not what the marker speaks of."""
    path.write_bytes((path.parents[1] / "edges" / "records.parquet").read_bytes())


@pytest.fixture
def finished_copy(finished_run: Path, run_copy: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("AUGREC_CACHE", str(finished_run.parent / "cache"))
    return Run(read_config(finished_run.parent / "toy.yaml", [f"output={run_copy}"]))


@pytest.mark.parametrize("damage", [flip, cut, older])
def test_a_damaged_table_is_found_and_merged_anew(
    finished_copy: Run, finished_run: Path, damage: Callable[[Path], None]
) -> None:
    path = finished_copy.folder / "augment" / "rule" / "user_profile" / "records.parquet"
    damage(path)
    with pytest.raises(DataError, match=r"its sha256(.|\n)*user_profile/records.parquet(.|\n)*augrec augment CONFIG"):
        run_one(finished_copy, "embed", force=False, console=silent())
    said = io.StringIO()
    run_all(finished_copy, console=Console(file=said, width=250))
    assert "an output is damaged (its sha256 is not the one written): augment/rule/user_profile" in said.getvalue()
    skipped = [line.split()[1] for line in said.getvalue().splitlines() if "skipped, unchanged" in line]
    assert skipped == ["prepare", "candidates", "embed", "train", "report"], "the same bytes are there again"
    assert tables(finished_copy.folder) == tables(finished_run)
    assert sorted(keys(finished_copy.folder)) == sorted(keys(finished_run)), "nothing was asked again"


def better(path: Path) -> None:
    """Whole, and says more than was measured."""
    rows = read_parquet(path).to_pylist()
    rows[0]["recall@10"] = 1.0
    write_parquet(path, pa.Table.from_pylist(rows, schema=read_parquet(path).schema))


def emptied(path: Path) -> None:
    path.write_text("{}")


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("train/llmrec/seed-1/per_user.parquet", better),
        ("train/llmrec/seed-1/per_user.parquet", Path.unlink),
        ("train/llmrec/seed-1/metrics.json", cut),
        ("embed/data/title.npy", cut),
        ("embed/data/title.json", emptied),
        ("augment/rule/edges/task.json", cut),
        ("augment/summary.json", Path.unlink),
        ("augment/summary.json", emptied),
        ("dataset/dataset.json", cut),
    ],
)
def test_what_is_damaged_is_made_again_and_never_taken_up(
    finished_copy: Run, finished_run: Path, name: str, damage: Callable[[Path], None]
) -> None:
    """A stage takes up what is finished, and none of it is what was damaged."""
    damage(finished_copy.folder / name)
    assert name in advance(finished_copy)
    assert audit_run(finished_copy.folder).violations == 0
    assert finished_copy.files.results.read_bytes() == RunFolder(finished_run).results.read_bytes()
    assert sorted(keys(finished_copy.folder)) == sorted(keys(finished_run)), "nothing was asked again"
    assert advance(finished_copy).count("skipped, unchanged") == 6


@pytest.mark.parametrize(
    ("reads", "name"),
    [
        ("augrec.pipeline.stages.base.sha256_file", "augment/rule/edges/records.parquet"),
        ("augrec.artefacts.arrays.mapped_array", "embed/data/title.npy"),
    ],
)
def test_what_cannot_be_read_now_is_not_taken_for_damaged(
    finished_copy: Run, monkeypatch: pytest.MonkeyPatch, reads: str, name: str
) -> None:
    """A share of the cluster that fails for a moment costs no answer and no vector."""

    def failing(path: Path) -> NoReturn:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(reads, failing)
    with pytest.raises(PermissionError):
        advance(finished_copy)
    assert (finished_copy.folder / name).exists()
