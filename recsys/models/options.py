"""Options of the built-in model families. No torch here: configs are read without it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from artefacts.options import Options
from recsys.training_options import TrainingOverrides


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
