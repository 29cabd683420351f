"""A model of sequences that is invented here alone: batches of its own, judged by the next item, from file to page."""

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
from torch import Tensor

from augrec.artefacts.errors import UsageError
from augrec.artefacts.trainings import read_per_user, read_training
from recsys.augmentation import SideInformation
from recsys.batches.base import Queries
from recsys.data.dataset import Dataset
from recsys.models.base import TrainedRecommender, embedding_table
from recsys.models.options.base import FamilyOptions
from recsys.models.registry import FAMILIES, Family
from recsys.options import Judged
from recsys.training.job import FitJob
from tests.augrec.pipeline.invented.whole_run import whole_run

pytestmark = pytest.mark.slow


class StepOptions(FamilyOptions):
    """What comes after an item, whoever the user is."""

    judged: ClassVar[Judged] = Judged.NEXT_ITEM
    family: Literal["step"] = "step"
    blind: bool = False
    """Whether validation items are no part of the context at test."""


@dataclass(frozen=True)
class Steps:
    """From an item to the one after it; int64 [b] each."""

    before: Tensor
    after: Tensor

    def __len__(self) -> int:
        return len(self.before)

    def to(self, device: torch.device | str) -> Steps:
        return Steps(self.before.to(device), self.after.to(device))

    def share(self, rank: int, size: int) -> Steps:
        return self if len(self) < size else Steps(self.before[rank::size], self.after[rank::size])


class AllSteps:
    """Every step of the training sequences once per epoch."""

    notes: tuple[str, ...] = ()

    def __init__(self, dataset: Dataset, batch_size: int, generator: torch.Generator) -> None:
        pairs = dataset.train[dataset.by_time("train")]
        inside = pairs[1:, 0] == pairs[:-1, 0]
        self.steps = torch.from_numpy(np.stack([pairs[:-1, 1][inside], pairs[1:, 1][inside]], 1))
        self.batch_size, self.generator = batch_size, generator

    def epoch(self) -> Iterator[Steps]:
        order = torch.randperm(len(self.steps), generator=self.generator)
        for rows in order.split(self.batch_size):
            yield Steps(*self.steps[rows].unbind(1))


class Step(TrainedRecommender):
    """Scores of the next item are a row of a table, that of the last item of the context."""

    def __init__(self, dataset: Dataset, options: StepOptions, generator: torch.Generator) -> None:
        super().__init__()
        self.table = embedding_table(dataset.n_items, dataset.n_items, generator)
        contexts = {"valid": ("train",), "test": ("train",) if options.blind else ("train", "valid")}
        self.last = {split: last_items(dataset, parts) for split, parts in contexts.items()}

    @classmethod
    def build(cls, dataset: Dataset, side: SideInformation, options: StepOptions, generator: torch.Generator) -> Step:
        return cls(dataset, options, generator)

    def batches(self, job: FitJob) -> AllSteps:
        return AllSteps(job.dataset, job.training.batch_size, job.generator("steps"))

    def loss(self, batch: Steps) -> dict[str, Tensor]:
        return {"next": F.cross_entropy(F.embedding(batch.before, self.table), batch.after)}

    @torch.no_grad()
    def scores(self, queries: Queries) -> Tensor:
        return F.embedding(self.last[queries.split][queries.users], self.table)


def last_items(dataset: Dataset, parts: tuple[str, ...]) -> Tensor:
    """int64 [n_users]: the last item of every user in the last of these parts."""
    last = np.zeros(dataset.n_users, dtype=np.int64)
    for part in parts:
        pairs = dataset.pairs(part)[dataset.by_time(part)]
        last[pairs[:, 0]] = pairs[:, 1]
    return torch.from_numpy(last)


STEP = Family(StepOptions, f"{__name__}:Step", "general", "Step", "nobody")
if multiprocessing.parent_process() is not None:  # a worker, which imports this file for the options it is sent
    FAMILIES.register(STEP)


def walks(folder: Path, n_users: int = 40, n_items: int = 13, steps: int = 7) -> dict[str, Any]:
    """Every user goes round the catalogue, an item at a time; rows are in no order."""
    rows = [
        {"who": f"u{user:02}", "what": f"i{(user + step) % n_items:02}", "when": 1000 * step + user}
        for user in range(n_users)
        for step in range(steps)
    ]
    pd.DataFrame(rows).sample(frac=1, random_state=0).to_csv(folder / "walks.csv", index=False)
    table = {"interactions": "walks.csv", "user": "who", "item": "what", "timestamp": "when"}
    source = {"format": "table", "path": str(folder), "table": table}
    return {"name": "Walks", "source": source, "split": {"kind": "leave_last_out"}}


def config(folder: Path) -> dict[str, Any]:
    return {
        "dataset": walks(folder),
        "models": {"step": {"family": "step"}, "blind": {"family": "step", "blind": True}},
        "training": {"monitor": "hit_rate@1"},
        "evaluation": {"cutoffs": [1, 5]},
        "variants": {"sees": {"model": "step"}, "blind": {"model": "blind"}},
        "report": {"baseline": "blind", "primary": "ndcg@5", "secondary": ["hit_rate@1", "coverage@5"]},
    }


def test_the_next_item_is_learned_and_judged_with_the_context_of_its_split(tmp_path: Path) -> None:
    with FAMILIES.including(STEP):
        run = whole_run(tmp_path, config(tmp_path))
    sees, blind = (read_training(run.training(variant, 1)) for variant in ("sees", "blind"))
    assert sees.details["judged"] == "next_item"
    assert sees.details["lower_is_better"] == []
    assert sees.valid["hit_rate@1"] == sees.test["hit_rate@1"] == 1
    assert blind.valid["hit_rate@1"] == 1
    assert blind.test["hit_rate@1"] < 1  # the item after the one before last is known by then
    values = read_per_user(run.training("sees", 1)).values
    assert set(values) == {f"{name}@{k}" for name in ("hit_rate", "ndcg", "mrr") for k in (1, 5)}
    assert "ndcg@5" in run.page.read_text().lower()


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"training": {"monitor": "recall@5"}}, "training.monitor"),
        ({"report": {"baseline": "blind", "primary": "rmse"}}, "report.primary"),
        ({"variants": {"sees": {"model": "step"}, "blind": {"model": "base"}}}, "variants"),
        ({"evaluation": {"cutoffs": [1, 5], "protocol": "official"}}, "evaluation.protocol: official"),
        ({"evaluation": {"cutoffs": [1, 5], "protocol": "rlmrec"}}, "evaluation.protocol: rlmrec"),
    ],
)
def test_what_is_no_metric_of_the_next_item_is_refused_by_its_key(
    tmp_path: Path, change: dict[str, Any], key: str
) -> None:
    with FAMILIES.including(STEP), pytest.raises(UsageError, match=key):
        whole_run(tmp_path, {**config(tmp_path), **change})
