"""How models are trained and judged: the `training` and `evaluation` sections of a config. No torch here."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    model_serializer,
)
from pydantic_core.core_schema import SerializerFunctionWrapHandler

from augrec.artefacts.metrics import Metric, MetricName
from augrec.artefacts.options import Options

NEXT_ITEM_METRICS = ("hit_rate", "ndcg", "mrr")
OF_EVERYBODY = ("coverage", "pooled_rmse", "pooled_mae")
"""Metrics that have no value per user."""


class Judged(StrEnum):
    """What of a recommender is judged, and so by which metrics; the options of its family declare it."""

    RANKING = "ranking"
    """Its list of all items, against all items that a user has in the split."""
    NEXT_ITEM = "next_item"
    """Its list of all items, against the one item that comes next."""
    RATING = "rating"
    """Its rating of every pair of user and item in the split."""

    @property
    def words(self) -> str:
        """For messages: "judged by ..."."""
        return {"ranking": "ranked lists", "next_item": "the next item", "rating": "ratings"}[self.value]

    def has(self, metric: Metric) -> bool:
        """Whether an evaluation of these recommenders gives the metric."""
        if self is Judged.RATING:
            return metric.k is None
        return metric.k is not None and (self is Judged.RANKING or metric.name in (*NEXT_ITEM_METRICS, "coverage"))

    def has_per_user(self, metric: Metric) -> bool:
        """Whether it gives a value for every user, which is what tests of significance need."""
        return self.has(metric) and metric.name not in OF_EVERYBODY


def _monitored(name: str) -> str:
    if Metric.parse(name).name == "coverage":
        raise ValueError(f"{name} says nothing of a user's own items; monitor e.g. recall@20, or rmse for ratings")
    return name


class TrainingOptions(Options):
    """How a trained model is optimised, stopped and kept."""

    noise: float = Field(0.0, ge=0.0, lt=1.0)
    """Share of false interactions, drawn anew for each seed, that join the training interactions of a model that is
    judged by ranked lists: how much it suffers from clicks that mean nothing. Texts, prompts, controls and what is held
    out know none of them. See `recsys.data.noise`."""
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
    monitor: Annotated[MetricName, AfterValidator(_monitored)] = "recall@20"
    """The validation metric that selects the epoch, e.g. ndcg@10 or, of models that predict ratings, rmse."""
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


class EvaluationOptions(Options):
    """How models are judged. Every item is ranked; in lists, training items are never candidates."""

    cutoffs: tuple[PositiveInt, ...] = Field((10, 20, 50), min_length=1)
    """The k of recall@k and its siblings."""
    protocol: Literal["standard", "official", "rlmrec", "llama4rec"] = "standard"
    """`standard`: textbook metrics, and at test time validation items are masked like training items (they are known
    by then; leaving them in lowers recall by several per cent). `official`: as in LLMRec's code, an NDCG whose ideal
    comes from the retrieved hits and validation items left in; only for comparison with figures so made. `rlmrec`: as
    in RLMRec's code and its successors', textbook metrics with validation items left in, where each that is listed
    counts as a miss; docs/evaluation.md has the training options that belong to it. `llama4rec`: as its figures are
    explained, also for models judged by the next item: only items of training are candidates, validation items are
    left in and no part of what a model is asked with, and a next item stands among the known ones. Selection is on
    validation in all."""
    mask_valid_at_test: bool | None = None
    """Whether validation items are left out of the test ranking; None follows the protocol."""
    chunk: PositiveInt | None = None
    """Users scored at a time, a matter of memory only; None takes as many as have 2^22 scores (16 MiB), at least 64."""
    mask_known: bool | None = None
    """Of models judged by the next item: whether items that the user has already are left out of the ranking. Much
    published code leaves them in, which lowers every figure. None follows the protocol; only `llama4rec` has them."""
    clip_ratings: bool = False
    """Of models that predict ratings: whether predictions are cut to the range of the training ratings."""
    tie_seed: NonNegativeInt = 0
    """Seeds the hash of user and item that breaks ties between equal scores."""

    @property
    def masks_validation(self) -> bool:
        """`mask_valid_at_test` with the protocol's default filled in."""
        return self.protocol == "standard" if self.mask_valid_at_test is None else self.mask_valid_at_test

    @property
    def masks_known(self) -> bool:
        """`mask_known` with the protocol's default filled in."""
        return self.protocol != "llama4rec" if self.mask_known is None else self.mask_known
