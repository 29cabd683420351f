"""Options of aligners. No torch here."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from augrec.artefacts.options import Options
from recsys.quirks import Released


class AlignerOptions(Options):
    """Base of every aligner's options; `kind` is a `Literal` in the subclass and tells them apart."""

    kind: str
    """The name of the aligner."""

    def start_dim(self, dim: int) -> int:
        """Length of what is propagated, where the model's own embeddings have length `dim`."""
        return dim


class NoAlignerOptions(AlignerOptions):
    """The model as it is."""

    kind: Literal["none"] = "none"


class TextAlignerOptions(AlignerOptions):
    """Base of aligners that read a vector of text for each user and item."""

    user_text: str | None = None
    """Which user features; null reads `profile` where there is one, else the only one there is."""
    item_text: str | None = None
    """Which item features; null as for `user_text`. Vectors of users and items must be of one length."""


class RlmrecAlignerOptions(TextAlignerOptions, Released):
    """Base of RLMRec's two ways of alignment."""

    bank: Literal["all"] | PositiveInt = "all"
    """The texts of a step. `all`: exactly what the loss says. A number: at most so many users, positive and negative
    items of the batch (`con`) or hidden users and items (`gen`), drawn anew each step, are compared among themselves;
    a step then costs the same on any data set."""


class ConOptions(RlmrecAlignerOptions):
    """RLMRec-Con: an embedding is told apart from others by its own text."""

    quirks: ClassVar = {"repeated": True}

    kind: Literal["con"] = "con"
    weight: NonNegativeFloat = 0.01
    """Weight of the term (`kd_weight`)."""
    temperature: PositiveFloat = 0.2
    """Temperature of the cosines (`kd_temperature`)."""
    negative_items: bool = True
    """Whether the negative items of a batch are aligned too. AutoCF's published code leaves them out."""
    repeated: bool = False
    """Whether an item that a batch holds several times is its own negative, as in the published code."""


class GenOptions(RlmrecAlignerOptions):
    """RLMRec-Gen: some users and items are hidden, and their texts rebuilt from what the graph says of them."""

    quirks: ClassVar = {"floor": 1e-8}

    kind: Literal["gen"] = "gen"
    weight: NonNegativeFloat = 0.1
    """Weight of the term (`recon_weight`)."""
    temperature: PositiveFloat = 0.2
    """Temperature of the cosines (`re_temperature`)."""
    hidden: float = Field(0.1, gt=0, le=1)
    """The share of users and items, taken together, that a step hides; at least one (`mask_ratio`)."""
    floor: NonNegativeFloat = 0.0
    """Added to each probability, and to the sum over which it is one, before the logarithm: a guard against log 0
    that also bounds a node's loss. 1e-8 in the published code."""


class KarOptions(TextAlignerOptions):
    """KAR: what experts make of the texts is propagated with the embeddings, in evaluation as in training."""

    kind: Literal["kar"] = "kar"
    join: Literal["concat", "add"] = "concat"
    """Whether it stands beside an embedding or is added to it."""
    width: PositiveInt | None = None
    """Length of what the experts make of a text; null is that of an embedding, and `add` leaves no choice."""
    shared_experts: NonNegativeInt = 2
    """Experts that users and items share."""
    own_experts: PositiveInt = 2
    """Experts of users alone, and as many of items alone."""
    hidden: PositiveInt = 64
    """Width of an expert's hidden layer."""

    def start_dim(self, dim: int) -> int:
        """See `AlignerOptions.start_dim`."""
        return dim + (self.width or dim) if self.join == "concat" else dim

    @model_validator(mode="after")
    def _one_width(self) -> KarOptions:
        if self.join == "add" and self.width is not None:
            raise ValueError("with join: add the width is that of an embedding; leave width out, or set join: concat")
        return self


class ProMaxOptions(TextAlignerOptions):
    """ProMax: a user's preferences over all items are drawn to how near their texts are to the user's."""

    kind: Literal["promax"] = "promax"
    weight: NonNegativeFloat = 0.1
    """Weight of the term (`sdr_weight`)."""
    temperature: PositiveFloat = 0.2
    """Temperature of the cosines of embeddings."""
    text_temperature: PositiveFloat = 0.2
    """Temperature of the cosines of texts."""
    components: PositiveInt | None = None
    """How many principal components of the texts are compared; null is as many as an embedding has numbers."""
    whitening: Literal["joint", "separate"] = "joint"
    """`joint`: users and items have the same components. `separate`, the published code: components of their own, so
    that a cosine of a user and an item compares numbers that stand for different things."""
    least_weight: float = Field(0.1, ge=0, le=1)
    """A user counts as much as its text's distribution is peaked, and at least so much."""
    bank: Literal["all"] | PositiveInt = "all"
    """`all`: all users of a batch, over all items. A number: at most so many users, over at most so many items, drawn
    anew each step."""
