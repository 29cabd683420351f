"""Options of GCCF."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from recsys.models.options.pairwise_graph import PairwiseGraphOptions


class GccfOptions(PairwiseGraphOptions):
    """GCCF: linear propagation whose layers are laid side by side."""

    quirks: ClassVar = {"l2_kind": "all", "unused_weights": True}

    family: Literal["gccf"] = "gccf"
    self_loops: bool = True
    """Whether every node is its own neighbour, as in the paper. In RLMRec's code this is so without an aligner alone,
    which makes its comparison of the two one of graphs as well."""
    unused_weights: bool = False
    """Whether each layer has a square matrix of weights that nothing but the penalty of `l2_kind: all` reads, as in
    RLMRec's code. No score depends on it."""

    @classmethod
    def as_released(cls, given: Mapping[str, Any]) -> dict[str, Any]:
        """See `Released.as_released`; what `self_loops` is depends on the aligner."""
        filled = super().as_released(given)
        aligner = filled.get("aligner")
        kind = aligner.get("kind") if isinstance(aligner, Mapping) else getattr(aligner, "kind", "none")
        return {"self_loops": kind == "none", **filled}
