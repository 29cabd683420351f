"""Trainings side by side: processes of their own, and what happens when one of them is killed."""

from __future__ import annotations

import multiprocessing
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from augrec.artefacts.errors import AugrecError
from augrec.artefacts.processes import begin_child, deaf_to_ctrl_c

Task = TypeVar("Task")
Done = Callable[[Task, Any, str | None], Iterable[Task]]
KILLED = (
    "its process ended abruptly, killed for want of memory, most likely, or crashed (`dmesg` says which); "
    "set `workers: 1`, or make `training.batch_size` or the model's `dim` smaller"
)


def run_tasks(work: Callable[[Task], Any], tasks: Iterable[Task], workers: int, done: Done[Task]) -> None:
    """Runs `work(task)` for every task, `workers` at a time; a failure stops no other task.

    When a process is killed from outside, the tasks that were running are run again one by one, so that only the one
    that cannot be run fails; what is left goes on with half as many workers.

    Args:
        work: a module-level function (it is sent to other processes).
        tasks: what to do, in the order of starting.
        workers: the processes.
        done: called in this process after each task with the task, its result and None, or None and the reason of its
            failure. It returns further tasks.
    """
    waiting = deque(tasks)
    while waiting:
        for suspect in _until_killed(work, waiting, waiting, workers, done):
            if _until_killed(work, deque([suspect]), waiting, 1, done):
                waiting.extend(done(suspect, None, KILLED))
        workers = max(1, workers // 2)


def _until_killed(
    work: Callable[[Task], Any], source: deque[Task], further: deque[Task], workers: int, done: Done[Task]
) -> list[Task]:
    """Works off `source`; returns the tasks that were running when a process was killed, else nothing."""
    running: dict[Future[Any], Task] = {}
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=begin_child) as pool:
        while source or running:
            try:
                with deaf_to_ctrl_c():
                    while source and len(running) < workers:
                        running[pool.submit(work, source[0])] = source[0]
                        source.popleft()
            except BrokenProcessPool:
                return _salvaged(running, further, done)
            finished, _ = wait(running, return_when=FIRST_COMPLETED)
            lost = [running.pop(future) for future in finished if isinstance(future.exception(), BrokenProcessPool)]
            for future in finished & running.keys():
                task, error = running.pop(future), future.exception()
                further.extend(done(task, None, reason(error)) if error else done(task, future.result(), None))
            if lost:
                return [*lost, *_salvaged(running, further, done)]
    return []


def _salvaged(running: dict[Future[Any], Task], further: deque[Task], done: Done[Task]) -> list[Task]:
    """What else was running when the pool broke; tasks that had just finished count as finished."""
    lost = []
    for future, task in running.items():
        error = future.exception()
        if isinstance(error, BrokenProcessPool):
            lost.append(task)
        else:
            further.extend(done(task, None, reason(error)) if error else done(task, future.result(), None))
    return lost


def reason(error: BaseException) -> str:
    """A failure in words; errors nobody foresaw are named by their type too."""
    if isinstance(error, AugrecError):
        return str(error)
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
