"""Options of MMGCN."""

from __future__ import annotations

from typing import Literal

from pydantic import NonNegativeFloat, PositiveInt

from recsys.models.options.base import EdgeAugmentation, FamilyOptions, ModalityOptions, SideAugmentation


class MmgcnOptions(FamilyOptions, ModalityOptions, EdgeAugmentation, SideAugmentation):
    """MMGCN: a graph network per item modality, over user preferences of that modality."""

    family: Literal["mmgcn"] = "mmgcn"
    dim: PositiveInt = 64
    """Length of an embedding."""
    layers: PositiveInt = 3
    """Graph layers; the published code has three, the paper finds two enough."""
    latent_dim: PositiveInt | None = 256
    """A modality of more dimensions than this starts with a linear layer to this many; null: none does. The published
    code has it for pictures (2,048 dimensions) and for nothing shorter."""
    combine: Literal["concat", "add"] = "concat"
    """How the neighbours' message joins a node's own part: side by side or as a sum. The published code asks for the
    sum, as the string 'False', and so concatenates."""
    id_embedding: bool = True
    """Whether ID embeddings join every layer."""
    frozen_tables: bool = False
    """Leave the ID embeddings and preferences at their random start, as the published code does: its optimiser never
    gets them. The paper trains them."""
    l2: NonNegativeFloat = 1e-4
    """Weight of the penalty on the batch's rows of ID embeddings and preferences."""
