"""Habits of the tests: they wait for conditions and not for time, know public names, and lie where the code lies."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

from tests.conftest import needs_slow_parts

ROOT = Path(__file__).parent
MOST_PRIVATE = 20
"""Places in which tests may know a private name."""
PUBLIC_ALL_THE_SAME = {"_asdict", "_replace", "_exit"}
"""Documented names with an underscore: of named tuples, and `os._exit`."""
SLEEP = "sleep"
ROOMS = ("augment", "augrec", "benchmarks", "embed", "recsys")
NO_ROOMS = {"augrec/pipeline/invented"}
"""Folders of tests that go through all rooms."""
MAY_SLEEP = {"kit/waiting.py", "augrec/pipeline/executors/slow/sitecustomize.py"}
"""The helper that polls, and an engine that is slow on purpose."""


@cache
def trees() -> list[tuple[str, ast.Module]]:
    paths = sorted(ROOT.rglob("*.py"))
    return [(path.relative_to(ROOT).as_posix(), ast.parse(path.read_text(encoding="utf-8"))) for path in paths]


def private(name: str) -> bool:
    """Whether a dotted name has a private part."""
    parts = [part for part in name.split(".") if part not in PUBLIC_ALL_THE_SAME]
    return any(part.startswith("_") and not part.startswith("__") for part in parts)


def private_names(tree: ast.AST) -> list[str]:
    """Private names of others that a module uses, each with its line: attributes, imports, and what it patches by name.

    A class's own private attributes, which it reaches through `self` and `cls`, are no others'.
    """
    found: list[tuple[int, str]] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and private(node.attr):
            own = isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")
            found += [] if own else [(node.lineno, ast.unparse(node))]
        elif isinstance(node, ast.ImportFrom):
            names = (f"{node.module}.{alias.name}" for alias in node.names)
            found += [(node.lineno, name) for name in names if private(name)]
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", "") in ("setattr", "delattr", "patch"):
            texts = (argument.value for argument in node.args[:2] if isinstance(argument, ast.Constant))
            found += [(node.lineno, text) for text in texts if isinstance(text, str) and private(text)]
    return [f"{line}: {name}" for line, name in sorted(found)]


def sleeps(tree: ast.AST) -> list[int]:
    """Lines that sleep, also in code that is text for another process."""
    return sorted({node.lineno for node in ast.walk(tree) if _sleeps(node)})


def _sleeps(node: ast.AST) -> bool:
    if isinstance(node, ast.Call):
        return getattr(node.func, "attr", getattr(node.func, "id", "")) == SLEEP
    if isinstance(node, ast.Attribute):
        return node.attr == SLEEP and ast.unparse(node.value) in ("time", "asyncio")
    return isinstance(node, ast.Constant) and isinstance(node.value, str) and f"time.{SLEEP}" in node.value


def test_tests_lie_where_the_code_lies() -> None:
    folders = {path.parent.relative_to(ROOT).as_posix() for room in ROOMS for path in (ROOT / room).rglob("test_*.py")}
    code = ROOT.parent
    assert {name for name in folders if not (code / name).is_dir() and not (code / f"{name}.py").is_file()} == NO_ROOMS


def test_no_two_files_of_tests_have_one_name() -> None:
    """Folders of tests are no packages, so that the second file of a name is not collected."""
    names = [path.name for path in ROOT.rglob("test_*.py")]
    assert sorted(name for name in set(names) if names.count(name) > 1) == []


def test_nobody_sleeps() -> None:
    found = {name: lines for name, tree in trees() if name not in MAY_SLEEP and (lines := sleeps(tree))}
    assert found == {}, "wait for what is meant: tests.kit.waiting.wait_until"


@pytest.mark.parametrize(
    "text",
    [
        f"time.{SLEEP}(1)",
        f"from time import {SLEEP}\n{SLEEP}(1)",
        f"thread(target=time.{SLEEP})",
        f"run('time.{SLEEP}(1)')",
    ],
)
def test_one_who_sleeps_is_seen(text: str) -> None:
    assert len(sleeps(ast.parse(text.format(SLEEP)))) == 1


def test_private_names_are_known_in_few_places() -> None:
    found = [f"{name}:{each}" for name, tree in trees() for each in private_names(tree)]
    assert len(found) <= MOST_PRIVATE, "\n".join(["give the code a public seam instead:", *found])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("model._edges", ["1: model._edges"]),
        ("self._edges", []),
        ("self.model._edges", ["1: self.model._edges"]),
        ("from recsys.graph import _rows", ["1: recsys.graph._rows"]),
        ("from __future__ import annotations", []),
        ("from torch.utils._python_dispatch import Mode", ["1: torch.utils._python_dispatch.Mode"]),
        ("monkeypatch.setattr(table, '_Ranges', None)", ["1: _Ranges"]),
        ("monkeypatch.setattr('augment.store.table._ranges', None)", ["1: augment.store.table._ranges"]),
        ("monkeypatch.setattr(table, 'BLOCK', 7)", []),
        ("monkeypatch.setenv('_CACHE', '7')", []),
        ("os._exit(0), row._asdict(), model.__class__", []),
    ],
)
def test_a_private_name_is_seen(text: str, expected: list[str]) -> None:
    assert private_names(ast.parse(text)) == expected


@pytest.mark.parametrize(
    ("markers", "fixtures", "slow"),
    [
        (["vllm"], [], True),
        (["parametrize"], ["tmp_path", "run_copy", "finished_run"], True),
        (["parametrize", "sparse"], ["tmp_path"], False),
    ],
)
def test_what_starts_something_big_is_slow(markers: list[str], fixtures: list[str], slow: bool) -> None:
    assert needs_slow_parts(markers, fixtures) is slow


def test_what_uses_a_whole_run_is_marked(request: pytest.FixtureRequest) -> None:
    slow = [item for item in request.session.items if "finished_run" in getattr(item, "fixturenames", ())]
    assert all(item.get_closest_marker("slow") for item in slow)
    assert request.node.get_closest_marker("slow") is None
