"""The page shows how the language model was taught: its loss, what was taught, and what was left out."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from augrec.artefacts.files import write_json
from augrec.artefacts.loss_curve import LossPoint, write_losses
from augrec.artefacts.run_folder import RunFolder
from augrec.report.pages.run.page import write_report
from augrec.report.pages.run.tuning import read_tuning
from tests.kit.html_pages import PageReader

DETAILS = {
    "instructions": {"made": {"ranking": 1500, "pair": 70}, "dropped": {"thin_users": 0, "duplicates": 12}},
    "method": "lora",
    "tokens": 512_000,
    "answer_tokens": 9_000,
    "steps": 3,
    "trained_parameters": 4_884_480,
    "parameters": 139_399_488,
    "seconds": 95.0,
    "device": "CPU, 1 to 2 threads",
    "dtype": "bfloat16",
    "dtype_because": "the processor has <b>avx512_bf16",
    "processes": 1,
    "versions": {"trl": "1.16.0<script>"},
}


@pytest.fixture
def tuned(make_run: Any) -> RunFolder:
    """The synthetic run, with a tuning of three steps."""
    files = RunFolder(make_run())
    points = [LossPoint(step, step / 3, 3.0 / step, 1e-4, 100 * step, 30.0 * step) for step in (1, 2, 3)]
    write_losses(files.tune.losses, points)
    write_json(files.stage_marker("tune"), {"stage": "tune", "details": DETAILS, "seconds": 99.0})
    return files


def texts(files: RunFolder, **options: Any) -> str:
    write_report(files, options["options"], options["config"], variants=options["variants"])
    return shown_by(files)


def shown_by(files: RunFolder) -> str:
    return " ".join(" ".join(PageReader(files.page.read_text(encoding="utf-8")).texts).split())


def test_the_loss_and_what_was_taught_are_shown(
    tuned: RunFolder, options: Any, config: dict[str, Any], variants: list[str]
) -> None:
    shown = texts(tuned, options=options, config=config, variants=variants)
    assert "ranking 1 500, pair 70" in shown
    assert "duplicates 12" in shown
    assert "thin users" not in shown, "none were left out"
    assert "4 884 480 of 139 399 488, " in shown
    assert "bfloat16: the processor has <b>avx512_bf16" in shown
    page = tuned.page.read_text(encoding="utf-8")
    assert "3.000 at step 1, 1.000 at step 3" in page, "for those who do not see the figure"
    assert "1.16.0&lt;script&gt;" in page
    assert 'id="training"' in page


def test_a_run_without_one_says_nothing_of_it(reported: Path) -> None:
    assert "Instruction tuning" not in shown_by(RunFolder(reported))


def test_one_that_is_not_this_configs_any_more_is_not_shown(tuned: RunFolder) -> None:
    assert read_tuning(tuned, ["dataset", "tune"]) is not None
    assert read_tuning(tuned, ["dataset", "train"]) is None


def test_a_tuning_of_which_only_a_part_is_known_is_no_reason_to_fail(tuned: RunFolder, tmp_path: Path) -> None:
    write_json(tuned.stage_marker("tune"), {"stage": "tune"})
    tuning = read_tuning(tuned)
    assert tuning is not None
    assert tuning.facts == []
    shutil.rmtree(tuned.tune.root)
    assert read_tuning(tuned) is None
