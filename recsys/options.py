"""Typed options of training, evaluation and the built-in model families. Importable without torch."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, model_serializer
from pydantic_core.core_schema import SerializerFunctionWrapHandler

from artefacts.options import Options

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
    device: str = Field("auto", pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$")
    """`auto` takes the accelerator that torch finds, else the CPU."""
    precision: Literal["no", "bf16"] = "no"
    """`bf16` runs losses and projections under autocast; parameters, propagation and scores stay float32."""
    threads: PositiveInt | None = None
    """CPU threads while training; None leaves torch's own choice. Figures repeat only for the same number."""
    keep_checkpoint: bool = True
    """Whether the selected model is written as model.safetensors."""


class TrainingOverrides(TrainingOptions):
    """The training options one model sets for itself. Only keys that are given count, and only they are written."""

    @model_serializer(mode="wrap")
    def _given(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {name: value for name, value in handler(self).items() if name in self.model_fields_set}

    def applied_to(self, training: TrainingOptions) -> TrainingOptions:
        """`training` with the given keys replaced."""
        return training.model_copy(update={name: getattr(self, name) for name in self.model_fields_set})


class EvaluationOptions(Options):
    """How rankings are judged. Every item is ranked; training items are never candidates."""

    cutoffs: tuple[PositiveInt, ...] = Field((10, 20, 50), min_length=1)
    """The k of recall@k and its siblings."""
    protocol: Literal["standard", "official"] = "standard"
    """`standard`: textbook metrics, and at test time validation items are masked like training items (they are known
    by then; leaving them in lowers recall by several per cent). `official`: as in LLMRec's code, an NDCG whose ideal
    comes from the retrieved hits and validation items left in; only for comparison with figures so made. Selection is
    on validation in both."""
    mask_valid_at_test: bool | None = None
    """Whether validation items are left out of the test ranking; None follows the protocol."""
    chunk: PositiveInt = 1024
    """Users scored at a time: memory, not speed or results."""
    tie_seed: NonNegativeInt = 0
    """Seeds the permutation of items that breaks ties between equal scores."""

    @property
    def masks_validation(self) -> bool:
        """`mask_valid_at_test` with the protocol's default filled in."""
        return self.protocol == "standard" if self.mask_valid_at_test is None else self.mask_valid_at_test


class FamilyOptions(Options):
    """Base of every family's options; `family` is a `Literal` in the subclass and tells them apart."""

    family: str
    """The name of the model family."""
    training: TrainingOverrides | None = None
    """Training options that this model sets differently."""


class EdgeAugmentation(Options):
    """Mixin of every pairwise model: suggested edges (`SideInformation.edges`) join the observed triplets."""

    aug_sample_rate: NonNegativeFloat = Field(0.0, le=1.0)
    """The share of a batch's triplets whose user also contributes its suggested triplet; 0 uses none."""


class PopularityOptions(FamilyOptions):
    """Every user gets the most popular items."""

    family: Literal["popularity"] = "popularity"


class EaseOptions(FamilyOptions):
    """EASE: an item-item linear model in closed form."""

    family: Literal["ease"] = "ease"
    l2: PositiveFloat = 500.0
    """The ridge penalty lambda; hundreds for dense data, tune on validation."""


class MfBprOptions(FamilyOptions, EdgeAugmentation):
    """Matrix factorisation with the BPR loss."""

    family: Literal["mf_bpr"] = "mf_bpr"
    dim: PositiveInt = 64
    """Length of an embedding."""
    l2: NonNegativeFloat = 1e-4
    """Weight of the penalty on the embeddings of the batch."""
    l2_kind: Literal["squared", "norm"] = "squared"
    """`squared`: half the sum of squares per triplet (LightGCN's code); `norm`: the three unsquared Frobenius norms of
    the batch, divided by its size."""


class LightGcnOptions(FamilyOptions, EdgeAugmentation):
    """LightGCN: linear propagation on the normalised user-item graph."""

    family: Literal["lightgcn"] = "lightgcn"
    dim: PositiveInt = 64
    """Length of an embedding."""
    layers: NonNegativeInt = 3
    """Propagation steps; 0 is matrix factorisation."""
    l2: NonNegativeFloat = 1e-4
    """Weight of the penalty on the batch's embeddings before propagation."""
    l2_kind: Literal["squared", "norm"] = "squared"
    """As for `mf_bpr`."""
