"""Options of DeepFM."""

from __future__ import annotations

from typing import Literal

from pydantic import PositiveInt

from recsys.models.options.field_model import FieldModelOptions, NetworkOptions


class DeepFmOptions(FieldModelOptions, NetworkOptions):
    """DeepFM: a factorisation machine and a network over the same embeddings."""

    family: Literal["deepfm"] = "deepfm"
    hidden: tuple[PositiveInt, ...] = (256, 128)
    """Sizes of the network's layers; [] leaves it out, and what is left is a factorisation machine."""
