"""Which tests run which lines of a module, and how long each takes: one recorded run of a target's tests.

Only the order in which tests are tried for a mutant comes from it, so that a record that misses something (what runs in
another process, what a test keeps for the next one) costs time and hides nothing. A record is made of tests that pass,
and is kept beside the tree, in `$XDG_CACHE_HOME/augrec-mutants`, until the packages or the tests change.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from coverage import Coverage

IMPORT = ""
"""The context of what runs outside tests: imports, collection."""


@dataclass
class Reached:
    """What one run of tests reached.

    Args:
        seconds: of every test, with its fixtures, by its node id.
        tests: node ids by file and line.
        imported: lines that run while modules are imported, by file; all that run of one that tests import themselves.
        loaded: modules that were loaded while tests ran, in that order.
        total: seconds of the whole run.
        computed: seconds of the CPU that this process took for it.
    """

    seconds: dict[str, float] = field(default_factory=dict)
    tests: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    imported: dict[str, list[int]] = field(default_factory=dict)
    loaded: list[str] = field(default_factory=list)
    total: float = 0.0
    computed: float = 0.0

    def ordered(self, tests: Sequence[str], file: Path, line: int) -> list[int]:
        """Positions of node ids: those that reach the line or are new by files, the fastest first, then the rest."""
        lines = self.tests.get(str(file), {})
        above = [known for known in map(int, lines) if known <= line]
        near = set(lines[str(max(above))]) if above else set()
        reaching = [at for at, test in enumerate(tests) if test in near or test not in self.seconds]
        fastest: dict[str, float] = defaultdict(lambda: float("inf"))
        for at in reaching:
            name = tests[at].partition("::")[0]
            fastest[name] = min(fastest[name], self.seconds.get(tests[at], 0.0))

        def soonest(at: int) -> tuple[float, str, float]:
            name = tests[at].partition("::")[0]
            return fastest[name], name, self.seconds.get(tests[at], 0.0)

        first = sorted(reaching, key=soonest)
        return first + sorted({*range(len(tests))} - {*first})


class Recorder:
    """A pytest plugin that gives every test, and every fixture that several tests share, a context of its own."""

    def __init__(self, coverage: Coverage) -> None:
        self._coverage = coverage
        self._contexts = [IMPORT]
        self._collected: set[str] = set()
        self.seconds: dict[str, float] = {}
        self.fixtures: dict[str, tuple[str, ...]] = {}

    def pytest_collection_finish(self) -> None:
        self._collected = {*sys.modules}

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self.fixtures[item.nodeid] = tuple(getattr(item, "fixturenames", ()))
        began = time.perf_counter()
        try:
            return (yield from self._within(item.nodeid))
        finally:
            self.seconds[item.nodeid] = time.perf_counter() - began

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_fixture_setup(self, fixturedef: pytest.FixtureDef[object]) -> Iterator[None]:
        if fixturedef.scope == "function":
            return (yield)
        return (yield from self._within(_shared(fixturedef.argname)))

    def _within(self, context: str) -> Iterator[None]:
        self._contexts.append(context)
        self._coverage.switch_context(context)
        try:
            return (yield)
        finally:
            self._contexts.pop()
            self._coverage.switch_context(self._contexts[-1])

    def reached(self, files: Sequence[Path], total: float, computed: float) -> Reached:
        users: dict[str, list[str]] = defaultdict(list)
        for test, names in self.fixtures.items():
            users[test].append(test)
            for name in names:
                users[_shared(name)].append(test)
        loaded = [name for name in sys.modules if name not in self._collected]
        found = Reached(seconds=self.seconds, loaded=loaded, total=total, computed=computed)
        data = self._coverage.get_data()
        for file in files:
            by_line = data.contexts_by_lineno(str(file))
            at_import = [line for line, contexts in by_line.items() if IMPORT in contexts]
            found.imported[str(file)] = sorted(at_import or by_line)
            found.tests[str(file)] = {
                str(line): sorted({test for context in contexts for test in users.get(context, [])})
                for line, contexts in by_line.items()
            }
        return found


def _shared(fixture: str) -> str:
    return f"fixture {fixture}"


def record(tests: Sequence[str], arguments: Sequence[str], files: Sequence[Path], kept: Path) -> int:
    """Runs the tests in this process, which has none of the project's modules loaded; pytest's status."""
    from coverage import Coverage

    coverage = Coverage(data_file=None, config_file=False, include=[str(file) for file in files], messages=False)
    recorder = Recorder(coverage)
    began, cpu = time.monotonic(), time.process_time()
    coverage.start()
    status = int(pytest.main([*tests, *arguments], plugins=[recorder]))
    coverage.stop()
    if status == 0:
        kept.parent.mkdir(parents=True, exist_ok=True)
        draft = kept.with_suffix(f".{os.getpid()}")
        reached = recorder.reached(files, time.monotonic() - began, time.process_time() - cpu)
        draft.write_text(json.dumps(asdict(reached)), encoding="utf-8")
        draft.replace(kept)
    return status


def kept_at(root: Path, packages: Sequence[str], modules: Sequence[str], tests: Sequence[str]) -> Path:
    """Where the record of these tests is kept: by the content of the packages, of what tests share and of the tests."""
    shared = [*root.glob("tests/**/conftest.py"), *root.glob("tests/kit/**/*.py"), *root.glob("tests/**/toy_*.py")]
    sources = [path for package in packages for path in root.joinpath(package).rglob("*.py")]
    names = [*Reached.__dataclass_fields__, str(root), *modules, *tests]
    digest = hashlib.sha256(json.dumps(names).encode())
    for path in sorted({*sources, *shared, *(root / test.partition("::")[0] for test in tests)}):
        digest.update(str(path).encode() + hashlib.sha256(path.read_bytes()).digest())
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "augrec-mutants" / f"{digest.hexdigest()[:32]}.json"


def read(kept: Path) -> Reached:
    return Reached(**json.loads(kept.read_text(encoding="utf-8")))
