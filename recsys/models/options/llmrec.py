"""Options of LLMRec, each quirk of the published code by name. No torch here."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, NonNegativeFloat, PositiveInt, field_validator

from augrec.artefacts.options import Options
from recsys.models.options.base import EdgeAugmentation, FamilyOptions
from recsys.options import TrainingOverrides

OPTIMISER = {"optimiser": "adamw", "weight_decay": 0.01}


class RestorationOptions(Options):
    """Restoring hidden profiles and attributes from the neighbourhood (a masked autoencoder).

    The published code ships it switched off and broken; this is the mended version, not parity.
    """

    mask_rate: float = Field(0.0, ge=0, lt=1)
    """Share of profiles, and of each attribute's items, hidden in a training step; 0 switches restoration off."""
    weight: NonNegativeFloat = 1e-5
    """Weight of the restoration loss (the reference's `att_re_rate`)."""
    alpha: float = Field(2.0, ge=1)
    """Exponent of the scaled cosine error (`alpha_l`)."""
    loss: Literal["sce", "mse"] = "sce"
    """Scaled cosine error, or squared error of normalised vectors."""

    @property
    def active(self) -> bool:
        """Whether anything is hidden and restored."""
        return self.mask_rate > 0 and self.weight > 0


class LLMRecOptions(FamilyOptions, EdgeAugmentation):
    """LLMRec: LLM-written edges, profiles and attributes around a light graph network.

    Defaults are those of the published code for Netflix. Names in brackets are the published code's.
    """

    family: Literal["llmrec"] = "llmrec"
    training: TrainingOverrides | None = Field(default_factory=lambda: TrainingOverrides.model_validate(OPTIMISER))
    """Training options that this model sets differently. AdamW with weight decay 0.01 unless given: the published code
    means its own `weight_decay` but runs with torch's default, which is its only effective regulariser."""
    aug_sample_rate: NonNegativeFloat = Field(0.1, le=1.0)
    """The share of a batch's triplets whose user also contributes its suggested triplet; 0 uses none."""
    dim: PositiveInt = 64
    """Length of an embedding (`embed_size`)."""
    layers: PositiveInt = 2
    """Propagations of the ID embeddings, items to users to items each (the length of `weight_size`; the published
    `layers` repeats the same computation and has no effect)."""
    norm: Literal["row-sqrt", "symmetric"] = "row-sqrt"
    """`row-sqrt` divides a sum over neighbours by the square root of the receiver's degree (the code); `symmetric` by
    that of both degrees (LightGCN, and the paper's text)."""
    final_softmax: bool = True
    """Softmax over the dimensions after the last propagation of the ID embeddings (the code, not in the paper)."""
    modality_scale: NonNegativeFloat = 0.02
    """Weight of each normalised modality (text, image) in the final embeddings (`model_cat_rate`)."""
    profile_scale: NonNegativeFloat = 2.8
    """Weight of the normalised user profile (`user_cat_rate`). It dominates: ID embeddings have norms near 0.1, so
    tune it on validation for another embedding model."""
    attribute_scale: NonNegativeFloat = 0.005
    """Weight of each normalised item attribute (`item_cat_rate`)."""
    keep: Literal["hard", "easy", "all"] = "hard"
    """Which triplets stay in each BPR term: the published code and equation 7 keep the hardest ones, the text of the
    paper (noise is pruned) means `easy`; `all` prunes nothing."""
    prune_rate: float = Field(0.71, ge=0, lt=1)
    """Share of triplets that is left out of each BPR term (`prune_loss_drop_rate`)."""
    attribute_bpr: NonNegativeFloat = 0.012
    """Weight of the BPR terms between profiles and each attribute (`aug_mf_rate`); not in the paper."""
    modality_bpr: NonNegativeFloat = 1e-4
    """Weight of the BPR terms within each modality (`mm_mf_rate`); not in the paper."""
    feature_reg: NonNegativeFloat = 1e-5
    """Weight of the squared norms of propagated modalities (`feat_reg_decay`)."""
    l2: Literal["none", "standard", "inverted"] = "none"
    """`standard` penalises the squared ID embeddings of the batch; `inverted` is the published code's slip, which
    penalises one over the squared norms of the final ones, and has no effect at its weight."""
    l2_weight: NonNegativeFloat = 1e-5
    """Weight of the l2 term (`regs[0]`)."""
    dropout: float = Field(0.0, ge=0, lt=1)
    """Dropout of projected features while training (`drop_rate`)."""
    share_item_projection: bool = True
    """One linear layer for all attributes (the code) instead of one for each."""
    preprocess: Literal["none", "centre"] = "none"
    """`centre` subtracts each feature's mean over the rows that have one: sentence embeddings share a large part."""
    restoration: RestorationOptions = RestorationOptions()
    """Restoration of hidden features; off by default."""

    @property
    def compared(self) -> dict[str, tuple[str, ...]]:
        """See `FamilyOptions.compared`: attributes, where all have one layer."""
        return {"share_item_projection": ("attributes",)} if self.share_item_projection else {}

    @field_validator("training", mode="before")
    @classmethod
    def _default_optimiser(cls, given: Any) -> Any:
        return {**OPTIMISER, **given} if isinstance(given, dict) else given
