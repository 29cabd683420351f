"""The one place for "@k" and for directions."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from augrec.artefacts.metrics import METRICS, Metric, MetricKind, MetricName, register_metric
from augrec.artefacts.options import Options
from augrec.pipeline.config.sections import validated

VALUES = st.lists(st.floats(allow_nan=True, allow_infinity=False), max_size=8)
SOME = st.sampled_from(["ndcg@20", "recall@5", "mrr@1", "rmse", "mae", "coverage@10"])


@pytest.mark.parametrize("text", ["recall@20", "ndcg@5", "precision@1", "hit_rate@10", "mrr@100", "rmse", "mae"])
def test_a_metric_is_written_as_it_was_read(text: str) -> None:
    metric = Metric.parse(text)
    assert str(metric) == text
    assert metric == Metric.parse(text)
    assert metric.lower_is_better == (text in ("rmse", "mae"))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("ndgc@20", r"known are recall, ndcg, .*; did you mean 'ndcg'\?"),
        ("NDCG@20", "is not a metric"),
        ("", "is not a metric"),
        ("ndcg", "lacks its cutoff; write e.g. ndcg@20"),
        ("rmse@20", "has a cutoff, and rmse looks at no list; write rmse"),
        ("ndcg@0", "write a name and its cutoff"),
        ("ndcg@020", "write a name and its cutoff"),
        ("ndcg@-1", "write a name and its cutoff"),
        ("ndcg@20 ", "write a name and its cutoff"),
        ("ndcg@20\n", "write a name and its cutoff"),
        ("ndcg@٢", "write a name and its cutoff"),
        ("ndcg@1@2", "write a name and its cutoff"),
        ("ndcg@" + "9" * 5000, "write a name and its cutoff"),
    ],
)
def test_what_is_no_metric_is_refused(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        Metric.parse(text)


def test_a_config_names_the_key_and_the_nearest_metric() -> None:
    class Section(Options):
        monitor: MetricName = "recall@20"

    assert validated({"monitor": "rmse"}, Section, "x").monitor == "rmse"
    with pytest.raises(Exception, match=r"monitor: 'ndgc@5' is not a metric; known are .*did you mean 'ndcg'"):
        validated({"monitor": "ndgc@5"}, Section, "x")


@given(SOME, VALUES)
def test_nothing_is_better_than_the_best_nor_worse_than_the_worst(text: str, values: list[float]) -> None:
    metric = Metric.parse(text)
    best, worst, present = metric.best(values), metric.worst(values), [v for v in values if not math.isnan(v)]
    if not present:
        assert math.isnan(best)
        assert math.isnan(worst)
        return
    assert best in present
    assert worst in present
    assert not any(metric.better(value, best) for value in values)
    assert not any(metric.better(worst, value) for value in present)
    assert best == (min(present) if text in ("rmse", "mae") else max(present))


@given(SOME, st.floats(), st.floats())
def test_better_is_strict_and_follows_the_sign(text: str, a: float, b: float) -> None:
    metric = Metric.parse(text)
    assert not (metric.better(a, b) and metric.better(b, a))
    assert not metric.better(a, a)
    if not math.isnan(a) and not math.isnan(b) and a != b and math.isfinite(a - b):
        assert metric.better(a, b) == (metric.sign * (a - b) > 0)
    if math.isnan(b):
        assert metric.better(a, b) == (not math.isnan(a))


def test_tables_sort_by_cutoff_and_show_titles() -> None:
    names = ["recall@20", "rmse", "recall@5", "ndcg@100", "hit_rate@10"]
    metrics = sorted(map(Metric.parse, names), key=lambda metric: metric.order)
    assert list(map(str, metrics)) == ["hit_rate@10", "ndcg@100", "recall@5", "recall@20", "rmse"]
    assert [metric.title for metric in metrics] == ["Hit rate@10", "NDCG@100", "Recall@5", "Recall@20", "RMSE per user"]


def test_a_metric_without_a_cutoff_is_computed_at_any() -> None:
    assert [Metric.parse(name).computed([5, 20]) for name in ("ndcg@20", "ndcg@10", "rmse")] == [True, False, True]
    assert Metric.parse("rmse").computed([])


def test_a_metric_can_be_registered_from_outside() -> None:
    with METRICS.including():
        assert register_metric("logloss", at_k=False, lower_is_better=True) == MetricKind(
            "logloss", at_k=False, lower_is_better=True, title="logloss"
        )
        assert Metric.parse("logloss").sign == -1
        with pytest.raises(ValueError, match="already"):
            register_metric("ndcg", at_k=True)
    with pytest.raises(ValueError, match="is not a metric"):
        Metric.parse("logloss")
