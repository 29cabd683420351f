"""An aligner that is invented here alone, on a shipped graph model: it hides rows at the start and adds a term."""

from __future__ import annotations

import multiprocessing
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import pytest
from pydantic import Field
from torch import Tensor

from augrec.artefacts.run_folder import RunFolder
from augrec.artefacts.trainings import read_per_user, read_training
from augrec.pipeline.config.run_config import read_config
from augrec.pipeline.training.variant_training import code_of
from recsys.aligners.base import Aligner, Embeddings
from recsys.aligners.options import AlignerOptions
from recsys.aligners.registry import ALIGNERS, AlignerKind
from recsys.augmentation import SideInformation
from recsys.data.dataset import Dataset
from recsys.draws import Draws
from tests.augrec.pipeline.invented.whole_run import whole_run

pytestmark = pytest.mark.slow


class MarginOptions(AlignerOptions):
    """Embeddings after propagation are to have a length of one, though some rows were hidden before."""

    kind: Literal["margin"] = "margin"
    weight: float = Field(default=1.0, ge=0.0)
    hidden: float = Field(default=0.5, ge=0.0, lt=1.0)
    """The share of rows that a step does not see."""


class Margin(Aligner):
    """See the options."""

    def __init__(self, options: MarginOptions) -> None:
        super().__init__()
        self.options = options

    @classmethod
    def build(cls, dataset: Dataset, side: SideInformation, options: MarginOptions, **sizes: Any) -> Margin:
        return cls(options)

    def start(self, table: Embeddings, draw: Draws) -> Embeddings:
        if not self.options.hidden:
            return table
        parts = []
        for rows in table:
            seen = draw.uniform("hidden", len(rows), 1) >= self.options.hidden
            parts.append(rows * seen)
        return Embeddings(*parts)

    def terms(self, final: Embeddings, batch: Any, draw: Draws) -> dict[str, Tensor]:
        if not self.options.weight:
            return {}
        return {"margin": self.options.weight * sum((rows.norm(dim=1) - 1).square().mean() for rows in final)}


MARGIN = AlignerKind(MarginOptions, f"{__name__}:Margin", "Margin", "nobody")
if multiprocessing.parent_process() is not None:  # a worker, which imports this file for the options it is sent
    ALIGNERS.register(MARGIN)


def config(folder: Path) -> dict[str, Any]:
    """Two groups of users, each with its own half of the items; LightGCN alone, and with the aligner in three ways."""
    rng = np.random.default_rng(5)
    rows = [
        {"who": f"u{user:02}", "what": f"i{item + 10 * (user % 2):02}"}
        for user in range(40)
        for item in rng.permutation(10)[:6]
    ]
    pd.DataFrame(rows).to_csv(folder / "likes.csv", index=False)
    table = {"interactions": "likes.csv", "user": "who", "item": "what"}
    graph = {"family": "lightgcn", "dim": 8, "layers": 2}
    aligners = {
        "plain": {},
        "idle": {"aligner": {"kind": "margin", "weight": 0.0, "hidden": 0.0}},
        "hiding": {"aligner": {"kind": "margin", "weight": 0.0}},
        "margin": {"aligner": {"kind": "margin"}},
    }
    return {
        "dataset": {
            "name": "Halves",
            "source": {"format": "table", "path": str(folder), "table": table},
            "split": {"kind": "random"},
        },
        "models": {name: {**graph, **aligner} for name, aligner in aligners.items()},
        "training": {"monitor": "ndcg@5"},
        "evaluation": {"cutoffs": [5]},
        "variants": {name: {"model": name} for name in aligners},
        "report": {"baseline": "plain", "primary": "recall@5", "secondary": ["ndcg@5"], "bootstrap": 100},
    }


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    folder = tmp_path_factory.mktemp("aligner")
    with ALIGNERS.including(MARGIN):
        return whole_run(folder, config(folder), seeds=(1,))


def _losses(run: RunFolder, variant: str) -> list[float]:
    return [epoch["loss"] for epoch in read_training(run.training(variant, 1)).details["history"]]


def test_an_aligner_that_does_nothing_changes_nothing(run: RunFolder) -> None:
    assert _losses(run, "idle") == _losses(run, "plain")
    idle, plain = (read_per_user(run.training(variant, 1)).values for variant in ("idle", "plain"))
    assert all(np.array_equal(idle[name], plain[name], equal_nan=True) for name in plain)


def test_rows_are_hidden_before_they_are_propagated(run: RunFolder) -> None:
    assert _losses(run, "hiding")[0] != _losses(run, "plain")[0]


def test_its_term_is_learned_with_those_of_the_model(run: RunFolder) -> None:
    history = read_training(run.training("margin", 1)).details["history"]
    assert set(history[0]["terms"]) == {"bpr", "l2", "margin"}
    assert min(epoch["terms"]["margin"] for epoch in history) < 0.5 * history[0]["terms"]["margin"]


def test_it_stands_on_the_page_and_counts_for_its_variants_alone(run: RunFolder) -> None:
    assert "kind: margin" in run.page.read_text()
    with ALIGNERS.including(MARGIN):
        config = read_config(run.root.parent / "toy.yaml")
        counted = {name: __name__ in code_of(config, variant) for name, variant in config.variants.items()}
    assert counted == {"plain": False, "idle": True, "hiding": True, "margin": True}
