"""What the options of all models of sequences have in common."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, PositiveInt, model_validator

from recsys.models.options.base import FamilyOptions, SequenceAugmentation
from recsys.options import Judged


class SequenceOptions(FamilyOptions, SequenceAugmentation):
    """A transformer over the items of a user in order of time."""

    judged: ClassVar[Judged] = Judged.NEXT_ITEM

    dim: PositiveInt = 64
    """Length of an embedding, and width of the network."""
    length: PositiveInt = Field(50, ge=2)
    """How many of a user's latest items are read."""
    blocks: PositiveInt = 2
    """Layers of self-attention, each followed by a network of two layers."""
    heads: PositiveInt = 1
    """Heads of each attention; they divide `dim`."""
    dropout: float = Field(0.2, ge=0, lt=1)
    """Share of the values that training leaves out: of embeddings, of attention, and of what each layer adds."""
    windows: Literal["last", "all"] = "last"
    """`last`: an epoch sees every user's latest `length` steps, as in published code. `all`: longer sequences are cut
    into windows, so that every training item is looked for in every epoch."""

    @model_validator(mode="after")
    def _heads_divide(self) -> SequenceOptions:
        if self.dim % self.heads:
            raise ValueError(f"heads: {self.heads} heads do not divide dim {self.dim}")
        return self
