"""Options of TAGCF."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from recsys.models.options.pairwise_graph import PairwiseGraphOptions


class TagcfOptions(PairwiseGraphOptions):
    """TAGCF: values of attributes are nodes of the graph, joined to the items and users that have them."""

    quirks: ClassVar = {"pooling": "sum", "l2_kind": "all", "item_loops": True, "slope": 64.0}

    family: Literal["tagcf"] = "tagcf"
    attributes: tuple[str, ...] | None = Field(None, min_length=1)
    """Which attributes become nodes, e.g. [genres, director]; null takes all that the data and the source have."""
    least_items: PositiveInt = 2
    """A value that fewer users and items have joins nobody to anybody, and is no node."""
    most_items: float = Field(0.5, gt=0, le=1)
    """A value that more than this share of the items has tells nothing apart, and is no node."""
    least_support: PositiveInt = 2
    """A user is joined to the values that at least so many of the user's training items have."""
    pooling: Literal["mean", "sum"] = "mean"
    """What becomes of the layers' embeddings."""
    contrast: NonNegativeFloat = 0.0
    """Weight of SimGCL's contrast between two passes with noise; 0 makes no such passes."""
    contrast_temperature: PositiveFloat = 0.2
    """Temperature of its cosines."""
    noise: NonNegativeFloat = 0.1
    """Length of the noise on each layer of each node, in these passes."""
    item_loops: bool = False
    """Whether items and attributes hear themselves among each other too, not only among all."""
    slope: NonNegativeFloat = 0.01
    """Slope of the gates' LeakyReLU below 0. The published code hands over the length of an embedding."""
