"""Tasks in processes of their own: failures stay with their task, also when a process is killed."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable

import pytest

from augrec.artefacts.errors import DataError
from augrec.pipeline.host.workers import KILLED, run_tasks


def work(task: str) -> str:
    """ "fail" and "odd" raise, "die" kills its own process, "deaf" says whether it is; else the task in capitals."""
    if task == "fail":
        raise DataError("no such item", remedy="look again")
    if task == "deaf":
        return str(signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ()))
    if task == "odd":
        raise KeyError("x")
    if task == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    return task.upper()


def outcome(tasks: list[str], workers: int) -> dict[str, str]:
    seen: dict[str, str] = {}

    def done(task: str, result: str | None, problem: str | None) -> Iterable[str]:
        assert task not in seen
        seen[task] = problem or str(result)
        return ["more"] if task == "first" else []

    run_tasks(work, tasks, workers, done)
    return seen


def test_ctrl_c_ends_no_process_that_is_still_starting() -> None:
    """It would with a traceback: nothing of this program can catch what comes before it is imported."""
    assert outcome(["deaf"], 1) == {"deaf": "True"}
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ()), "and this process hears it again"


def test_every_task_is_done_and_may_bring_another() -> None:
    assert outcome(["first", "b"], 2) == {"first": "FIRST", "b": "B", "more": "MORE"}


def test_failures_stop_no_other_task() -> None:
    seen = outcome(["fail", "odd", "c"], 1)
    assert "remedy: look again" in seen["fail"]
    assert seen["odd"] == "KeyError: 'x'"
    assert seen["c"] == "C"


@pytest.mark.parametrize("workers", [1, 2])
def test_only_the_task_that_kills_its_process_fails(workers: int) -> None:
    seen = outcome(["a", "die", "first", "d", "e"], workers)
    assert seen.pop("die") == KILLED
    assert seen == {"a": "A", "first": "FIRST", "d": "D", "e": "E", "more": "MORE"}
