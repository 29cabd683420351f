"""The command line: exit codes, messages with what, where and remedy, and no traceback unless asked for."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

import pytest
import yaml

from augrec import cli
from tests.kit.shell import Shell
from tests.kit.toy_config import toy_config, write_config


@pytest.fixture
def shell(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    toy_data: Path,
) -> Shell:
    write_config(tmp_path / "toy.yaml", toy_config(toy_data))
    return Shell(tmp_path, monkeypatch, capsys)


def test_prepare_alone_and_again(shell: Shell) -> None:
    code, shown = shell("prepare", "toy.yaml")
    assert code == 0
    assert "first time" in shown
    code, shown = shell("prepare", "toy.yaml")
    assert code == 0
    assert "skipped, unchanged" in shown
    code, shown = shell("prepare", "toy.yaml", "--force")
    assert (code, "forced" in shown) == (0, True)


def test_help_lists_every_command(shell: Shell) -> None:
    code, shown = shell("--help")
    assert code == 0
    for command in (
        "run",
        "prepare",
        "candidates",
        "augment",
        "embed",
        "train",
        "report",
        "audit",
        "validate",
        "doctor",
    ):
        assert f" {command} " in shown
    assert "..." not in shown.partition("Commands:")[2], "sentences are broken into lines and not cut"


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        (["run", "nothing.yaml"], 2, ["does not exist", "nothing.yaml"]),
        (["run", "toy.yaml", "dataset.kcore=3"], 2, ["dataset.kcore", "did you mean 'k_core'?"]),
        (["run", "toy.yaml", "--force", "trian"], 2, ["there is no stage 'trian'"]),
        (["prepare", "toy.yaml", "--download"], 2, ["only MovieLens 100K can be downloaded"]),
        (["candidates", "toy.yaml"], 1, ["'prepare' has not finished", "augrec prepare CONFIG"]),
        (["prepare", "toy.yaml", "dataset.source.path=nowhere"], 1, ["no such file or folder", "nowhere"]),
        (["prepare", "toy.yaml", "dataset.source.path=pkg:nosuchpackage/x"], 1, ["not installed", "pip install"]),
        (["prepare", "toy.yaml", "dataset.k_core=1000"], 1, ["the 1000-core is empty", "lower dataset.k_core"]),
        (["prepare", "toy.yaml", "output=toy.yaml"], 2, ["taken by a file"]),
        (["audit", "nowhere"], 1, ["no prepared run", "augrec audit runs/demo"]),
        (["frobnicate"], 2, ["No such command"]),
        (["validate", "nowhere.yaml"], 2, ["does not exist"]),
        (["validate", "toy.yaml", "dataset.k_core=-1"], 2, ["toy.yaml  wrong", "dataset.k_core"]),
        (["validate", "toy.yaml", "dataset.source.path=nowhere"], 0, ["toy.yaml  ok  (run)"]),
        (["validate", "--deep", "toy.yaml"], 0, ["toy.yaml  ready  (run)"]),
        (
            ["validate", "--deep", "toy.yaml", "dataset.source.path=nowhere", "embedding.model=./none"],
            2,
            ["not ready, 2 problems", "problem  dataset.source.path", "problem  embedding.model", "remedy: "],
        ),
    ],
)
def test_mistakes_get_a_message_and_an_exit_code(
    shell: Shell, arguments: list[str], code: int, expected: list[str]
) -> None:
    found, shown = shell(*arguments)
    assert found == code, shown
    assert "Traceback" not in shown
    for text in expected:
        assert text in shown


def test_a_folder_made_from_another_config_is_not_built_upon(shell: Shell) -> None:
    shell("prepare", "toy.yaml")
    code, shown = shell("candidates", "toy.yaml", "seed=5")
    assert code == 2
    assert "made from something else: seed: 7 -> 5" in shown
    assert not (shell.folder / "runs" / "toy" / "candidates").exists()


def test_a_config_that_names_a_missing_model_says_how_to_get_it(shell: Shell) -> None:
    content = yaml.safe_load((shell.folder / "toy.yaml").read_text())
    content["generation"] = {"sources": {"llm": {"engine": {"kind": "vllm", "model": "Nobody/NoModel-7B"}}}}
    content["embedding"] = {"model": "./no-such-folder"}
    (shell.folder / "toy.yaml").write_text(yaml.safe_dump(content))
    assert shell("prepare", "toy.yaml")[0] == shell("candidates", "toy.yaml")[0] == 0
    code, shown = shell("augment", "toy.yaml")
    assert code == 1
    assert "hf download Nobody/NoModel-7B" in shown


def test_a_run_begins_with_nothing_while_a_later_stage_lacks_something(shell: Shell) -> None:
    code, shown = shell("run", "toy.yaml", "embedding.model=./none", "features.image.path=none.npy")
    assert code == 2
    assert "2 things are missing or wrong that a later stage needs; nothing was begun" in shown
    assert "- embedding.model: " in shown
    assert "- features.image: " in shown
    assert not (shell.folder / "runs").exists()


@pytest.mark.parametrize(
    ("number", "told", "where"),
    [
        (errno.ENOSPC, "the disk is full", "runs/toy/layout.json"),
        (errno.EROFS, os.strerror(errno.EROFS), "runs/toy/dataset/x.parquet"),
        (errno.EACCES, os.strerror(errno.EACCES), "runs/toy/dataset/x.parquet"),
    ],
)
def test_a_full_or_read_only_disk_is_explained(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, number: int, told: str, where: str
) -> None:
    def refuse(*arguments: object, **named: object) -> None:
        raise OSError(number, os.strerror(number), "runs/toy/dataset/x.parquet")

    monkeypatch.setattr("augrec.artefacts.files.tempfile.mkstemp", refuse)
    code, shown = shell("prepare", "toy.yaml")
    assert code == 1
    assert told in shown
    assert where in shown
    assert "choose another `output`" in shown
    assert "Traceback" not in shown


def test_who_may_not_read_a_file_is_not_sent_to_write_elsewhere(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root may read everything, so the system's refusal is played."""

    def refuse(*arguments: object, **named: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), "toy.yaml")

    monkeypatch.setattr("augrec.pipeline.executors.chain.run_one", refuse)
    monkeypatch.setattr("os.access", lambda path, mode: path != "toy.yaml")
    code, shown = shell("prepare", "toy.yaml")
    assert (code, "you may not read it" in shown, "output" in shown) == (1, True, False)


def test_a_full_disk_is_explained_in_the_words_of_libraries_too(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **named: object) -> None:
        raise RuntimeError("Error while serializing: I/O error: No space left on device (os error 28)")

    monkeypatch.setattr("augrec.pipeline.executors.chain.run_one", refuse)
    code, shown = shell("prepare", "toy.yaml")
    assert code == 1
    assert "free some space or choose another `output`" in shown


def test_an_unexpected_error_hides_its_traceback_until_asked(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    def explode(*arguments: object, **named: object) -> None:
        raise ZeroDivisionError("by surprise")

    monkeypatch.setattr("augrec.pipeline.executors.chain.run_one", explode)
    code, shown = shell("prepare", "toy.yaml")
    assert code == 1
    assert "unexpected ZeroDivisionError: by surprise" in shown
    assert "--debug" in shown
    assert "Traceback" not in shown
    monkeypatch.setattr(sys, "argv", ["augrec", "--debug", "prepare", "toy.yaml"])
    with pytest.raises(ZeroDivisionError):
        cli.main()


def test_validate_checks_every_file_and_keeps_going(shell: Shell) -> None:
    (shell.folder / "configs").mkdir()
    for name, more in (("good", {}), ("wrong", {"extra": 1})):
        write_config(shell.folder / "configs" / f"{name}.yaml", toy_config("data", more))
    code, shown = shell("validate")
    assert code == 2
    assert "configs/good.yaml  ok" in shown
    assert "configs/wrong.yaml  wrong" in shown
    assert "extra: unknown key" in shown


def test_clean_is_a_list_until_it_is_told_to_delete(shell: Shell) -> None:
    assert shell("prepare", "toy.yaml")[0] == 0
    run = shell.folder / "runs" / "toy"
    stale = run / "train" / "gone" / "seed-1" / "metrics.json"
    stale.parent.mkdir(parents=True)
    stale.write_text("{}")
    code, shown = shell("clean", str(run))
    assert code == 0
    assert "train/gone" in shown
    assert stale.exists()
    code, shown = shell("clean", str(run), "--yes")
    assert code == 0
    assert not stale.exists()
    assert (run / "dataset" / "dataset.json").exists()
    assert "nothing" in shell("clean", str(run))[1]


def test_clean_of_a_folder_that_is_no_run_is_a_usage_error(shell: Shell) -> None:
    code, shown = shell("clean", str(shell.folder), "--yes")
    assert code == 2
    assert "no run folder" in shown
