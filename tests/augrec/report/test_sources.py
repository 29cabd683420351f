"""What a run's summary says of its sources."""

from __future__ import annotations

from pathlib import Path

from augrec.artefacts.files import write_json
from augrec.report.sources import NOT_RECORDED, read_summaries


def test_a_run_without_a_summary_has_no_sources(tmp_path: Path) -> None:
    assert read_summaries(tmp_path / "summary.json") == {}


def test_what_wrote_a_source_on_what_and_how_long(tmp_path: Path) -> None:
    path = tmp_path / "summary.json"
    llm = {"engine": "vllm", "llm": True, "model": "small", "device": "card", "devices": 2}
    tasks = {"user_profile": {"seconds": 2.5}, "edges": {"seconds": None}, "item_attributes": {"seconds": 1.0}}
    sources = {
        "llm": {"engine": llm, "tasks": tasks, "energy_joules": 90.0},
        "rule": {"engine": {"engine": "heuristic", "llm": False}, "tasks": {"edges": {"seconds": 0.0}}},
        "bare": {},
    }
    write_json(path, {"sources": sources})
    found = read_summaries(path)
    assert list(found) == ["llm", "rule", "bare"]
    written = found["llm"]
    assert (written.llm, written.model, written.weights) == (True, "small", "small")
    assert (written.device, written.devices, written.seconds, written.energy_joules) == ("card", 2, 3.5, 90.0)
    assert (found["rule"].llm, found["rule"].model, found["rule"].weights) == (False, "heuristic", None)
    assert found["rule"].seconds is None  # nothing was generated
    assert found["bare"] == NOT_RECORDED
