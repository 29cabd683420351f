"""Counters of CPU packages, in trees made by hand as Linux shows them."""

from __future__ import annotations

from pathlib import Path

import pytest

from augrec.artefacts.cpu_energy import PackageMeter, zones
from augrec.artefacts.energy import EnergyMeter

LARGEST = 262_143_328_850


@pytest.fixture
def powercap(tmp_path: Path) -> Path:
    """Two packages, of which one has memory and cores, their shadows, the platform, and another control type."""
    tree = {
        "intel-rapl": None,
        "intel-rapl:0": "package-0",
        "intel-rapl:0:0": "core",
        "intel-rapl:0:1": "dram",
        "intel-rapl:1": "package-1-die-0",
        "intel-rapl:2": "psys",
        "intel-rapl-mmio:0": "package-0",
        "dtpm:0": "package-0",
    }
    for folder, name in tree.items():
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "enabled").write_text("1\n")
        if name is not None:
            (tmp_path / folder / "name").write_text(f"{name}\n")
            (tmp_path / folder / "max_energy_range_uj").write_text(f"{LARGEST}\n")
            show(tmp_path, folder, 1_000_000)
    return tmp_path


def show(powercap: Path, zone: str, microjoules: int) -> None:
    """Lets a counter show this."""
    (powercap / zone / "energy_uj").write_text(f"{microjoules}\n")


def test_packages_and_memory_are_counted_and_nothing_twice(powercap: Path) -> None:
    assert [zone.folder.name for zone in zones(powercap)] == ["intel-rapl:0", "intel-rapl:0:1", "intel-rapl:1"]
    meter = EnergyMeter(powercap)
    with meter:
        assert meter.joules is None
        for number, folder in enumerate(sorted(powercap.glob("*:*"))):
            show(powercap, folder.name, 1_000_000 + 10**number)
        counted = ("intel-rapl:0", "intel-rapl:0:1", "intel-rapl:1")
        expected = sum(int((powercap / zone / "energy_uj").read_text()) - 1_000_000 for zone in counted) / 1e6
    assert meter.joules == pytest.approx(expected, rel=1e-12)


def test_a_counter_that_began_anew_goes_on(powercap: Path) -> None:
    meter = PackageMeter(powercap)
    meter.start()
    for shown in (LARGEST - 500_000, 2_000_000, LARGEST, 250_000):
        show(powercap, "intel-rapl:0", shown)
        meter.look()
    assert meter.stop() == pytest.approx((2 * LARGEST - 1_000_000 + 250_000) / 1e6, rel=1e-12)


@pytest.mark.parametrize("content", ["", "none\n"])
def test_a_counter_that_is_lost_makes_the_sum_unknown(powercap: Path, content: str) -> None:
    meter = EnergyMeter(powercap)
    with meter:
        (powercap / "intel-rapl:1" / "energy_uj").write_text(content)
    assert meter.joules is None


def test_no_counter_that_may_be_read_is_no_energy(
    powercap: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = Path.read_text

    def refused(path: Path, *given: str) -> str:
        if path.name == "energy_uj":
            raise PermissionError(13, "Permission denied", str(path))
        return read(path, *given)

    elsewhere = tmp_path_factory.mktemp("other")
    assert zones(elsewhere) == zones(elsewhere / "missing") == []
    monkeypatch.setattr(Path, "read_text", refused)  # modes of files do not stop the administrator
    meter = EnergyMeter(powercap)
    with meter:
        pass
    assert zones(powercap) == []
    assert meter.joules is None
