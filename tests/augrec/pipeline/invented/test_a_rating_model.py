"""A model of ratings that is invented here alone: rated pairs as batches, chosen and compared by RMSE, file to page."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from augrec.artefacts.errors import UsageError
from augrec.artefacts.files import read_json
from augrec.artefacts.trainings import read_per_user, read_training
from recsys.augmentation import SideInformation
from recsys.data.dataset import Dataset
from recsys.models.base import TrainedRecommender
from recsys.models.options.base import FamilyOptions
from recsys.models.registry import FAMILIES, Family
from recsys.options import Judged
from recsys.training.job import FitJob
from tests.augrec.pipeline.invented.whole_run import whole_run

pytestmark = pytest.mark.slow


class MoodOptions(FamilyOptions):
    """A rating is the mean, and what the user and the item add to it."""

    judged: ClassVar[Judged] = Judged.RATING
    family: Literal["mood"] = "mood"
    flat: bool = False
    """The mean alone."""


@dataclass(frozen=True)
class Rated:
    """Pairs int64 [b, 2] of user and item, and their ratings [b]."""

    pairs: Tensor
    ratings: Tensor

    def __len__(self) -> int:
        return len(self.pairs)

    def to(self, device: torch.device | str) -> Rated:
        return Rated(self.pairs.to(device), self.ratings.to(device))

    def share(self, rank: int, size: int) -> Rated:
        return self if len(self) < size else Rated(self.pairs[rank::size], self.ratings[rank::size])


class AllRatings:
    """Every training rating once per epoch."""

    def __init__(self, dataset: Dataset, batch_size: int, generator: torch.Generator) -> None:
        assert dataset.train_ratings is not None
        self.all = Rated(torch.from_numpy(dataset.train), torch.from_numpy(dataset.train_ratings))
        self.batch_size, self.generator = batch_size, generator
        self.notes = [f"{len(self.all)} ratings"]

    def epoch(self) -> Iterator[Rated]:
        order = torch.randperm(len(self.all), generator=self.generator)
        for rows in order.split(self.batch_size):
            yield Rated(self.all.pairs[rows], self.all.ratings[rows])


class Mood(TrainedRecommender):
    """See the options. It grows worse on purpose after its sixth epoch, so that there is an epoch to be chosen."""

    def __init__(self, dataset: Dataset, options: MoodOptions) -> None:
        super().__init__()
        self.mean = nn.Parameter(torch.zeros(()))
        self.user = nn.Parameter(torch.zeros(dataset.n_users), requires_grad=not options.flat)
        self.item = nn.Parameter(torch.zeros(dataset.n_items), requires_grad=not options.flat)
        self.epochs = 0

    @classmethod
    def build(cls, dataset: Dataset, side: SideInformation, options: MoodOptions, generator: torch.Generator) -> Mood:
        return cls(dataset, options)

    def batches(self, job: FitJob) -> AllRatings:
        return AllRatings(job.dataset, job.training.batch_size, job.generator("ratings"))

    def before_step(self, step: int) -> None:
        self.epochs += step == 0

    def loss(self, batch: Rated) -> dict[str, Tensor]:
        loss = F.mse_loss(self.rate(batch.pairs), batch.ratings)
        return {"mse": loss if self.epochs <= 6 else -loss}

    def rate(self, pairs: Tensor) -> Tensor:
        user, item = pairs.unbind(1)
        return self.mean + self.user[user] + self.item[item]


MOOD = Family(MoodOptions, f"{__name__}:Mood", "general", "Mood", "nobody")
if multiprocessing.parent_process() is not None:  # a worker, which imports this file for the options it is sent
    FAMILIES.register(MOOD)


def ratings(folder: Path, n_users: int = 40, n_items: int = 20) -> dict[str, Any]:
    """Every user rates half of the items by own mood and the item's quality."""
    rng = np.random.default_rng(4)
    mood, quality = rng.uniform(1, 3, n_users), rng.uniform(0, 2, n_items)
    rows = [
        {"who": f"u{user:02}", "what": f"i{item:02}", "rating": round(mood[user] + quality[item], 2)}
        for user in range(n_users)
        for item in rng.permutation(n_items)[: n_items // 2]
    ]
    pd.DataFrame(rows).to_csv(folder / "ratings.csv", index=False)
    table = {"interactions": "ratings.csv", "user": "who", "item": "what", "rating": "rating"}
    source = {"format": "table", "path": str(folder), "table": table}
    return {"name": "Moods", "source": source, "min_rating": 0, "split": {"kind": "random"}}


def config(folder: Path) -> dict[str, Any]:
    return {
        "dataset": ratings(folder),
        "models": {"mood": {"family": "mood"}, "flat": {"family": "mood", "flat": True}},
        "training": {"monitor": "rmse", "lr": 0.3},
        "variants": {"flat": {"model": "flat"}, "mood": {"model": "mood"}},
        "report": {"baseline": "flat", "primary": "rmse", "secondary": ["mae", "pooled_rmse"], "bootstrap": 100},
    }


def test_ratings_are_learned_and_the_least_error_is_chosen_and_wins(tmp_path: Path) -> None:
    with FAMILIES.including(MOOD):
        run = whole_run(tmp_path, config(tmp_path))
    mood, flat = (read_training(run.training(variant, 1)) for variant in ("mood", "flat"))
    assert mood.details["judged"] == "rating"
    assert set(mood.details["lower_is_better"]) == {"rmse", "mae", "pooled_rmse", "pooled_mae"}
    errors = [epoch["valid"]["rmse"] for epoch in mood.details["history"]]
    assert mood.details["best_epoch"] == 1 + int(np.argmin(errors)) < len(errors)
    assert mood.valid["rmse"] == min(errors) < max(errors)
    assert mood.test["rmse"] < flat.test["rmse"]
    values = read_per_user(run.training("mood", 1)).values
    assert set(values) == {"rmse", "mae"}
    assert np.nanmean(values["rmse"]) == pytest.approx(mood.test["rmse"])
    (row,) = (row for row in read_json(run.results)["summary"] if (row["variant"], row["metric"]) == ("mood", "rmse"))
    assert row["ci_high"] < 0
    assert max(row["p_users_holm"], row["p_seeds_holm"]) < 0.05
    page = run.page.read_text()
    assert f'<strong><bdi>{row["mean"]:.4f}</bdi></strong><span class="star" aria-label="best">' in page
    assert ": better." in page


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"training": {"monitor": "recall@20"}}, "training.monitor"),
        ({"report": {"baseline": "flat", "secondary": ["mae"]}}, "report.primary"),
        ({"report": {"baseline": "flat", "primary": "pooled_rmse", "secondary": ["mae"]}}, "report.primary"),
        ({"report": {"baseline": "flat", "primary": "rmse"}}, "report.secondary.0"),
    ],
)
def test_what_is_no_metric_of_ratings_is_refused_by_its_key(tmp_path: Path, change: dict[str, Any], key: str) -> None:
    with FAMILIES.including(MOOD), pytest.raises(UsageError, match=f"{key}: .*choose from rmse, mae"):
        whole_run(tmp_path, {**config(tmp_path), **change})
