"""From options to an untrained model: its family's class, and what options add to any model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from recsys.aligners.registry import Alignment
from recsys.models.options.base import SideAugmentation
from recsys.models.registry import FAMILIES

if TYPE_CHECKING:
    import torch

    from recsys.augmentation import SideInformation
    from recsys.data.dataset import Dataset
    from recsys.models.base import Recommender
    from recsys.models.options.base import FamilyOptions


def build_model(
    dataset: Dataset, side: SideInformation, options: FamilyOptions, generator: torch.Generator
) -> Recommender:
    """An untrained model of the family that the options name.

    Args:
        dataset: what it recommends on.
        side: what it is given beside the interactions.
        options: of the model.
        generator: on the CPU; draws the initial parameters.
    """
    model: Recommender = FAMILIES.find(options.family).model_class().build(dataset, side, options, generator)
    if isinstance(options, SideAugmentation) and options.side.active:
        from recsys.models.parts.side_augmentation import SideEmbeddings

        model.attach_side(SideEmbeddings.build(dataset, side, options.side, model.embedding_dim, generator))
    if isinstance(options, Alignment):
        model.attach_aligner(
            options.aligner_kind.aligner_class().build(
                dataset,
                side,
                options.aligner,
                start_dim=model.table().users.shape[1],
                final_dim=model.embedding_dim,
                generator=generator,
            )
        )
    return model
