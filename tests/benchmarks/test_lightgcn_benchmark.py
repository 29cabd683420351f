"""The benchmark of LightGCN's time to its best epoch: the others compute LightGCN, and who is missing is said."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmarks import lightgcn
from benchmarks.epoch import Trained
from benchmarks.lightgcn import DIM, L2, LAYERS, RIVALS, Stacked
from recsys.batches.triplets import Triplets
from recsys.data.dataset import Dataset
from recsys.models.lightgcn import LightGCN
from recsys.models.options.lightgcn import LightGcnOptions


def test_recboles_structure_has_our_loss_and_gradients(two_tastes: Dataset) -> None:
    generator = torch.Generator().manual_seed(0)
    ours = LightGCN(two_tastes.train, 20, 12, LightGcnOptions(dim=DIM, layers=LAYERS, l2=L2), generator)
    theirs = Stacked(two_tastes, generator)
    with torch.no_grad():
        theirs.embedding.copy_(torch.cat([ours.user_embedding, ours.item_embedding]))
    user, positive = torch.from_numpy(two_tastes.train).unbind(1)
    negative = (positive + 6) % 12
    loss = torch.stack(list(ours.loss(Triplets(user, positive, negative, None, len(user))).values())).sum()
    other = theirs.loss(user, positive, negative)
    torch.testing.assert_close(other, loss)
    loss.backward()
    other.backward()
    gradients = torch.cat([ours.user_embedding.grad, ours.item_embedding.grad])
    torch.testing.assert_close(theirs.embedding.grad, gradients, atol=1e-7, rtol=1e-4)


def test_negatives_are_nobodys() -> None:
    users, owned = np.arange(3).repeat(50), [{0, 1}, {2}, set()]
    drawn = lightgcn.unowned(users, owned, 4, np.random.default_rng(0))
    assert all(item not in owned[user] for user, item in zip(users, drawn, strict=True))
    assert set(drawn.tolist()) == {0, 1, 2, 3}


@pytest.mark.parametrize("name", list(RIVALS))
def test_the_others_run_and_learn(two_tastes: Dataset, name: str) -> None:
    if name == "lenskit":
        pytest.importorskip("lenskit")
        pytest.importorskip("torch_geometric")
    trained = RIVALS[name](two_tastes, 5, 0)
    assert trained.best_epoch == 5
    assert trained.looks == ((5, trained.valid),)
    assert trained.recall == 1.0  # twelve items, twenty places


def test_time_counts_up_to_the_best_epoch_and_recall_beside_it() -> None:
    own, slow, good = Trained(0.1, 30, 0.150), Trained(1.0, 60, 0.151), Trained(0.1, 15, 0.160)
    rows = {row.name: row for row in lightgcn.results_of(own, {"recbole": slow, "lenskit": good})}
    assert rows["ours / RecBole's structure: to the best epoch"].value == pytest.approx(0.05)
    assert rows["ours - RecBole's structure: recall@20"].ok
    assert rows["ours / LensKit: to the best epoch"].ok is False
    assert rows["ours - LensKit: recall@20"].ok is False
    absent = lightgcn.results_of(own, {"lenskit": None})[-1]
    assert (absent.value, absent.ok) == (None, None)


def test_who_learns_less_is_also_met_where_ours_has_as_much() -> None:
    own = Trained(0.1, 30, 0.150, valid=0.25, looks=((5, 0.1), (10, 0.2), (30, 0.25)))
    title = "ours / LensKit: to the other's best recall of validation"

    def found(valid: float) -> float | None:
        rows = lightgcn.results_of(own, {"lenskit": Trained(1.0, 5, 0.1, valid=valid)})
        return next(row.value for row in rows if row.name == title)

    assert found(0.15) == pytest.approx(0.1 * 10 / (1.0 * 5))
    assert found(0.3) is None


def test_who_is_ended_early_bounds_the_ratio_and_is_not_judged_by_recall(two_tastes: Dataset) -> None:
    cut = RIVALS["recbole"](two_tastes, 300, 0, limit=1e-9)
    assert cut.cut
    assert cut.best_epoch == lightgcn.EVERY
    rows = {
        row.name: row for row in lightgcn.results_of(Trained(0.1, 30, 0.150), {"recbole": Trained(1.0, 6, 0.2, True)})
    }
    assert rows["ours / RecBole's structure: to the best epoch, at most"].value == pytest.approx(0.5)
    assert rows["ours - RecBole's structure: recall@20"].ok is None
