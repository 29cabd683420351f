"""Which item modalities a model reads, what to do when they are not there, and how such a model is built."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import nn

from augrec.artefacts.errors import DataError
from augrec.artefacts.names import suggestion
from recsys.augmentation import FeatureMatrix, SideInformation
from recsys.models.base import EmbeddingRecommender
from recsys.models.options.base import ModalityOptions

if TYPE_CHECKING:
    import torch

    from recsys.data.dataset import Dataset


class ModalityRecommender(EmbeddingRecommender):
    """A model made of a graph and item modalities: (edges, n_users, n_items, modalities, options, generator)."""

    @classmethod
    def build(
        cls, dataset: Dataset, side: SideInformation, options: Any, generator: torch.Generator
    ) -> ModalityRecommender:
        """See `recsys.models.build`."""
        modalities = modalities_of(options.family, side, options)
        model: Any = cls
        return model(dataset.train, dataset.n_users, dataset.n_items, modalities, options, generator)


def modalities_of(family: str, side: SideInformation, options: ModalityOptions) -> dict[str, FeatureMatrix]:
    """The item modalities that `options.modalities` names, in its order; all of the data's when it is null.

    The names serve as those of modules, see `module_name`.

    Args:
        family: the model family, for the messages.
        side: holds the modalities in `item`.
        options: of the family.

    Raises:
        DataError: the data have no item modality, or not one that is named, or one of no dimension or without any
            vector, or their numbers of rows differ.
    """
    present = ", ".join(side.item) or "none"
    add = "name a file of vectors for it in the config, or have the embed stage write it"
    if not side.item:
        raise DataError(
            f"the model '{family}' needs item features, and the data have none",
            where="item features",
            remedy=f"{add}; models without features are e.g. lightgcn and mf_bpr",
        )
    names = tuple(side.item) if options.modalities is None else options.modalities
    for name in names:
        if name not in side.item:
            raise DataError(
                f"the model '{family}' asks for the item modality '{name}', which the data do not have",
                where=f"modalities of '{family}'; the data have: {present}",
                remedy=f"{suggestion(name, side.item)}{add}, or leave it out of `modalities`",
            )
    chosen = {module_name(name): side.item[name] for name in names}
    rows = {matrix.rows for matrix in chosen.values()}
    if len(rows) > 1:
        counts = ", ".join(f"{name} {matrix.rows}" for name, matrix in chosen.items())
        raise DataError(f"the item modalities differ in rows ({counts})", remedy="embed all of them on one dataset")
    for name, matrix in chosen.items():
        if not matrix.dim or not matrix.mask.any():
            raise DataError(
                f"the model '{family}' reads the item modality '{name}', and no item has a vector",
                where=f"item.{name}",
                remedy="check the file of vectors, or leave it out of `modalities`",
            )
    return chosen


def module_name(feature: str) -> str:
    """What layers and parameters of a feature are called, other than what torch keeps for itself.

    A dot becomes a slash, and what is a method of a container, such as `keys` or `type`, ends in one.
    """
    name = feature.replace(".", "/")
    return f"{name}/" if hasattr(nn.ModuleDict(), name) or hasattr(nn.ParameterDict(), name) else name
