"""While a folder is worked on, no writer writes outside of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from augrec.artefacts.confinement import confined
from augrec.artefacts.errors import AugrecError
from augrec.artefacts.files import scrap_path, write_json, write_npy, write_parquet, write_text

WRITERS: dict[str, Callable[[Path], object]] = {
    "text": lambda path: write_text(path, "x"),
    "json": lambda path: write_json(path, {}),
    "parquet": lambda path: write_parquet(path, pa.table({"a": [1]})),
    "npy": lambda path: write_npy(path, np.zeros(1)),
    "scrap": scrap_path,
}


def everything(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("name", ["../outside/x", "sub/../../outside/x", "link/x", "deep/link/new/x"])
def test_a_path_that_leads_out_is_refused(tmp_path: Path, writer: str, name: str) -> None:
    run, outside = tmp_path / "run", tmp_path / "outside"
    (run / "deep").mkdir(parents=True)
    outside.mkdir()
    (outside / "x").write_text("mine")
    for link in (run / "link", run / "deep" / "link"):
        link.symlink_to(outside)
    before = everything(tmp_path)
    with confined(run), pytest.raises(AugrecError, match="refused to write outside"):
        WRITERS[writer](run / name)
    assert everything(tmp_path) == before
    assert (outside / "x").read_text() == "mine"


@pytest.mark.parametrize("writer", WRITERS)
def test_an_absolute_path_is_refused_and_a_path_inside_is_written(tmp_path: Path, writer: str) -> None:
    run = tmp_path / "run"
    with confined(run):
        WRITERS[writer](run / "sub" / "x")
        with pytest.raises(AugrecError, match="refused"):
            WRITERS[writer](tmp_path / "x")
    assert (run / "sub").is_dir()
    assert not (tmp_path / "x").exists()
    WRITERS[writer](tmp_path / "x")  # nothing is confined any more


def test_the_folder_itself_may_be_a_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "scratch").mkdir()
    (tmp_path / "run").symlink_to(tmp_path / "scratch")
    monkeypatch.chdir(tmp_path)
    with confined(Path("run")):
        write_text(Path("run/a"), "x")
        write_text(tmp_path / "scratch" / "b", "x")
    assert everything(tmp_path / "scratch") == ["a", "b"]


def test_a_link_in_place_of_a_file_is_replaced_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "a").symlink_to(tmp_path / "mine")
    with confined(tmp_path / "run"):
        write_text(tmp_path / "run" / "a", "x")
    assert (tmp_path / "mine").read_text() == "mine"
    assert (tmp_path / "run" / "a").read_text() == "x"


def test_the_innermost_folder_counts(tmp_path: Path) -> None:
    with confined(tmp_path / "a"):
        with confined(tmp_path / "b"):
            write_text(tmp_path / "b" / "x", "x")
        with pytest.raises(AugrecError, match="refused"):
            write_text(tmp_path / "b" / "y", "x")
