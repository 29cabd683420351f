"""Options of SimGCL."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import NonNegativeFloat, PositiveInt

from recsys.models.options.view_contrast import ViewContrastOptions


class SimGclOptions(ViewContrastOptions):
    """SimGCL: LightGCN, and a contrast between two passes with noise on each layer."""

    quirks: ClassVar = {"pooling": "sum", "initial": True, "l2_kind": "all"}

    family: Literal["simgcl"] = "simgcl"
    layers: PositiveInt = 3
    """Propagation steps."""
    noise: NonNegativeFloat = 0.1
    """Length of the noise on each layer of each node (`eps`)."""
    initial: bool = False
    """Whether the embeddings before propagation are pooled with those after it, as in RLMRec's code. In SimGCL's own
    they are left out."""
