"""A metric of ranked lists that is invented here alone, of which less is better, from trainings to the page."""

from __future__ import annotations

import multiprocessing
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from torch import Tensor

from augrec.artefacts.files import read_json
from augrec.artefacts.metrics import METRICS, register_metric
from augrec.artefacts.trainings import read_per_user, read_training
from recsys.evaluation.metrics.ranking import RANKING_METRICS, RankingMetric
from recsys.models.options.lightgcn import LightGcnOptions
from recsys.models.registry import FAMILIES, Family
from tests.augrec.pipeline.invented.test_an_aligner import config
from tests.augrec.pipeline.invented.whole_run import whole_run

pytestmark = pytest.mark.slow


def effort(hits: Tensor, n_positives: Tensor, k: int) -> Tensor:
    """How many of the first k a user looks at until the first hit: k where there is none."""
    top = hits[:, :k]
    looked_at = 1.0 + (top.cumsum(dim=1) == 0).sum(dim=1).double()
    return torch.where(n_positives > 0, looked_at.clamp(max=k), torch.nan)


class WatchedOptions(LightGcnOptions):
    """LightGCN by another name, whose options bring this file into the processes that train."""

    family: Literal["watched"] = "watched"  # type: ignore[assignment]


WATCHED = Family(WatchedOptions, "recsys.models.lightgcn:LightGCN", "general", "LightGCN", "He et al., SIGIR 2020")
EFFORT = RankingMetric("effort", effort)
if multiprocessing.parent_process() is not None:  # a worker, which imports this file for the options it is sent
    FAMILIES.register(WATCHED)
    RANKING_METRICS.register(EFFORT)
    register_metric("effort", at_k=True, lower_is_better=True)


def test_a_metric_of_which_less_is_better_selects_compares_and_is_shown(tmp_path: Path) -> None:
    sections = config(tmp_path) | {
        "models": {
            "still": {"family": "watched", "dim": 8, "layers": 2, "training": {"lr": 1e-9}},
            "graph": {"family": "watched", "dim": 8, "layers": 2, "training": {"monitor": "effort@5"}},
        },
        "variants": {"still": {"model": "still"}, "graph": {"model": "graph"}},
        "report": {"baseline": "still", "primary": "effort@5", "secondary": ["recall@5"], "bootstrap": 100},
    }
    with METRICS.including(), RANKING_METRICS.including(EFFORT), FAMILIES.including(WATCHED):
        register_metric("effort", at_k=True, lower_is_better=True)
        run = whole_run(tmp_path, sections)
    graph, still = (read_training(run.training(name, 1)) for name in ("graph", "still"))
    chosen = [epoch["valid"]["effort@5"] for epoch in graph.details["history"]]
    assert graph.details["best_epoch"] == 1 + int(np.argmin(chosen))
    assert graph.test["effort@5"] < still.test["effort@5"]
    values = read_per_user(run.training("graph", 1)).values["effort@5"]
    assert np.nanmean(values) == pytest.approx(graph.test["effort@5"])
    (row,) = (
        row for row in read_json(run.results)["summary"] if (row["variant"], row["metric"]) == ("graph", "effort@5")
    )
    assert row["difference"] < 0
    assert f'<strong><bdi>{row["mean"]:.4f}</bdi></strong><span class="star" aria-label="best">' in run.page.read_text()
