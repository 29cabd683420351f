"""Put on PYTHONPATH, makes the heuristic engine slow, or fail: what a test of signals and failures needs.

AUGREC_TEST_SLOW is a file with the seconds per answer; AUGREC_TEST_FAIL is a file whose presence makes it fail.
"""

import os
import sys
import time
from importlib.abc import MetaPathFinder
from importlib.machinery import PathFinder
from pathlib import Path


def _patch(module):
    engine = module.HeuristicEngine
    run = engine.run

    def slow_run(self, requests):
        for number, completion in enumerate(run(self, requests)):
            fail, slow = (Path(os.environ.get(f"AUGREC_TEST_{name}", "/nonexistent")) for name in ("FAIL", "SLOW"))
            if fail.exists() and fail.read_text().strip() == os.environ.get("SLURM_ARRAY_TASK_ID", "0") and number == 5:
                raise RuntimeError("the engine fell over")
            if slow.exists():
                time.sleep(float(slow.read_text()))
            yield completion

    engine.run = slow_run


class _Finder(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name != "augment.engines.heuristic":
            return None
        spec = PathFinder.find_spec(name, path, target)
        load = spec.loader.exec_module

        def exec_module(module):
            load(module)
            _patch(module)

        spec.loader.exec_module = exec_module
        return spec


sys.meta_path.insert(0, _Finder())
