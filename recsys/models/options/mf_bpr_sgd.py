"""Options of MF-BPR as it was published: descent along single triplets."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, NonNegativeFloat, PositiveInt, field_validator

from augrec.artefacts.errors import UsageError
from recsys.models.options.base import FamilyOptions
from recsys.options import TrainingOptions, TrainingOverrides

RATE = {"lr": 0.05}


class MfBprSgdOptions(FamilyOptions):
    """Matrix factorisation with the BPR loss, by steps along single triplets: LearnBPR, on the CPU.

    `training.lr` is the rate of its steps. `training.batch_size` has no part, and Adam none. `optimiser: adamw`,
    `weight_decay`, `sampler: users`, `processes` and `shard` are refused.
    """

    family: Literal["mf_bpr_sgd"] = "mf_bpr_sgd"
    training: TrainingOverrides | None = Field(default_factory=lambda: TrainingOverrides.model_validate(RATE))
    """Training options that this model sets differently. A rate of .05 unless given: such steps are smaller than
    Adam's."""
    dim: PositiveInt = 64
    """Length of an embedding."""
    l2: NonNegativeFloat = 0.01
    """Weight of the penalty on what a triplet moves: half the squares of three embeddings and two biases."""

    @field_validator("training", mode="before")
    @classmethod
    def _default_rate(cls, given: Any) -> Any:
        return {**RATE, **given} if isinstance(given, dict) else given

    def check_training(self, training: TrainingOptions) -> None:
        """See FamilyOptions."""
        check_steps(training)


def check_steps(training: TrainingOptions) -> None:
    """Raises UsageError, which names the option, where steps along single triplets cannot do what is asked."""
    refused = {
        "processes": (training.processes > 1, "steps that follow each other are one process's"),
        "optimiser": (training.optimiser != "adam", "the descent has no other optimiser"),
        "weight_decay": (training.weight_decay > 0, "the penalty of the descent is the model's l2"),
        "sampler": (training.sampler != "interactions", "triplets are drawn uniformly"),
    }
    for name, (given, why) in refused.items():
        if given:
            default = type(training).model_fields[name].default
            raise UsageError(
                f"family mf_bpr_sgd cannot have {name}: {getattr(training, name)}; {why}",
                where=f"training.{name}",
                remedy=f"give this model training: {{{name}: {default}}}, or choose family mf_bpr",
            )
