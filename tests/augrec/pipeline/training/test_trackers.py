"""Trackers are told of every finished training once, and stop none; hooks are called where the user says so."""

from __future__ import annotations

import json
import os
import signal
import socket
import struct
import subprocess
import sys
import urllib.request
from collections.abc import Iterable, Iterator
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

import pytest

from augrec.artefacts.files import read_json
from augrec.artefacts.run_folder import RunFolder, TrainingFolder
from augrec.pipeline.config.run_config import read_config, without_places
from augrec.pipeline.host.hooks import Hooks, hooked
from augrec.pipeline.preflight.checks import look_at_run
from augrec.pipeline.stages.base import Run
from augrec.pipeline.training.trackers import OFFLINE, TRACKERS, UNSAID, Recorded, TrackerKind, record_trainings
from tests.kit.toy_config import toy_config, write_config
from tests.kit.toy_data import write_toy_data
from tests.kit.toy_run import advance, open_run
from tests.kit.waiting import wait_until

told: list[Recorded] = []


class Recording:
    """A tracker that remembers what it was told, and refuses while there is a file called `refuse` in the run."""

    def __init__(self, files: RunFolder) -> None:
        self._files = files

    def record(self, training: Recorded) -> None:
        if (self._files.root / "refuse").exists():
            raise ConnectionError("no route\x1b[2J")
        told.append(training)


@pytest.fixture
def untold(run_copy: Path, finished_run: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A finished run of which no tracker was told."""
    monkeypatch.setenv("AUGREC_CACHE", str(finished_run.parent / "cache"))
    for variable in (*OFFLINE, *(name for unsaid in UNSAID.values() for name in unsaid)):
        monkeypatch.setenv(variable, "")  # what a tracker sets is forgotten after the test
        monkeypatch.delenv(variable)
    return Run(read_config(run_copy / "config.yaml", [f"output={run_copy}", "report_to=[mlflow]"]))


@pytest.fixture
def trained(untold: Run, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The same, with a tracker that records here."""
    told.clear()
    known = dict(TRACKERS) | {"mlflow": TrackerKind("mlflow", "numpy", Recording)}
    monkeypatch.setattr(TRACKERS, "find", known.__getitem__)
    return untold


def test_every_training_is_recorded_once_with_its_epochs(trained: Run, capsys: pytest.CaptureFixture[str]) -> None:
    def finish() -> None:
        trained.files.stage_marker("train").unlink()
        advance(trained, "train")

    (trained.folder / "refuse").touch()
    finish()
    assert told == []
    assert "mlflow: not recorded (ConnectionError: no route [2J); the same" in capsys.readouterr().err

    (trained.folder / "refuse").unlink()
    finish()
    variants = ("base", "llmrec", "popular", "shuffled")
    assert sorted(training.name for training in told) == [f"{name}/seed-{n}" for name in variants for n in (1, 2)]
    one = next(training for training in told if training.name == "llmrec/seed-1")
    metrics = read_json(trained.files.training("llmrec", 1).metrics)
    assert [epoch for epoch, _ in one.epochs] == [1, 2, 3]
    assert one.epochs[1][1]["loss"] == metrics["history"][1]["loss"]
    assert one.epochs[1][1]["valid/recall@10"] == metrics["history"][1]["valid"]["recall@10"]
    assert one.final["test/ndcg@5"] == metrics["test"]["ndcg@5"]
    assert (one.config["seed"], one.config["variant"], one.config["training.lr"]) == (1, "llmrec", 0.01)
    assert json.loads(json.dumps(dict(one.config))) == one.config

    finish()
    assert len(told) == 8, "each training once"


def losses(training: TrainingFolder) -> list[tuple[int, Any]]:
    """Of each epoch, as `metrics.json` has them."""
    return [(epoch["epoch"], pytest.approx(epoch["loss"])) for epoch in read_json(training.metrics)["history"]]


def test_tensorboard_reads_what_was_written(untold: Run) -> None:
    pytest.importorskip("tensorboard", reason="python -m pip install tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    folder = untold.files.training("llmrec", 2)
    for _ in range(2):  # told anew, it replaces what it wrote
        folder.tracked.unlink(missing_ok=True)
        record_trainings(["tensorboard"], "toy", untold.files, {"seed": 7}, [folder])
    events = EventAccumulator(str(untold.files.tensorboard / "llmrec" / "seed-2")).Reload()
    assert [(event.step, event.value) for event in events.Scalars("loss")] == losses(folder)
    (final,) = events.Scalars("final/test/recall@10")
    assert final.value == pytest.approx(read_json(folder.metrics)["test"]["recall@10"])


@pytest.fixture
def mlflow_server(tmp_path: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A server of MLflow on this machine: its address, and its process."""
    pytest.importorskip("mlflow.server", reason="python -m pip install mlflow")
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    address, log = f"http://127.0.0.1:{port}", tmp_path / "server.log"
    stores = ("--backend-store-uri", f"sqlite:///{tmp_path}/served.db", "--artifacts-destination", f"{tmp_path}/files")
    command = (sys.executable, "-m", "mlflow", "server", "--workers", "1", "--port", str(port), *stores)
    environment = os.environ | {"MLFLOW_DISABLE_TELEMETRY": "true"}
    with log.open("wb") as written:
        server = subprocess.Popen(command, stdout=written, stderr=written, start_new_session=True, env=environment)
    try:
        wait_until(
            lambda: healthy(address),
            "the server",
            between=0.2,
            lost=lambda: server.poll(),
            more=lambda: log.read_text(),
        )
        yield address, server
    finally:
        end(server)


def healthy(address: str) -> bool:
    with suppress(OSError), urllib.request.urlopen(f"{address}/health", timeout=5) as answer:
        return bool(answer.status == 200)
    return False


def end(server: subprocess.Popen[bytes]) -> None:
    """It and the processes that it started."""
    with suppress(ProcessLookupError):
        os.killpg(server.pid, signal.SIGKILL)
    server.wait()


def logged_by_mlflow(place: str, folder: TrainingFolder, untold: Run) -> None:
    """Tells MLflow of a training, and reads back by its own client what it has kept."""
    import mlflow

    config = {"training": {"lr": 0.01}, **{f"key{n}": n for n in range(120)}, "text": "x" * 1000}
    record_trainings(["mlflow"], "toy", untold.files, config, [folder])
    client = mlflow.MlflowClient(place)
    (run,) = client.search_runs([client.get_experiment_by_name("toy").experiment_id])
    assert (run.info.run_name, run.info.status) == ("llmrec/seed-2", "FINISHED")
    assert run.data.params.items() >= {"training.lr": "0.01", "key119": "119", "seed": "2", "text": "x" * 500}.items()
    assert run.data.metrics["final/test/recall_at_10"] == read_json(folder.metrics)["test"]["recall@10"]
    assert [(point.step, point.value) for point in client.get_metric_history(run.info.run_id, "loss")] == losses(folder)


@pytest.mark.slow
def test_mlflow_finds_what_was_logged_into_a_file(
    untold: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("mlflow", reason="python -m pip install mlflow-skinny")
    place = f"sqlite:///{tmp_path}/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", place)
    logged_by_mlflow(place, untold.files.training("llmrec", 2), untold)
    assert "INFO" not in capfd.readouterr().err


@pytest.mark.slow
def test_a_server_of_mlflow_has_what_was_logged_and_one_that_is_gone_stops_nothing(
    untold: Run,
    mlflow_server: tuple[str, subprocess.Popen[bytes]],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    address, server = mlflow_server
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    logged_by_mlflow(address, untold.files.training("llmrec", 2), untold)
    assert capfd.readouterr() == ("", ""), "nor does the library say where its runs are to be looked at"
    end(server)
    other = untold.files.training("base", 1)
    record_trainings(["mlflow"], "toy", untold.files, {}, [other])
    assert "mlflow: not recorded (" in capfd.readouterr().err
    assert not other.tracked.exists()


@pytest.mark.slow
def test_weights_and_biases_keep_what_was_logged_on_this_machine(untold: Run) -> None:
    wandb = pytest.importorskip("wandb", reason="python -m pip install wandb")
    folder = untold.files.training("llmrec", 2)
    try:
        record_trainings(["wandb"], "toy", untold.files, {"training": {"lr": 0.01}}, [folder])
    finally:
        wandb.teardown()
    (log,) = untold.files.root.glob("wandb/offline-run-*/run-*.wandb")
    records = list(logged(log))
    (run,) = [record.run for record in records if record.HasField("run")]
    assert (run.project, run.display_name) == ("toy", "llmrec/seed-2")
    config = {update.key: json.loads(update.value_json) for update in run.config.update}
    assert (config["training.lr"], config["seed"], config["variant"]) == (0.01, 2, "llmrec")
    steps = [values(record.history.item) for record in records if record.HasField("history")]
    assert [(step["_step"], step["loss"]) for step in steps] == losses(folder)
    summary = {name: value for record in records for name, value in values(record.summary.update).items()}
    assert summary["final/test/recall@10"] == read_json(folder.metrics)["test"]["recall@10"]


def logged(path: Path) -> Iterator[Any]:
    """The records of a .wandb file: LevelDB's log format, blocks of 32 KiB, after seven bytes of its own."""
    from wandb.proto.wandb_internal_pb2 import Record

    content, place, whole = path.read_bytes(), 7, b""
    while place + 7 <= len(content):
        left = -place % 32768
        if 0 < left < 7:  # no head fits into what is left of the block
            place += left
            continue
        _, length, part = struct.unpack_from("<IHB", content, place)
        whole += content[place + 7 : place + 7 + length]
        place += 7 + length
        if part in (1, 4):  # whole, or the last piece of one
            yield Record.FromString(whole)
            whole = b""


def values(items: Iterable[Any]) -> dict[str, Any]:
    return {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in items}


def test_a_library_that_is_missing_is_named_before_anything_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("augrec.pipeline.training.trackers.installed_version", lambda name: None)
    content = toy_config(write_toy_data(tmp_path / "data"), {"report_to": ["wandb"]})
    (found,) = [finding for finding in look_at_run(open_run(tmp_path, content)) if finding.where == "report_to"]
    assert (found.level, found.what) == ("problem", "wandb is not installed")
    assert found.remedy == "python -m pip install wandb"


def test_who_is_told_is_no_part_of_a_result(tmp_path: Path) -> None:
    plain = read_config(write_config(tmp_path / "a.yaml", toy_config("data")))
    told_of = {"report_to": ["tensorboard", "mlflow"], "hooks": {"done": ["true"]}}
    other = read_config(write_config(tmp_path / "b.yaml", toy_config("data", told_of)))
    assert without_places(plain) == without_places(other)


def hook(place: Path) -> tuple[str, ...]:
    """A command that writes down what it is told."""
    code = (
        "import json, os, sys; facts = {k: v for k, v in os.environ.items() if k.startswith('AUGREC_')};"
        "json.dump(facts, open(sys.argv[1], 'w'))"
    )
    return sys.executable, "-c", code, str(place)


@pytest.mark.parametrize("error", [None, ValueError("too small")])
def test_a_hook_is_told_of_the_outcome(tmp_path: Path, error: ValueError | None) -> None:
    hooks = Hooks(done=hook(tmp_path / "done"), failed=hook(tmp_path / "failed"))
    expected = nullcontext() if error is None else pytest.raises(ValueError, match="too small")
    with expected, hooked(hooks, "toy", tmp_path / "run", allowed=True):
        if error is not None:
            raise error
    outcome, other = ("done", "failed") if error is None else ("failed", "done")
    facts = read_json(tmp_path / outcome)
    assert (facts["AUGREC_OUTCOME"], facts["AUGREC_NAME"], facts["AUGREC_ERROR"]) == (outcome, "toy", str(error or ""))
    assert facts["AUGREC_PAGE"] == str(tmp_path / "run" / "report" / "index.html")
    assert not (tmp_path / other).exists()


def test_hooks_of_a_config_are_not_called_unasked_and_their_troubles_are_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with hooked(Hooks(done=hook(tmp_path / "done")), "toy", tmp_path, allowed=False):
        pass
    assert not (tmp_path / "done").exists()
    assert "--hooks calls them" in capsys.readouterr().err
    for command, said in ((("no-such-program",), "No such file"), ((sys.executable, "-c", "exit(3)"), "exit status 3")):
        with hooked(Hooks(done=command), "toy", tmp_path, allowed=True):
            pass
        assert said in capsys.readouterr().err
