"""The evaluation benchmark in small: its own loop agrees with our evaluator, and its targets are held."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from benchmarks import evaluation
from benchmarks.timing import best_cpu_seconds
from recsys.evaluation.ranking import evaluate


def test_the_loop_and_our_evaluator_agree_where_there_are_hits() -> None:
    given = evaluation.problem(40, 300)
    users = np.arange(0, 40, 3)
    expected = evaluation.looped(given, users, chunk=5)
    found = evaluate(given.scores, given.dataset, "test", cutoffs=evaluation.CUTOFFS, mask_valid_at_test=True)
    for name, values in expected.items():
        np.testing.assert_allclose(found.per_user[name][users], values, rtol=0, atol=1e-12)
    assert expected["recall@10"].mean() > 0.05


def test_the_report_names_every_ratio(tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    evaluation.main(["--users", "30", "--items", "200", "--looped", "10", "--repeats", "1", "--json", str(out)])
    results = {result["name"]: result for result in json.loads(out.read_text())}
    assert results["heap per user / ours"]["target"] == ">= 40"
    assert results["ours / bare"]["target"] == "<= 1.3"
    assert results["metrics, ours and heap"]["ok"] is True


def test_the_best_of_the_rounds_counts_and_rounds_take_turns() -> None:
    order: list[str] = []
    best = best_cpu_seconds({name: lambda name=name: order.append(name) for name in ("a", "b")}, 3)
    assert order == ["a", "b"] * 3
    assert all(0 <= seconds < 1 for seconds in best.values())
