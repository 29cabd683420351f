"""Signals: held back, polled for, or interrupting; each in a process of its own."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from augment.engines.heuristic import HeuristicEngine
from augment.engines.stoppable import StoppableEngine
from augment.messages import Completion
from augrec.pipeline.host.stopping import Stopped, Stopper
from tests.kit.machine_speed import patience

BEGIN = """
import os, signal, subprocess, sys
from augrec.pipeline.host.stopping import Stopped, Stopper
stop = Stopper()
me = os.getpid()
signal.signal(signal.SIGINT, signal.default_int_handler)  # who runs the tests may ignore it, as jobs behind `&` do
"""


def run(code: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-c", BEGIN + code],
        capture_output=True,
        text=True,
        check=False,
        timeout=patience(60),
        cwd=ROOT,
    )
    return done.returncode, done.stdout + done.stderr


ROOT = Path(__file__).parents[4]


@pytest.mark.parametrize("name", ["SIGUSR1", "SIGTERM", "SIGINT"])
def test_work_that_does_not_look_is_interrupted(name: str) -> None:
    code = f"""
with stop.listening():
    try:
        try:
            os.kill(me, signal.{name})
            signal.pause()
        except Exception:
            print("taken for a failure")
    except Stopped as stopped:
        print(stopped.exit_code, stopped.what)
before = signal.default_int_handler if "{name}" == "SIGINT" else signal.SIG_DFL
print(signal.getsignal(signal.{name}) == before, signal.getitimer(signal.ITIMER_REAL))
"""
    assert run(code) == (0, f"75 stopped by {name}\nTrue (0.0, 0.0)\n")


def test_work_that_looks_is_left_to_finish_a_piece() -> None:
    code = """
with stop.listening():
    try:
        with stop.polled():
            os.kill(me, signal.SIGUSR1)
            print("a whole piece", stop.requested)
        stop.check()
    except Stopped:
        print("stopped")
"""
    assert run(code) == (0, "a whole piece SIGUSR1\nstopped\n")


def test_ctrl_c_twice_does_not_wait_for_a_piece() -> None:
    code = """
with stop.listening(), stop.polled():
    os.kill(me, signal.SIGINT)
    print(stop.requested, flush=True)
    try:
        os.kill(me, signal.SIGINT)
        signal.pause()
    except Stopped as stopped:
        print(stopped.what)
"""
    said = "\nstopping when what is under way is finished; Ctrl-C again stops at once\n"
    assert run(code) == (0, f"SIGINT\nstopped by SIGINT\n{said}")


@pytest.mark.parametrize("end", ["os.kill(me, signal.SIGINT); signal.pause()", "last = Last(); sys.exit(code)"])
def test_ctrl_c_on_the_way_out_does_not_change_the_exit_code(end: str) -> None:
    """Before the interpreter goes down, and while it does, which takes a second with torch in it."""
    code = f"""
from augrec.pipeline.host.exit_codes import exit_code
def command():
    raise Stopped("SIGINT")
class Last:
    def __del__(self, kill=os.kill, number=signal.SIGINT):
        kill(me, number)
code = exit_code(command, lambda: False)
{end}
"""
    assert run(code) == (75, f"augrec: {Stopped('SIGINT')}\n")


def test_what_runs_in_the_background_goes_on_ignoring_ctrl_c() -> None:
    code = """
signal.signal(signal.SIGINT, signal.SIG_IGN)
with stop.listening():
    os.kill(me, signal.SIGINT)
    print(stop.requested)
"""
    assert run(code) == (0, "None\n")


def test_an_engine_that_ctrl_c_ended_too_has_not_failed() -> None:
    stop = Stopper()

    class Ended(HeuristicEngine):
        def run(self, requests: object) -> Iterator[Completion]:
            stop.requested = "SIGINT"
            raise RuntimeError("the engine's process is gone")
            yield

    with pytest.raises(Stopped, match="SIGINT"):
        list(StoppableEngine(Ended(), check=stop.check).run([]))


def test_a_piece_that_takes_too_long_is_interrupted_and_then_ended() -> None:
    code = """
from augrec.pipeline.host import stopping
stopping.GRACE_SECONDS[signal.SIGUSR1] = stopping.LAST_SECONDS = 0.2
with stop.listening(), stop.polled():
    os.kill(me, signal.SIGUSR1)
    try:
        signal.pause()
    except Stopped:
        print("interrupted", flush=True)
    signal.pause()
"""
    assert run(code) == (75, "interrupted\n")


def test_a_signal_during_the_start_spares_children_and_is_not_lost() -> None:
    code = """
with stop.listening():
    try:
        with stop.polled(), stop.shielded():
            child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
            os.kill(me, signal.SIGUSR1)
            child.send_signal(signal.SIGUSR1)
            child.communicate(b"\\n")
            print("child", child.returncode, stop.requested)
        stop.check()
    except Stopped as stopped:
        print(stopped.what)
"""
    assert run(code) == (0, "child 0 None\nstopped by SIGUSR1\n")


def test_a_signal_during_the_start_is_not_swallowed_by_another_thread() -> None:
    code = """
import threading
threading.Thread(target=threading.Event().wait, daemon=True).start()
with stop.listening():
    try:
        with stop.polled(), stop.shielded():
            child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
            os.kill(me, signal.SIGUSR1)
            child.send_signal(signal.SIGUSR1)
            child.communicate(b"\\n")
            print("child", child.returncode)
        stop.check()
    except Stopped as stopped:
        print(stopped.what)
"""
    assert run(code) == (0, "child 0\nstopped by SIGUSR1\n")


def test_without_the_shield_a_child_dies_of_it() -> None:
    code = """
with stop.listening():
    child = subprocess.Popen([sys.executable, "-c", "import signal; print(flush=True); signal.pause()"], stdout=-1)
    child.stdout.readline()
    child.send_signal(signal.SIGUSR1)
    print(child.wait())
"""
    assert run(code) == (0, f"{-signal.SIGUSR1}\n")


def test_an_engine_that_can_be_stopped_speaks_as_its_inner_one_does() -> None:
    silent = HeuristicEngine()
    assert StoppableEngine(silent, check=Stopper().check).pulse() == ""

    class Speaking(HeuristicEngine):
        def pulse(self) -> str:
            return "read 512 tokens, wrote 0"

    assert StoppableEngine(Speaking(), check=Stopper().check).pulse() == "read 512 tokens, wrote 0"
