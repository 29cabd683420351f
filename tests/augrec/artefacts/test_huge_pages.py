"""Huge pages of the command line's processes, where the system can and the user lets them; and blocks without."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from augrec.artefacts.huge_pages import HUGE_PAGES, ask_for_huge_pages

KERNEL = Path("/sys/kernel/mm/transparent_hugepage/enabled")
MAPPED = Path("/proc/self/smaps_rollup")
TENSOR_MIB = 64
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
TENSORS_IN_AND_AFTER_A_BLOCK = f"""
import re
import torch
from augrec.artefacts.huge_pages import ordinary_pages

def huge():
    return int(re.search(r"^AnonHugePages:\\s+(\\d+) kB$", open("{MAPPED}").read(), re.MULTILINE).group(1)) // 1024

with ordinary_pages():
    inside = torch.ones({TENSOR_MIB} * 2**18)
    with ordinary_pages():
        pass
    nested = torch.ones({TENSOR_MIB} * 2**18)
    print(huge())
after = torch.ones({TENSOR_MIB} * 2**18)
print(huge())
"""


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


@pytest.mark.skipif(mode() != "madvise", reason=f"huge pages are not given to those who ask: {mode()}")
def test_what_is_made_in_a_block_of_ordinary_pages_has_no_huge_ones_whoever_asks() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", TENSORS_IN_AND_AFTER_A_BLOCK], env={**os.environ, HUGE_PAGES: "1"},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    within, after = map(int, ended.stdout.split())
    assert within < TENSOR_MIB // 8 <= after


@pytest.mark.parametrize(("before", "after"), [(None, "1"), ("0", "0"), ("", "")])
def test_what_the_environment_says_of_huge_pages_stays(
    monkeypatch: pytest.MonkeyPatch, before: str | None, after: str
) -> None:
    monkeypatch.delenv(HUGE_PAGES, raising=False)
    if before is not None:
        monkeypatch.setenv(HUGE_PAGES, before)
    ask_for_huge_pages()
    assert os.environ[HUGE_PAGES] == after
