"""A source that is asked for entries of the catalogue beside its edges: judged on the page, given to no recommender."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from augrec.artefacts.files import read_json
from augrec.pipeline.audit import audit_run
from augrec.pipeline.studies.comparison.plan import read_compare
from augrec.pipeline.studies.comparison.run import run_compare
from augrec.pipeline.studies.execution import Execution
from tests.kit.toy_config import toy_config
from tests.kit.toy_run import silent

pytestmark = pytest.mark.slow


def test_what_is_completed_by_heart_is_in_the_results_and_in_no_matrix(
    toy_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inline: None
) -> None:
    monkeypatch.setenv("AUGREC_CACHE", str(tmp_path / "cache"))
    source = {"engine": {"kind": "heuristic"}, "tasks": ["edges", "catalogue_entry"]}
    parts = {
        "embedding": {"model": "tfidf"},
        "generation": {"shards": 1, "sources": {"rule": source}},
        "models": {"mf": {"family": "mf_bpr", "dim": 4, "aug_sample_rate": 0.5}},
    }
    content = {
        "name": "coverage",
        "output": str(tmp_path / "run"),
        "base": toy_config(toy_data, parts, "{name: null, variants: null, report: null, seeds: null}"),
        "arms": {"rule": {"source": "rule"}, "none": {}},
        "recommenders": {"mf": {"model": "mf", "scale": "aug_sample_rate", "scales": [0.5]}},
        "baseline": "none",
        "metrics": ["recall@10"],
        "seeds": [1, 2],
        "bootstrap": 100,
    }
    path = tmp_path / "compare.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    page = run_compare(read_compare(path), Execution(silent()))
    (found,) = read_json(tmp_path / "run" / "compare.json")["coverage"]
    assert (found["source"], found["items"]) == ("rule", 30)
    assert (found["titles"], found["copied"]) == (0, 1), "the line before is another item's, and was shown"
    assert 0 <= found["genres"] <= 1
    assert "complete of the catalogue by heart" in page.read_text()
    assert not list((tmp_path / "run" / "embed").rglob("*catalogue_entry*"))
    assert audit_run(tmp_path / "run").violations == 0
