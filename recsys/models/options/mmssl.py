"""Options of MMSSL, each quirk of the published code by name. No torch here."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt, field_validator, model_validator

from augrec.artefacts.options import Options
from recsys.models.options.base import EdgeAugmentation, FamilyOptions, ModalityOptions, SideAugmentation
from recsys.options import TrainingOverrides

OPTIMISER = {"optimiser": "adamw", "weight_decay": 0.01}


class AdversaryOptions(Options):
    """The discriminator that tells interactions from what modalities make of them."""

    weight: NonNegativeFloat = 1e-4
    """Weight of its judgement in the model's loss (`G_rate`); 0 leaves the discriminator out."""
    lr: PositiveFloat = 3e-4
    """Its own learning rate (`D_lr`), with betas 0.5 and 0.9 and no weight decay."""
    users: PositiveInt = 256
    """Users of a batch whose rows it sees; a row has a number per item, so this is most of a step's cost. The published
    code takes all."""
    hidden_dims: tuple[PositiveInt, PositiveInt] | None = None
    """Widths of its hidden layers; null is a quarter and an eighth of the items, as published: over n_items^2 / 4
    weights."""
    slope: float = Field(0.01, ge=0, le=1)
    """LeakyReLU's slope for negatives. The published `LeakyReLU(True)` is a slope of 1, which makes it linear."""
    batch_norm: bool = True
    """Batch norms after its hidden layers, as in paper and code. The authors of the gradient penalty advise against
    them: gradients are thousands of times too large at first, and the penalty is most of its loss for a while."""
    dropout: tuple[float, float] = (0.31, 0.5)
    """Dropout after each hidden layer (`G_drop1`, `G_drop2`)."""
    scale: PositiveFloat = 100.0
    """What the judgement, a sigmoid, is multiplied by."""
    gradient_penalty: NonNegativeFloat = 0.3
    """Weight of the gradient penalty (WGAN-GP)."""
    relation_temperature: PositiveFloat = 1.0
    """Temperature of the softmax over a user's row of interactions."""
    gumbel: NonNegativeFloat = 0.002
    """What the Gumbel noise in it is multiplied by. The paper divides row and noise by one temperature; the published
    code scales the noise alone, by 1e-5 / 0.005."""
    similarity: NonNegativeFloat = 100.0
    """Weight of the final embeddings' similarities that are added to the row (`ui_pre_scale`)."""


class MmsslOptions(FamilyOptions, ModalityOptions, EdgeAugmentation, SideAugmentation):
    """MMSSL: modality-aware relations from an adversarial game, and contrast between modalities.

    Defaults are those of the published code. Names in brackets are the published code's.
    """

    family: Literal["mmssl"] = "mmssl"
    training: TrainingOverrides | None = Field(default_factory=lambda: TrainingOverrides.model_validate(OPTIMISER))
    """Training options that this model sets differently. AdamW with weight decay 0.01 unless given, which is what the
    published code runs with."""
    dim: PositiveInt = 64
    """Length of an embedding."""
    layers: PositiveInt = 2
    """Propagations of the ID embeddings, items to users to items each (the length of `weight_size`)."""
    norm: Literal["row-sqrt", "symmetric"] = "row-sqrt"
    """`row-sqrt` divides a sum over neighbours by the square root of the receiver's degree (paper and code);
    `symmetric` by that of both degrees."""
    final_softmax: bool = True
    """Softmax over the dimensions after the last propagation of the ID embeddings (the code, not in the paper)."""
    modality_scale: NonNegativeFloat = 0.55
    """Weight of each normalised modality in the final embeddings (`model_cat_rate`)."""
    attention_scale: NonNegativeFloat = 0.36
    """Weight of the normalised modality-aware embedding beside the ID embedding (`id_cat_rate`)."""
    heads: PositiveInt = 4
    """Heads of the attention between modalities; divides `dim`."""
    attention_keys: Literal["own", "queries"] = "own"
    """Keys by a matrix of their own (the paper), or the queries again (a slip of the published code)."""
    relations: Literal["generated", "observed"] = "generated"
    """The graph of each modality: the items most similar to a user's modality embedding among those it has not, found
    anew in each epoch; or the interactions. The published code starts with these, goes on with the first batch's
    users alone, and with an empty graph from the third step of an epoch."""
    similarity: Literal["inner", "cosine"] = "inner"
    """How a user's and an item's features are compared for relations and the discriminator: by inner products, a user's
    row then having length 1 (the code), or by cosines (the paper)."""
    relation_items: PositiveInt = 10
    """Generated relations per user. The published code takes 0.0001 of the items: none below 10,000 items."""
    contrast: NonNegativeFloat = 0.03
    """Weight of the contrastive loss between a user's embedding from each modality and its other one (`cl_rate`)."""
    contrast_with: Literal["final", "fused"] = "final"
    """That other one: the final embedding (the code), or ID embedding plus attention before propagation (the paper)."""
    temperature: PositiveFloat = 0.5
    """Temperature of the contrastive loss (`tau`)."""
    dropout: float = Field(0.2, ge=0, lt=1)
    """Dropout of projected features while training (`drop_rate`)."""
    feature_reg: NonNegativeFloat = 1e-5
    """Weight of the squared norms of propagated modalities (`feat_reg_decay`)."""
    l2: NonNegativeFloat = 1e-5
    """Weight of the penalty on the batch's rows of the final embeddings (`regs[0]`)."""
    adversary: AdversaryOptions = AdversaryOptions()
    """The discriminator and the game."""

    @field_validator("training", mode="before")
    @classmethod
    def _default_optimiser(cls, given: Any) -> Any:
        return {**OPTIMISER, **given} if isinstance(given, dict) else given

    @model_validator(mode="after")
    def _whole_heads(self) -> MmsslOptions:
        if self.dim % self.heads:
            raise ValueError(f"heads must divide dim: {self.dim} is no multiple of {self.heads}")
        return self
