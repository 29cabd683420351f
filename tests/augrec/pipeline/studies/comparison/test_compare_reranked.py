"""A comparison whose arms' lists are re-ranked: the rows stand among the arms, with what is known of the answers."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from augrec.artefacts.errors import UsageError
from augrec.artefacts.files import read_json
from augrec.artefacts.run_folder import RunFolder
from augrec.pipeline.studies.comparison.plan import read_compare
from augrec.pipeline.studies.comparison.run import run_compare
from augrec.pipeline.studies.execution import Execution
from augrec.report.pages.comparison.page import render
from augrec.report.pages.comparison.results import read_results
from tests.kit.html_pages import PageReader
from tests.kit.toy_config import EMBEDDING, toy_config, write_config
from tests.kit.toy_data import write_toy_data
from tests.kit.toy_run import silent

BASE = """
name: null
dataset: {k_core: null}
generation:
  tasks: {ranking: {permutations: 2}}
  sources:
    rule: {engine: {kind: heuristic}, tasks: [user_profile]}
    judge: {engine: {kind: heuristic}, tasks: []}
rerank: {source: judge, list_size: 6, controls: [random, shuffled, alone]}
models: {ease: {family: ease_text, alpha: 0, l2: 5}}
training: {monitor: null}
seeds: null
variants: null
report: null
"""


def written(root: Path, data: Path, **changes: Any) -> Path:
    content: dict[str, Any] = {
        "name": "toy-reranked",
        "output": str(root / "run"),
        "base": toy_config(data, EMBEDDING, BASE),
        "arms": {"rule": {"source": "rule"}, "none": {"title": "no profiles"}},
        "reranked": ["none", "rule"],
        "recommenders": {"ease": {"model": "ease", "scale": "profile", "scales": [0.5, 5]}},
        "baseline": "none",
        "claim": "none+ranking",
        "metrics": ["ndcg@5", "recall@10"],
        "seeds": [1, 2],
        "bootstrap": 100,
        **changes,
    }
    return write_config(root / "compare.yaml", content)


@pytest.mark.slow
def test_reranked_lists_are_arms_beside_those_they_are_of(tmp_path: Path, embedder: str, inline: None) -> None:
    plan = read_compare(written(tmp_path, write_toy_data(tmp_path / "data")))
    run_compare(plan, Execution(silent()))
    files, found = RunFolder(plan.folder), read_json(plan.folder / "compare.json")

    rows = [
        f"{arm}+{row}" for arm in ("none", "rule") for row in ("ranking", "ranking-shuffled", "ranking-alone", "random")
    ]
    arms = {arm["name"]: arm for arm in found["arms"]}
    assert list(arms) == ["rule", "none", *rows]
    assert {name: arms[name]["lists_of"] for name in arms} == {"rule": None, "none": None} | {
        name: name.partition("+")[0] for name in rows
    }
    assert [arms[name]["kind"] for name in rows[:4]] == ["rule", "control", "rule", "control"]
    assert arms["none+ranking-shuffled"]["title"] == "no profiles+ranking-shuffled"

    judged = {row["arm"]: row for row in found["downstream"]}
    for name in rows:
        told = [read_json(files.reranked(f"ease+{name}", seed).metrics)["test"]["ndcg@5"] for seed in (1, 2)]
        values = judged[name]["groups"]["all"]
        assert values["ndcg@5"]["mean"] == pytest.approx(np.mean(told))
        own = judged[name.partition("+")[0]]["groups"]["all"]
        assert values["recall@10"]["mean"] == pytest.approx(own["recall@10"]["mean"]), "the items are the same"
    assert [trial["scale"] for trial in judged["rule"]["tuned"]] == [0.5, 5]
    tests = {name: list(judged[name]["groups"]["all"]["ndcg@5"]["versus"]) for name in judged}
    assert tests["none+ranking"] == ["none", "none+ranking-shuffled", "none+ranking-alone", "none+random"]
    assert tests["rule+random"] == ["none", "rule"]

    results = read_results(plan.folder / "compare.json")
    page = " ".join(" ".join(PageReader(render(results)).texts).split())
    assert "no profiles+ranking beside no profiles:" in page
    assert "The first 6 items of the lists of no profiles in a random order" in page
    answers = next(row for row in results.reranking.rows if row.row == "ease+none+ranking")  # type: ignore[union-attr]
    assert answers.answers["test"]["place_variance"] is not None
    assert "variance of places" in page
    assert "## Re-ranking" in (plan.folder / "compare.md").read_text()


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"reranked": ["nobody"]}, "reranked: 'nobody' is not one of the arms"),
        ({"reranked": ["none", "none"]}, "reranked: an arm is listed twice"),
        ({"claim": "none+rating"}, "claim: 'none+rating' is not one of the arms (rule, none, none+ranking, none+"),
        ({"reranked": ["rule"]}, "claim: 'none+ranking' is not one of the arms"),
        ({"change": {"rerank": None}}, "rerank.source"),
    ],
)
def test_what_cannot_be_reranked_is_named(tmp_path: Path, changes: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError, match=re.escape(told)):
        read_compare(written(tmp_path, tmp_path, **changes))


def test_a_base_that_reranks_is_no_matter_where_nothing_is_asked_for(tmp_path: Path) -> None:
    changes = {"change": {"rerank.variants": ["ease"], "generation.sources.judge.tasks": ["user_profile"]}}
    plan = read_compare(written(tmp_path, tmp_path, reranked=[], claim="rule", **changes))
    assert plan.cell.config.rerank is None
    assert plan.design().arms == ("rule", "none")
