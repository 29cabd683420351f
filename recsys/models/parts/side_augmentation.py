"""LLMRec's side features added to the embeddings of any model.

Paper: Wei et al., "LLMRec", WSDM 2024, section 4.5 and table 6: its augmentation joined to other recommenders.
Equation: U' = U + a sum n(u_modality) + b sum n(u_profile) + c sum n(u_attribute), items likewise, with the features
projected and propagated as in `side_features` on the graph whose rows are divided by the square root of their degree.
Deviations: none known; the paper describes no other detail. Attributes share one layer, as in LLMRec's code.
Relations: with LightGCN's embeddings in the place of its own ID embeddings, this is LLMRec without its loss.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from augrec.artefacts.errors import DataError
from recsys.augmentation import SideInformation
from recsys.graph.adjacency import bipartite
from recsys.models.parts.side_features import SideFeatures, layer_of, named_matrices, projection_layers

if TYPE_CHECKING:
    from recsys.data.dataset import Dataset
    from recsys.models.options.base import SideScales

MISSING = {
    "modality": ("item", "item modalities", "give text or image features of the items"),
    "profile": ("user", "user profiles", "generate and embed the task user_profile, or give user features"),
    "attribute": ("attributes", "item attributes", "generate and embed the task item_attributes, or give some"),
}


class SideEmbeddings(nn.Module):
    """What is added to the final embeddings of users and items; see the module.

    Args:
        features: the constants.
        layers: the projections, the only parameters.
        scales: the weight of each group.
    """

    def __init__(self, features: SideFeatures, layers: nn.ModuleDict, scales: SideScales) -> None:
        super().__init__()
        self.features, self.layers, self.scales = features, layers, scales

    @classmethod
    def build(
        cls, dataset: Dataset, side: SideInformation, scales: SideScales, dim: int, generator: torch.Generator
    ) -> SideEmbeddings:
        """The features of every group with a scale above 0, with fresh layers to `dim` drawn from `generator`.

        Raises:
            DataError: a group has a scale above 0 and there are no such features.
        """
        for group, (field, what, remedy) in MISSING.items():
            scale = getattr(scales, group)
            if scale and not getattr(side, field):
                raise DataError(
                    f"side.{group} is {scale:g} and there are no {what}", remedy=f"{remedy}, or set side.{group}=0"
                )
        wanted = SideInformation(
            user=side.user if scales.profile else {},
            item=side.item if scales.modality else {},
            attributes=side.attributes if scales.attribute else {},
        )
        wanted.check(dataset.n_users, dataset.n_items)
        matrices = named_matrices(wanted)
        layers = projection_layers(matrices, dim, layer_of, generator, "embed them with one model")
        hops = bipartite(dataset.train, dataset.n_users, dataset.n_items, "row-sqrt")
        return cls(SideFeatures(matrices, hops, dim, layer_of, "none"), layers, scales)

    def forward(self) -> tuple[Tensor, Tensor]:
        """What is added to all users [n_users, dim] and all items [n_items, dim]."""
        return self.features.rows(self.layers).added(self.scales.modality, self.scales.profile, self.scales.attribute)
