"""Compiled functions where numba can keep them, and where it cannot."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from recsys import compiled as compiled_module
from recsys.compiled import compiled

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


@pytest.mark.skipif(sys.platform == "win32", reason="has no limit of the size of files")
def test_numba_is_loaded_at_the_first_call_and_a_full_folder_costs_nothing_but_time(tmp_path: Path) -> None:
    (tmp_path / "kept.py").write_text(MODULE)
    path = os.pathsep.join([str(tmp_path), str(Path(compiled_module.__file__).parents[1])])
    given = {**os.environ, "PYTHONPATH": path, "NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    found = subprocess.run(
        [sys.executable, "-c", FULL], env=given, capture_output=True, text=True, check=False, timeout=300
    )
    assert found.stdout.strip() == "42", found.stderr
    assert any((tmp_path / "cache").iterdir())  # where it was to be kept


def test_a_function_without_a_file_is_compiled_and_not_kept() -> None:
    """For which numba knows no folder, as where it may write to none."""
    there: dict = {}
    exec("def total(numbers):\n    result = 0.0\n    for n in numbers:\n        result += n\n    return result", there)
    numbers = np.random.default_rng(0).normal(size=101) * 10.0 ** np.arange(-50, 51)
    assert compiled()(there["total"])(numbers) == there["total"](numbers)  # in the same order: the same bits
