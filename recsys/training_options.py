"""How models are trained: the `training` section of a config, and what one model may set for itself. No torch here."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt, model_serializer
from pydantic_core.core_schema import SerializerFunctionWrapHandler

from augrec.artefacts.options import Options

METRIC = r"^(recall|ndcg|precision|hit_rate|mrr)@[1-9]\d*$"


class TrainingOptions(Options):
    """How a trained model is optimised, stopped and kept."""

    epochs: PositiveInt = 100
    """Most passes over the training interactions."""
    batch_size: PositiveInt = 2048
    """Triplets (user, positive, negative) per step, before augmented ones are added."""
    lr: PositiveFloat = 1e-3
    """Learning rate, constant."""
    weight_decay: NonNegativeFloat = 0.0
    """Weight decay of the optimiser (L2 in Adam, decoupled in AdamW), on every parameter."""
    optimiser: Literal["adam", "adamw"] = "adam"
    """Adam (Kingma & Ba 2015) or AdamW (Loshchilov & Hutter 2019), both with torch's default betas."""
    sampler: Literal["interactions", "users"] = "interactions"
    """`interactions`: a shuffled pass over all training interactions; `users`: LLMRec's draw of users."""
    evaluate_every: PositiveInt = 1
    """Epochs between evaluations on the validation split; the last epoch is always evaluated."""
    monitor: str = Field("recall@20", pattern=METRIC)
    """The validation metric that selects the epoch."""
    patience: PositiveInt = 10
    """Evaluations without a strict improvement of the monitor after which training stops."""
    device: str = Field("auto", pattern=r"^(auto|cpu|cuda(:\d+)?)$")
    """`auto` is the GPU when torch sees one, else the CPU."""
    precision: Literal["no", "bf16"] = "no"
    """`bf16` runs losses and projections under autocast; parameters, propagation and scores stay float32."""
    processes: PositiveInt = 1
    """Processes that train one model together, one per GPU (or several on the CPU). Each takes its share of every
    batch; with `shard` each holds its share of the model. See docs/training.md."""
    shard: bool = False
    """Splits embedding tables, graph and Adam's state by rows over the processes, for what one GPU cannot hold.
    `lightgcn` and `mf_bpr` can."""
    backend: Literal["csr", "torch-sparse"] = "csr"
    """What multiplies by graphs: torch's own CSR products, or the package torch-sparse (the extra `torch-sparse`)."""
    threads: PositiveInt | None = None
    """CPU threads while training; None leaves torch's own choice, at most the cores that affinity and quota leave.
    Figures repeat only for the same number."""
    keep_checkpoint: bool = True
    """Whether the selected model is written as model.safetensors."""
    resume_minutes: NonNegativeFloat | None = 5.0
    """Minutes between snapshots from which a killed training goes on; 0 takes one per evaluation, None takes none."""


class TrainingOverrides(TrainingOptions):
    """The training options one model sets for itself. Only keys that are given count, and only they are written."""

    @model_serializer(mode="wrap")
    def _given(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {name: value for name, value in handler(self).items() if name in self.model_fields_set}

    def applied_to(self, training: TrainingOptions) -> TrainingOptions:
        """`training` with the given keys replaced."""
        return training.model_copy(update={name: getattr(self, name) for name in self.model_fields_set})
