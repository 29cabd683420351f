"""Options of AutoInt."""

from __future__ import annotations

from typing import Literal

from pydantic import PositiveInt, model_validator

from recsys.models.options.field_model import FieldModelOptions, NetworkOptions


class AutoIntOptions(FieldModelOptions, NetworkOptions):
    """AutoInt: fields attend to each other, layer upon layer, beside a network."""

    family: Literal["autoint"] = "autoint"
    layers: PositiveInt = 3
    """Layers of attention."""
    heads: PositiveInt = 2
    """Heads of each; they share the `dim` numbers of a field."""
    residual: bool = True
    """Whether a layer adds a projection of what it was given."""
    scaled: bool = False
    """Whether inner products are divided by the root of a head's size before the softmax; not in the paper."""
    hidden: tuple[PositiveInt, ...] = (256, 128)
    """Sizes of the network's layers, which make it the paper's AutoInt+; [] leaves it out."""

    @model_validator(mode="after")
    def _heads_share(self) -> AutoIntOptions:
        if self.dim % self.heads:
            raise ValueError(f"heads: {self.heads} heads cannot share the {self.dim} numbers of `dim` equally")
        return self
