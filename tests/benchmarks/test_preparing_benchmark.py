"""The benchmark of preparing runs every stage of small data; its arithmetic is judged, its figures are not."""

from __future__ import annotations

from pathlib import Path

import pytest

from augrec.artefacts.files import read_json
from augrec.artefacts.run_folder import RunFolder
from benchmarks.preparing import FEW, STAGES, TARGET, TINY, Measured, Size, results_of, work, write_files

SMALL = Size(1_200)


def test_each_stage_reads_what_the_one_before_it_wrote(tmp_path: Path) -> None:
    write_files(tmp_path, SMALL)
    write_files(tmp_path / TINY, Size(FEW))
    made = {stage: work(stage, tmp_path).made for stage in STAGES}
    counts = read_json(RunFolder(tmp_path).dataset_json)["counts"]
    assert (counts["users"], counts["items"]) == (120, 40)
    assert 0.7 * SMALL.interactions < made["prepare"] == counts["interactions"], (
        "only pairs that are drawn again are left out"
    )
    assert made["candidates"] == 120
    assert made["catalogue"] == 160
    assert 0 < made["requests"] < 2 * 120 + 40


def test_growth_is_of_the_time_for_each_and_memory_is_judged_at_the_target() -> None:
    sizes = {
        Size(TARGET // 10): {"prepare": Measured(1.0, 10**9, 100)},
        Size(TARGET): {"prepare": Measured(12.0, 5 * 10**9, 1000)},
    }
    results = {result.name: result for result in results_of(sizes)}
    assert results["prepare, 200,000 interactions: peak memory"].ok is None
    assert results["prepare, 2,000,000 interactions: peak memory"].ok is False
    growth = results["prepare: time for each interaction, 2,000,000 interactions / 200,000"]
    assert growth.value == pytest.approx(1.2)
    assert growth.ok
