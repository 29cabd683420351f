"""Side features propagated over the graph, by group: item modalities, user profiles, item attributes.

As in LLMRec (Wei et al., WSDM 2024), with P and Q the hops users <- items and items <- users and z = linear(features),
    modality or attribute  u_m = P z_m, i_m = Q u_m
    user profile           i_f = Q z_f, u_f = P i_f           (a user's own profile is seen after two hops)
The features are fixed, so what is propagated are constants (see `propagated_feature`); layers belong to the model.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from augrec.artefacts.errors import DataError
from recsys.augmentation import FeatureMatrix, SideInformation
from recsys.graph.adjacency import Bipartite
from recsys.linear_layer import xavier_linear
from recsys.models.parts.propagated_feature import Preprocess, PropagatedFeature

MODALITY, PROFILE, ATTRIBUTE = "modality", "profile", "attribute"
LayerOf = Callable[[str], str]


class SideRows(NamedTuple):
    """Side features after propagation at users and items, [n, features, dim] each."""

    modality_users: Tensor
    modality_items: Tensor
    attribute_users: Tensor
    attribute_items: Tensor
    profile_users: Tensor
    profile_items: Tensor

    def added(self, modality: float, profile: float, attribute: float) -> tuple[Tensor, Tensor]:
        """The sum of scaled, normalised features for users [n, dim] and items [n, dim]."""
        users = modality * _unit_sum(self.modality_users) + profile * _unit_sum(self.profile_users)
        items = modality * _unit_sum(self.modality_items) + profile * _unit_sum(self.profile_items)
        return (
            users + attribute * _unit_sum(self.attribute_users),
            items + attribute * _unit_sum(self.attribute_items),
        )


class SideFeatures(nn.Module):
    """The constants of all features. Features are called "modality/<name>", "profile/<name>", "attribute/<name>".

    Args:
        matrices: by such a name, in the order in which they are stacked.
        hops: of the training interactions.
        dim: what the layers give.
        layer_of: the name of the layer that projects a feature.
        preprocess: see `Features`.
        penalised: whether `modality_squares` is wanted.
    """

    def __init__(
        self,
        matrices: dict[str, FeatureMatrix],
        hops: Bipartite,
        dim: int,
        layer_of: LayerOf,
        preprocess: Preprocess,
        *,
        penalised: bool = False,
    ) -> None:
        super().__init__()
        self.dim, self.layer_of, self.groups = dim, layer_of, grouped(matrices)
        self.sizes = hops.user_from_item.shape
        self.constants = nn.ModuleDict()
        for name, matrix in matrices.items():
            directions = (hops.item_from_user, hops.user_from_item)
            first, second = directions if name in self.groups[PROFILE] else directions[::-1]
            self.constants[name] = PropagatedFeature(
                matrix, first, second, preprocess, penalised=penalised and name in self.groups[MODALITY]
            )

    def __getitem__(self, name: str) -> PropagatedFeature:
        return cast(PropagatedFeature, self.constants[name])

    def rows(self, layers: nn.ModuleDict, users: Tensor | None = None, items: Tensor | None = None) -> SideRows:
        """The features at the given ids (int64), at all where None."""
        modality, attribute = (
            [self[name].rows(self._layer(layers, name), users, items) for name in self.groups[group]]
            for group in (MODALITY, ATTRIBUTE)
        )
        profile = [self[name].rows(self._layer(layers, name), items, users) for name in self.groups[PROFILE]]
        n_users, n_items = (n if ids is None else len(ids) for n, ids in zip(self.sizes, (users, items), strict=True))
        stacked = {
            group: (
                self._stacked([near for near, _ in pairs], sizes[0], layers),
                self._stacked([far for _, far in pairs], sizes[1], layers),
            )
            for group, pairs, sizes in (
                (MODALITY, modality, (n_users, n_items)),
                (ATTRIBUTE, attribute, (n_users, n_items)),
                (PROFILE, profile, (n_items, n_users)),
            )
        }
        return SideRows(*stacked[MODALITY], *stacked[ATTRIBUTE], *stacked[PROFILE][::-1])

    def _stacked(self, parts: list[Tensor], rows: int, layers: nn.ModuleDict) -> Tensor:
        if parts:
            return torch.stack(parts, 1)
        like = next(layers.parameters(), torch.empty(0))
        return like.new_zeros(rows, 0, self.dim)

    def modality_squares(self, layers: nn.ModuleDict) -> Tensor:
        """The sum over modalities of the squared norms of the propagated feature, over all users and items."""
        squares = [self[name].squared_norm(self._layer(layers, name)) for name in self.groups[MODALITY]]
        return torch.stack(squares).sum()

    def _layer(self, layers: nn.ModuleDict, name: str) -> nn.Linear:
        return cast(nn.Linear, layers[self.layer_of(name)])


def named_matrices(side: SideInformation) -> dict[str, FeatureMatrix]:
    """The matrices of `side` by the names that `SideFeatures` uses, group by group."""
    groups = {MODALITY: side.item, PROFILE: side.user, ATTRIBUTE: side.attributes}
    return {_key(group, name): matrix for group, matrices in groups.items() for name, matrix in matrices.items()}


def grouped(names: dict[str, FeatureMatrix]) -> dict[str, list[str]]:
    """The names by group; every group is there."""
    return {g: [name for name in names if name.startswith(g + "/")] for g in (MODALITY, PROFILE, ATTRIBUTE)}


def layer_of(name: str) -> str:
    """The layer of a feature where all attributes share one, as in LLMRec's code."""
    return ATTRIBUTE if name.startswith(ATTRIBUTE) else name


def projection_layers(
    matrices: dict[str, FeatureMatrix], dim: int, layer_of: LayerOf, generator: torch.Generator, remedy: str
) -> nn.ModuleDict:
    """A linear layer to `dim` for each name that `layer_of` gives, drawn in the order of the features.

    Raises:
        DataError: features of one layer have different dimensions.
    """
    sizes: dict[str, int] = {}
    for name, matrix in matrices.items():
        layer = layer_of(name)
        if sizes.setdefault(layer, matrix.dim) != matrix.dim:
            raise DataError(
                f"attributes share a layer, and their vectors have {sizes[layer]} and {matrix.dim} dimensions",
                where=name,
                remedy=remedy,
            )
    return nn.ModuleDict({name: xavier_linear(size, dim, generator) for name, size in sizes.items()})


def _unit_sum(features: Tensor) -> Tensor:
    return F.normalize(features, dim=2).sum(1)


def _key(group: str, name: str) -> str:
    return f"{group}/{name.replace('.', '/')}"  # torch keeps the dot for itself
