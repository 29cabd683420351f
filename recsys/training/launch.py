"""Starts the processes of one training on this machine and waits for them."""

from __future__ import annotations

import os
import pickle
import queue
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch.multiprocessing.spawn import ProcessContext, ProcessExitedException, ProcessRaisedException

from augrec.artefacts.cores import usable_cores
from augrec.artefacts.errors import AugrecError, UsageError
from augrec.artefacts.processes import begin_child, deaf_to_ctrl_c
from augrec.artefacts.progress import Ticker

SECONDS_BETWEEN_LOOKS = 0.2


def launched() -> bool:
    """Whether this process is one of several that torchrun, `accelerate launch` or `launch` started."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


def launch(
    function: Callable[..., Any],
    arguments: tuple[Any, ...],
    *,
    processes: int,
    device: str,
    threads: int | None,
    ticker: Ticker | None = None,
) -> None:
    """Runs `function(*arguments, ticker)` in each of `processes` new processes, which form a process group.

    Args:
        function: importable, like what `arguments` hold.
        processes: on GPUs one per GPU (NCCL), else on the CPU (gloo).
        device: as in `training.device`.
        threads: CPU threads of each; None divides the cores.
        ticker: moved by what the main process does to the one it is given; the others are given None.

    Raises:
        AugrecError: what a process raised, or that one was killed. The others are ended.
        UsageError: there are fewer GPUs than processes, or one particular GPU was asked for.
    """
    gpus = torch.cuda.device_count() if device != "cpu" and torch.cuda.is_available() else 0
    if device.startswith("cuda:"):
        raise UsageError(
            f"training.device names one GPU, {device}, for {processes} processes", remedy="set training.device=auto"
        )
    if (gpus or device == "cuda") and gpus < processes:
        raise UsageError(
            f"training.processes is {processes} and torch sees {gpus} GPUs",
            remedy="set training.processes to at most that, or training.device=cpu",
        )
    threads = threads or max(1, usable_cores() // processes)
    messages = mp.get_context("spawn").Queue() if ticker is not None else None
    with tempfile.TemporaryDirectory(prefix="augrec-") as folder:
        backend = "cpu:gloo,cuda:nccl" if gpus else "gloo"
        plan = (Path(folder), processes, backend, threads, messages, function, arguments)
        with (
            deaf_to_ctrl_c(),
            _environment(TORCH_CPP_LOG_LEVEL="ERROR"),
        ):  # DDP warns of every model that uses all its parameters
            context = mp.start_processes(_rank, plan, nprocs=processes, join=False, start_method="spawn")
        assert context is not None
        try:
            while not context.join(SECONDS_BETWEEN_LOOKS):
                _relay(messages, ticker)
        except ProcessRaisedException as error:
            raise _reason(Path(folder)) or AugrecError(str(error)) from None
        except ProcessExitedException as error:
            raise _reason(Path(folder)) or AugrecError(
                f"one of the {processes} processes of the training ended: {error}",
                remedy="a kill is often the kernel's, for want of memory: lower training.batch_size or "
                "training.processes. The same command goes on from the last snapshot",
            ) from None
        finally:
            _end(context)
            _relay(messages, ticker)


def _rank(
    rank: int,
    folder: Path,
    size: int,
    backend: str,
    threads: int,
    messages: Any,
    function: Callable[..., Any],
    arguments: tuple[Any, ...],
) -> None:
    begin_child()
    os.environ.update(
        {name: str(rank) for name in ("RANK", "LOCAL_RANK")}
        | {name: str(size) for name in ("WORLD_SIZE", "LOCAL_WORLD_SIZE")}
        | {"OMP_NUM_THREADS": str(threads)}
    )
    torch.set_num_threads(threads)
    if "nccl" in backend:
        torch.cuda.set_device(rank)
    # A file needs no free port, and none can be taken by a neighbour in the meantime.
    dist.init_process_group(backend, init_method=f"file://{folder / 'rendezvous'}", rank=rank, world_size=size)
    try:
        function(*arguments, _Relay(messages) if rank == 0 and messages is not None else None)
        dist.barrier()  # nobody closes a connection that another still uses
    except AugrecError as error:
        (folder / f"error-{rank}").write_bytes(pickle.dumps(error))
        raise
    if messages is not None:
        messages.close()
        messages.join_thread()
    end_process()


def end_process() -> NoReturn:
    """Ends one of several processes that have trained, with status 0; the last call of a script under torchrun.

    Threads of gloo may outlive its group, and taking the interpreter down under them sometimes aborts a process that
    has finished. All processes have to be done when the first of them comes here (`torch.distributed.barrier`).
    """
    dist.destroy_process_group()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


@contextmanager
def _environment(**values: str) -> Iterator[None]:
    """Environment variables for processes that are started inside the block, unless they are set already."""
    added = {name: value for name, value in values.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            del os.environ[name]


class _Relay:
    """A ticker whose calls are carried out in the process that launched this one."""

    def __init__(self, messages: Any) -> None:
        self._messages = messages

    def advance(self, done: int = 1) -> None:
        self._messages.put(("advance", done))

    def skip(self, done: int = 1) -> None:
        self._messages.put(("skip", done))

    def note(self, text: str) -> None:
        self._messages.put(("note", text))


def _relay(messages: Any, ticker: Ticker | None) -> None:
    while messages is not None:
        try:
            name, value = messages.get_nowait()
        except queue.Empty:
            return
        getattr(ticker, name)(value)


def _reason(folder: Path) -> AugrecError | None:
    for path in sorted(folder.glob("error-*")):
        error = pickle.loads(path.read_bytes())
        assert isinstance(error, AugrecError)
        return error
    return None


def _end(context: ProcessContext) -> None:
    for process in context.processes:
        if process.is_alive():
            process.kill()
    for process in context.processes:
        process.join()
