"""Options of xDeepFM."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, PositiveInt, model_validator

from recsys.models.options.field_model import FieldModelOptions, NetworkOptions


class XDeepFmOptions(FieldModelOptions, NetworkOptions):
    """xDeepFM: a compressed interaction network (CIN) beside a network."""

    family: Literal["xdeepfm"] = "xdeepfm"
    cin: tuple[PositiveInt, ...] = Field((256, 128), min_length=1)
    """Feature maps of each layer of the CIN."""
    split_half: bool = True
    """Whether half of a layer's maps goes to the output and the other half on to the next layer, as in published code;
    else all go both ways, as in the paper's equations. The last layer's all go to the output."""
    hidden: tuple[PositiveInt, ...] = (256, 256)
    """Sizes of the network's layers; [] leaves it out."""

    @model_validator(mode="after")
    def _halves_are_whole(self) -> XDeepFmOptions:
        if self.split_half and any(size % 2 for size in self.cin[:-1]):
            raise ValueError(f"cin: {list(self.cin)}: with split_half every layer but the last has an even size")
        return self
