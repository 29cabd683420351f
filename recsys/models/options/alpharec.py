"""Options of AlphaRec."""

from __future__ import annotations

from typing import Literal

from pydantic import NonNegativeInt, PositiveFloat, PositiveInt

from recsys.models.options.base import FamilyOptions, ModalityOptions


class AlphaRecOptions(FamilyOptions, ModalityOptions):
    """AlphaRec: items are what their text says, users what their items say; no ids."""

    family: Literal["alpharec"] = "alpharec"
    dim: PositiveInt = 64
    """Length of an embedding."""
    hidden: PositiveInt | None = None
    """Width of the network's hidden layer; null is half the length of the texts' vectors, as the paper has it for the
    encoder of its main table."""
    layers: NonNegativeInt = 2
    """Propagation steps."""
    negatives: PositiveInt = 256
    """Items drawn for each triplet of a batch, of those that its user has not in training."""
    temperature: PositiveFloat = 0.15
    """Temperature of the cosines; the paper takes .15 for books and films and .2 for games."""
