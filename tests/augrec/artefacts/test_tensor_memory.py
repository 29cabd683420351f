"""Huge pages of the command line's processes, and memory that is kept: where the system can, and the user lets them."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from pathlib import Path

import pytest

from augrec.artefacts.tensor_memory import HUGE_PAGES, ask_for_huge_pages

KERNEL = Path("/sys/kernel/mm/transparent_hugepage/enabled")
MAPPED = Path("/proc/self/smaps_rollup")
HELD = Path("/proc/self/statm")
MIB, TENSOR_MIB = 2**20, 64
A_COMMAND_THEN_A_TENSOR = f"""
import sys
from augrec.cli import main
sys.argv = ["augrec", "--version"]
try:
    main()
except SystemExit:
    pass
assert "torch" not in sys.modules, "nothing may make a tensor before the command line asks"
import torch
tensor = torch.ones({TENSOR_MIB} * 2**18)
print(open("{MAPPED}").read())
"""
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


def mode() -> str:
    """`always`, `madvise` or `never`; "none" where the system has no such pages."""
    found = re.search(r"\[(\w+)\]", KERNEL.read_text()) if KERNEL.exists() and MAPPED.exists() else None
    return found.group(1) if found else "none"


@pytest.mark.skipif(
    mode() != "madvise", reason=f"huge pages are not given to those who ask, and to nobody else: {mode()}"
)
@pytest.mark.parametrize(("users_own", "least", "most"), [(None, TENSOR_MIB // 8, 1e6), ("0", 0, TENSOR_MIB // 8)])
def test_a_large_tensor_of_the_command_line_has_huge_pages_unless_the_user_says_no(
    users_own: str | None, least: float, most: float
) -> None:
    environment = {name: value for name, value in os.environ.items() if name != HUGE_PAGES}
    environment |= {} if users_own is None else {HUGE_PAGES: users_own}
    ended = subprocess.run(
        [sys.executable, "-c", A_COMMAND_THEN_A_TENSOR], env=environment, capture_output=True, text=True, check=True
    )
    kib = re.search(r"^AnonHugePages:\s+(\d+) kB$", ended.stdout, re.MULTILINE)
    assert kib is not None
    assert least <= int(kib.group(1)) / 1024 < most


@pytest.mark.parametrize(("before", "after"), [(None, "1"), ("0", "0"), ("", "")])
def test_what_the_environment_says_of_huge_pages_stays(
    monkeypatch: pytest.MonkeyPatch, before: str | None, after: str
) -> None:
    monkeypatch.delenv(HUGE_PAGES, raising=False)
    if before is not None:
        monkeypatch.setenv(HUGE_PAGES, before)
    ask_for_huge_pages()
    assert os.environ[HUGE_PAGES] == after


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
