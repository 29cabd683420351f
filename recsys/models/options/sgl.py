"""Options of SGL."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from recsys.models.options.view_contrast import ViewContrastOptions


class SglOptions(ViewContrastOptions):
    """SGL: LightGCN, and a contrast between two passes over graphs with edges left out."""

    quirks: ClassVar = {"pooling": "sum", "rescale": False, "l2_kind": "all", "contrast_negatives": True}

    family: Literal["sgl"] = "sgl"
    edge_keep: float = Field(0.8, gt=0, le=1)
    """The chance that an entry of the graph is in a view, drawn for both directions of an edge separately."""
    rescale: bool = True
    """Whether what `edge_keep` leaves is divided by it; not in RLMRec's code. SGL's own code computes new degrees."""
    contrast_negatives: bool = False
    """Whether the negative items of a batch take part in the contrast beside the positive ones, as in RLMRec's code."""
