"""The environment of instruction tuning is found, or said to be missing with the way out."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from augrec.artefacts.errors import UsageError
from augrec.pipeline.tuning.environment import PACKAGES, VARIABLE, tune_environment
from tests.kit.fake_trainer import write_environment


def environment(root: Path, without: str = "") -> Path:
    """An environment whose interpreter is a link, as in a real one."""
    script = write_environment(root)
    script.unlink()
    script.symlink_to(sys.executable)
    packages = root / "lib" / "python3.11" / "site-packages"
    for name in ("Jinja2", "torch_geometric"):
        (packages / f"{name}-3.1.dist-info").mkdir()
    if without:
        (packages / f"{without}-1.2.3.dist-info").rmdir()
    return script


@pytest.fixture(autouse=True)
def nothing_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "elsewhere" / ".venv"))


def test_the_option_comes_before_the_variable_and_that_before_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, named, asked = (environment(tmp_path / name) for name in (".venv-tune", "named", "asked"))
    found = tune_environment()
    assert found.python.absolute() == here
    assert found.versions == dict.fromkeys(PACKAGES, "1.2.3")
    monkeypatch.setenv(VARIABLE, str(named))
    assert tune_environment().python == named
    assert tune_environment(asked).python == asked


def test_it_is_found_beside_the_environment_that_runs(tmp_path: Path) -> None:
    python = environment(tmp_path / "elsewhere" / ".venv-tune")
    assert tune_environment().python == python


def test_what_is_missing_is_said_with_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"is not there(.|\n)*make tune-env"):
        tune_environment()
    with pytest.raises(UsageError, match=r"no Python interpreter(.|\n)*nowhere"):
        tune_environment(tmp_path / "nowhere" / "python")
    with pytest.raises(UsageError, match="lacks peft"):
        tune_environment(environment(tmp_path / "half", without="peft"))
