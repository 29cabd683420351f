"""What is said of the time that a run has still to go."""

from __future__ import annotations

from pathlib import Path

import pytest

from augrec.artefacts.files import read_json, write_json
from augrec.pipeline.executors.pace import Expected, Pace
from augrec.pipeline.stages import chain
from augrec.pipeline.stages.base import Run
from tests.kit.toy_config import RULES, toy_config
from tests.kit.toy_run import open_run


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return open_run(tmp_path, toy_config("nowhere", RULES, {"embedding": {"model": "tfidf"}}))


def test_a_later_run_goes_by_what_its_stages_took(run: Run) -> None:
    stages = chain(run.config)
    assert [stage.name for stage in stages] == ["prepare", "candidates", "augment", "embed", "train", "report"]
    write_json(run.files.seconds, {stage.name: 60.0 for stage in stages})
    pace = Pace(run, stages, guess=pytest.fail)
    assert pace.ahead("prepare") == "all from here to the end took 0:06:00 last time"
    pace.ran("prepare", 3661.04)
    assert pace.ahead("report") == "all from here to the end took 0:01:00 last time"
    assert read_json(run.files.seconds)["prepare"] == 3661.0
    assert Pace(run).ahead("prepare") == "", "a stage alone says nothing of others"


def test_a_first_run_goes_by_what_is_expected_once_the_data_are_there(run: Run) -> None:
    asked: list[Run] = []

    def guess(of: Run) -> Expected:
        asked.append(of)
        return Expected(("augment", "rerank"), 3600.0, "at least")

    pace = Pace(run, chain(run.config), guess)
    assert pace.ahead("prepare") == ""
    pace.ran("prepare", 5.0)
    said = "from here to the end some 1:00:00, without {}, which never ran; augment, rerank: at least"
    assert pace.ahead("candidates") == said.format("candidates, embed, train, report")
    pace.ran("candidates", 7.0)
    assert pace.ahead("augment") == said.format("embed, train, report")
    pace.ran("augment", 9.0)
    assert pace.ahead("embed") == "", "answers were all that was known of"
    assert asked == [run], "prompts are made once"


def test_a_damaged_hint_is_none(run: Run) -> None:
    run.folder.mkdir()
    run.files.seconds.write_text("[1")
    assert Pace(run, chain(run.config)).ahead("prepare") == ""
