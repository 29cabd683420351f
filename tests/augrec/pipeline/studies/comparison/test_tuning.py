"""Which weight of an arm's features is kept."""

from __future__ import annotations

from augrec.pipeline.studies.comparison.tune import chosen
from augrec.report.measures.downstream import Tried


def test_the_first_of_equal_scales_is_kept() -> None:
    assert chosen("recall@20", [Tried(0.5, 0.2), Tried(1.0, 0.2), Tried(2.0, None)]).scale == 0.5
    assert chosen("recall@20", [Tried(0.5, None)]).scale is None


def test_of_an_error_the_smallest_is_kept() -> None:
    assert chosen("rmse", [Tried(0.5, 0.9), Tried(1.0, 0.8), Tried(2.0, 1.1)]).scale == 1.0
