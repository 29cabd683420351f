"""The options of an evaluation reach the kind of evaluation that a model is judged by, and what was used is said."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from augrec.artefacts.errors import AugrecError
from recsys.batches.base import Queries
from recsys.data.dataset import Dataset
from recsys.evaluation.result import Evaluation
from recsys.models.base import Fitted, Recommender
from recsys.options import EvaluationOptions, Judged, TrainingOptions
from recsys.training.distributed import SINGLE_PROCESS
from recsys.training.job import FitJob
from recsys.training.judge import Judge
from recsys.training.memory import Explanation

PARTS = [np.array([[0, 0], [1, 1]]), np.array([[0, 1]]), np.array([[0, 2], [1, 2]])]
RATED = Dataset.from_arrays(2, 4, *PARTS, ratings=([1.0, 5.0], [3.0], [5.0, 4.0]))


class Stub(Recommender):
    """Scores the items 0 to 3 in falling order, and rates everything 7."""

    def fit(self, job: FitJob) -> Fitted:
        return Fitted()

    def scores(self, queries: Queries) -> Tensor:
        return torch.tensor([4.0, 3.0, 2.0, 1.0]).expand(len(queries), 4)

    def rate(self, pairs: Tensor) -> Tensor:
        return torch.full((len(pairs),), 7.0)


def judged(by: Judged, monitor: str, split: str = "test", **options: object) -> Evaluation:
    evaluation = EvaluationOptions.model_validate({"cutoffs": (1, 2, 3), **options})
    training = TrainingOptions(monitor=monitor)
    judge = Judge(Stub(), by, RATED, training, evaluation, SINGLE_PROCESS, Explanation())
    return judge(split)  # type: ignore[arg-type]


@pytest.mark.parametrize(("clip", "rmse", "limits"), [(False, (2 + 3) / 2, None), (True, (0 + 1) / 2, [1.0, 5.0])])
def test_ratings_are_clipped_where_that_is_asked_for(clip: bool, rmse: float, limits: list[float] | None) -> None:
    result = judged(Judged.RATING, "rmse", clip_ratings=clip)
    assert result.mean["rmse"] == rmse
    assert result.settings == {"clipped_to": limits}


@pytest.mark.parametrize(("mask", "ranks"), [(True, [1, 2]), (False, [3, 3])])
def test_known_items_are_candidates_where_that_is_asked_for(mask: bool, ranks: list[int]) -> None:
    result = judged(Judged.NEXT_ITEM, "ndcg@3", mask_known=mask)
    assert result.per_user["mrr@3"].tolist() == [1 / rank for rank in ranks]
    assert result.settings == {"known_items": "masked" if mask else "candidates"}


def test_the_default_clips_nothing_and_hides_what_is_known() -> None:
    assert judged(Judged.RATING, "mae").settings == {"clipped_to": None}
    assert judged(Judged.NEXT_ITEM, "mrr@1").settings == {"known_items": "masked"}
    assert judged(Judged.RANKING, "mrr@1").settings == {}


@pytest.mark.parametrize(
    ("by", "monitor"), [(Judged.RATING, "ndcg@3"), (Judged.NEXT_ITEM, "recall@3"), (Judged.RANKING, "rmse")]
)
def test_a_metric_of_another_kind_selects_no_epoch(by: Judged, monitor: str) -> None:
    with pytest.raises(AugrecError, match=rf"training\.monitor is {monitor}"):
        judged(by, monitor)


def test_nobody_to_be_judged_is_an_error() -> None:
    blind = Dataset.from_arrays(2, 4, PARTS[0], np.empty((0, 2)), PARTS[2])
    judge = Judge(
        Stub(),
        Judged.RANKING,
        blind,
        TrainingOptions(),
        EvaluationOptions(cutoffs=(1,)),
        SINGLE_PROCESS,
        Explanation(),
    )
    with pytest.raises(AugrecError, match="no user has a valid interaction"):
        judge("valid")
