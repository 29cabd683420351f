"""Plants small faults one at a time and says which of them no test notices.

    python tests/mutants [MODULE ...] [--sample N] [--seed S] [--jobs J]

Every mutant of a target's modules is run against that target's tests (targets.toml), in a process of its own. One that
no test notices is a survivor: a test is missing, or it is equivalent and stands in equivalent.toml with the reason.
Exit status 1 when there is a survivor without a reason, or a reason for what is no survivor any more.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import time
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

from mutations import Mutant, mutants

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
NOTICED, SURVIVED, ENDLESS = "noticed", "survived", "endless"
PACKAGES = ("augrec", "augment", "embed", "recsys")
SLOWEST = 8.0
"""A mutant whose tests take this many times as long as without it is taken to loop for ever."""
LEAST_SECONDS = 30.0
PRELOADED = ("hypothesis", "numpy", "pandas", "pyarrow.parquet", "pydantic", "pytest", "scipy.stats", "torch", "yaml")
"""Libraries that every child finds loaded; never a module of the project, which may be the one with the fault."""


@dataclass(frozen=True)
class Target:
    """Modules and the tests that answer for them."""

    modules: list[str]
    tests: list[str]
    functions: list[str] = field(default_factory=list)

    def mutants(self) -> Iterator[Mutant]:
        for module in self.modules:
            for mutant in mutants(module, source_of(module)):
                if not self.functions or mutant.function in self.functions:
                    yield mutant


def source_of(module: str) -> str:
    """The source of a module of the project, which is not imported, nor is any package around it."""
    path = ROOT.joinpath(*module.split("."))
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if candidate.is_file():
            return candidate.read_text(encoding="utf-8")
    raise SystemExit(f"targets.toml names {module}, which is no module")


class MutatedModule:
    """A finder that gives one module another source (importlib.abc.MetaPathFinder)."""

    def __init__(self, mutant: Mutant) -> None:
        self._mutant = mutant

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: object = None) -> ModuleSpec | None:
        if name != self._mutant.module:
            return None
        spec = PathFinder.find_spec(name, path)
        assert spec is not None
        spec.loader.get_code = lambda _: compile(self._mutant.source, spec.origin or name, "exec")  # type: ignore
        return spec


def run_tests(tests: Sequence[str], mutant: Mutant | None, seconds: float | None) -> int:
    """Starts the tests in a child process, with a fault or without; returns its number."""
    child = os.fork()
    if child:
        return child
    os.setsid()
    silence = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(silence, stream)
    if seconds is not None:
        signal.setitimer(signal.ITIMER_REAL, seconds)  # its signal ends the process
    status = 70
    try:
        import pytest

        assert not any(name.partition(".")[0] in PACKAGES for name in sys.modules), "a module of the project is loaded"
        if mutant is not None:
            sys.meta_path.insert(0, MutatedModule(mutant))
        status = int(pytest.main([*tests, "-x", "-q", "-p", "no:cacheprovider", "-o", "timeout=0"]))
    finally:
        os._exit(status)


def outcome(status: int) -> str:
    """What a child's exit status says of its mutant."""
    if os.WIFSIGNALED(status):
        return ENDLESS if os.WTERMSIG(status) == signal.SIGALRM else NOTICED
    return NOTICED if os.WEXITSTATUS(status) else SURVIVED


def judged(target: Target, chosen: Iterable[Mutant], jobs: int) -> Iterator[tuple[Mutant, str]]:
    """Every mutant with its outcome, `jobs` at a time."""
    began = time.monotonic()
    _, status = os.waitpid(run_tests(target.tests, None, None), 0)
    if outcome(status) != SURVIVED:
        raise SystemExit(
            f"the tests of {', '.join(target.modules)} fail, or none runs, without any fault: mend them first"
        )
    limit = max(LEAST_SECONDS, SLOWEST * (time.monotonic() - began))
    running: dict[int, Mutant] = {}
    waiting = iter(chosen)
    while True:
        while len(running) < jobs and (mutant := next(waiting, None)) is not None:
            running[run_tests(target.tests, mutant, limit)] = mutant
        if not running:
            return
        child, status = os.wait()
        with suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)  # what the tests themselves started
        yield running.pop(child), outcome(status)


def equivalents() -> dict[tuple[str, str, str, str], str]:
    """The reasons why mutants are equivalent, by their place."""
    entries = tomllib.loads((HERE / "equivalent.toml").read_text(encoding="utf-8")).get("mutant", [])
    return {(entry["module"], entry["function"], entry["before"], entry["after"]): entry["reason"] for entry in entries}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python tests/mutants", description=__doc__.split("\n")[0])  # type: ignore[union-attr]
    parser.add_argument("modules", nargs="*", help="only these modules")
    parser.add_argument("--sample", type=int, help="at most so many mutants of each target")
    parser.add_argument("--seed", type=int, default=0, help="of the sample")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    options = parser.parse_args(arguments)
    os.chdir(ROOT)
    sys.path.insert(0, str(ROOT))
    for name in PRELOADED:
        __import__(name)
    sys.modules["torch"].set_num_threads(1)
    reasons, used, unexplained = equivalents(), set(), 0
    for entry in tomllib.loads((HERE / "targets.toml").read_text(encoding="utf-8"))["target"]:
        target = Target(**entry)
        if options.modules:
            target = Target([name for name in target.modules if name in options.modules], target.tests)
        chosen = list(target.mutants())
        if options.sample and len(chosen) > options.sample:
            chosen = random.Random(options.seed).sample(chosen, options.sample)
        counts = {NOTICED: 0, ENDLESS: 0, SURVIVED: 0, "equivalent": 0}
        for mutant, how in judged(target, chosen, options.jobs) if chosen else ():
            if how == SURVIVED and mutant.place in reasons:
                used.add(mutant.place)
                how = "equivalent"
            counts[how] += 1
            if how == SURVIVED:
                unexplained += 1
                print(f"{how}: {mutant.module}:{mutant.line} {mutant.function}", flush=True)
                print(f"    - {_short(mutant.before)}\n    + {_short(mutant.after)}", flush=True)
            elif how != "equivalent" and mutant.place in reasons:
                unexplained += 1
                print(f"no survivor, and yet in equivalent.toml: {mutant.place}", flush=True)
        if chosen:
            print(f"{', '.join(target.modules)}: " + ", ".join(f"{n} {how}" for how, n in counts.items()), flush=True)
    if not options.modules and not options.sample:
        for place in reasons.keys() - used:
            unexplained += 1
            print(f"in equivalent.toml, and no mutant any more: {place}")
    return int(unexplained > 0)


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 200 else f"{line[:197]}..."
