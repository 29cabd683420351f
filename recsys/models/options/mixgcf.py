"""Options of MixGCF."""

from __future__ import annotations

from typing import Literal

from pydantic import PositiveInt

from recsys.models.options.pairwise_graph import PairwiseGraphOptions


class MixGcfOptions(PairwiseGraphOptions):
    """MixGCF: LightGCN, whose negatives are put together, hop by hop, of the hardest of many drawn items."""

    family: Literal["mixgcf"] = "mixgcf"
    negatives: PositiveInt = 64
    """Items among which the hardest is looked for in each hop: the one of the batch, and others that the user has not
    in training (`n_negs`)."""
