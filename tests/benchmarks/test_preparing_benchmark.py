"""The benchmark of preparing runs every stage of small data; its arithmetic is judged, its figures are not."""

from __future__ import annotations

import shutil
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
    shutil.rmtree(RunFolder(tmp_path).source("rules").root)  # a source keeps the number of its shards
    half = work("requests", tmp_path, 2).made
    counts = read_json(RunFolder(tmp_path).dataset_json)["counts"]
    assert (counts["users"], counts["items"]) == (120, 40)
    assert 0.7 * SMALL.interactions < made["prepare"] == counts["interactions"], (
        "only pairs that are drawn again are left out"
    )
    assert made["candidates"] == 120
    assert made["catalogue"] == 160
    assert 0 < made["requests"] < half < 2 * 120 + 40


def rounds(*seconds: float) -> list[dict[Size, dict[str, Measured]]]:
    """Rounds of one stage with two sizes: what the larger one takes in each, with the most memory in the first."""
    return [
        {
            Size(TARGET // 10): {"prepare": Measured(1.0, 10**9, 100)},
            Size(TARGET): {"prepare": Measured(larger, (5 - number) * 10**9, 1000)},
        }
        for number, larger in enumerate(seconds)
    ]


@pytest.mark.parametrize(("seconds", "growth", "ok"), [([12.0], 1.2, True), ([30.0, 12.0, 16.0], 1.6, False)])
def test_growth_is_the_median_of_the_time_for_each_and_the_most_memory_is_judged_at_the_target(
    seconds: list[float], growth: float, ok: bool
) -> None:
    results = {result.name: result for result in results_of(rounds(*seconds))}
    assert results["prepare, 200,000 interactions: peak memory"].ok is None
    memory = results["prepare, 2,000,000 interactions: peak memory"]
    assert (memory.value, memory.ok) == (5.0, False)
    found = results["prepare: time for each interaction, 2,000,000 interactions / 200,000"]
    assert found.value == pytest.approx(growth)
    assert found.ok is ok
