"""The faults that are planted, and the files that name them."""

from __future__ import annotations

import ast
import sys
import tomllib
from pathlib import Path

import pytest
from mutant_runner import HERE, ROOT, MutatedModule, equivalents, file_of
from mutations import mutants


def planted(source: str) -> set[tuple[str, str]]:
    return {(mutant.before, mutant.after) for mutant in mutants("module", source)}


def test_every_kind_of_fault_is_planted_once() -> None:
    source = "def f(a, b):\n    g(a)\n    a += b\n    return min(a, b) < -2 * 0.5 and not (True if a else b)\n"
    kept = "return min(a, b) < -2 * 0.5 and (not (True if a else b))"
    assert planted(source) == {
        ("g(a)", "None"),
        ("a += b", "a -= b"),
        (kept, "return max(a, b) < -2 * 0.5 and (not (True if a else b))"),
        (kept, "return min(a, b) <= -2 * 0.5 and (not (True if a else b))"),
        (kept, "return min(a, b) < -2 / 0.5 and (not (True if a else b))"),
        (kept, "return min(a, b) < +2 * 0.5 and (not (True if a else b))"),
        (kept, "return min(a, b) < -3 * 0.5 and (not (True if a else b))"),
        (kept, "return min(a, b) < -2 * 1.0 and (not (True if a else b))"),
        (kept, "return min(a, b) < -2 * 0.5 or not (True if a else b)"),
        (kept, "return min(a, b) < -2 * 0.5 and (not not (True if a else b))"),
        (kept, "return min(a, b) < -2 * 0.5 and (not (True if not a else b))"),
        (kept, "return min(a, b) < -2 * 0.5 and (not (False if a else b))"),
    }


def test_docstrings_annotations_and_messages_of_errors_are_left_alone() -> None:
    source = 'def f(a: "1 + 2" = None) -> Literal[3]:\n    "1 < 2"\n    x: Literal[4]\n    raise ValueError(a + 1)\n'
    assert planted(source) == set()


def test_a_mutant_is_the_whole_module_with_one_fault_and_the_tree_is_mended_after_it() -> None:
    sources = [mutant.source for mutant in mutants("module", "a = 1\nb = 2\n")]
    assert sources == ["a = 2\nb = 2", "a = 1\nb = 3"]


def test_a_fault_reaches_who_imports_the_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "module_with_a_fault.py").write_text("ANSWER = 41\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    [mutant] = mutants("module_with_a_fault", (tmp_path / "module_with_a_fault.py").read_text())
    finder = MutatedModule(mutant)
    monkeypatch.setattr(sys, "meta_path", [finder, *sys.meta_path])
    import module_with_a_fault  # type: ignore[import-not-found]

    assert module_with_a_fault.ANSWER == 42


def is_there(test: str) -> bool:
    """Whether a file of tests, or a function that is named behind it, exists."""
    path, _, name = test.partition("::")
    return (ROOT / path).is_file() and (not name or f"def {name}(" in (ROOT / path).read_text(encoding="utf-8"))


def test_targets_name_modules_and_tests_that_are_there_and_reasons_are_of_lines_that_are() -> None:
    targets = tomllib.loads((HERE / "targets.toml").read_text(encoding="utf-8"))["target"]
    lines = {}
    for module in {module for target in targets for module in target["modules"]}:
        lines[module] = {line.strip() for line in ast.unparse(ast.parse(file_of(module).read_text())).splitlines()}
    assert [test for target in targets for test in target["tests"] if not is_there(test)] == []
    assert [place for place in equivalents() if place[2] not in lines.get(place[0], ())] == []
