"""Options of AutoCF."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveInt, model_validator

from recsys.models.options.pairwise_graph import PairwiseGraphOptions


class AutoCfOptions(PairwiseGraphOptions):
    """AutoCF: a masked graph is encoded, and attention over random pairs of masked nodes restores it.

    Names in brackets are those of RLMRec's code.
    """

    quirks: ClassVar = {
        "seeds_share": 1.0,
        "scaled_attention": False,
        "subtract_itself": True,
        "repeated_nodes": True,
        "rounded_rows": True,
        "evaluate_with_itself": False,
        "noisy_infomax": True,
        "l2_kind": "all",
    }
    aligner_quirks: ClassVar = {"negative_items": False}

    family: Literal["autocf"] = "autocf"
    layers: NonNegativeInt = 2
    """Propagation steps of the encoder (`gcn_layer`)."""
    attention_layers: PositiveInt = 1
    """Layers of the decoder (`gt_layer`)."""
    heads: PositiveInt = 4
    """Heads of its attention; divides `dim`, or what an aligner makes of it (`head_num`)."""
    seeds: PositiveInt = 100
    """Nodes around which interactions are masked (`seed_num`)."""
    seeds_share: float = Field(0.01, gt=0, le=1)
    """The largest share of all nodes that may be seeds, at least one: a hundred of them mask a small data set whole.
    There is no such bound in the published code."""
    mask_depth: PositiveInt = 2
    """1 masks the interactions of the seeds, 2 those of their neighbours too, and so on. Nodes reached before the last
    round count as masked (`mask_depth`)."""
    masked_share: float = Field(0.2, ge=0, le=1)
    """The share of all nodes that count as masked besides: the decoder's random pairs are of masked nodes
    (`keep_rate`)."""
    redraw_every: PositiveInt = 10
    """Steps between two draws of graphs; each epoch begins with one (`fix_steps`)."""
    contrast: NonNegativeFloat = 1.0
    """Weight of the terms that keep users apart from users, and items from items (`ssl_reg`)."""
    scaled_attention: bool = True
    """Whether logits of attention are divided by the square root of a head's width; not in the published code."""
    subtract_itself: bool = False
    """Whether a node's own embedding is taken from the sums over its neighbours, among which it is not, as in RLMRec's
    code."""
    repeated_nodes: bool = False
    """Whether the random masked nodes are drawn with repeats, so that they are fewer, as in the published code."""
    rounded_rows: bool = False
    """Whether an edge of the decoder finds its receiver by a division in float32, as in the published code: with more
    than 4,096 nodes every fifteenth or so goes to the node before (on the CPU)."""
    evaluate_with_itself: bool = True
    """Whether a node attends to itself in evaluation too, as it does while training; not in RLMRec's code."""
    noisy_infomax: bool = False
    """Whether the term `infomax` shows the noise by which seeds are drawn, as in the published code. Nothing that is
    learned depends on it."""

    @model_validator(mode="after")
    def _whole_heads(self) -> AutoCfOptions:
        width = self.aligner.start_dim(self.dim)
        if width % self.heads:
            raise ValueError(f"heads must divide what is propagated: {width} is no multiple of {self.heads}")
        return self
