"""The vectors of texts of users and items that aligners read, and the network between them and embeddings."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from augrec.artefacts.errors import DataError
from augrec.artefacts.names import suggestion
from recsys.aligners.options import TextAlignerOptions
from recsys.augmentation import FeatureMatrix, SideInformation
from recsys.linear_layer import xavier_linear

PREFERRED = "profile"
SLOPE = 0.01


class Texts(nn.Module):
    """Distinct vectors, and whose they are. Ids without a vector have none of them.

    Its buffers are no part of `state_dict`: they are read from the data again.

    Args:
        matrix: the vectors; at least one id has one.

    Attributes:
        values: float32 [k, d], the vectors that some id has.
        place: int64 [n], the row of `values` of each id, -1 where it has none.
        owners: int64 [k], how many ids have each vector.
    """

    values: Tensor
    place: Tensor
    owners: Tensor

    def __init__(self, matrix: FeatureMatrix) -> None:
        super().__init__()
        used, place, owners = np.unique(matrix.index[matrix.mask], return_inverse=True, return_counts=True)
        places = np.full(matrix.rows, -1, dtype=np.int64)
        places[matrix.mask] = place
        self._keep("values", matrix.values[used])
        self._keep("place", places)
        self._keep("owners", owners.astype(np.int64))

    def _keep(self, name: str, array: np.ndarray) -> None:
        self.register_buffer(name, torch.from_numpy(np.ascontiguousarray(array)), persistent=False)

    @property
    def dim(self) -> int:
        """The length of a vector."""
        return self.values.shape[1]


def texts_of(side: SideInformation, options: TextAlignerOptions) -> tuple[Texts, Texts]:
    """The vectors of users and of items that an aligner reads.

    Raises:
        DataError: there are none, or several of which none is named, or they differ in length.
    """
    aligner = f"the aligner '{options.kind}'"
    users = _chosen(side.user, options.user_text, aligner, "user")
    items = _chosen(side.item, options.item_text, aligner, "item")
    if users.dim != items.dim:
        raise DataError(
            f"{aligner} reads user vectors of length {users.dim} and item vectors of length {items.dim}",
            where="aligner.user_text, aligner.item_text",
            remedy="embed both by one model",
        )
    return Texts(users), Texts(items)


def _chosen(matrices: Mapping[str, FeatureMatrix], name: str | None, aligner: str, about: str) -> FeatureMatrix:
    present = ", ".join(matrices) or "none"
    where = f"aligner.{about}_text; the data have: {present}"
    if not matrices:
        raise DataError(
            f"{aligner} needs {about} features, and the data have none",
            where=f"{about} features",
            remedy="name a source with profiles in the variant, or a file of vectors in the config",
        )
    if name is None:
        name = PREFERRED if PREFERRED in matrices else next(iter(matrices)) if len(matrices) == 1 else None
    if name is None:
        raise DataError(f"there are several {about} features", where=where, remedy=f"name one as {about}_text")
    if name not in matrices:
        raise DataError(
            f"{aligner} asks for the {about} features '{name}', which the data do not have",
            where=where,
            remedy=f"{suggestion(name, matrices)}name one of: {present}",
        )
    if not matrices[name].dim or not matrices[name].mask.any():
        raise DataError(
            f"{aligner} reads '{name}', and no {about} has a vector", where=where, remedy="check the source"
        )
    return matrices[name]


def bridge(inputs: int, outputs: int, hidden: int, generator: torch.Generator) -> nn.Sequential:
    """RLMRec's network with one hidden layer: Xavier-uniform weights, torch's default biases."""
    return nn.Sequential(
        xavier_linear(inputs, hidden, generator), nn.LeakyReLU(SLOPE), xavier_linear(hidden, outputs, generator)
    )
