"""Options of NFM."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, PositiveInt

from recsys.models.options.field_model import FieldModelOptions, NetworkOptions


class NfmOptions(FieldModelOptions, NetworkOptions):
    """NFM: a network over the sum of all products of two fields' embeddings."""

    family: Literal["nfm"] = "nfm"
    hidden: tuple[PositiveInt, ...] = (128, 128)
    """Sizes of the network's layers; [] leaves it out, and weighs the sum of products itself."""
    pooled_dropout: float = Field(0.0, ge=0, lt=1)
    """Share of the entries of that sum that a step leaves out."""
