"""How long a child may take, and how its end is read."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from forks import outcome

SCRIPT = """
import itertools, os, signal
from forks import Limits, forked, in_turns

def computes():
    return sum(itertools.repeat(0))

works = {"ends": lambda: 0, "fails": lambda: 1, "computes": computes, "waits": signal.pause}
limits = {"ends": Limits(60, 60), "fails": Limits(60, 60), "computes": Limits(0.1, 600), "waits": Limits(60, 0.1)}
names = [*works]
for at, how in in_turns(range(4), lambda at: forked(works[names[at]], limits[names[at]]), 1):
    print(names[at], how)
"""


def test_a_child_may_compute_so_long_whatever_the_clock_says_and_wait_so_long() -> None:
    paths = {"PYTHONPATH": str(Path(__file__).parent)}
    found = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, env=paths, check=True)
    assert found.stdout.splitlines() == ["ends survived", "fails noticed", "computes endless", "waits endless"]


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (0, "survived"),
        (1 << 8, "noticed"),
        (4 << 8, "noticed"),
        (int(signal.SIGALRM), "endless"),
        (int(signal.SIGPROF), "endless"),
        (11, "noticed"),
    ],
)
def test_only_a_green_run_lets_a_mutant_survive(status: int, expected: str) -> None:
    assert outcome(status) == expected
