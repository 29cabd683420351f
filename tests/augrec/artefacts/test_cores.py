"""Cores: what affinity and control groups leave, what others leave free, and how many threads that is worth."""

from __future__ import annotations

import math
import os
from pathlib import Path

import pytest

from augrec.artefacts.cores import (
    CoreWatch,
    affinity,
    busy_seconds,
    cgroup_quota,
    thread_count,
    usable_cores,
    wished_threads,
)

TICKS = os.sysconf("SC_CLK_TCK")


def system(root: Path, groups: str, **files: str) -> Path:
    """A root with a process in some control groups; `files` by their path with __ for /."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(groups)
    for name, text in files.items():
        path = root / "sys/fs/cgroup" / name.replace("__", "/").replace("_max", ".max").replace("cfs", "cpu.cfs")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.mark.parametrize(
    ("groups", "files", "quota"),
    [
        ("0::/\n", {"cpu_max": "150000 100000\n"}, 1.5),
        ("0::/job/step\n", {"job__cpu_max": "400000 100000", "job__step__cpu_max": "max 100000"}, 4.0),
        ("0::/job/step\n", {"job__cpu_max": "400000 100000", "job__step__cpu_max": "100000 50000"}, 2.0),
        ("0::/\n", {"cpu_max": "max 100000\n"}, math.inf),
        ("0::/elsewhere/of/the/host\n", {"cpu_max": "300000 100000"}, 3.0),
        ("3:cpuset:/\n1:cpu,cpuacct:/p\n", {"cpu__p__cfs_quota_us": "250000", "cpu__p__cfs_period_us": "100000"}, 2.5),
        ("1:cpu:/\n0::/\n", {"cpu__cfs_quota_us": "-1", "cpu__cfs_period_us": "100000"}, math.inf),
        ("", {}, math.inf),
        ("0::/\n", {"cpu_max": "nonsense"}, math.inf),
        ("0::/\n", {"cpu_max": "100000 0"}, math.inf),
    ],
)  # fmt: skip
def test_the_quota_of_every_group_binds(tmp_path: Path, groups: str, files: dict[str, str], quota: float) -> None:
    root = system(tmp_path, groups, **files)
    assert cgroup_quota(root) == quota
    assert usable_cores(root) == max(1, min(len(affinity()), math.floor(min(quota, 1000))))


def test_less_than_a_core_is_one(tmp_path: Path) -> None:
    assert usable_cores(system(tmp_path, "0::/\n", cpu_max="50000 100000")) == 1


def stat(root: Path, busy: dict[int, float], idle: float = 100.0) -> None:
    """Seconds each core was busy since the start; user, system and steal share them."""
    lines = ["cpu  1 2 3 4 5 6 7 8 0 0"]
    for core, seconds in busy.items():
        parts = (seconds / 2, 0, seconds / 4, idle, idle, 0, 0, seconds / 4, seconds, 0)
        lines.append(f"cpu{core} " + " ".join(str(round(part * TICKS)) for part in parts))
    (root / "proc").mkdir(exist_ok=True)
    (root / "proc/stat").write_text("\n".join([*lines, "intr 1 2"]) + "\n")


def test_idle_waiting_and_guest_time_are_not_busy(tmp_path: Path) -> None:
    stat(tmp_path, {0: 8.0, 1: 4.0, 7: 50.0})
    assert busy_seconds(frozenset({0, 1}), tmp_path) == pytest.approx(12.0)
    assert busy_seconds(frozenset({99}), tmp_path) is None
    assert busy_seconds(frozenset({0}), tmp_path / "nowhere") is None


@pytest.fixture
def four_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2, 3})


@pytest.mark.usefixtures("four_cores")
@pytest.mark.parametrize(
    ("used_by_all", "own", "free"),
    [(0.0, 0.0, 4.0), (20.0, 20.0, 4.0), (20.0, 10.0, 3.0), (40.0, 10.0, 1.0), (40.0, 0.0, 0.0), (5.0, 20.0, 4.0)],
)
def test_what_others_leave_is_free_and_ones_own_work_counts_as_free(
    tmp_path: Path, used_by_all: float, own: float, free: float
) -> None:
    now = {"clock": 50.0, "own": 7.0}
    stat(tmp_path, dict.fromkeys(range(4), 1.0))
    watch = CoreWatch(tmp_path, lambda: now["own"], lambda: now["clock"])
    now.update(clock=60.0, own=7.0 + own)
    stat(tmp_path, dict.fromkeys(range(4), 1.0 + used_by_all / 4))
    assert watch.seconds == 10.0
    assert watch.free() == pytest.approx(free, abs=0.05)
    assert watch.seconds == 0.0


@pytest.mark.usefixtures("four_cores")
def test_no_more_is_free_than_the_quota(tmp_path: Path) -> None:
    system(tmp_path, "0::/\n", cpu_max="200000 100000")
    stat(tmp_path, dict.fromkeys(range(4), 1.0))
    assert CoreWatch(tmp_path).free() <= 2.0


@pytest.mark.usefixtures("four_cores")
@pytest.mark.parametrize(("load", "free"), [(0.0, 4.0), (3.0, 1.0), (9.0, 0.0)])
def test_the_load_stands_in_where_nobody_counts_ticks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, load: float, free: float
) -> None:
    monkeypatch.setattr(os, "getloadavg", lambda: (load, 0.0, 0.0))
    assert CoreWatch(tmp_path, own=lambda: 0.0).free() == free


@pytest.mark.parametrize(
    ("free", "most", "threads"),
    [(2.0, 2, 2), (1.8, 2, 2), (1.6, 2, 1), (1.0, 2, 1), (0.0, 2, 1), (16.0, 4, 4), (7.9, 16, 8), (0.9, 1, 1)],
)
def test_a_thread_for_every_core_that_is_nearly_free(free: float, most: int, threads: int) -> None:
    assert thread_count(free, most) == threads


@pytest.mark.parametrize("now", [1, 2, 4, 16, 64])
def test_a_number_that_is_about_right_stays(now: int) -> None:
    for free in (now - 0.4, now, now + 0.5):
        assert thread_count(free, 64, now) == now
    assert thread_count(now / 2, 64, now) < now or now == 1
    assert thread_count(2 * now + 1, 128, now) > now
    assert thread_count(now, max(1, now // 2), now) == max(1, now // 2)


@pytest.mark.parametrize(
    ("value", "threads"), [("3", 3), ("4,2", 4), (" 2 ", 2), ("", None), ("0", None), ("many", None), ("-1", None)]
)
def test_the_number_a_user_wishes(monkeypatch: pytest.MonkeyPatch, value: str, threads: int | None) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", value)
    assert wished_threads() == threads
