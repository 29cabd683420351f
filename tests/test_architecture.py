"""The dependency rule: pipeline knows the three, the three are strangers, and nothing heavy loads before it is used."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from augrec.pipeline.identity.import_closure import imports_of
from tests.import_circles import room_graphs, shortest_circle
from tests.kit.machine_speed import patience

LINTER = Path(sys.executable).with_name("lint-imports")


def test_the_import_contracts_hold() -> None:
    if not LINTER.exists():
        pytest.skip(f"import-linter is not installed; {sys.executable} -m pip install import-linter")
    result = subprocess.run([LINTER, "--no-cache"], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(
    "module",
    [
        "augrec.cli",
        "augrec.pipeline.config.run_config",
        "recsys.data.readers.registry",
        "recsys.data.options",
        "augment.options",
    ],
)
def test_reading_a_config_loads_nothing_heavy(module: str) -> None:
    code = (
        f"import sys, {module}\n"
        "heavy = {'torch', 'vllm', 'transformers', 'sentence_transformers', 'matplotlib', 'datasets', 'scipy'}\n"
        "heavy |= {'pandas', 'numba'}\n"
        "print(' '.join(sorted(heavy & set(sys.modules))))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == ""


HEAVY = (
    *("torch", "vllm", "transformers", "sentence_transformers", "pandas", "pyarrow", "numpy", "scipy", "sklearn"),
    *("matplotlib", "datasets", "optuna", "jinja2", "yaml", "numba"),
)


@pytest.mark.parametrize(("code", "most"), [("import augrec", 100), ("import augrec.cli", 380)])
def test_starting_is_cheap(code: str, most: int) -> None:
    """Counts modules, which are the same on every machine: seconds are not."""
    script = f"import sys\n{code}\nprint(*sorted(sys.modules))"
    modules = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert [name for name in HEAVY if name in modules] == []
    assert len(modules) - len(_modules_of_an_empty_program()) <= most


def _modules_of_an_empty_program() -> list[str]:
    script = "import sys\nprint(*sorted(sys.modules))"
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()


def test_no_module_imports_itself_through_others() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "tests.import_circles"],
        capture_output=True,
        text=True,
        check=False,
        timeout=patience(100),
    )
    assert result.returncode == 0, result.stderr


def test_a_circle_is_told_by_the_shortest_way_around() -> None:
    graph = {"a": ["b", "d"], "b": ["c"], "c": ["a"], "d": ["e"], "e": ["d", "a"], "f": ["a"], "g": []}
    assert shortest_circle(graph) == ["d", "e", "d"]
    assert shortest_circle({**graph, "e": ["a"]}) in (["a", "b", "c", "a"], ["a", "d", "e", "a"])
    assert shortest_circle({"a": ["b"], "b": [], "c": ["b", "a"]}) is None
    assert shortest_circle({"a": ["a"]}) == ["a", "a"]


def test_rooms_of_a_package_are_seen_as_one_module_each() -> None:
    graph = {
        "p": [],
        "p.a": ["p.b.x"],
        "p.b": ["p.b.x"],
        "p.b.x": ["p.b.y"],
        "p.b.y": ["p.c"],
        "p.c": [],
        "q.d": ["p.a"],
    }
    assert list(room_graphs(graph)) == [
        {"p.a": ["p.b"], "p.b": ["p.c"], "p.c": []},
        {"p.b.x": ["p.b.y"], "p.b.y": []},
        {"q.d": []},
    ]
    circles = [shortest_circle(rooms) for rooms in room_graphs({**graph, "p.c": ["p.b.x"], "p.b.x": []})]
    assert circles == [["p.b", "p.c", "p.b"], None, None], "no module imports itself, and the rooms do"


def test_imports_are_read_as_they_run() -> None:
    imported = imports_of("augrec.pipeline.stages.base")
    assert "augrec.pipeline.stages.registry" in imported, "a module of a package is no import of the package"
    assert "augrec.pipeline.stages" not in imported
    assert "augrec.pipeline.config.run_config" not in imported, "for type checkers alone"
    assert "augrec.pipeline.audit" in imports_of("augrec.pipeline.stages.report"), "inside a function"


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
