"""Compiled functions where numba can keep them, and where it cannot."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from recsys import compiled as compiled_module
from recsys.compiled import COMMON, compiled, lanes_of

ROOM = Path(compiled_module.__file__).parent

MODULE = """
from recsys.compiled import compiled

@compiled()
def doubled(number):
    return 2 * number
"""
FULL = """
import resource, signal, sys
import kept
assert "numba" not in sys.modules
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
print(kept.doubled(21))
"""
SUMS = """
import numpy as np
from recsys.compiled import compiled
from recsys.compiled_vectors import load, plus_scaled, store, zeros

@compiled()
def tripled(numbers, out):
    store(out, 0, 0, plus_scaled(zeros(out, 4), 3.0, load(numbers, 0, 0, 4)))
"""
TRIPLED = """
import numpy as np
import sums
out = np.zeros((1, 4))
sums.tripled(np.ones((1, 4)), out)
print(out[0, 0])
"""


@pytest.mark.skipif(sys.platform == "win32", reason="has no limit of the size of files")
def test_numba_is_loaded_at_the_first_call_and_a_full_folder_costs_nothing_but_time(tmp_path: Path) -> None:
    (tmp_path / "kept.py").write_text(MODULE)
    assert printed(FULL, tmp_path, ROOM.parent) == "42"
    assert any((tmp_path / "cache").iterdir())  # where it was to be kept


def test_what_functions_are_compiled_from_is_part_of_what_is_kept(tmp_path: Path) -> None:
    """A module of theirs that changes, and no other file, has them compiled anew."""
    (tmp_path / "recsys").mkdir()
    for name in ("__init__.py", *COMMON):
        (tmp_path / "recsys" / name).write_text((ROOM / name).read_text())
    (tmp_path / "sums.py").write_text(SUMS)
    vectors = tmp_path / "recsys" / "compiled_vectors.py"
    assert printed(TRIPLED, tmp_path) == "3.0"
    kept = set((tmp_path / "cache").rglob("*.nbc"))
    assert printed(TRIPLED, tmp_path) == "3.0"
    assert set((tmp_path / "cache").rglob("*.nbc")) == kept != set()
    subtracted = "builder.call(fused, [builder.fneg(_repeated(builder, number, value)), value, addend])"
    vectors.write_text(
        vectors.read_text().replace(
            "builder.call(fused, [_repeated(builder, number, value), value, addend])", subtracted
        )
    )
    assert printed(TRIPLED, tmp_path) == "-3.0"


def printed(program: str, folder: Path, *path: Path) -> str:
    """What a process prints that imports from the folder first, and keeps there what it compiles."""
    found = subprocess.run(
        [sys.executable, "-c", program],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(map(str, (folder, *path))),
            "NUMBA_CACHE_DIR": str(folder / "cache"),
        },
        cwd=folder, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert found.returncode == 0, found.stderr
    return found.stdout.strip()


def test_no_function_is_compiled_from_another_module() -> None:
    """Which could change without it: numba asks for a function's own file, we for those that all are made of."""
    known = {"numpy", *(f"recsys.{name.removesuffix('.py')}" for name in COMMON)}
    found = []
    for path in sorted(ROOM.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        imported = {
            alias.asname or alias.name: node.module if isinstance(node, ast.ImportFrom) else alias.name
            for node in ast.walk(tree)
            if isinstance(node, ast.Import | ast.ImportFrom)
            for alias in node.names
        }
        for function in ast.walk(tree):
            if isinstance(function, ast.FunctionDef) and "compiled(" in " ".join(
                map(ast.unparse, function.decorator_list)
            ):
                names = {node.id for part in function.body for node in ast.walk(part) if isinstance(node, ast.Name)}
                found.append((path.name, function.name, {imported[name] for name in names & imported.keys()} - known))
    assert len(found) >= 7
    assert [each for each in found if each[2]] == []


@pytest.mark.parametrize(
    ("width", "has", "expected"), [(64, True, 64), (64, False, 16), (48, True, 16), (128, True, 64)]
)
def test_vectors_are_as_long_as_registers_and_outputs_allow(
    width: int, has: bool, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llvmlite.binding.get_host_cpu_features", lambda: {"avx512f": has})
    lanes_of.cache_clear()
    assert lanes_of(width) == expected
    lanes_of.cache_clear()


def test_a_function_without_a_file_is_compiled_and_not_kept() -> None:
    """For which numba knows no folder, as where it may write to none."""
    there: dict = {}
    exec("def total(numbers):\n    result = 0.0\n    for n in numbers:\n        result += n\n    return result", there)
    numbers = np.random.default_rng(0).normal(size=101) * 10.0 ** np.arange(-50, 51)
    assert compiled()(there["total"])(numbers) == there["total"](numbers)  # in the same order: the same bits
