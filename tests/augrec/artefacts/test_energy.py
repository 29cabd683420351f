"""Counters of devices, read by hand-made drivers; what runs used adds up."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from augment.accounting.energy import add_energy, energy_of
from augrec.artefacts.energy import EnergyMeter, millijoules, used


def test_energy_is_the_difference_of_counters_that_both_readings_have() -> None:
    assert used({"a": 1000, "b": 5000}, {"a": 3500, "b": 5500}) == 3.0
    assert used({"a": 1000}, {"a": 10}) is None
    assert used({"a": 1000}, {"b": 2000}) is None
    assert used(None, {"a": 1}) is None
    assert used({}, {}) is None


def driver(**more: Any) -> SimpleNamespace:
    """An NVML of two devices, whose counters run on with every look."""
    counters = {"GPU-a": 1000, "GPU-b": 9000}

    def look(name: str) -> int:
        counters[name] += 500
        return counters[name]

    parts = {
        "nvmlInit": lambda: None,
        "nvmlShutdown": lambda: None,
        "nvmlDeviceGetCount": lambda: 2,
        "nvmlDeviceGetHandleByIndex": lambda place: list(counters)[place],
        "nvmlDeviceGetHandleByUUID": lambda uuid: uuid,
        "nvmlDeviceGetUUID": lambda name: name,
        "nvmlDeviceGetTotalEnergyConsumption": look,
    }
    return SimpleNamespace(**(parts | more))


@pytest.mark.parametrize(("visible", "joules"), [(None, 1.0), ("1", 0.5), ("GPU-a", 0.5), ("0, 1", 1.0), ("", None)])
def test_the_meter_reads_the_devices_that_are_visible(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, visible: str | None, joules: float | None
) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", driver())
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    with EnergyMeter(tmp_path) as meter:
        assert meter.joules is None
    assert meter.joules == joules


def test_devices_and_packages_add_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", driver())
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    package = tmp_path / "intel-rapl:0"
    package.mkdir()
    for name, content in (("name", "package-0"), ("max_energy_range_uj", "9000000"), ("energy_uj", "8000000")):
        (package / name).write_text(content)
    with EnergyMeter(tmp_path) as meter:
        (package / "energy_uj").write_text("1500000")
    assert meter.joules == 0.5 + 2.5


def test_a_meter_without_a_driver_says_nothing_and_hides_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("no driver")

    for module in (None, driver(nvmlInit=broken), driver(nvmlDeviceGetTotalEnergyConsumption=broken)):
        monkeypatch.setitem(sys.modules, "pynvml", module)
        assert millijoules() is None
        with pytest.raises(KeyError), EnergyMeter(tmp_path) as meter:
            raise KeyError
        assert meter.joules is None


def test_energy_adds_up_over_runs_and_processes(tmp_path: Path) -> None:
    assert energy_of(tmp_path) is None
    for shard, joules in ((0, 1.5), (0, 2.0), (3, 4.0), (3, None)):
        add_energy(tmp_path, shard, joules)
    assert energy_of(tmp_path) == 7.5
