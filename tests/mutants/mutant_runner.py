"""Plants small faults one at a time and says which of them no test notices.

    python tests/mutants [MODULE ...] [--at-most N] [--seed S] [--jobs J]

Every mutant of a target's modules is run against that target's tests (targets.toml), in a process of its own: forked
after the tests were collected where the fault can be planted in a loaded function (live_functions.py), else one that
imports the module with it. The tests that reach its line come first, the fastest first (reached_lines.py), and all of
them are asked before it is called a survivor: then a test is missing, or it is equivalent and stands in
equivalent.toml with the reason. `--at-most` draws so many of each module, without those of equivalent.toml.
Exit status 1 when there is a survivor without a reason, or a reason for what is no survivor any more.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
import tomllib
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from importlib import import_module
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

import pytest
from forks import ENDLESS, NOTICED, SURVIVED, Limits, forked, in_turns, outcome
from hypothesis import Phase, settings
from live_functions import LiveModule, Plant
from mutations import Mutant, mutants
from reached_lines import Reached, kept_at, read, record

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PACKAGES = ("augrec", "augment", "embed", "recsys")
SOUND = -1
"""In place of a mutant's position: no mutant at all."""
SLOWEST = 8.0
"""A mutant whose tests take this many times as long as without it is taken to loop for ever."""
LEAST_SECONDS = 30.0
BUSY = 20.0
"""On a machine that does other work a second of the CPU may take this many."""
PRELOADED = ("hypothesis", "numpy", "pandas", "pyarrow.parquet", "pydantic", "pytest", "scipy.stats", "torch", "yaml")
"""Libraries that every child finds loaded; never a module of the project, which may be the one with the fault."""
ARGUMENTS = ("-x", "-q", "--capture=sys", "-p", "no:cacheprovider", "--tb=no", "-o", "timeout=0")


@dataclass(frozen=True)
class Target:
    """Modules and the tests that answer for them."""

    modules: list[str]
    tests: list[str]
    functions: list[str] = field(default_factory=list)

    def mutants(self) -> Iterator[Mutant]:
        for module in self.modules:
            for mutant in mutants(module, file_of(module).read_text(encoding="utf-8")):
                if not self.functions or mutant.function in self.functions:
                    yield mutant


def file_of(module: str) -> Path:
    """Where the source of a module of the project is; it is not imported, nor is any package around it."""
    path = ROOT.joinpath(*module.split("."))
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if candidate.is_file():
            return candidate
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


class NoShrinking:
    """A pytest plugin: an example that fails need not be made small, which takes most of the time of such a test."""

    @pytest.hookimpl(trylast=True)
    def pytest_sessionstart(self) -> None:
        settings.register_profile("mutants", phases=(Phase.explicit, Phase.generate))  # all else as in conftest.py
        settings.load_profile("mutants")


class OneFault:
    """A pytest plugin: tries the tests of one mutant in the order that notices it soonest."""

    def __init__(self, mutant: Mutant, file: Path, reached: Reached) -> None:
        self._mutant, self._file, self._reached = mutant, file, reached

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        order = self._reached.ordered([item.nodeid for item in items], self._file, self._mutant.line)
        items[:] = [items[at] for at in order]


class ManyFaults:
    """A pytest plugin: after one collection, every mutant that loaded functions can take has its tests in a fork.

    Args:
        mutants: to be tried.
        reached: what the tests run without a fault.
        limits: after which a mutant is taken to loop for ever.
        jobs: forks at a time.
        said: where the outcome of each mutant goes, by its position; None says that it needs an import of its own.
        sound_first: whether to see first that without a fault the tests pass in a fork and the other way round, too.
    """

    def __init__(
        self,
        mutants: Sequence[Mutant],
        reached: Reached,
        limits: Limits,
        jobs: int,
        said: Callable[[int, str | None], None],
        *,
        sound_first: bool = False,
    ) -> None:
        self._mutants, self._reached, self._limits, self._jobs, self._said = mutants, reached, limits, jobs, said
        self._sound_first = sound_first

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        for name in self._reached.loaded:  # else every fork would load them again
            with suppress(Exception):
                import_module(name)
        modules = {}
        for name in {mutant.module for mutant in self._mutants}:
            file = file_of(name)
            modules[name] = LiveModule(
                file, file.read_text(encoding="utf-8"), self._reached.imported.get(str(file), ())
            )
        plants = [modules[mutant.module].plant(mutant) for mutant in self._mutants]
        names = [item.nodeid for item in session.items]

        def start(at: int) -> int:
            mutant, plant = self._mutants[at], plants[at]
            assert plant is not None
            order = self._reached.ordered(names, file_of(mutant.module), mutant.line)
            return forked(lambda: self._try(plant, [session.items[number] for number in order]), self._limits)

        if self._sound_first:
            sound = forked(lambda: self._try(None, session.items[::-1]), self._limits)
            self._said(SOUND, outcome(os.waitpid(sound, 0)[1]))
        for at, plant in enumerate(plants):
            if plant is None:
                self._said(at, None)
        for at, how in in_turns([at for at, plant in enumerate(plants) if plant is not None], start, self._jobs):
            self._said(at, how)
        return True

    @staticmethod
    def _try(plant: Plant | None, items: Sequence[pytest.Item]) -> int:
        if plant is not None:
            plant()
        session = items[0].session
        for item, following in zip(items, [*items[1:], None], strict=True):
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if session.testsfailed:
                return 1
        return 0


def with_tests(tests: Sequence[str], plugin: object, mutant: Mutant | None = None) -> int:
    """Runs tests in this process, whose project is not loaded yet, with a fault or without; pytest's status."""
    assert not any(name.partition(".")[0] in PACKAGES for name in sys.modules), "a module of the project is loaded"
    if mutant is not None:
        sys.meta_path.insert(0, MutatedModule(mutant))
    return int(pytest.main([*tests, *ARGUMENTS], plugins=[NoShrinking(), plugin]))


def judged(target: Target, chosen: Sequence[Mutant], jobs: int) -> Iterator[tuple[Mutant, str]]:
    """Every mutant with its outcome, `jobs` at a time."""
    files = [file_of(module) for module in target.modules]
    kept = kept_at(ROOT, PACKAGES, target.modules, target.tests)
    if new := not kept.is_file():
        os.waitpid(forked(lambda: record(target.tests, ARGUMENTS, files, kept), None), 0)
    if not kept.is_file():
        raise SystemExit(
            f"the tests of {', '.join(target.modules)} fail, or none runs, without any fault: mend them first"
        )
    reached = read(kept)
    computed = max(LEAST_SECONDS, SLOWEST * reached.computed)
    limits = Limits(computed, max(BUSY * computed, SLOWEST * reached.total))
    by_import, told = [], 0
    reader, writer = os.pipe()

    def say(at: int, how: str | None) -> None:
        os.write(writer, (json.dumps([at, how]) + "\n").encode())

    child = forked(
        lambda: with_tests(target.tests, ManyFaults(chosen, reached, limits, jobs, say, sound_first=new)), None
    )
    os.close(writer)
    try:
        with os.fdopen(reader, encoding="utf-8") as lines:
            for line in lines:
                at, how = json.loads(line)
                if at == SOUND:
                    if how != SURVIVED:
                        kept.unlink()
                        raise SystemExit(f"the tests of {', '.join(target.modules)} pass in their own order alone")
                    continue
                told += 1
                if how is None:
                    by_import.append(at)
                else:
                    yield chosen[at], how
        os.waitpid(child, 0)
    except BaseException:
        os.killpg(child, signal.SIGKILL)  # it leads a group of its own, which Ctrl-C does not reach
        raise
    if told < len(chosen):
        raise SystemExit(
            f"the tests of {', '.join(target.modules)} ended before {len(chosen) - told} mutants were tried"
        )

    def start(at: int) -> int:
        mutant = chosen[at]
        plugin = OneFault(mutant, file_of(mutant.module), reached)
        return forked(lambda: with_tests(target.tests, plugin, mutant), limits)

    for at, how in in_turns(by_import, start, jobs):
        yield chosen[at], how


def drawn(
    mutants: Iterable[Mutant], most: int, seed: int, without: Container[tuple[str, str, str, str]]
) -> list[Mutant]:
    """At most so many mutants of every module, without those whose reason is known, in the order of the source."""
    by_module: dict[str, list[Mutant]] = {}
    for mutant in mutants:
        if mutant.place not in without:
            by_module.setdefault(mutant.module, []).append(mutant)
    picked = []
    for module, those in by_module.items():
        numbers = random.Random(f"{seed} {module}").sample(range(len(those)), min(most, len(those)))
        picked += [those[number] for number in sorted(numbers)]
    return picked


def equivalents() -> dict[tuple[str, str, str, str], str]:
    """The reasons why mutants are equivalent, by their place."""
    entries = tomllib.loads((HERE / "equivalent.toml").read_text(encoding="utf-8")).get("mutant", [])
    return {(entry["module"], entry["function"], entry["before"], entry["after"]): entry["reason"] for entry in entries}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python tests/mutants", description=__doc__.split("\n")[0])  # type: ignore[union-attr]
    parser.add_argument("modules", nargs="*", help="only these modules")
    parser.add_argument("--at-most", type=int, metavar="N", help="so many mutants of each module, drawn with the seed")
    parser.add_argument("--seed", type=int, default=0, help="of the sample")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    options = parser.parse_args(arguments)
    os.chdir(ROOT)
    sys.path.insert(0, str(ROOT))
    for name in PRELOADED:
        __import__(name)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)
    targets = [Target(**entry) for entry in tomllib.loads((HERE / "targets.toml").read_text("utf-8"))["target"]]
    if unknown := {*options.modules}.difference(*(target.modules for target in targets)):
        parser.error(f"targets.toml has no {', '.join(sorted(unknown))}")
    reasons, used, unexplained = equivalents(), set(), 0
    for target in targets:
        if options.modules:
            target = replace(target, modules=[name for name in target.modules if name in options.modules])
        chosen = every = list(target.mutants())
        if options.at_most:
            chosen = drawn(every, options.at_most, options.seed, reasons)
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
            share = f"{len(chosen)} of {len(every)} mutants: " if len(chosen) < len(every) else ""
            kinds = ", ".join(f"{n} {how}" for how, n in counts.items())
            print(f"{', '.join(target.modules)}: {share}{kinds}", flush=True)
    if not options.modules and not options.at_most:
        for place in reasons.keys() - used:
            unexplained += 1
            print(f"in equivalent.toml, and no mutant any more: {place}")
    return int(unexplained > 0)


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 200 else f"{line[:197]}..."
