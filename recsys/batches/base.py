"""The protocols of training batches, whatever a model learns from, and the queries to a trained model."""

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
    """The examples of one training step. A model's `loss` is a mean over them."""

    def __len__(self) -> int:
        """The number of examples: the weight of this batch in a mean over processes."""
        ...

    def to(self: B, device: torch.device | str) -> B:
        """The batch on another device."""
        ...

    def share(self: B, rank: int, size: int) -> B:
        """The part of process `rank` of `size`; the whole batch if it is too small to be divided."""
        ...


class Batches(Protocol):
    """The source of a training's batches."""

    @property
    def notes(self) -> Sequence[str]:
        """Lines for the log, e.g. what was left out."""
        ...

    def epoch(self) -> Iterator[Batch]:
        """The batches of one epoch. Every call draws new ones, from the generators of the job."""
        ...


@dataclass(frozen=True, eq=False)
class Queries:
    """Users for whom a model scores every item.

    Attributes:
        users: int64 [b], on the model's device.
        split: the split on which the answer is evaluated. It decides the context that a sequence model may read: the
            training interactions for "valid", those and the validation interactions for "test".
    """

    users: Tensor
    split: Split = "valid"

    def __len__(self) -> int:
        return len(self.users)
