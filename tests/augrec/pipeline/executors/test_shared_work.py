"""Shards, groups of matrices and trainings done one process at a time give what the whole chain gives."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from rich.console import Console

from augrec.artefacts.errors import AugrecError, UsageError
from augrec.artefacts.files import read_json, read_parquet
from augrec.pipeline.executors import local
from augrec.pipeline.executors.chain import run_all, run_one
from augrec.pipeline.executors.local import gpu_shares
from augrec.pipeline.executors.pieces import TryAgain
from augrec.pipeline.executors.share import check_done, do_share
from augrec.pipeline.executors.slurm.logs import failures
from augrec.pipeline.executors.slurm.status import collect
from augrec.pipeline.host.attempts import Attempts
from augrec.pipeline.host.stopping import AGAIN
from augrec.pipeline.stages import STAGES
from augrec.pipeline.stages.base import Piece, Resources, Run, Stage, Worker
from tests.kit.machine_speed import patience
from tests.kit.toy_run import in_this_process, silent
from tests.kit.waiting import wait_until

Start = Callable[..., "subprocess.Popen[str]"]


def answer(run: Run, source: str, shards: str, attempts: int | None, console: Console) -> None:
    do_share(run, STAGES["augment"], {"source": source, "shards": shards}, attempts=attempts, console=console)


def pieces_of(run: Run, stage: str) -> list[Piece]:
    return STAGES[stage].pieces(run)


def rows(run: Run, stage: str) -> dict[str, tuple[int, str]]:
    return {row.group: (row.done, row.missing) for row in collect(run) if row.stage == stage and row.group}


def test_pieces_one_by_one_give_the_results_of_the_whole_chain(open_run: Run, finished_run: Path) -> None:
    run, say = open_run, silent()
    answer(run, "rule", "1", None, say)
    assert not (run.folder / "augment" / "stage.json").exists()
    assert rows(run, "augment") == {"rule": (1, "0")}
    with pytest.raises(AugrecError, match="not done yet: rule 0"):
        check_done(run, STAGES["augment"])
    answer(run, "rule", "0,1", 3, say)
    assert "rule 1: done" not in say.file.getvalue()[say.file.getvalue().index("rule 0") :]  # type: ignore[attr-defined]
    check_done(run, STAGES["augment"])
    run_one(run, "augment", force=False, console=say)
    assert not list(run.folder.glob("augment/rule/*/records-*.parquet"))
    for task in ("edges", "user_profile", "item_attributes"):
        path = f"augment/rule/{task}/records.parquet"
        assert read_parquet(run.folder / path).equals(read_parquet(finished_run / path))
    for group in ("data", "rule"):
        do_share(run, STAGES["embed"], {"group": group}, attempts=3, console=say)
    assert rows(run, "embed") == {"data": (1, ""), "rule": (1, "")}
    run_one(run, "embed", force=False, console=say)
    names = [unit.name for unit in pieces_of(run, "train")]
    do_share(run, STAGES["train"], {"only": ",".join(names[:3])}, attempts=3, console=say)
    assert rows(run, "train") == {"llmrec": (2, ""), "shuffled": (1, "2"), "base": (0, "1-2"), "popular": (0, "1-2")}
    with in_this_process():
        do_share(run, STAGES["train"], {"only": ",".join(names)}, attempts=3, console=say)
        run_all(run, console=say)
    results = "report/results.json"
    assert read_json(run.folder / results) == read_json(finished_run / results)


def test_several_processes_give_the_same(open_run: Run, finished_run: Path, tmp_path: Path) -> None:
    run = open_run
    run_one(run, "augment", force=False, console=silent(), executor=local.Local(2))
    assert {unit.done() for unit in pieces_of(run, "augment")} == {True}
    for task in ("edges", "user_profile", "item_attributes"):
        path = f"augment/rule/{task}/records.parquet"
        assert read_parquet(run.folder / path).equals(read_parquet(finished_run / path))


def test_engines_do_not_share_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5,6,7")
    assert gpu_shares(1, 2) == ["4", "5"]
    assert gpu_shares(2, 2) == ["4,5", "6,7"]
    assert gpu_shares(0, 3) == [None] * 3, "an engine without a model"
    with pytest.raises(UsageError, match=r"need 6, and 4 can be seen(.|\n)*--workers 2"):
        gpu_shares(2, 3)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert gpu_shares(1, 3) == [None] * 3, "vLLM on the CPU"


class Looking(Stage):
    """A stage whose worker looks at the GPUs that its process may see."""

    name = "looking"
    help = "Look."
    resources = Resources(costly_start=True)

    def __init__(self) -> None:
        self.seen: list[tuple[str, str]] = []

    def section(self, run: Run) -> dict[str, Any]:
        return {}

    @contextmanager
    def worker(self, run: Run, group: str) -> Iterator[Worker]:
        seen = self.seen

        class Looker(Worker):
            def do(self, piece: Piece) -> int:
                seen.append((piece.name, os.environ["CUDA_VISIBLE_DEVICES"]))
                return 1

        yield Looker()

    def finish(self, run: Run) -> dict[str, Any]:
        return {}

    def outputs(self, run: Run) -> Iterable[Path]:
        return []


@pytest.mark.parametrize(("gpus", "seen"), [("4,5", "4,5"), (None, "0,1,2,3")])
def test_a_process_sees_its_own_gpus_before_it_works(
    open_run: Run, monkeypatch: pytest.MonkeyPatch, gpus: str | None, seen: str
) -> None:
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,2,3")
    stage, folder = Looking(), open_run.folder / "looking"
    pieces = tuple(Piece("looking", "a", n, f"a {n}", Attempts(folder / f"{n}.jsonl", "print")) for n in (0, 2))
    local.work_off(local.Share(open_run.config, stage, pieces, 2, gpus))
    assert stage.seen == [("a 0", seen), ("a 2", seen)]


def test_tasks_run_beside_each_other_but_not_beside_a_whole_run(open_run: Run) -> None:
    handle = os.open(open_run.folder / ".lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(handle, fcntl.LOCK_SH)  # another task
    answer(open_run, "rule", "0", None, silent())
    with pytest.raises(AugrecError, match="another augrec process"):
        run_one(open_run, "augment", force=False, console=silent())
    fcntl.flock(handle, fcntl.LOCK_EX)  # a whole run
    with pytest.raises(AugrecError, match="a whole run is at work"):
        answer(open_run, "rule", "1", None, silent())
    os.close(handle)
    taken = FileLock(open_run.folder / "augment" / "rule" / "locks" / "00001.lock")
    with taken, pytest.raises(AugrecError, match="another process is writing these records"):
        answer(open_run, "rule", "1", None, silent())


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda run: answer(run, "rul", "0", None, silent()), "no source 'rul'"),
        (lambda run: answer(run, "rule", "0,7", None, silent()), "no shard 7"),
    ],
)
def test_what_is_not_there_is_named(open_run: Run, call: Callable[[Run], None], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        call(open_run)


def test_a_shard_that_fails_is_tried_again_and_then_given_up(open_run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from augment.engines.heuristic import HeuristicEngine

    def fall_over(self: HeuristicEngine, requests: object) -> object:
        raise RuntimeError("the engine fell over")

    honest = HeuristicEngine.run
    monkeypatch.setattr(HeuristicEngine, "run", fall_over)
    monkeypatch.setenv("SLURM_JOB_ID", "17")
    with pytest.raises(TryAgain, match="fell over") as caught:
        answer(open_run, "rule", "0,1", 2, silent())
    assert caught.value.exit_code == AGAIN
    with pytest.raises(TryAgain, match="fell over"):  # the other shard has not had its turn
        answer(open_run, "rule", "0,1", 2, silent())
    monkeypatch.setattr(HeuristicEngine, "run", honest)
    with pytest.raises(AugrecError, match=r"too many attempts(.|\n)*rule 0: RuntimeError: the engine fell over"):
        answer(open_run, "rule", "0,1", 2, silent())
    (row,) = [row for row in collect(open_run) if row.group == "rule"]
    assert (row.done, row.failed, row.missing) == (1, "0", "0"), "the others were done all the same"
    (trouble,) = failures(open_run)
    assert (trouble.what, trouble.why) == ("augment rule 0", "RuntimeError: the engine fell over")
    monkeypatch.setenv("SLURM_JOB_ID", "18")  # a new submission counts anew
    answer(open_run, "rule", "0,1", 2, silent())
    assert rows(open_run, "augment") == {"rule": (2, "")}


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGTERM])
def test_a_signal_stops_the_shard_and_keeps_its_answers(
    open_run: Run, start: Start, tmp_path: Path, number: signal.Signals
) -> None:
    def stored() -> int:
        return sum(len(path.read_bytes().splitlines()) for path in open_run.folder.glob("augment/rule/*/shards/*"))

    config = str(tmp_path / "toy.yaml")
    process = start("augment", config, "--source", "rule", "--shards", "0", "--attempts", "1", slow=0.2)
    wait_until(lambda: stored() >= 3, "an answer")
    process.send_signal(number)
    said, _ = process.communicate(timeout=patience(60))
    assert process.returncode == AGAIN, said
    assert f"stopped by {number.name}" in said
    before = stored()
    assert 3 <= before < 40
    (unit,) = [unit for unit in pieces_of(open_run, "augment") if unit.number == 0]
    assert unit.attempts.state().outcome == "stopped"
    assert unit.attempts.tries(None) == 0, "a stop with progress is no failure"
    answer(open_run, "rule", "0", 1, silent())
    assert unit.done()
    assert stored() > before


def test_a_killed_process_is_seen(open_run: Run, start: Start, tmp_path: Path) -> None:
    process = start("augment", str(tmp_path / "toy.yaml"), "--source", "rule", slow=0.5)
    wait_until(lambda: any(open_run.folder.glob("augment/rule/*/shards/*")), "an answer")
    (row,) = [row for row in collect(open_run) if row.group == "rule"]
    assert (row.running, row.missing) == ("0", "1")
    process.kill()
    process.communicate(timeout=patience(60))
    (row,) = [row for row in collect(open_run) if row.group == "rule"]
    assert (row.running, row.failed, row.missing) == ("", "0", "0-1")


@pytest.mark.parametrize(
    ("change", "outcome"),
    [
        ({}, "running"),
        ({"started": "7"}, "killed"),  # another process has the number now
        ({"pid": 2**22 + 1}, "killed"),
        ({"space": "pid:[7]", "started": "7"}, "running"),  # of another container, where nobody here can look
        ({"host": "n7", "boot": "b"}, "running"),
    ],
)
def test_an_attempt_runs_as_long_as_its_own_process(tmp_path: Path, change: dict[str, Any], outcome: str) -> None:
    attempts = Attempts(tmp_path / "attempts.jsonl", "print")
    attempts.begin()
    line = json.loads(attempts.path.read_text())
    attempts.path.write_text(json.dumps(line | change) + "\n")
    assert attempts.state().outcome == outcome


def test_a_clock_that_was_set_back_takes_no_time_away(tmp_path: Path) -> None:
    attempts = Attempts(tmp_path / "attempts.jsonl", "print")
    lines = [("start", 100.0), ("done", 50.0), ("start", 60.0), ("done", 65.0), ("start", "soon"), ("dreamt", 70.0)]
    text = "".join(json.dumps({"event": event, "time": at, "print": "print"}) + "\n" for event, at in lines)
    attempts.path.write_text(text)
    assert (attempts.state().outcome, attempts.state().seconds) == ("done", 5.0)


def test_a_whole_run_stops_too(open_run: Run, start: Start, tmp_path: Path) -> None:
    process = start("run", str(tmp_path / "toy.yaml"), slow=0.2)
    wait_until(lambda: any(open_run.folder.glob("augment/rule/*/shards/*")), "an answer")
    process.send_signal(signal.SIGUSR1)
    said, _ = process.communicate(timeout=patience(60))
    assert process.returncode == AGAIN, said
    assert "run the same command again" in said


def test_a_model_is_copied_to_the_node_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from augrec.pipeline.weights import staging

    model = tmp_path / "model"
    model.mkdir()
    (tmp_path / "blob").write_text("weights")
    (model / "weights").symlink_to(tmp_path / "blob")
    assert staging.staged(model, "a" * 64) == model
    monkeypatch.setenv(staging.VARIABLE, str(tmp_path / "local disk"))
    copy = staging.staged(model, "a" * 64)
    assert copy.parent == tmp_path / "local disk"
    assert (copy / "weights").read_text() == "weights"
    assert not (copy / "weights").is_symlink()
    (copy / "weights").write_text("the same copy")
    assert (staging.staged(model, "a" * 64) / "weights").read_text() == "the same copy"
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(staging.shutil, "disk_usage", lambda path: usage._replace(free=3))
    assert staging.staged(model, "b" * 64) == model, "no room: read where it is"


def test_side_by_side_names_what_failed(open_run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        local, "run_tasks", lambda work, shares, count, done: [done(share, None, "died") for share in shares]
    )
    with pytest.raises(AugrecError, match="rule 0: died"):
        local.Local(2).prepare(open_run, STAGES["augment"])


def test_a_training_is_stopped_with_its_process(
    run_copy: Path, finished_run: Path, start: Start, tmp_path: Path
) -> None:
    shutil.rmtree(run_copy / "train")
    text = (finished_run / "config.yaml").read_text().replace(str(finished_run), str(run_copy))
    (tmp_path / "toy.yaml").write_text(text)
    attempts = run_copy / "train" / "llmrec" / "seed-1" / "attempts.jsonl"
    process = start("train", str(tmp_path / "toy.yaml"), "--only", "llmrec/seed-1,base/seed-1", "--attempts", "1")
    wait_until(lambda: attempts.exists() and attempts.read_bytes(), "the beginning of a training")
    process.send_signal(signal.SIGUSR1)
    said, _ = process.communicate(
        timeout=patience(60)
    )  # returns when its children are gone too: they hold its output open
    assert process.returncode == AGAIN, said
    last = [json.loads(line)["event"] for line in attempts.read_text().splitlines()]
    assert last == ["start", "stopped"]
