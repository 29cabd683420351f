"""Options of AFM."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, PositiveInt

from recsys.models.options.field_model import FieldModelOptions


class AfmOptions(FieldModelOptions):
    """AFM: a factorisation machine whose products of fields are weighed by attention."""

    family: Literal["afm"] = "afm"
    attention: PositiveInt = 8
    """Hidden units of the attention."""
    dropout: float = Field(0.0, ge=0, lt=1)
    """Share of the entries of the weighed sum of products that a step leaves out."""
