"""candidates: a base recommender, trained on train alone, proposes items for the LLM to judge."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from augrec.artefacts.counts import counted
from augrec.artefacts.files import digest
from augrec.artefacts.progress import progress
from augrec.pipeline.identity.metric_code import metric_modules
from augrec.pipeline.stages.base import Run, Stage
from augrec.pipeline.stages.closed_forms import gpus_of_models


class Candidates(Stage):
    """Writes `candidates/candidates.parquet`: the top |C| unseen items per user."""

    name = "candidates"
    help = "Rank unseen items per user with a base recommender."
    after = ("prepare",)

    def code(self, run: Run) -> tuple[str, ...]:
        """See `Stage.code`; with the model that lists them."""
        from recsys.models.registry import FAMILIES

        model = run.config.models[run.config.candidates.model]
        return (*super().code(run), *FAMILIES[model.family].modules(model), *metric_modules())

    def section(self, run: Run) -> dict[str, Any]:
        """See `Stage.section`: the model, how it is trained and judged, and how many candidates a user has."""
        config = run.config
        model = config.models[config.candidates.model]
        training = model.training_within(config.training)
        return {
            "size": config.candidates.size,
            "model": model.model_dump(mode="json"),
            "training": training.model_dump(mode="json", exclude={"keep_checkpoint", "resume_minutes", "noise"}),
            "evaluation": config.evaluation.model_dump(mode="json"),
            "seed": config.seed,
        }

    def gpus(self, run: Run, group: str) -> int | None:
        """See `Stage.gpus`: 0 for a model that is computed in one go."""
        return gpus_of_models(run.config, [run.config.models[run.config.candidates.model]])

    def finish(self, run: Run) -> dict[str, Any]:
        """See `Stage.finish`: trains the model on training interactions alone, and lists what it ranks first."""
        from recsys.augmentation import SideInformation
        from recsys.data.dataset import Dataset
        from recsys.evaluation.candidates import write_candidates
        from recsys.training.restore import restore
        from recsys.training.train import train

        config = run.config
        dataset = Dataset.load(run.files.dataset, test=False)
        model = config.models[config.candidates.model]
        training = config.training.model_copy(update={"keep_checkpoint": True, "noise": 0.0})
        base = run.files.candidates_model.root
        with progress(f"candidates: {model.family}", training.epochs, "epochs") as ticker:
            train(
                dataset,
                model,
                SideInformation(),
                training,
                config.evaluation,
                config.seed,
                out=base,
                variant="candidates",
                fingerprint=digest(self.section(run)),
                ticker=ticker,
                judge_test=False,
            )
        recommender = restore(base, dataset, model, SideInformation())
        rows = write_candidates(
            recommender.scorer("valid"), dataset, config.candidates.size, self.outputs(run)[0], seed=config.seed
        )
        return {"model": model.family, "candidates": rows}

    def outputs(self, run: Run) -> list[Path]:
        """See `Stage.outputs`."""
        return [run.files.candidates]

    def summary(self, details: dict[str, Any]) -> str:
        """See `Stage.summary`."""
        return f"{counted(details['candidates'], 'candidate')} by {details['model']}"
