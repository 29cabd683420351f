"""What a step of training sees, whatever a model learns from, and what a trained model is asked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeVar, runtime_checkable

import torch
from torch import Tensor

Split = Literal["valid", "test"]
B = TypeVar("B", bound="Batch")


@runtime_checkable
class Batch(Protocol):
    """The examples of one step. A model's `loss` is a mean over them."""

    def __len__(self) -> int:
        """Examples, which is what a mean over processes weighs by."""
        ...

    def to(self: B, device: torch.device | str) -> B:
        """The batch on another device."""
        ...

    def share(self: B, rank: int, size: int) -> B:
        """The part of process `rank` of `size`; the batch itself where it is too small to be divided."""
        ...


class Batches(Protocol):
    """All batches of a training."""

    @property
    def notes(self) -> Sequence[str]:
        """Lines for the log, such as what was left out."""
        ...

    def epoch(self) -> Iterator[Batch]:
        """The batches of one pass; every call draws anew, from generators that the job keeps."""
        ...


@dataclass(frozen=True, eq=False)
class Queries:
    """Users for whom a model scores every item.

    Attributes:
        users: int64 [b], on the model's device.
        split: of which the answer is judged. What is known of a user is then the training interactions at "valid",
            and those of validation as well at "test": the context that a model of sequences reads.
    """

    users: Tensor
    split: Split = "valid"

    def __len__(self) -> int:
        return len(self.users)
