"""What the options of all models have in common that rate pairs by the fields of user and item."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field, NonNegativeFloat, PositiveInt

from augrec.artefacts.options import Options
from recsys.fields.options import FieldOptions
from recsys.models.options.base import FamilyOptions
from recsys.options import Judged


class FieldModelOptions(FamilyOptions):
    """A model of ratings whose input is the fields of a user and an item."""

    judged: ClassVar[Judged] = Judged.RATING

    fields: FieldOptions = FieldOptions()
    """What it reads."""
    dim: PositiveInt = 16
    """Length of a field's embedding."""
    linear: bool = True
    """Whether every value also has a weight of its own, which is added to the rating. The papers of DCN and AutoInt
    have none; published code adds it to them too."""
    l2: NonNegativeFloat = 1e-5
    """Weight of half the squares of the embeddings and weights that a pair reads, in the mean over a batch's pairs."""


class NetworkOptions(Options):
    """Mixin of models with a network of fully connected layers. Each of them says the sizes in `hidden`."""

    dropout: float = Field(0.0, ge=0, lt=1)
    """Share of the network's hidden units that a step leaves out."""
