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
FAULTS = f"""
import os
import resource
import numpy as np
import torch

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(5):
        np.ones({TENSOR_MIB} * 2**17)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
"""
"""Pages that had to be found for five arrays, each freed before the next."""
ARRAYS_IN_A_BLOCK = f"""
from recsys.training.tensor_memory import kept_memory

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
"""Their pages before and after a step; bytes held since."""
A_TRAINING = """
import augrec
from recsys.data.dataset import Dataset
from torch.optim.optimizer import register_optimizer_step_post_hook

pairs = np.argwhere(np.random.default_rng(0).random((30, 20)) < 0.5)
parts = (pairs[place::3] for place in range(3))
found = []
register_optimizer_step_post_hook(lambda *_: found.append(faults()))
augrec.train(Dataset.from_arrays(30, 20, *parts), "mf_bpr", seeds=1, training={"epochs": 4, "batch_size": 64})
print(found[-1], faults())
"""
"""The same for a training from Python: in its last step, and after it."""
keeps_memory = pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc" or not HELD.exists(), reason="GNU's C library on Linux keeps what it is told to"
)


def printed(program: str, **variables: str) -> list[int]:
    """Numbers that a process prints which knows `faults`; with ordinary pages, of which there are many."""
    ended = subprocess.run(
        [sys.executable, "-c", FAULTS + program], env={**os.environ, "NUMPY_MADVISE_HUGEPAGE": "0", **variables},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return [int(number) for number in ended.stdout.split()]


@keeps_memory
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
    building, training, more = printed(ARRAYS_IN_A_BLOCK, **variables)
    assert training < building / 4 if kept else training > building / 2
    assert more < TENSOR_MIB * MIB / 2


@keeps_memory
def test_a_training_from_python_keeps_memory_until_it_is_done() -> None:
    training, after = printed(A_TRAINING)
    assert training < after / 4
