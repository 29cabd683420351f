"""Memory that a training's steps free is kept, where the C library can and the user lets it."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

HELD = Path("/proc/self/statm")
MIB, TENSOR_MIB = 2**20, 64
ARRAYS_IN_A_BLOCK = f"""
import os
import resource
import numpy as np
import torch
from augrec.artefacts.tensor_memory import kept_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(5):
        np.ones({TENSOR_MIB} * 2**17)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

def held():
    return int(open("{HELD}").read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)])
optimiser.step()  # which nothing hears of
faults()
held_before = held()
with kept_memory():
    building = faults()
    for _ in range(3):  # until there is room for one wherever small objects came to lie
        optimiser.step()
        faults()
    training = faults()
print(building, training, held() - held_before)
"""
"""Pages that had to be found for five arrays, each freed before the next: before and after a step; bytes held since."""


@pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc" or not HELD.exists(), reason="GNU's C library on Linux keeps what it is told to"
)
@pytest.mark.parametrize(
    ("variables", "kept"),
    [
        ({}, True),
        ({"MALLOC_ARENA_MAX": "2"}, True),
        ({"MALLOC_TRIM_THRESHOLD_": "131072"}, False),
        ({"GLIBC_TUNABLES": "glibc.malloc.mmap_threshold=131072"}, False),
    ],
)
def test_what_steps_free_they_take_again_and_give_back_at_the_end(variables: dict[str, str], kept: bool) -> None:
    small_pages = {"NUMPY_MADVISE_HUGEPAGE": "0"}
    ended = subprocess.run(
        [sys.executable, "-c", ARRAYS_IN_A_BLOCK], env={**os.environ, **small_pages, **variables},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    building, training, more = map(int, ended.stdout.split())
    assert training < building / 4 if kept else training > building / 2
    assert more < TENSOR_MIB * MIB / 2
