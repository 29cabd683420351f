"""The benchmark of reading runs on small files; its figures are not judged here, its arithmetic is."""

from __future__ import annotations

import json
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import pytest

from augrec.artefacts.errors import AugrecError
from benchmarks import reading
from benchmarks.reading import Measured, results_of


def test_ten_million_lines_are_extrapolated_from_what_more_lines_took_or_measured() -> None:
    sizes = Measured(1_000_000, 10.0, 400_000_000), Measured(2_000_000, 30.0, 550_000_000)
    results = {result.name: result for result in results_of("x", *sizes)}
    assert results["x: 10,000,000 lines, extrapolated"].value == pytest.approx(1.75)
    assert results["x: 10,000,000 lines, extrapolated"].ok
    assert results["x: time per million lines"].value == 15
    assert not results_of("x", sizes[0], Measured(2_000_000, 30.0, 600_000_000))[-1].ok
    assert [result.ok for result in results_of("x", sizes[1], sizes[1])] == [None, None]
    for memory, fits in ((1_900_000_000, True), (2_100_000_000, False)):
        found = results_of("x", sizes[0], Measured(10_000_000, 300.0, memory))
        assert (found[0].name, found[0].ok) == ("x: 10,000,000 lines, peak memory", fits)
        assert not any("extrapolated" in result.name for result in found)


def in_this_process(way: str, folder: Path, lines: int) -> Measured:
    """What `measure` does, without a process, of which each loads pandas anew."""
    with redirect_stdout(StringIO()) as said:
        reading.main(["--work", way, str(folder)])
    seconds, memory = said.getvalue().split()
    return Measured(lines, float(seconds), int(memory))


def test_small_files_are_written_read_and_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "measure", in_this_process)
    reading.main(["--lines", "3000", "6000", "--json", str(tmp_path / "x.json")])
    names = {row["name"]: row for row in json.loads((tmp_path / "x.json").read_text())}
    memory = [row["value"] for name, row in names.items() if "6,000 lines, peak memory" in name]
    assert len(memory) == 3
    assert min(memory) > 0.05


def test_one_way_and_one_size_are_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "measure", lambda way, folder, lines: Measured(lines, 1.0, 10**8))
    assert reading.main(["--lines", "300", "--ways", "whole", "--json", str(tmp_path / "x.json")]) == 0
    names = [row["name"] for row in json.loads((tmp_path / "x.json").read_text())]
    assert names == ["all stays: 300 lines, peak memory", "all stays: time per million lines"]


def test_a_way_has_a_process_of_its_own(tmp_path: Path) -> None:
    reading.write_files(tmp_path, 3000)
    found = reading.measure("whole", tmp_path, 3000)
    assert found.lines == 3000
    assert found.seconds > 0
    assert found.memory > 5e7


def test_a_way_that_fails_is_said(tmp_path: Path) -> None:
    with pytest.raises(AugrecError, match=r"(?s)reading by pandas failed"):
        reading.measure("pandas", tmp_path, 1)
