"""The GPUs of this machine as nvidia-smi lists them: no library of theirs is loaded."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence


def query_gpus(columns: Sequence[str], seconds: float = 20.0) -> list[list[str]] | None:
    """The values of nvidia-smi's columns for every GPU, as text; None where there is no nvidia-smi.

    Args:
        columns: e.g. "name", "memory.total" (MiB); "[N/A]" where a GPU does not say.
        seconds: how long it may take.

    Raises:
        subprocess.SubprocessError, OSError: it does not answer.
    """
    if shutil.which("nvidia-smi") is None:
        return None
    query = ["nvidia-smi", f"--query-gpu={','.join(columns)}", "--format=csv,noheader,nounits"]
    run = subprocess.run(query, capture_output=True, text=True, errors="replace", check=True, timeout=seconds)
    rows = ([part.strip() for part in line.split(",")] for line in run.stdout.splitlines())
    return [row for row in rows if len(row) == len(columns)]


def visible_gpus() -> list[str]:
    """The GPUs this process may use, as CUDA_VISIBLE_DEVICES names them; all of the machine's where it is not set."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return [name for name in named.split(",") if name]
    try:
        return [str(number) for number, _ in enumerate(query_gpus(["index"]) or ())]
    except (subprocess.SubprocessError, OSError):
        return []
