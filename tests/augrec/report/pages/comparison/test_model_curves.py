"""Local models side by side on a page: what was recorded, gains that are those of the comparisons, and their curves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import page_content
import pytest

from augrec.report.measures.local_models import read_local_models
from augrec.report.pages.comparison.model_curves import budget_figures, budgets_table, models_table, size_figures
from augrec.report.pages.comparison.page import render
from augrec.report.pages.comparison.results import ComparisonResults

MODEL = {
    "parameters": 134_515_008, "weight_bytes": 538_060_032.0, "requests": 200, "valid": 198, "first": 190,
    "prompt_tokens": 80_000, "completion_tokens": 20_000, "seconds": 400.0, "devices": 1, "energy_joules": 3.6e6,
}  # fmt: skip


def shown(**changes: Any) -> ComparisonResults:
    """Two models; the second arm has what the first says of a thousand users, tail first."""
    content = page_content.realistic()
    larger = {**MODEL, "arm": "smollm2", "source": "smollm2", "parameters": 494_032_768}
    content["local_models"] = [{**MODEL, "arm": "gpt35", "source": "gpt35"}, larger]
    content["co2_g_per_kwh"] = 250.0
    for arm in content["arms"]:
        if arm["name"] == "gpt35-1000":
            arm |= {"source": "gpt35", "users_by": "tail"}
    return page_content.results(content | changes)


def test_the_table_tells_size_validity_speed_energy_and_the_verdicts() -> None:
    found = models_table(shown())
    assert found is not None
    titles = [column.title for column in found.columns]
    first = dict(zip(titles, found.rows[0].cells, strict=False))
    assert [first[name].value for name in ("parameters", "weights", "energy")] == [134_515_008, 538_060_032.0, 3.6e6]
    texts = [cell.text for cell in found.rows[0].cells]
    assert {"135 M", "0.501 GiB", "99\u00a0%", "95\u00a0%", "50.0", "1 kWh", "250 g"} <= set(texts)
    assert titles.count("verdict") == 2


def test_gains_are_relative_differences_with_the_interval_of_the_comparison() -> None:
    results = shown()
    found = budgets_table(results)
    assert found is not None
    row = next(row for row in found.rows if "1,000" in row.cells[0].text)
    judged = next(one for one in results.judged_by("llmrec") if one.arm == "gpt35-1000")
    versus = judged.versus("all", results.primary, results.baseline)
    assert versus is not None
    assert versus.reference is not None
    assert row.cells[3].text == "tail"
    assert row.cells[4].value == versus.relative
    assert row.cells[5].value == pytest.approx(versus.family_low / versus.reference)  # type: ignore[operator]
    shuffled = results.arm_titles["shuffled"]
    assert shuffled not in [row.cells[0].text for row in found.rows], "a control of a model is none of its budgets"


def test_curves_need_two_sizes_and_a_budget() -> None:
    results = shown()
    assert [name for name, _ in size_figures(results)] == list(results.recommender_titles.values())
    assert len(budget_figures(results)) == len(results.recommender_titles)
    alone = shown(local_models=[{**MODEL, "arm": "smollm2", "source": "smollm2"}])
    assert size_figures(alone) == budget_figures(alone) == []
    assert budgets_table(alone) is None
    page = render(results)
    assert 'id="models"' in page
    assert "135 M" in page


def test_what_an_engine_did_not_record_is_not_guessed(tmp_path: Path) -> None:
    tasks = {"user_profile": {"requests": 4, "ok": 3, "first_attempt_ok": 2, "seconds": 2.0, "completion_tokens": 50}}
    engines = {"local": {"dtype": "bfloat16", "figures": {"parameters": 10}, "devices": 2}, "server": {"model": "x"}}
    summary = {"sources": {name: {"engine": engine, "tasks": tasks} for name, engine in engines.items()}}
    (tmp_path / "summary.json").write_text(json.dumps(summary))
    local, server = read_local_models(tmp_path / "summary.json", {"a": "local", "b": "server"})
    assert (local.parameters, local.weight_bytes, local.written_per_second, local.valid) == (10, 20.0, 25.0, 3)
    assert (server.parameters, server.weight_bytes, server.energy_joules) == (None, None, None)
