"""Where a training runs, and what it used there."""

from __future__ import annotations

import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState

from artefacts.errors import UsageError
from recsys.training_options import TrainingOptions


def accelerator_for(training: TrainingOptions) -> Accelerator:
    """An `Accelerator` for one process on the wanted device and precision.

    Raises:
        UsageError: the device does not exist, lacks the precision, or several processes were launched.
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
    try:
        accelerator = Accelerator(cpu=training.device == "cpu" or not available, mixed_precision=training.precision)
    except ValueError as error:
        raise UsageError(f"training.precision: {error}", remedy="set training.precision=no") from error
    if accelerator.num_processes > 1:
        raise UsageError(
            "one training runs in one process", remedy="launch without torchrun; seeds and variants run side by side"
        )
    return accelerator


@contextmanager
def own_randomness_and_threads(seed: int, threads: int | None) -> Iterator[None]:
    """Inside the block torch's global generators start from `seed` and it uses `threads`; outside nothing changed.

    Only for what cannot be handed a generator, such as `nn.Dropout`.
    """
    before = torch.get_num_threads()
    devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices):
        torch.manual_seed(seed)
        if threads is not None:
            torch.set_num_threads(threads)
        try:
            yield
        finally:
            torch.set_num_threads(before)


def peak_memory_mb(device: torch.device) -> float:
    """MiB: on a GPU the most that tensors held since `reset_peak_memory`, else the most this process ever held."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20


def reset_peak_memory(device: torch.device) -> None:
    """Starts a new count on a GPU; a process's own peak cannot be reset."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
