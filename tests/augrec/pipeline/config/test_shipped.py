"""Configs that are installed with the package: listed, copied with what they name, and inside of a wheel."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from typer.testing import CliRunner

import augrec
from augrec.artefacts.errors import UsageError
from augrec.cli import app
from augrec.pipeline.config.shipped import copy_shipped, shipped
from augrec.pipeline.studies.config_files import check_file

CHECKOUT = Path(augrec.__file__).parents[1]
NEEDED = ("augrec", "augment", "embed", "recsys", "configs", "slurm", "pyproject.toml", "README.md", "LICENSE")


def test_every_config_of_the_checkout_is_listed() -> None:
    configs = {path.relative_to(CHECKOUT / "configs") for path in (CHECKOUT / "configs").rglob("*.yaml")}
    profiles = {path.name for path in (CHECKOUT / "slurm" / "profiles").glob("*.toml")}
    there = shipped()
    assert {one.target for one in there} == {Path("configs") / path for path in configs} | {
        Path("slurm", "profiles", name) for name in profiles
    }
    assert {one.name for one in there} >= {"ml-100k/demo", "spaces/ease", "slurm/gpu"}
    assert [one.name for one in there if not one.about.endswith((".", "?"))] == [], "each is told in a whole sentence"
    said = CliRunner().invoke(app, ["configs", "list", "--json"])
    assert {one["name"] for one in json.loads(said.stdout)["answer"]} == {one.name for one in there}


def test_what_says_the_same_of_itself_has_one_line() -> None:
    there = shipped()
    lines = CliRunner().invoke(app, ["configs", "list"]).stdout.splitlines()
    (spaces,) = [line for line in lines if line.startswith("spaces/")]
    assert spaces.split("NAME: ")[-1].split(", ") == [one.own_name for one in there if one.folder == "spaces/"]
    others = [one for one in there if one.folder != "spaces/"]
    assert [line.split()[0] for line in lines if line != spaces] == [one.name for one in others]


@pytest.mark.parametrize("name", ["ml-100k/table2", "amazon-book/rlmrec-table1.yaml", "configs/ml-100k/demo.yaml"])
def test_a_copy_is_whole(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is checked where nothing else lies; a second copy changes nothing."""
    (copied,) = copy_shipped(name, tmp_path)
    monkeypatch.chdir(tmp_path)
    check_file(copied)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert copy_shipped(name, tmp_path) == [copied]
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_one_file_may_get_a_name_of_its_own(tmp_path: Path) -> None:
    assert copy_shipped("ml-100k/llmrec", tmp_path / "shop.yaml") == [tmp_path / "shop.yaml"]
    assert (tmp_path / "shop.yaml").read_bytes() == (CHECKOUT / "configs/ml-100k/llmrec.yaml").read_bytes()
    with pytest.raises(UsageError, match="other files along, so it needs a folder"):
        copy_shipped("ml-100k/table2", tmp_path / "mine.yaml")
    assert [path.name for path in tmp_path.iterdir()] == ["shop.yaml"]


def test_a_file_that_was_changed_stays(tmp_path: Path) -> None:
    target = tmp_path / "slurm" / "profiles" / "gpu.toml"
    target.parent.mkdir(parents=True)
    target.write_text("mine")
    with pytest.raises(UsageError, match="another file stands there"):
        copy_shipped("slurm", tmp_path)
    assert [path.name for path in tmp_path.rglob("*.toml")] == ["gpu.toml"]
    assert target.read_text() == "mine"
    with pytest.raises(UsageError) as caught:
        copy_shipped("ml-100k/dmeo", tmp_path)
    assert "did you mean 'ml-100k/demo'" in str(caught.value)


@pytest.mark.slow
def test_a_wheel_works_where_there_is_no_checkout(tmp_path: Path) -> None:
    pytest.importorskip("setuptools")
    source = tmp_path / "source"
    source.mkdir()
    for name in NEEDED:
        path = CHECKOUT / name
        if path.is_dir():
            shutil.copytree(path, source / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(path, source / name)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    done([*pip, "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", str(tmp_path), str(source)], tmp_path)
    (wheel,) = tmp_path.glob("*.whl")
    shutil.rmtree(source)
    home = tmp_path / "venv"
    done([sys.executable, "-m", "venv", "--without-pip", str(home)], tmp_path)
    (site,) = home.glob("lib/python*/site-packages")
    (site / "parts.pth").write_text(sysconfig.get_path("purelib") + "\n")  # whose own .pth files are not read
    done([*pip, "--python", str(home / "bin" / "python"), "install", "-q", "--no-deps", str(wheel)], tmp_path)
    command = str(home / "bin" / "augrec")
    place = done([str(home / "bin" / "python"), "-c", "import augrec; print(augrec.__file__)"], tmp_path).strip()
    assert Path(place).is_relative_to(home)
    done([command, "configs", "copy", "ml-100k"], tmp_path)
    assert (tmp_path / "configs" / "ml-100k" / "demo.yaml").exists()
    checked = json.loads(done([command, "validate", "--json"], tmp_path))["answer"]
    assert checked
    assert all(one["ok"] for one in checked)
    listed = done([command, "configs", "list", "--quiet"], tmp_path).split()
    assert listed == [one.name for one in shipped()]
    script = (
        "from importlib.resources import files\n"
        "for package, name in (('augment.prompts', 'edges.j2'), ('augrec.report.render', 'report.css'), "
        "('augrec.pipeline.executors.slurm.templates', 'job.sbatch.j2')):\n"
        "    assert (files(package) / name).is_file(), name\n"
    )
    done([str(home / "bin" / "python"), "-c", script], tmp_path)


def done(command: list[str], folder: Path) -> str:
    """What a command says, in a folder where the checkout is not on the path."""
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    ran = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout
