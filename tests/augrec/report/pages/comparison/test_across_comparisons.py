"""Comparisons over several data sets put together: effects as each has them, the mean of the model, no data twice."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import page_content
import pytest

from augrec.artefacts.errors import UsageError
from augrec.artefacts.files import read_json
from augrec.cli import main
from augrec.report.numbers.synthesis import random_effects
from augrec.report.pages.comparison.across import across_comparisons, table_across
from augrec.report.pages.comparison.results import ComparisonResults, write_results


def comparison(data: str, seed: int) -> ComparisonResults:
    results = page_content.results(page_content.realistic(seed))
    provenance = replace(results.provenance, config={"dataset": {"name": data}, "seed": 1})
    return replace(results, data=replace(results.data, name=data), provenance=provenance)


def test_effects_are_those_of_each_and_the_mean_is_the_models() -> None:
    found = {"one": comparison("one", 3), "two": comparison("two", 4)}
    rows = across_comparisons(found)
    row = next(row for row in rows if row.label == "LLMRec: SmolLM2-135M" and row.metric == "recall@20")
    versus = [
        next(one for one in each.judged_by("llmrec") if one.arm == "smollm2").versus("all", "recall@20", each.baseline)
        for each in found.values()
    ]
    relative = [one.difference / one.reference for one in versus if one and one.difference and one.reference]
    errors = [one.error / one.reference for one in versus if one and one.error and one.reference]
    assert [effect.relative for effect in row.effects.values()] == pytest.approx(relative)
    assert row.together == random_effects(relative, errors, 0.05)
    table = table_across(found, rows)
    assert table is not None
    assert [column.title for column in table.columns][3:5] == ["one", "two"]


@pytest.mark.parametrize(
    ("others", "problem"),
    [([], "one comparison"), ([("one", 4)], "are of the same data"), ([("two", 4)], "different levels")],
)
def test_what_cannot_be_put_together_is_refused(others: list[tuple[str, int]], problem: str) -> None:
    found = {"first": comparison("one", 3)}
    for number, (data, seed) in enumerate(others):
        other = comparison(data, seed)
        found[f"other{number}"] = replace(other, alpha=0.01) if "levels" in problem else other
    with pytest.raises(UsageError, match=problem):
        across_comparisons(found)


def test_the_command_prints_and_writes_the_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, seed in (("one", 3), ("two", 4)):
        (tmp_path / name).mkdir()
        write_results(comparison(name, seed), tmp_path / name / "compare.json")
        assert read_json(tmp_path / name / "compare.json")["data"]["name"] == name
    folders = [str(tmp_path / "one"), str(tmp_path / "two")]
    monkeypatch.setattr("sys.argv", ["augrec", "across", *folders, "--out", str(tmp_path / "out")])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 0
    shown = capsys.readouterr().out
    assert "| LLMRec: SmolLM2-135M |" in shown
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        f"comparisons-across.{kind}" for kind in ("md", "csv", "tex")
    }
