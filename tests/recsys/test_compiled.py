"""Compiled functions where numba can keep them, and where it cannot."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from recsys.compiled import compiled

FULL = """
import resource, signal, sys
import numpy as np, scipy.sparse as sp
import recsys.models.item_knn, recsys.models.rp3beta
from recsys.models.parts.co_occurrences import co_occurrences
assert "numba" not in sys.modules
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
x = sp.csr_array(np.ones((3, 4)))
print(co_occurrences(x, np.ones(3), np.ones(4), np.ones(4), 0.0, 1)(slice(0, 2)).toarray().tolist())
"""


@pytest.mark.skipif(sys.platform == "win32", reason="has no limit of the size of files")
def test_numba_is_loaded_at_the_first_call_and_a_full_folder_costs_nothing_but_time(tmp_path: Path) -> None:
    given = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    found = subprocess.run(
        [sys.executable, "-c", FULL], env=given, capture_output=True, text=True, check=False, timeout=120
    )
    assert found.stdout.strip() == "[[0.0, 3.0, 0.0, 0.0], [3.0, 0.0, 0.0, 0.0]]", found.stderr
    assert any(tmp_path.iterdir())  # where it was to be kept


def test_a_function_without_a_file_is_compiled_and_not_kept() -> None:
    """For which numba knows no folder, as where it may write to none."""
    there: dict = {}
    exec("def total(numbers):\n    result = 0.0\n    for n in numbers:\n        result += n\n    return result", there)
    numbers = np.random.default_rng(0).normal(size=101) * 10.0 ** np.arange(-50, 51)
    assert compiled(there["total"])(numbers) == there["total"](numbers)  # in the same order: the same bits
