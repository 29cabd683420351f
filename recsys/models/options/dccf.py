"""Options of DCCF."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from recsys.models.options.pairwise_graph import PairwiseGraphOptions


class DccfOptions(PairwiseGraphOptions):
    """DCCF: messages of neighbours and of global intents, each also weighted by likeness, and contrasts between them.

    Names in brackets are those of RLMRec's code.
    """

    quirks: ClassVar = {"items_by_users": True, "l2_kind": "all"}

    family: Literal["dccf"] = "dccf"
    layers: NonNegativeInt = 2
    """Propagation steps."""
    intents: PositiveInt = 128
    """Global intents of users, and of items (`intent_num`)."""
    contrast: NonNegativeFloat = 1e-3
    """Weight of the contrastive loss (`cl_weight`)."""
    temperature: PositiveFloat = 0.1
    """Temperature of the contrastive loss (`temperature`, `cl_temperature`)."""
    contrast_negatives: bool = False
    """Whether a batch's negative items are contrasted too, as in the authors' own code; not in RLMRec's."""
    items_by_users: bool = False
    """Whether the items' part of the contrast is divided by the number of users, as in RLMRec's code, and not by that
    of items."""
