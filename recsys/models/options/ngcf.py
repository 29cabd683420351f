"""Options of NGCF."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, NonNegativeFloat, PositiveInt

from recsys.aligners.registry import Alignment
from recsys.models.options.base import EdgeAugmentation, FamilyOptions, SideAugmentation


class NgcfOptions(FamilyOptions, EdgeAugmentation, SideAugmentation, Alignment):
    """NGCF: graph convolutions with weights, activations and products of neighbours."""

    family: Literal["ngcf"] = "ngcf"
    dim: PositiveInt = 64
    """Length of an initial embedding."""
    layer_dims: tuple[PositiveInt, ...] = (64, 64, 64)
    """Width of each graph layer; the final embedding is the initial one followed by every layer's. Empty is matrix
    factorisation."""
    graph: Literal["symmetric", "row-mean"] = "symmetric"
    """`symmetric` is equation 7: D^-1/2 A D^-1/2, and a node's own message joins the first term only. `row-mean` is the
    default of the published code: D^-1 (A + I) in both terms."""
    activation: Literal["sum", "each"] = "sum"
    """LeakyReLU of the sum of both terms (equation 7), or of each term (the published code)."""
    normalise: bool = True
    """Each layer's output has length 1 in the final embedding, as in the published code; the paper does not say so."""
    bias: bool = True
    """A bias in each of the two weights of a layer, as in the published code; the paper has none."""
    message_dropout: float = Field(0.1, ge=0, lt=1)
    """Dropout of each layer's output while training."""
    node_dropout: float = Field(0.0, ge=0, lt=1)
    """Share of nodes (or entries, see `node_dropout_kind`) whose messages are left out of a training step."""
    node_dropout_kind: Literal["nodes", "entries"] = "nodes"
    """The paper blocks all messages of a node; the published code drops single entries of the graph's matrix."""
    l2: NonNegativeFloat = 1e-5
    """Weight of the penalty on the batch's rows."""
    l2_rows: Literal["final", "initial"] = "final"
    """Which rows: of the final embeddings (the published code), or of the initial ones."""
