"""Options of MF-BPR as it was published: descent along single triplets."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, NonNegativeFloat, PositiveInt, field_validator

from recsys.models.options.base import FamilyOptions
from recsys.options import TrainingOverrides

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
