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


def test_ten_million_lines_are_extrapolated_from_what_more_lines_took() -> None:
    filtered = Measured(1_000_000, 10.0, 400_000_000), Measured(2_000_000, 20.0, 550_000_000)
    whole = Measured(1_000_000, 10.0, 500_000_000), Measured(2_000_000, 30.0, 800_000_000)
    results = {result.name: result for result in results_of(filtered, whole, Measured(2_000_000, 30.0, 3_000_000_000))}
    assert results["filtered: 10,000,000 lines, extrapolated"].value == pytest.approx(1.75)
    assert results["filtered: 10,000,000 lines, extrapolated"].ok
    assert results["all stays: 10,000,000 lines, extrapolated"].value == pytest.approx(3.2)
    assert results["all stays: time per million lines"].value == 15
    assert not results_of(whole, filtered, filtered[0])[1].ok


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


def test_a_way_has_a_process_of_its_own(tmp_path: Path) -> None:
    reading.write_files(tmp_path, 3000)
    found = reading.measure("whole", tmp_path, 3000)
    assert found.lines == 3000
    assert found.seconds > 0
    assert found.memory > 5e7


def test_a_way_that_fails_is_said(tmp_path: Path) -> None:
    with pytest.raises(AugrecError, match=r"(?s)reading by pandas failed"):
        reading.measure("pandas", tmp_path, 1)
