"""Side features whose projections change at random in training: LLMRec's dropout, and hidden rows to be restored.

Nothing can be propagated beforehand here: every step projects all distinct rows and propagates what comes out, all
features of a hop in one sparse product. Values are those of `side_features` when nothing is dropped or hidden.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn

from recsys.augmentation import FeatureMatrix
from recsys.graph.adjacency import Bipartite
from recsys.models.parts.feature_projection import Features
from recsys.models.parts.side_features import ATTRIBUTE, MODALITY, PROFILE, LayerOf, SideRows, grouped
from recsys.objectives.restoration import hidden_rows, restoration_loss

if TYPE_CHECKING:
    from recsys.models.options.llmrec import LLMRecOptions


class HiddenFeatures(nn.Module):
    """See the module.

    Args:
        matrices: as for `SideFeatures`.
        hops: of the training interactions; they belong to the model.
        layer_of: the name of the layer that projects a feature.
        options: dropout, restoration, preprocess and dim.
    """

    def __init__(
        self, matrices: dict[str, FeatureMatrix], hops: Bipartite, layer_of: LayerOf, options: LLMRecOptions
    ) -> None:
        super().__init__()
        self.groups, self.layer_of, self.options = grouped(matrices), layer_of, options
        self.to_users, self.to_items = hops
        self.of = nn.ModuleDict({name: Features(matrix, options.preprocess) for name, matrix in matrices.items()})
        self.dropout = nn.Dropout(options.dropout)

    def __getitem__(self, name: str) -> Features:
        return cast(Features, self.of[name])

    def hidden_rows(self) -> dict[str, Tensor]:
        """The ids whose profile or attribute is hidden in this step; none outside of training with restoration."""
        restoration = self.options.restoration
        if not (self.training and restoration.active):
            return {}
        names = self.groups[PROFILE] + self.groups[ATTRIBUTE]
        return {name: hidden_rows(self[name].present, restoration.mask_rate) for name in names}

    def rows(self, layers: nn.ModuleDict, hidden: Mapping[str, Tensor]) -> SideRows:
        """The features at all users and items."""
        dim = self.options.dim
        modalities, profiles, attributes = (self.groups[group] for group in (MODALITY, PROFILE, ATTRIBUTE))
        sizes = [len(modalities), len(attributes), len(profiles)]
        profile_items = self.to_items @ self._projected(profiles, self.to_items.shape[1], layers, hidden)
        features = self._projected([*modalities, *attributes], self.to_users.shape[1], layers, hidden)
        users = self.to_users @ torch.cat([features, profile_items], 1)
        n_features = dim * (sizes[0] + sizes[1])
        items = torch.cat([self.to_items @ users[:, :n_features], profile_items], 1)
        stacks = [side.unflatten(1, (sum(sizes), dim)).split(sizes, 1) for side in (users, items)]
        return SideRows(*(part for pair in zip(*stacks, strict=True) for part in pair))

    def _projected(self, names: list[str], n: int, layers: nn.ModuleDict, hidden: Mapping[str, Tensor]) -> Tensor:
        """[n, len(names) * dim]."""
        if not names:
            return self.to_users.values.new_zeros(n, 0)
        parts = [self[name].projected(layers[self.layer_of(name)], hidden.get(name)) for name in names]
        return self.dropout(torch.cat(parts, 1))

    def restoration(
        self, decoders: nn.ModuleDict, propagated: Mapping[str, Tensor], hidden: Mapping[str, Tensor]
    ) -> Tensor:
        """The sum over profiles and attributes of how badly their hidden rows are restored. Scalar.

        Args:
            decoders: by the names of the layers.
            propagated: by group, [n, features, dim]: profiles at users and attributes at items.
            hidden: what `hidden_rows` gave.
        """
        options, terms = self.options.restoration, []
        for group, table in propagated.items():
            for position, name in enumerate(self.groups[group]):
                ids = hidden[name]
                decoded = decoders[self.layer_of(name)](table[ids, position])
                terms.append(restoration_loss(decoded, self[name].rows(ids), options.loss, options.alpha))
        return torch.stack(terms).sum()
