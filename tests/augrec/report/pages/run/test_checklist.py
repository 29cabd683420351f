"""The reproducibility checklist: what the folder knows stands there, what it does not is said to be missing."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from markdown_it import MarkdownIt

from augrec.artefacts.files import read_json, sha256_file, write_json
from augrec.artefacts.run_folder import RunFolder
from augrec.report.measures.spending import Spending, co2_grams, read_spending
from augrec.report.numbers.variants import read_trained
from augrec.report.options import ReportOptions
from augrec.report.pages.run.checklist import Checklist, read_checklist
from augrec.report.pages.run.page import write_report
from augrec.report.pages.spending import spending_table

MakeRun = Callable[..., Path]
LLM = {"engine": "vllm", "llm": True, "model": "tiny", "model_sha256": "ab" * 32, "versions": {"vllm": "0.32.0"}}


def filled(folder: Path, **options: Any) -> Checklist:
    run = RunFolder(folder)
    config = yaml.safe_load(run.config.read_text())
    chosen = ReportOptions(baseline=config["report"]["baseline"], primary="recall@10", secondary=(), **options)
    trained = read_trained(run, chosen, dict.fromkeys(config["variants"]), [], {})
    return read_checklist(run, config, trained, chosen, [path.parent.name for path in run.stage_markers()])


def answers(checklist: Checklist) -> dict[str, str | None]:
    return {item.asked: item.told for item in checklist.items}


@pytest.mark.slow
def test_it_is_filled_from_the_files_of_the_folder(run_copy: Path) -> None:
    run, found = RunFolder(run_copy), answers(filled(run_copy))
    about = read_json(run.dataset_json)
    assert found["sha256 of the split"] == about["split_sha256"]
    assert found["licence"] is None
    assert (
        str(found["records, by sha256"]).split("; ")[0]
        == f"edges: {sha256_file(run.source('rule').task('edges').records)}"
    )
    assert found["training seeds"] == "1, 2"
    assert found["controls"] == "shuffled: user profile: shuffled"
    assert found["base: tuning budget"] is None
    assert found["energy of reported trainings"] is None
    assert found["sha256 of the resolved config"] == sha256_file(run.config)
    assert not any(asked.startswith("weights") for asked in found), "rules have no weights"


@pytest.mark.slow
def test_a_language_model_is_asked_for_weights_prompts_and_sampling(run_copy: Path) -> None:
    run = RunFolder(run_copy)
    summary = read_json(run.summary)
    summary["sources"]["rule"]["engine"] = LLM
    write_json(run.summary, summary)
    found = answers(filled(run_copy))
    assert found["weights, by sha256"] == "ab" * 32
    assert "temperature: 0.7" in str(found["sampling and options of edges"])
    assert read_json(run.stage_marker("augment"))["identity"]["code"] in str(found["prompts"])
    assert found["tokenizer, chat template and adapter, by sha256"] is None
    run.stage_marker("augment").unlink()
    assert answers(filled(run_copy))["prompts"] is None


@pytest.mark.slow
@pytest.mark.parametrize(("layers", "counts"), [(1, True), (3, False)])
def test_a_search_counts_where_the_model_has_the_options_that_it_chose(
    run_copy: Path, layers: int, counts: bool
) -> None:
    folder = RunFolder(run_copy).search / "base"
    folder.mkdir(parents=True)
    best = {"options": {"layers": layers}, "trials": 7, "monitor": "recall@10", "seeds": [1001]}
    write_json(folder / "best.json", best)
    told = answers(filled(run_copy))["base: tuning budget"]
    assert told == ("7 trials by recall@10 on validation, with seeds 1001" if counts else None)


def test_nothing_in_a_text_acts_and_every_line_is_a_task(
    make_run: MakeRun, options: ReportOptions, config: dict[str, Any], variants: list[str]
) -> None:
    run = RunFolder(make_run())
    about = read_json(run.dataset_json)
    write_json(run.dataset_json, {**about, "licence": "<script>alert(1)</script> [x](http://o.example)\n- [x] forged"})
    write_report(run, options, config, variants=variants)
    text = run.checklist.read_text(encoding="utf-8")
    tokens = MarkdownIt("commonmark", {"html": True}).parse(text)
    inline = [child.type for token in tokens for child in token.children or ()]
    assert not {"html_inline", "link_open", "image"} & {*inline, *(token.type for token in tokens)}
    lines = [line for line in text.splitlines() if line.startswith("- ")]
    assert all(re.match(r"- \[[ x]\] \*\*", line) for line in lines)
    missing = sum(line.startswith("- [ ]") and ": missing (" in line for line in lines)
    assert f"{missing} missing." in text
    assert 0 < missing < len(lines)
    page = run.page.read_text(encoding="utf-8")
    assert 'href="checklist.md"' in page
    assert f"{missing} missing." in page


def test_energy_adds_up_where_it_was_counted_and_becomes_emissions_by_the_factor(
    make_run: MakeRun, options: ReportOptions
) -> None:
    run = RunFolder(make_run())
    first, second = run.training("lightgcn-without", 0).metrics, run.training("lightgcn-without", 1).metrics
    write_json(first, {**read_json(first), "seconds": 10.0, "energy_joules": 1.8e6})
    write_json(second, {**read_json(second), "seconds": 20.0, "energy_joules": None})
    spent = read_spending(run, {"lightgcn-without": [0, 1]})
    assert spent[-1] == Spending("reported trainings", 2, 30.0, 1.8e6, 1)
    assert co2_grams(1.8e6, 250) == pytest.approx(125)
    assert (co2_grams(None, 250), co2_grams(1.0, None)) == (None, None)
    shown = spending_table(spent, 250.0)
    assert shown is not None
    cells = shown.rows[-1].cells
    assert [cell.text for cell in cells[2:]] == ["30.0 s", "500 Wh", "125 g"]
    assert cells[3].under == ("1 of 2 counted",)
    assert "250 g CO2e per kWh" in " ".join(shown.notes)
