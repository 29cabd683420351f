"""Options of DCN."""

from __future__ import annotations

from typing import Literal

from pydantic import PositiveInt

from recsys.models.options.field_model import FieldModelOptions, NetworkOptions


class DcnOptions(FieldModelOptions, NetworkOptions):
    """DCN: layers that cross the joined embeddings with themselves, beside a network."""

    family: Literal["dcn"] = "dcn"
    crosses: PositiveInt = 2
    """Layers that cross; each raises the degree by one."""
    hidden: tuple[PositiveInt, ...] = (128, 128)
    """Sizes of the network's layers; [] leaves it out."""
