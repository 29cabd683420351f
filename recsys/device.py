"""Where a training runs, and what it used there."""

from __future__ import annotations

import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import DistributedDataParallelKwargs

from augrec.artefacts.cores import usable_cores
from augrec.artefacts.errors import UsageError
from recsys.options import TrainingOptions

PEAK = "VmHWM:"  # in /proc/self/status: the most memory the process held since the last reset


def accelerator_for(training: TrainingOptions) -> Accelerator:
    """An `Accelerator` for this process on the wanted device and precision, and for its siblings if it has any.

    Raises:
        UsageError: the device does not exist or lacks the precision.
    """
    available = torch.cuda.is_available()
    if training.device.startswith("cuda"):
        index = int(training.device.partition(":")[2] or 0)
        if not available or index >= torch.cuda.device_count():
            raise UsageError(
                f"training.device is {training.device} and torch sees {torch.cuda.device_count()} such devices",
                remedy="set training.device=auto, or install a CUDA build of torch",
            )
        torch.cuda.set_device(index)
    # Accelerate keeps its first settings for the whole process; the next training may want others.
    AcceleratorState._reset_state(reset_partial_state=True)
    # A model may leave parameters out of some steps. Its buffers are rebuilt from the data and equal everywhere.
    wrapping = DistributedDataParallelKwargs(find_unused_parameters=True, broadcast_buffers=False)
    try:
        return Accelerator(
            cpu=training.device == "cpu" or not available,
            mixed_precision=training.precision,
            kwargs_handlers=[wrapping],
        )
    except ValueError as error:
        raise UsageError(f"training.precision: {error}", remedy="set training.precision=no") from error


def device_named(wanted: str) -> torch.device:
    """The device of an option such as `training.device`; `auto` is the first GPU, else the CPU."""
    if wanted == "auto":
        wanted = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(wanted)


@contextmanager
def own_randomness_and_threads(seed: int, threads: int | None) -> Iterator[None]:
    """Inside the block torch's global generators start from `seed` and it uses `threads`; outside nothing changed.

    None is torch's own number, bounded by what affinity and quota leave: no load changes it, as figures depend on it.
    Only for what cannot be handed a generator, such as `nn.Dropout`.
    """
    before = torch.get_num_threads()
    devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices):
        torch.manual_seed(seed)
        torch.set_num_threads(threads or min(before, usable_cores()))
        try:
            yield
        finally:
            torch.set_num_threads(before)


def peak_memory_mb(device: torch.device) -> float:
    """MiB: the most that tensors held on a GPU, else that this process held, since `reset_peak_memory`.

    On the CPU that is the whole process: torch's libraries and the data set are in it. Where the system cannot reset
    the count (outside Linux), it is the most the process ever held.
    """
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    with suppress(OSError, StopIteration):
        lines = Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines()
        return int(next(line for line in lines if line.startswith(PEAK)).split()[1]) / 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20


def reset_peak_memory(device: torch.device) -> None:
    """Starts a new count."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # 5 resets the peak and nothing else
