"""The dependency rule: pipeline knows the three, the three are strangers, and nothing heavy loads before it is used."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

LINTER = Path(sys.executable).with_name("lint-imports")


def test_the_import_contracts_hold() -> None:
    if not LINTER.exists():
        pytest.skip(f"import-linter is not installed; {sys.executable} -m pip install import-linter")
    result = subprocess.run([LINTER, "--no-cache"], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("module", ["augrec.cli", "augrec.pipeline.config", "recsys.data.options", "augment.options"])
def test_reading_a_config_loads_nothing_heavy(module: str) -> None:
    code = (
        f"import sys, {module}\n"
        "heavy = {'torch', 'vllm', 'transformers', 'sentence_transformers', 'matplotlib', 'datasets', 'scipy'}\n"
        "print(' '.join(sorted(heavy & set(sys.modules))))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == ""


def test_no_file_holds_the_path_of_a_machine() -> None:
    roots = ("augrec", "augment", "embed", "recsys", "configs", "benchmarks", "docs", "requirements")
    files = [path for root in roots for path in Path(root).rglob("*") if path.is_file() and path.suffix != ".pyc"]
    assert len(files) > 50
    home = ("/" + "home/", "/" + "root/", "/" + "Users/")
    found = [path for path in files if any(text in path.read_bytes().decode(errors="ignore") for text in home)]
    assert found == []


def test_the_picture_of_the_architecture_is_of_these_imports() -> None:
    pytest.importorskip("grimp", reason="grimp is not installed; make setup installs it")
    from docs.architecture_picture import PICTURE, picture

    assert PICTURE.read_text(encoding="utf-8") == picture(), "make architecture draws it again"
