"""candidates: a base recommender, trained on train alone, proposes items for the LLM to judge."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pipeline.stages.base import Run, Stage, require_marker


class Candidates(Stage):
    """Writes `candidates/candidates.parquet`: the top |C| unseen items per user."""

    name = "candidates"
    after = ("prepare",)
    code = ("recsys",)

    def section(self, run: Run) -> dict[str, Any]:
        config = run.config
        return {
            "size": config.candidates.size,
            "model": config.models[config.candidates.model].model_dump(mode="json"),
            "training": config.training.model_dump(mode="json"),
            "monitor": config.evaluation.model_dump(mode="json"),
            "seed": config.seed,
        }

    def run(self, run: Run) -> dict[str, Any]:
        from recsys.candidates import write_candidates
        from recsys.data.dataset import Dataset
        from recsys.train import fit

        config = run.config
        dataset = Dataset.load(run.folder / "dataset")
        model = config.models[config.candidates.model]
        fitted = fit(dataset, model, training=config.training, evaluation=config.evaluation, seed=config.seed)
        counts = write_candidates(
            fitted.scores, dataset, config.candidates.size, self.folder(run) / "candidates.parquet", seed=config.seed
        )
        return {"model": model.family, "candidates": counts}

    def outputs(self, run: Run) -> Iterable[Path]:
        return [self.folder(run) / "candidates.parquet"]

    def summary(self, details: dict[str, Any]) -> str:
        return f"{details['candidates']:,} candidates by {details['model']}"
