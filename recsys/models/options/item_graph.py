"""Options of the models that learn a graph of items from their features. No torch here."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveInt

from recsys.models.options.base import EdgeAugmentation, FamilyOptions, ModalityOptions, SideAugmentation


class ItemGraphOptions(FamilyOptions, ModalityOptions, EdgeAugmentation, SideAugmentation):
    """What LATTICE and MICRO have in common. Defaults are those of the published code."""

    dim: PositiveInt = 64
    """Length of an embedding."""
    layers: NonNegativeInt = 2
    """Propagation steps on the user-item graph; 0 leaves matrix factorisation beside the item graph."""
    graph: Literal["symmetric", "row-mean"] = "symmetric"
    """The user-item graph: `symmetric` is LightGCN's; `row-mean` is D^-1 (A + I), which the published code propagates
    on."""
    item_layers: PositiveInt = 1
    """Propagation steps on the item graph."""
    neighbours: PositiveInt = 10
    """Edges per item in each modality's graph."""
    include_self: bool = True
    """Whether an item is one of its own neighbours, as in the paper's equation and the published code."""
    fixed_share: float = Field(0.9, ge=0, le=1)
    """Share of the graph of raw features in the mixture with the learned one (lambda); 1 learns no graph."""
    feature_dim: PositiveInt = 64
    """Length of projected features."""
    rebuild: Literal["epoch", "step", "published"] = "epoch"
    """When the learned graph is made. `epoch`: neighbours are searched at the start of an epoch and weights follow the
    features in every step. `step`: both in every step (the papers), quadratic in the items each time. `published`: both
    in an epoch's first step, through which alone the projection learns."""
    learn_features: bool = False
    """Whether the raw features are learned too, as in the published code: a parameter per item and dimension."""
    l2: NonNegativeFloat = 1e-5
    """Weight of the penalty on the batch's rows of the final embeddings."""
