"""What vLLM does to the process it runs in, and how it is undone: training and embedding follow in the same process.

vLLM reads its settings from environment variables; on the CPU it replaces `torch.set_num_threads` by a function that
does nothing, may pin threads to cores, and talks on stdout and stderr.
"""

from __future__ import annotations

import gc
import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any


@contextmanager
def environment(values: dict[str, str | None]) -> Iterator[None]:
    """Sets environment variables while the block runs (None removes one), then puts the old values back.

    Those that vLLM itself sets meanwhile are put back too, or removed.
    """

    def present() -> dict[str, str | None]:
        return {name: value for name, value in os.environ.items() if name in values or name.startswith("VLLM_")}

    before = present()
    _apply(values)
    try:
        yield
    finally:
        _apply(dict.fromkeys(present()) | before)


def _apply(values: dict[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


@contextmanager
def threads_restored() -> Iterator[Callable[[int], None]]:
    """Restores torch's thread count and the cores every thread may run on when the block ends.

    Yields the function that sets the count, which vLLM puts out of action in torch.
    """
    torch: Any = sys.modules["torch"]
    set_threads, count = torch.set_num_threads, torch.get_num_threads()
    cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    try:
        yield set_threads
    finally:
        torch.set_num_threads = set_threads
        if cores is not None:
            for thread in Path("/proc/self/task").iterdir():
                with suppress(OSError, ValueError):
                    os.sched_setaffinity(int(thread.name), cores)
        set_threads(count)


@contextmanager
def compiling_nothing(applies: bool) -> Iterator[None]:
    """Where it applies, torch compiles nothing while the block runs; what is decorated to be compiled runs as written.

    vLLM has its ranks of log-probabilities compiled at their first use, whatever `enforce_eager` says. On a CPU that
    takes a compiler, its worker processes and as long as the rest of the start, for a comparison of two tensors.
    """
    if not applies:
        yield
        return
    torch: Any = sys.modules["torch"]
    with torch.compiler.set_stance("force_eager"):
        yield


@contextmanager
def llvm_out_of_sight() -> Iterator[None]:
    """Hides the module that holds LLVM's library, where something has loaded it, while the block runs.

    On a CPU vLLM looks for kernels in every object of every module, and asks each for its `__dict__`. numba's library
    takes that for a function of LLVM: `vars(...)` is no dictionary then, and the engine does not start.
    """
    name = "llvmlite.binding.ffi"
    module = sys.modules.pop(name, None)
    try:
        yield
    finally:
        if module is not None:
            sys.modules[name] = module


@contextmanager
def collections_put_off() -> Iterator[None]:
    """Collects no garbage while the block imports a large library.

    Next to nothing of what an import makes is garbage, and all of it is looked through each time that it has grown by a
    quarter: a quarter of the CPU time of importing vLLM.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@contextmanager
def present_objects_kept() -> Iterator[None]:
    """Keeps the objects that are there out of collections of garbage while the block runs.

    Those of imported libraries, a million and more, stay for ever, and vLLM looks through everything six times, half a
    second each. Garbage that is there stays until the block ends: collect it before. vLLM itself lifts this when it
    shuts down.
    """
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


@contextmanager
def output_to(log: Path) -> Iterator[None]:
    """Sends everything written to stdout and stderr, by whatever language, to the end of a file."""
    log.parent.mkdir(parents=True, exist_ok=True)
    sys.stdout.flush()
    sys.stderr.flush()
    copies = os.dup(1), os.dup(2)
    with log.open("ab") as sink:
        os.dup2(sink.fileno(), 1)
        os.dup2(sink.fileno(), 2)
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for target, copy in zip((1, 2), copies, strict=True):
            os.dup2(copy, target)
            os.close(copy)


@contextmanager
def logger_to(name: str, log: Path) -> Iterator[None]:
    """Sends a logger's messages to a file and nowhere else."""
    log.parent.mkdir(parents=True, exist_ok=True)
    logger = logging.getLogger(name)
    handlers, propagate, level = logger.handlers[:], logger.propagate, logger.level
    handler = logging.FileHandler(log, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logger.handlers, logger.propagate = [handler], False
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        handler.close()
        logger.handlers, logger.propagate = handlers, propagate
        logger.setLevel(level)
