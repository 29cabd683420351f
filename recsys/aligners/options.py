"""Options of aligners. No torch here."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from augrec.artefacts.options import Options
from recsys.quirks import Released


class AlignerOptions(Options):
    """Base of every aligner's options; `kind` is a `Literal` in the subclass and tells them apart."""

    kind: str
    """The name of the aligner."""


class NoAlignerOptions(AlignerOptions):
    """The model as it is."""

    kind: Literal["none"] = "none"


class TextAlignerOptions(AlignerOptions, Released):
    """Base of aligners that read a vector of text for each user and item."""

    user_text: str | None = None
    """Which user features; null reads `profile` where there is one, else the only one there is."""
    item_text: str | None = None
    """Which item features; null as for `user_text`. Vectors of users and items must be of one length."""
    bank: Literal["all"] | PositiveInt = "all"
    """The texts of a step. `all`: exactly what the loss says. A number: at most so many users, positive and negative
    items of the batch (`con`) or hidden users and items (`gen`), drawn anew each step, are compared among themselves;
    a step then costs the same on any data set."""


class ConOptions(TextAlignerOptions):
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


class GenOptions(TextAlignerOptions):
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
