"""Options of the graph model with text and a softmax loss."""

from __future__ import annotations

from typing import Literal

from pydantic import NonNegativeInt, PositiveFloat, PositiveInt

from recsys.models.options.base import FamilyOptions, ModalityOptions


class TextGcnOptions(FamilyOptions, ModalityOptions):
    """A graph model whose users and items begin as an embedding of their own and what their text says."""

    family: Literal["text_gcn"] = "text_gcn"
    dim: PositiveInt = 128
    """Length of an embedding."""
    layers: NonNegativeInt = 2
    """Propagation steps."""
    temperature: PositiveFloat = 0.15
    """Temperature of the cosines in the softmax."""
    text: bool = True
    """Whether texts are read; without them it is LightGCN with another loss."""

    @property
    def reads_features(self) -> bool:
        """See `FamilyOptions.reads_features`."""
        return self.text
