"""The process that trains is followed: its progress is shown, its errors are told, and it ends when it has to."""

from __future__ import annotations

import json
import os
import signal
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from augrec.artefacts.errors import AugrecError, UsageError
from augrec.artefacts.tune_folder import TuneFolder
from augrec.pipeline.host.stopping import Stopped, Stopper
from augrec.pipeline.tuning.environment import TuneEnvironment
from augrec.pipeline.tuning.launch import command, environment_variables, finished_training, launch
from augrec.pipeline.tuning.settings import TrainerSettings
from tests.kit.fake_trainer import write_environment
from tests.kit.waiting import wait_until


@pytest.fixture
def settings(tmp_path: Path) -> TrainerSettings:
    (tmp_path / "tune").mkdir()
    return TrainerSettings(
        model="base", model_sha256="a", folder=str(tmp_path / "tune"), tokens_sha256="b", code="c", method="lora",
        epochs=1, learning_rate=1e-4, batch_size=1, micro_batch_size=1, warmup_steps=0, seed=1,
    )  # fmt: skip


def interpreter(tmp_path: Path, body: str) -> TuneEnvironment:
    """A program that is called as an interpreter is, and does what a trainer might."""
    return TuneEnvironment(write_environment(tmp_path / f"env-{len(list(tmp_path.iterdir()))}", body), {})


def test_what_came_of_it_is_read_and_counts_as_long_as_the_settings_are_the_same(
    tmp_path: Path, settings: TrainerSettings, capsys: pytest.CaptureFixture[str]
) -> None:
    body = "print('noise')\nsay(steps=5, done=2)\nsay(step=3, loss=1.5)\nsay(step=5, loss=0.25)\nfinish()\n"
    files = TuneFolder(tmp_path / "tune")
    assert finished_training(files, settings) is None
    assert launch(interpreter(tmp_path, body), settings, files)["steps"] == 2
    said = capsys.readouterr().err
    assert "tune  2 kept, 3 to go" in said
    assert "5/5 steps" in said
    assert finished_training(files, settings) is not None
    assert TrainerSettings.read(files.settings) == settings
    merged = replace(settings, merge=True)
    with pytest.raises(AugrecError, match="ended with exit status 0"):
        launch(interpreter(tmp_path, body), merged, files)
    files.model.mkdir()
    assert finished_training(files, merged) is not None, "an adapter and what it was merged into"
    files.outcome.write_text(json.dumps({"fingerprint": "another"}))
    assert finished_training(files, settings) is None


def test_an_error_that_can_be_mended_is_told_as_one(tmp_path: Path, settings: TrainerSettings) -> None:
    told = '{"what": "too large", "where": "tune.batch_size", "remedy": "less"}'
    files = TuneFolder(tmp_path / "tune")
    for begins, code, kind in (("", 2, UsageError), ("say(steps=5, done=0)", 1, AugrecError)):
        body = f"{begins}\nsay(failed={told})\nsys.exit({code})\n"
        with pytest.raises(kind, match=r"too large(.|\n)*tune.batch_size(.|\n)*less"):
            launch(interpreter(tmp_path, body), settings, files)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("print('MemoryError: no', file=sys.stderr)\nsys.exit(1)", "exit status 1: Mem"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "signal SIGKILL: it said nothing"),
        ("say(steps=1, done=0)", "exit status 0: it said nothing"),
    ],
)
def test_an_end_that_nobody_foresaw_is_told_with_the_last_words(
    tmp_path: Path, settings: TrainerSettings, body: str, said: str
) -> None:
    files = TuneFolder(tmp_path / "tune")
    with pytest.raises(AugrecError, match=rf"{said}(.|\n)*tune.log"):
        launch(interpreter(tmp_path, f"{body}\n"), settings, files)


def test_a_training_that_stopped_itself_is_tried_again(tmp_path: Path, settings: TrainerSettings) -> None:
    with pytest.raises(Stopped):
        launch(interpreter(tmp_path, "sys.exit(75)\n"), settings, TuneFolder(tmp_path / "tune"))


def test_the_trainer_is_asked_to_end_when_the_run_is(tmp_path: Path, settings: TrainerSettings) -> None:
    body = (
        "def end(*_):\n    (folder / 'ended').touch()\n    sys.exit(75)\n"
        "signal.signal(signal.SIGTERM, end)\nsay(steps=9, done=0)\n(folder / 'begun').touch()\nsignal.pause()\n"
    )
    files = TuneFolder(tmp_path / "tune")

    def interrupt() -> None:
        wait_until((files.root / "begun").exists, "the training")
        os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(Stopped), Stopper().listening():
        launch(interpreter(tmp_path, body), settings, files)
    thread.join()
    assert (files.root / "ended").exists()


def test_several_gpus_are_a_launchers(tmp_path: Path) -> None:
    environment, files = TuneEnvironment(tmp_path / "python", {}), TuneFolder(tmp_path / "tune")
    alone, several = command(environment, files, None), command(environment, files, tmp_path / "fsdp2.yaml")
    assert alone[1].endswith("augrec/pipeline/tuning/start.py")
    assert several[1:5] == ["-m", "accelerate.commands.launch", "--config_file", str(tmp_path / "fsdp2.yaml")]
    assert several[5:] == alone[1:]


def test_no_package_of_this_environment_is_found_there(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV"):
        monkeypatch.setenv(name, "here")
    variables = environment_variables()
    assert not {"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV"} & variables.keys()
    assert variables["HF_HUB_OFFLINE"] == variables["PYTHONSAFEPATH"] == "1"
